//! The JSON of an answer, as Gemini and Vertex define it.
//!
//! Everything is optional: an empty field is left out, as protocol buffers
//! do it. Enums are strings, and numbers where a caller has asked for
//! `enum-encoding=int` (recorded from Vertex).

use std::{fmt, marker::PhantomData};

use leverframe_core::model::{Dialect, Field, FinishReason, Json, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{arguments::PartialArg, usage};
use crate::codec::{object::Object, path::Path, text::Text};

/// Marks the ids that were made up here, because most models send none.
const MADE_UP: &str = "gemini_";

/// A `GenerateContentResponse`: a whole answer, or one chunk of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) response_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model_version: Option<Text<'a>>,
    #[serde(borrow)]
    candidates: Option<Few<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// What a chunk says beside its parts: of its candidate (grounding, ratings,
/// log probabilities), and, where `whole`, of itself. Each field with whether
/// it is added to what came before.
pub(super) fn answer_extra(text: &str, whole: bool) -> Vec<(Field, bool)> {
    const CHUNK: [&str; 4] = ["candidates", "modelVersion", "responseId", "error"];
    const CANDIDATE: [&str; 3] = ["content", "finishReason", "index"];
    let kept = |text: &'_ str, modelled: &[&str]| {
        let object = Object::parse(Dialect::Gemini, Path::ROOT, text).ok();
        object.map(|object| object.rest_but(modelled)).unwrap_or_default()
    };
    let mut found = Vec::new();
    for raw in raw_candidates(text) {
        if !is_first(index_of(raw)) {
            let Ok(value) = Json::parse(format!("[{}]", raw.get())) else { continue };
            found.push((Field { dialect: Dialect::Gemini, name: "candidates".to_owned(), value }, true));
            continue;
        }
        for field in kept(raw.get(), &CANDIDATE) {
            match field.name.as_str() {
                // Its lists cover the chunk at hand.
                "logprobsResult" => {
                    let parts = kept(field.value.as_str(), &[]).into_iter();
                    let named = |part: Field| Field { name: format!("logprobsResult.{}", part.name), ..part };
                    found.extend(parts.map(|part| (named(part), true)));
                }
                _ => found.push((field, false)),
            }
        }
    }
    if whole {
        found.extend(kept(text, &CHUNK).into_iter().map(|field| (field, false)));
    }
    found
}

fn raw_candidates(text: &str) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        candidates: Option<Vec<&'a RawValue>>,
    }
    let chunk = serde_json::from_str::<Chunk<'_>>(text);
    chunk.ok().and_then(|chunk| chunk.candidates).unwrap_or_default()
}

fn index_of(raw: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Candidate {
        index: Option<i64>,
    }
    serde_json::from_str::<Candidate>(raw.get()).ok()?.index
}

impl<'a> Chunk<'a> {
    /// The first candidate, and whether there is more to it than its parts, or
    /// are others.
    pub(super) fn take_candidate(&mut self) -> (Option<Candidate<'a>>, bool) {
        let Some(candidates) = self.candidates.take() else { return (None, false) };
        let more = !candidates.rest.is_empty();
        let first = candidates.into_iter().find(|candidate| is_first(candidate.index));
        let more = more || first.as_ref().is_none_or(Candidate::has_more);
        (first, more)
    }

    /// Why the prompt was blocked, if it was.
    pub(super) fn take_block_reason(&mut self) -> Option<Text<'a>> {
        specified(self.prompt_feedback.take()?.block_reason)
    }

    /// What was consumed. `None` when no figure is given: a blocked prompt
    /// comes with usage that says nothing.
    pub(super) fn usage(&self) -> Option<Usage> {
        // An answer is worth more than its bill: figures of another shape are unknown.
        usage::read(self.usage_metadata?)
    }
}

fn is_first(index: Option<i64>) -> bool {
    index.is_none_or(|index| index == 0)
}

/// An enum's value, unless it is the one that stands for none.
fn specified(word: Option<Word<'_>>) -> Option<Text<'_>> {
    word.map(|word| word.0)
        .filter(|word| !matches!(word.as_str(), "" | "0") && !word.as_str().ends_with("_UNSPECIFIED"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    index: Option<i64>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Word<'a>>,
    grounding_metadata: Option<IgnoredAny>,
    citation_metadata: Option<IgnoredAny>,
    safety_ratings: Option<IgnoredAny>,
    url_context_metadata: Option<IgnoredAny>,
    logprobs_result: Option<IgnoredAny>,
}

impl<'a> Candidate<'a> {
    fn has_more(&self) -> bool {
        let there = [
            &self.grounding_metadata,
            &self.citation_metadata,
            &self.safety_ratings,
            &self.url_context_metadata,
            &self.logprobs_result,
        ];
        self.finish_reason.is_some() || there.into_iter().any(Option::is_some)
    }

    pub(super) fn take_parts(&mut self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        self.content.take().and_then(|content| content.parts).into_iter().flatten()
    }

    pub(super) fn take_finish_reason(&mut self) -> Option<Text<'a>> {
        specified(self.finish_reason.take())
    }
}

#[derive(Debug, Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Few<Part<'a>>>,
}

/// One part. One that has neither text nor a function call is not modelled.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    pub(super) thought: Option<bool>,
    #[serde(borrow)]
    pub(super) thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function_call: Option<FunctionCall<'a>>,
    part_metadata: Option<IgnoredAny>,
    video_metadata: Option<IgnoredAny>,
    media_resolution: Option<IgnoredAny>,
}

impl Part<'_> {
    /// Whether it may have more than what is modelled.
    pub(super) fn has_more(&self) -> bool {
        let there = [&self.part_metadata, &self.video_metadata, &self.media_resolution];
        self.function_call.is_some() || there.into_iter().any(Option::is_some)
    }
}

/// What a part, and the call in it, say beside what is modelled.
pub(super) fn part_extra(data: &str, nth: usize) -> Vec<Field> {
    const PART: [&str; 4] = ["text", "thought", "thoughtSignature", "functionCall"];
    const CALL: [&str; 5] = ["id", "name", "args", "partialArgs", "willContinue"];
    let Some(part) = raw_part(data, nth) else { return Vec::new() };
    let Ok(mut object) = Object::parse(Dialect::Gemini, Path::ROOT, part.as_str()) else { return Vec::new() };
    let call = object.object(Path::ROOT, "functionCall").ok().flatten();
    let call = call.map(|call| call.rest_but(&CALL)).unwrap_or_default();
    object.rest_but(&PART).into_iter().chain(call).collect()
}

/// A function call; or, with Vertex's `streamFunctionCallArguments`, a piece
/// of one: the first has the name, the last does not continue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) partial_args: Vec<PartialArg<'a>>,
    #[serde(default)]
    pub(super) will_continue: bool,
}

#[derive(Debug, Deserialize)]
struct PromptFeedback<'a> {
    #[serde(borrow, rename = "blockReason")]
    block_reason: Option<Word<'a>>,
}

/// The part at `nth` of the chunk in `text`, as it came. Parses once more,
/// which keeps the common parts free of it.
pub(super) fn raw_part(text: &str, nth: usize) -> Option<Json> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        candidates: Vec<Candidate<'a>>,
    }
    #[derive(Deserialize)]
    struct Candidate<'a> {
        index: Option<i64>,
        #[serde(borrow)]
        content: Option<Content<'a>>,
    }
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        parts: Vec<&'a RawValue>,
    }
    let chunk: Chunk<'_> = serde_json::from_str(text).ok()?;
    let candidate = chunk.candidates.into_iter().find(|candidate| is_first(candidate.index))?;
    candidate.content?.parts.get(nth).map(|part| Json::from(*part))
}

/// A list that nearly always has one element, for which nothing is allocated.
#[derive(Debug)]
struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut few = Few { first: seq.next_element()?, rest: Vec::new() };
                while let Some(element) = seq.next_element()? {
                    few.rest.push(element);
                }
                Ok(few)
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// An enum's value: a word, or its number.
#[derive(Debug)]
pub(super) struct Word<'a>(pub(super) Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrNumber;

        impl<'de> Visitor<'de> for StringOrNumber {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_borrowed_str<E>(self, word: &'de str) -> Result<Self::Value, E> {
                Ok(Word(word.into()))
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(Word(word.to_owned().into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Word(number.to_string().into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Word(number.to_string().into()))
            }
        }

        deserializer.deserialize_any(StringOrNumber)
    }
}

/// The shared word for a `finishReason`. `calls` says whether the answer has
/// function calls: Gemini finishes those with `STOP`.
pub(super) fn finish(raw: &str, calls: bool) -> FinishReason {
    match raw {
        "STOP" | "1" if calls => FinishReason::ToolCalls,
        "STOP" | "1" => FinishReason::Stop,
        "MAX_TOKENS" | "2" => FinishReason::Length,
        // 6 to 8 are filters in Gemini's numbering and in Vertex's.
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR"
        | "LANGUAGE" | "ESCALATION" | "3" | "4" | "6" | "7" | "8" => FinishReason::ContentFilter,
        _ if raw.starts_with("IMAGE_") => FinishReason::ContentFilter,
        "CONTINUATION" => FinishReason::Pause,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "PUP_LIMITED_DISABLED"
        | "NO_IMAGE"
        | "OTHER"
        | "5" => FinishReason::Error,
        _ => FinishReason::Other,
    }
}

/// An id for the call at `nth` of an answer: the same whenever that answer is
/// read, another for every answer, and within OpenAI's bound of 40 characters.
pub(super) fn made_up_id(answer: &str, nth: usize) -> String {
    let mut tail: Vec<char> = answer.chars().rev().filter(char::is_ascii_alphanumeric).take(24).collect();
    tail.reverse();
    format!("{MADE_UP}{}_{nth}", tail.into_iter().collect::<String>())
}

/// Whether an id is from [`made_up_id`] and means nothing to Gemini.
pub(super) fn is_made_up(id: &str) -> bool {
    id.starts_with(MADE_UP)
}

#[cfg(test)]
mod tests;
