//! The JSON of an answer, as Gemini and Vertex define it.
//!
//! Everything is optional: an empty field is left out, as protocol buffers
//! do it. Enums are strings, and numbers where a caller has asked for
//! `enum-encoding=int` (recorded from Vertex).

use std::{fmt, marker::PhantomData};

use leverframe_core::model::{Dialect, Extra, Field, FinishReason, Json, Tokens, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};

use crate::codec::{object::Object, path::Path, scan::Scan, text::Text};

/// Marks the ids that were made up here, because most models send none.
const MADE_UP: &str = "gemini_";

/// Most levels of a path into streamed arguments, which bounds recursion.
const MAX_DEPTH: usize = 64;

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
    let parse = |text: &'_ str| Object::parse(Dialect::Gemini, Path::ROOT, text).ok().map(Object::rest);
    let kept = |fields: Option<Extra>, modelled: &'static [&'static str]| {
        let fields = fields.unwrap_or_default().into_iter();
        fields.filter(move |field| !modelled.contains(&field.name.as_str()))
    };
    let mut found = Vec::new();
    for raw in raw_candidates(text) {
        if !is_first(index_of(raw)) {
            let Ok(value) = Json::parse(format!("[{}]", raw.get())) else { continue };
            found.push((Field { dialect: Dialect::Gemini, name: "candidates".to_owned(), value }, true));
            continue;
        }
        for field in kept(parse(raw.get()), &CANDIDATE) {
            match field.name.as_str() {
                // Its lists cover the chunk at hand.
                "logprobsResult" => {
                    let parts = parse(field.value.as_str()).unwrap_or_default().into_iter();
                    let named = |part: Field| Field { name: format!("logprobsResult.{}", part.name), ..part };
                    found.extend(parts.map(|part| (named(part), true)));
                }
                _ => found.push((field, false)),
            }
        }
    }
    if whole {
        found.extend(kept(parse(text), &CHUNK).map(|field| (field, false)));
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
        serde_json::from_str::<UsageMetadata>(self.usage_metadata?.get()).ok()?.said()
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
struct Word<'a>(Text<'a>);

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

/// Usage as Gemini counts it: `promptTokenCount` includes what was cached but
/// not the input of built-in tools; `candidatesTokenCount` excludes thoughts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsageMetadata {
    #[serde(deserialize_with = "count")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    cached_content_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    thoughts_token_count: Option<u64>,
    prompt_tokens_details: Option<Audio>,
    cache_tokens_details: Option<Audio>,
    candidates_tokens_details: Option<Audio>,
}

/// What a `usageMetadata` says that counts nothing but text. `None` where it
/// may say more.
pub(super) fn scan_usage(scan: &mut Scan<'_>) -> Option<Usage> {
    let mut usage = UsageMetadata::default();
    scan.object(|scan, name| {
        let count = match name {
            "promptTokenCount" => &mut usage.prompt_token_count,
            "toolUsePromptTokenCount" => &mut usage.tool_use_prompt_token_count,
            "cachedContentTokenCount" => &mut usage.cached_content_token_count,
            "candidatesTokenCount" => &mut usage.candidates_token_count,
            "thoughtsTokenCount" => &mut usage.thoughts_token_count,
            // Modalities are words here, which are numbers elsewhere.
            _ if name.ends_with("Details") => {
                let details = scan.raw()?;
                let plain = details == "[]" || details.contains("\"modality\":\"");
                return (plain && !details.contains("AUDIO")).then_some(());
            }
            _ => return scan.skip().map(|_| ()),
        };
        *count = Some(scan.count()?);
        Some(())
    })?;
    usage.said()
}

impl UsageMetadata {
    /// `None` when no figure is given.
    fn said(&self) -> Option<Usage> {
        let usage = self.buckets();
        (usage != Usage::default()).then_some(usage)
    }

    /// Disjoint buckets that add up to `totalTokenCount`.
    fn buckets(&self) -> Usage {
        let prompt = match (self.prompt_token_count, self.tool_use_prompt_token_count) {
            (Some(prompt), Some(tools)) => Some(prompt.saturating_add(tools)),
            (prompt, tools) => prompt.or(tools),
        };
        let audio = |details: &Option<Audio>| details.as_ref().and_then(|audio| audio.0);
        // Audio that was cached is counted with what was cached.
        let cached_audio = audio(&self.cache_tokens_details).unwrap_or(0);
        let heard = audio(&self.prompt_tokens_details).map(|heard| heard.saturating_sub(cached_audio));
        let (rest, cache_read) = apart(prompt, self.cached_content_token_count);
        let (input, audio_input) = apart(rest, heard);
        let (output, audio_output) =
            apart(self.candidates_token_count, audio(&self.candidates_tokens_details));
        Usage {
            input: input.into(),
            cache_read,
            output: output.into(),
            reasoning: self.thoughts_token_count.into(),
            audio_input,
            audio_output,
            ..Usage::default()
        }
    }
}

/// A count: a number, or one in a string, which is how protocol buffers write
/// 64 bits. Anything else is unknown, for an answer is worth more than its bill.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Count;

    impl<'de> Visitor<'de> for Count {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a count")
        }

        fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
            Ok(Some(count))
        }

        fn visit_i64<E>(self, count: i64) -> Result<Self::Value, E> {
            Ok(u64::try_from(count).ok())
        }

        fn visit_f64<E>(self, count: f64) -> Result<Self::Value, E> {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
            Ok((count.fract() == 0.0 && (0.0..9e15).contains(&count)).then_some(count as u64))
        }

        fn visit_str<E>(self, count: &str) -> Result<Self::Value, E> {
            Ok(count.parse().ok())
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }

    deserializer.deserialize_any(Count)
}

/// Takes a part out of a total that includes it, and no more than is there.
fn apart(total: Option<u64>, part: Option<u64>) -> (Option<u64>, Tokens) {
    let part = match (part, total) {
        (Some(part), Some(total)) => Some(part.min(total)),
        (part, _) => part,
    };
    (total.map(|total| total.saturating_sub(part.unwrap_or(0))), part.into())
}

/// The audio among a list of counts by modality.
#[derive(Debug)]
struct Audio(Option<u64>);

impl<'de> Deserialize<'de> for Audio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count<'a> {
            #[serde(borrow)]
            modality: Option<Word<'a>>,
            #[serde(default, deserialize_with = "count")]
            token_count: Option<u64>,
        }
        struct Counts;

        impl<'de> Visitor<'de> for Counts {
            type Value = Audio;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of token counts by modality")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audio, A::Error> {
                let mut audio = None;
                while let Some(count) = seq.next_element::<Count<'de>>()? {
                    // 4 is AUDIO's number.
                    if count.modality.is_some_and(|word| matches!(word.0.as_str(), "AUDIO" | "4")) {
                        audio = audio.or(count.token_count);
                    }
                }
                Ok(Audio(audio))
            }
        }

        deserializer.deserialize_seq(Counts)
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

/// A piece of one argument, or a whole one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialArg<'a> {
    #[serde(borrow)]
    json_path: Text<'a>,
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    number_value: Option<Number>,
    bool_value: Option<bool>,
}

impl PartialArg<'_> {
    /// Puts the piece where its path says. `None` when the path makes no
    /// sense there.
    pub(super) fn put_into(self, arguments: &mut Map<String, Value>) -> Option<()> {
        let mut steps = steps(self.json_path.as_str())?.into_iter();
        let Some(Step::Key(first)) = steps.next() else { return None };
        let place = steps.try_fold(arguments.entry(first).or_insert(Value::Null), step_into)?;
        match (self.string_value, place) {
            (Some(text), Value::String(whole)) => whole.push_str(text.as_str()),
            (Some(text), place) => *place = Value::String(text.into_string()),
            (None, place) => {
                // What has no value is null: `nullValue`.
                let number = self.number_value.map(Value::Number);
                *place = number.or_else(|| self.bool_value.map(Value::Bool)).unwrap_or_default();
            }
        }
        Some(())
    }
}

/// One step of a path such as `$.items[0].name`.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Nth(usize),
}

fn step_into(place: &mut Value, step: Step) -> Option<&mut Value> {
    match step {
        Step::Key(key) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            Some(place.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Step::Nth(nth) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let array = place.as_array_mut()?;
            // Elements come in order: a leap would fill memory with nothing.
            if nth == array.len() {
                array.push(Value::Null);
            }
            array.get_mut(nth)
        }
    }
}

/// The steps of a JSONPath without wildcards (RFC 9535): `.key`, `['key']`, `[0]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if steps.len() >= MAX_DEPTH {
            return None;
        }
        let step;
        (step, rest) = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at_checked(end)?;
            (Step::Key(key.to_owned()), after)
        } else if let Some(quote) =
            ['\'', '"'].into_iter().find(|quote| rest.starts_with(&format!("[{quote}")))
        {
            let (key, after) = rest.get(2..)?.split_once(&format!("{quote}]"))?;
            (Step::Key(key.to_owned()), after)
        } else {
            let (nth, after) = rest.strip_prefix('[')?.split_once(']')?;
            (Step::Nth(nth.parse().ok()?), after)
        };
        steps.push(step);
    }
    Some(steps)
}

#[cfg(test)]
mod tests;
