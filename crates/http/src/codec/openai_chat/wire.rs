//! The JSON of an answer, as OpenAI and compatible servers define it.
//!
//! Everything is optional: servers leave out what OpenAI requires, and send
//! `null` or `""` for what they do not have.

use std::{borrow::Cow, fmt};

use leverframe_core::model::{Citation, Dialect, Extra, Field, FinishReason, Json, Opaque, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::usage;
use crate::codec::{object::Object, path::Path, text::Text};

/// A chat completion or one chunk of it: they differ only in whether a choice
/// has a `message` or a `delta`.
#[derive(Debug, Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) choices: Option<FirstChoice<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

impl Completion<'_> {
    /// Whether there is usage in it, in whatever shape.
    pub(super) fn has_usage(&self) -> bool {
        self.usage.is_some_and(|usage| usage.get() != "null")
    }

    /// What was consumed, if this says so. Usage in a shape nobody knows is
    /// unknown usage, not a failure: the answer beside it is paid for.
    pub(super) fn usage(&self) -> Option<Usage> {
        match (self.usage.filter(|usage| usage.get() != "null"), self.x_groq) {
            (Some(raw), _) => usage::read(raw),
            (None, Some(raw)) => usage::read_groq(raw),
            (None, None) => None,
        }
    }
}

/// The choice with index 0, out of an array that may be empty (usage chunks,
/// Azure's `prompt_filter_results`). Others are kept as they came.
#[derive(Debug)]
pub(super) struct FirstChoice<'a> {
    pub(super) choice: Option<Choice<'a>>,
    /// There are others; see [`other_choices`].
    pub(super) others: bool,
}

/// The choices beside the first, as they came.
pub(super) fn other_choices(text: &str) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        choices: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Index {
        index: Option<i64>,
    }
    let is_other = |raw: &&RawValue| {
        serde_json::from_str::<Index>(raw.get()).is_ok_and(|choice| choice.index.unwrap_or(0) != 0)
    };
    let body = serde_json::from_str::<Body<'_>>(text);
    body.map(|body| body.choices.into_iter().filter(is_other).collect()).unwrap_or_default()
}

/// A choice beside the first, for adding to those there are.
pub(super) fn other_choice(raw: &RawValue) -> Field {
    let value = Json::parse(format!("[{}]", raw.get())).unwrap_or_else(|_| raw.into());
    Field { dialect: Dialect::OpenAiChat, name: "choices".to_owned(), value }
}

/// What an answer, or a chunk of one, says beside its content: its own fields,
/// and those of its choice under `choice.`.
pub(super) fn answer_extra(text: &str) -> Extra {
    const BODY: [&str; 6] = ["id", "object", "model", "choices", "error", "obfuscation"];
    const CHOICE: [&str; 5] = ["index", "delta", "message", "finish_reason", "logprobs"];
    let Ok(mut body) = Object::parse(Dialect::OpenAiChat, Path::ROOT, text) else { return Extra::new() };
    let choices = body.array(Path::ROOT, "choices").unwrap_or_default();
    let first =
        choices.first().and_then(|raw| Object::parse(Dialect::OpenAiChat, Path::ROOT, raw.get()).ok());
    let is_first = |choice: &Object<'_>| choice.peek("index").is_none_or(|index| index == "0");
    let choice = first.filter(is_first).map(|choice| choice.rest_but(&CHOICE)).unwrap_or_default();
    let choice = choice.into_iter().map(|field| Field { name: format!("choice.{}", field.name), ..field });
    body.rest_but(&BODY).into_iter().chain(choice).collect()
}

impl<'de: 'a, 'a> Deserialize<'de> for FirstChoice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choices;

        impl<'de> Visitor<'de> for Choices {
            type Value = FirstChoice<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut found = FirstChoice { choice: None, others: false };
                while let Some(choice) = seq.next_element::<Choice<'de>>()? {
                    match choice.index.unwrap_or(0) {
                        0 if found.choice.is_none() => found.choice = Some(choice),
                        _ => found.others = true,
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_seq(Choices)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    index: Option<i64>,
    #[serde(borrow)]
    pub(super) delta: Option<Message<'a>>,
    /// The whole message, where this is no chunk.
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    /// OpenRouter reports an upstream's failure here.
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

impl<'a> Choice<'a> {
    /// The log probabilities of content and of refusal, each a list to be
    /// added to.
    pub(super) fn logprobs(&self) -> Vec<Field> {
        let Some(raw) = self.logprobs.filter(|raw| raw.get() != "null") else { return Vec::new() };
        let Ok(object) = Object::parse(Dialect::OpenAiChat, Path::ROOT, raw.get()) else { return Vec::new() };
        let named = object.rest().into_iter();
        named.map(|field| Field { name: format!("logprobs.{}", field.name), ..field }).collect()
    }

    /// The whole message, if there is one.
    pub(super) fn whole(&self) -> Result<Option<Message<'a>>, serde_json::Error> {
        self.message.map(|raw| serde_json::from_str(raw.get())).transpose()
    }
}

/// What is rare is parsed when it is there, which keeps the struct, and with
/// it every chunk, cheap to move.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    images: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// The reasoning, under whichever name it goes. Servers that send both
    /// send the same text twice.
    pub(super) fn take_reasoning(&mut self) -> Option<Text<'a>> {
        let filled = |text: &Text<'_>| !text.is_empty();
        let named = self.reasoning_content.take().filter(filled);
        let named = named.or_else(|| self.reasoning.take().filter(filled));
        named.or_else(|| self.reasoning_details.and_then(details_text).map(Text::from))
    }

    /// The one call of the functions that came before tools.
    pub(super) fn function_call(&self) -> Result<Option<Function<'a>>, serde_json::Error> {
        self.function_call.map(|raw| serde_json::from_str(raw.get())).transpose()
    }

    /// Lists that are not modelled and have something in them, to be added to.
    pub(super) fn lists(&self) -> impl Iterator<Item = Field> + use<> {
        let lists = [("reasoning_details", self.reasoning_details), ("images", self.images)];
        lists
            .map(|(name, raw)| Some(field(name, raw.filter(|raw| !matches!(raw.get(), "[]" | "null"))?)))
            .into_iter()
            .flatten()
    }

    /// Sound, if there is any.
    pub(super) fn audio(&self) -> Option<Field> {
        Some(field("audio", self.audio.filter(|audio| has_audio(audio))?))
    }

    /// What the text refers to.
    pub(super) fn citations(&self) -> Vec<Citation> {
        let list = self.annotations.map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()));
        list.and_then(Result::ok).unwrap_or_default().into_iter().map(citation).collect()
    }
}

/// An annotation.
pub(super) fn citation(raw: &RawValue) -> Citation {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Annotation {
        url_citation: Option<Place>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Place {
        url: Option<String>,
        title: Option<String>,
    }
    let annotation: Annotation = serde_json::from_str(raw.get()).unwrap_or_default();
    let place = annotation.url_citation.unwrap_or_default();
    let source = Opaque { dialect: Dialect::OpenAiChat, json: raw.into() };
    Citation { url: place.url, title: place.title, cited_text: None, source }
}

/// A field of this dialect, as it came.
pub(super) fn field(name: &str, raw: &RawValue) -> Field {
    Field { dialect: Dialect::OpenAiChat, name: name.to_owned(), value: raw.into() }
}

/// The field of a tool call that says that it is none of a function.
pub(super) const TYPE: &str = "type";

/// What a tool call says beside its function, and whether it is a custom
/// tool's. (Gemini's compatible endpoint puts its thought signatures there.)
pub(super) fn call_extra(raw: &RawValue) -> impl Iterator<Item = Field> + use<> {
    const MODELLED: [&str; 5] = ["id", "type", "index", "function", "custom"];
    let object = Object::parse(Dialect::OpenAiChat, Path::ROOT, raw.get()).ok();
    let custom = object.as_ref().is_some_and(|object| object.has("custom") && !object.has("function"));
    let rest = object.map(|object| object.rest_but(&MODELLED)).unwrap_or_default();
    rest.into_iter().chain(custom.then(custom_type))
}

/// What a message says beside what is modelled, to go back with it.
pub(super) fn message_extra(raw: &RawValue) -> impl Iterator<Item = Field> + use<> {
    const MODELLED: [&str; 10] = [
        "role",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "tool_calls",
        "function_call",
        "annotations",
        "audio",
        "images",
    ];
    let object = Object::parse(Dialect::OpenAiChat, Path::ROOT, raw.get());
    let rest = object.map(|object| object.rest_but(&MODELLED)).unwrap_or_default();
    rest.into_iter().filter(|field| field.value.as_str() != "[]")
}

/// Marks the call of a custom tool, whose input is any text.
pub(super) fn custom_type() -> Field {
    let Ok(value) = Json::parse("\"custom\"") else { unreachable!("the literal is JSON") };
    Field { dialect: Dialect::OpenAiChat, name: TYPE.to_owned(), value }
}

/// The readable part of OpenRouter's `reasoning_details`, for servers that
/// send no `reasoning` beside them.
fn details_text(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(borrow)]
        text: Option<Text<'a>>,
        #[serde(borrow)]
        summary: Option<Text<'a>>,
    }
    let details: Vec<Detail<'_>> = serde_json::from_str(raw.get()).ok()?;
    let whole: String = details
        .iter()
        .filter_map(|detail| Some(detail.text.as_ref().or(detail.summary.as_ref())?.as_str()))
        .collect();
    (!whole.is_empty()).then_some(whole)
}

/// Some servers send an audio object with nothing in it.
fn has_audio(raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Audio<'a> {
        #[serde(borrow)]
        id: Option<Text<'a>>,
        #[serde(borrow)]
        data: Option<Text<'a>>,
        #[serde(borrow)]
        transcript: Option<Text<'a>>,
    }
    let filled = |text: Option<Text<'_>>| text.is_some_and(|text| !text.is_empty());
    serde_json::from_str::<Audio<'_>>(raw.get())
        .map_or(true, |audio| filled(audio.id) || filled(audio.data) || filled(audio.transcript))
}

/// A message's content: a string, or parts (Mistral).
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrParts;

        impl<'de> Visitor<'de> for StringOrParts {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text::from(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text::from(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }

        deserializer.deserialize_any(StringOrParts)
    }
}

/// One part of a content array.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text(Text<'a>),
    Refusal(Text<'a>),
    Thinking(String),
    Other(&'a RawValue),
}

impl<'a> Part<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Self {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow, rename = "type")]
            kind: Option<Text<'a>>,
            #[serde(borrow)]
            text: Option<Text<'a>>,
            #[serde(borrow)]
            refusal: Option<Text<'a>>,
            #[serde(borrow)]
            thinking: Option<&'a RawValue>,
        }
        let Ok(body) = serde_json::from_str::<Body<'_>>(raw.get()) else { return Self::Other(raw) };
        let part = match body.kind.as_ref().map(Text::as_str) {
            Some("text") => body.text.map(Self::Text),
            Some("refusal") => body.refusal.map(Self::Refusal),
            Some("thinking") => body.thinking.and_then(thinking_text).map(Self::Thinking),
            _ => None,
        };
        part.unwrap_or(Self::Other(raw))
    }
}

/// Mistral's `thinking`: an array of text parts, or a string.
fn thinking_text(raw: &RawValue) -> Option<String> {
    match serde_json::from_str(raw.get()).ok()? {
        Content::Text(text) => Some(text.into_string()),
        Content::Parts(parts) => parts
            .into_iter()
            .map(|part| match Part::read(part) {
                Part::Text(text) => Some(text.into_string()),
                _ => None,
            })
            .collect(),
    }
}

/// A tool call, or a fragment of one.
#[derive(Debug, Deserialize)]
pub(super) struct ToolCall<'a> {
    pub(super) index: Option<i64>,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
    #[serde(borrow)]
    custom: Option<Custom<'a>>,
}

/// The call of a custom tool.
#[derive(Debug, Deserialize)]
struct Custom<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<Text<'a>>,
}

impl<'a> ToolCall<'a> {
    /// Name and arguments, of whichever kind it is. Some servers leave the
    /// type out, so that it does not count.
    pub(super) fn take_named(&mut self) -> (Option<Text<'a>>, Text<'a>) {
        match (self.function.take(), self.custom.take()) {
            (Some(function), _) => {
                let arguments = function.arguments();
                (function.name, arguments)
            }
            (None, Some(custom)) => (custom.name, custom.input.unwrap_or_default()),
            (None, None) => (None, Text::default()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    /// A string of JSON by definition; a few servers send the JSON itself.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    pub(super) fn arguments(&self) -> Text<'a> {
        let raw = self.arguments.map_or("", RawValue::get);
        serde_json::from_str(raw).unwrap_or_else(|_| Text::from(raw))
    }
}

/// The shared word for a `finish_reason`.
///
/// `calls` and `refused` say whether the answer has tool calls or a refusal:
/// a tool that was forced by name finishes with `stop`, and so does a refusal.
pub(super) fn finish(raw: &str, calls: bool, refused: bool) -> FinishReason {
    match raw {
        "length" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "error" | "insufficient_system_resource" => FinishReason::Error,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        // `eos` is Together's; nothing at all is some servers' word for both.
        "stop" | "eos" | "" if calls => FinishReason::ToolCalls,
        "stop" | "eos" if refused => FinishReason::Refusal,
        "stop" | "eos" => FinishReason::Stop,
        _ => FinishReason::Other,
    }
}

/// An id for a call that came without one: unlike those of other answers, the
/// same whenever the same answer is read, and short enough for OpenAI's bound
/// of 40 characters.
pub(super) fn made_up_id(answer: &str, nth: usize) -> String {
    let tail: Vec<char> = answer.chars().rev().filter(char::is_ascii_alphanumeric).take(24).collect();
    let tail: Cow<'static, str> = match tail.is_empty() {
        true => "x".into(),
        false => tail.into_iter().rev().collect::<String>().into(),
    };
    format!("call_{tail}_{nth}")
}

#[cfg(test)]
mod tests;
