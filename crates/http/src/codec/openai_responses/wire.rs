//! The JSON of an answer, as OpenAI Responses defines it.

use leverframe_core::model::{
    Block, Citation, Dialect, Extra, Field, FinishReason, Json, Opaque, Refusal, Signature,
    Text as TextBlock, Thinking, ToolCall, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage;
use crate::codec::{object::Object, path::Path, text::Text};

pub(super) const DIALECT: Dialect = Dialect::OpenAiResponses;

/// The field of a block with the fields of the message item that it begins.
pub(super) const ITEM: &str = "item";

/// The field of a tool call that says that it is none of a function.
pub(super) const TYPE: &str = "type";

/// The type of a call of a tool whose arguments are any text.
pub(super) const CUSTOM_CALL: &str = "custom_tool_call";

/// An answer.
#[derive(Debug, Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    incomplete_details: Option<&'a RawValue>,
}

impl Response<'_> {
    /// What was consumed. A shape nobody knows is unknown usage.
    pub(super) fn usage(&self) -> Option<Usage> {
        usage::read(self.usage?)
    }

    /// Why the answer ended, in the shared word for it.
    pub(super) fn finish(&self, calls: bool, refused: bool) -> FinishReason {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            reason: Option<Text<'a>>,
        }
        let details: Option<Details<'_>> =
            self.incomplete_details.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let reason = details.and_then(|details| details.reason);
        match (self.status.as_ref().map_or("", Text::as_str), reason.as_ref().map(Text::as_str)) {
            ("incomplete", Some("max_output_tokens")) => FinishReason::Length,
            ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
            ("incomplete", Some("max_messages" | "steered")) => FinishReason::Pause,
            ("queued" | "in_progress", _) => FinishReason::Pause,
            ("failed" | "cancelled", _) => FinishReason::Error,
            // Some servers leave the status out, or write `complete`.
            ("completed" | "complete" | "", _) if calls => FinishReason::ToolCalls,
            ("completed" | "complete" | "", _) if refused => FinishReason::Refusal,
            ("completed" | "complete", _) => FinishReason::Stop,
            _ => FinishReason::Other,
        }
    }
}

/// What an answer says beside its content. What only repeats the request is
/// left out.
pub(super) fn answer_extra(text: &str) -> Extra {
    const SAID: [&str; 31] = [
        "id",
        "object",
        "model",
        "output",
        "output_text",
        "status",
        "error",
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "temperature",
        "top_p",
        "top_logprobs",
        "max_output_tokens",
        "max_tool_calls",
        "parallel_tool_calls",
        "truncation",
        "store",
        "metadata",
        "user",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "background",
        "presence_penalty",
        "frequency_penalty",
        "previous_response_id",
        "include",
    ];
    let Ok(object) = Object::parse(DIALECT, Path::ROOT, text) else { return Extra::new() };
    object.rest_but(&SAID)
}

/// The blocks of one item of the output. What is not modelled, or not in the
/// shape that is, is opaque.
pub(super) fn item(raw: &RawValue) -> Vec<Block> {
    let modelled = || -> Option<Vec<Block>> {
        let mut object = Object::parse(DIALECT, Path::ROOT, raw.get()).ok()?;
        match object.lenient::<String>("type")?.as_str() {
            "message" => message(object),
            "function_call" => function_call(object).map(|block| vec![block]),
            CUSTOM_CALL => custom_call(object).map(|block| vec![block]),
            "reasoning" => reasoning(object).map(|block| vec![block]),
            _ => None,
        }
    };
    modelled().unwrap_or_else(|| vec![opaque(raw)])
}

/// The blocks of a message item that does not say that it is one.
pub(super) fn message_item(raw: &RawValue) -> Vec<Block> {
    let object = Object::parse(DIALECT, Path::ROOT, raw.get()).ok();
    object.and_then(message).unwrap_or_else(|| vec![opaque(raw)])
}

pub(super) fn opaque(raw: &RawValue) -> Block {
    Block::Opaque(Opaque { dialect: DIALECT, json: raw.into() })
}

/// `None` where a part is not modelled, or there is none: then the item is
/// kept whole.
fn message(mut object: Object<'_>) -> Option<Vec<Block>> {
    let parts = object.array(Path::ROOT, "content").ok()?;
    for known in ["type", "role"] {
        object.take(known);
    }
    let mut blocks = parts.into_iter().map(part).collect::<Option<Vec<_>>>()?;
    let item = object.rest_as(ITEM).unwrap_or_else(empty_item);
    blocks.first_mut()?.extra_mut()?.set(item);
    Some(blocks)
}

/// Marks where an item without fields of its own begins.
pub(super) fn empty_item() -> Field {
    let Ok(value) = Json::parse("{}") else { unreachable!("the literal is JSON") };
    Field { dialect: DIALECT, name: ITEM.to_owned(), value }
}

fn part(raw: &RawValue) -> Option<Block> {
    let mut object = Object::parse(DIALECT, Path::ROOT, raw.get()).ok()?;
    match object.lenient::<String>("type")?.as_str() {
        "output_text" => {
            let text = object.lenient("text")?;
            let citations = object.array(Path::ROOT, "annotations").ok()?.into_iter().map(citation).collect();
            // An empty list says nothing.
            if object.take("logprobs").is_some_and(|list| list.get() != "[]") {
                object = Object::parse(DIALECT, Path::ROOT, raw.get()).ok()?;
                for known in ["type", "text", "annotations"] {
                    object.take(known);
                }
            }
            Some(Block::Text(TextBlock { text, citations, extra: object.rest(), ..TextBlock::default() }))
        }
        "refusal" => {
            let text = object.lenient("refusal")?;
            Some(Block::Refusal(Refusal { text, extra: object.rest() }))
        }
        _ => None,
    }
}

/// An annotation.
pub(super) fn citation(raw: &RawValue) -> Citation {
    #[derive(Default, Deserialize)]
    struct Fields {
        url: Option<String>,
        title: Option<String>,
        filename: Option<String>,
    }
    let fields: Fields = serde_json::from_str(raw.get()).unwrap_or_default();
    let source = Opaque { dialect: DIALECT, json: raw.into() };
    Citation { url: fields.url, title: fields.title.or(fields.filename), cited_text: None, source }
}

fn function_call(mut object: Object<'_>) -> Option<Block> {
    let (id, name) = (object.lenient::<String>("call_id")?, object.lenient::<String>("name")?);
    let arguments: String = object.lenient("arguments").unwrap_or_default();
    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
    Some(Block::ToolCall(ToolCall { extra: object.rest(), ..ToolCall::new(id, name, arguments) }))
}

fn custom_call(mut object: Object<'_>) -> Option<Block> {
    let (id, name) = (object.lenient::<String>("call_id")?, object.lenient::<String>("name")?);
    let input: String = object.lenient("input")?;
    let mut extra = object.rest();
    extra.set(custom_type());
    Some(Block::ToolCall(ToolCall { extra, ..ToolCall::new(id, name, input) }))
}

/// Marks the call of a custom tool.
pub(super) fn custom_type() -> Field {
    let Ok(value) = Json::parse("\"custom_tool_call\"") else { unreachable!("the literal is JSON") };
    Field { dialect: DIALECT, name: TYPE.to_owned(), value }
}

/// Whether a call is one of a custom tool.
pub(super) fn is_custom(call: &ToolCall) -> bool {
    call.extra.get(DIALECT, TYPE).is_some()
}

fn reasoning(mut object: Object<'_>) -> Option<Block> {
    let signature: Option<String> = object.lenient("encrypted_content");
    let signature = signature.map(|value| Signature { dialect: DIALECT, value });
    let extra = object.rest();
    let text = [extra.get(DIALECT, "summary"), extra.get(DIALECT, "content")]
        .into_iter()
        .flatten()
        .flat_map(|list| texts(list.as_str()))
        .collect::<Vec<_>>()
        .join("\n");
    Some(Block::Thinking(Thinking { text, signature, extra }))
}

fn texts(list: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Part {
        text: Option<String>,
    }
    let parts: Vec<Part> = serde_json::from_str(list).unwrap_or_default();
    parts.into_iter().filter_map(|part| part.text).collect()
}

/// One event of a stream, of whatever type.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    pub(super) output_index: Option<u32>,
    pub(super) content_index: Option<u32>,
    pub(super) summary_index: Option<u32>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// What a delta adds. Events nobody reads may have anything there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Delta<'a> {
    Text(#[serde(borrow)] Text<'a>),
    Other(serde::de::IgnoredAny),
}

/// The beginning of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct CallStart<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}
