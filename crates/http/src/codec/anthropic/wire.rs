//! The JSON of an answer, as Anthropic defines it. Everything that is not
//! needed to make sense of an answer is optional.

use leverframe_core::model::{
    Block, Citation, Dialect, Extra, Field, FinishReason, Opaque, Signature, Text as TextBlock, Thinking,
    ToolCall,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::{object::Object, path::Path, text::Text};

/// A message: an answer, or what `message_start` says of one.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// Why the model stopped.
pub(super) fn finish(raw: &str) -> FinishReason {
    match raw {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "max_tokens" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" | "compaction" => FinishReason::Pause,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        _ => FinishReason::Other,
    }
}

/// A whole block, in our terms. One that is not modelled, or not in the shape
/// that is, is opaque.
///
/// # Errors
/// The parser's, when it is not an object with a type.
pub(super) fn block(raw: &RawValue) -> Result<Block, serde_json::Error> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
    }
    let Probe { kind } = serde_json::from_str(raw.get())?;
    let modelled = || {
        let mut object = Object::parse(Dialect::Anthropic, Path::ROOT, raw.get()).ok()?;
        object.take("type");
        match kind.as_str() {
            "text" => text(object),
            "thinking" => thinking(object),
            "tool_use" => tool_use(object),
            _ => None,
        }
    };
    Ok(modelled().unwrap_or_else(|| Block::Opaque(Opaque { dialect: Dialect::Anthropic, json: raw.into() })))
}

fn text(mut object: Object<'_>) -> Option<Block> {
    let text = object.lenient("text").unwrap_or_default();
    let citations = object.array(Path::ROOT, "citations").ok()?.into_iter().map(citation).collect();
    Some(Block::Text(TextBlock { text, citations, extra: object.rest(), ..TextBlock::default() }))
}

fn thinking(mut object: Object<'_>) -> Option<Block> {
    let text = object.lenient("thinking").unwrap_or_default();
    let signature: Option<String> = object.lenient("signature");
    let signature = signature.filter(|signature| !signature.is_empty());
    let signature = signature.map(|value| Signature { dialect: Dialect::Anthropic, value });
    Some(Block::Thinking(Thinking { text, signature, extra: object.rest() }))
}

/// Whether a tool is called by the model itself, as far as `caller` says.
pub(super) fn is_for_the_caller(caller: Option<&str>) -> bool {
    #[derive(Deserialize)]
    struct Caller<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
    }
    caller.is_none_or(|json| {
        serde_json::from_str::<Caller<'_>>(json).is_ok_and(|caller| caller.kind.as_str() == "direct")
    })
}

/// Whether a tool's input is `{}`, with or without white space in it.
fn is_empty_object(json: &str) -> bool {
    let inside = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

/// `None` for a call that a server-side program makes: it is not for the
/// caller to answer.
fn tool_use(mut object: Object<'_>) -> Option<Block> {
    if !is_for_the_caller(object.peek("caller")) {
        return None;
    }
    let id = object.lenient::<String>("id").unwrap_or_default();
    let name = object.lenient::<String>("name").unwrap_or_default();
    // Anthropic pads with white space that means nothing.
    let input = object.take("input").map_or("{}", RawValue::get);
    let input = if is_empty_object(input) { "{}" } else { input };
    Some(Block::ToolCall(ToolCall { extra: object.rest(), ..ToolCall::new(id, name, input) }))
}

/// The model that takes over, where a block says that one does (server-side
/// fallback, a beta).
pub(super) fn fallback_model(block: &Block) -> Option<String> {
    #[derive(Deserialize)]
    struct Fallback {
        #[serde(rename = "type")]
        kind: String,
        to: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        model: String,
    }
    let Block::Opaque(opaque) = block else { return None };
    let fallback: Fallback = serde_json::from_str(opaque.json.as_str()).ok()?;
    (fallback.kind == "fallback").then_some(fallback.to.model)
}

/// A citation of whatever kind.
pub(super) fn citation(raw: &RawValue) -> Citation {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        url: Option<String>,
        title: Option<String>,
        document_title: Option<String>,
        cited_text: Option<String>,
    }
    let fields: Fields = serde_json::from_str(raw.get()).unwrap_or_default();
    let source = Opaque { dialect: Dialect::Anthropic, json: raw.into() };
    Citation {
        url: fields.url,
        title: fields.title.or(fields.document_title),
        cited_text: fields.cited_text,
        source,
    }
}

/// What a message, or a part of its ending, says beside what is modelled.
pub(super) fn extra(text: &str) -> Extra {
    const MODELLED: [&str; 10] = [
        "id",
        "type",
        "role",
        "model",
        "content",
        "stop_reason",
        "stop_sequence",
        "usage",
        "delta",
        "message",
    ];
    fields(text, &MODELLED).collect()
}

/// What usage says beside what is modelled, each under a name of its own, for
/// it comes in parts.
pub(super) fn usage_extra(raw: &RawValue) -> impl Iterator<Item = Field> {
    const MODELLED: [&str; 6] = [
        "input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens",
        "output_tokens_details",
    ];
    fields(raw.get(), &MODELLED).map(|field| Field { name: format!("usage.{}", field.name), ..field })
}

fn fields(text: &str, modelled: &[&str]) -> impl Iterator<Item = Field> + use<> {
    let object = Object::parse(Dialect::Anthropic, Path::ROOT, text);
    object.map(|object| object.rest_but(modelled)).unwrap_or_default().into_iter()
}

/// One event of a stream, of whatever type.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// Whether `text` is an event, or a delta, of a type nobody knows, whatever its
/// shape.
pub(super) fn is_unknown(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
        #[serde(borrow)]
        delta: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct DeltaProbe<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
    }
    const DELTAS: [&str; 6] = [
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "compaction_delta",
    ];
    const KNOWN: [&str; 8] = [
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
        "error",
    ];
    let Ok(probe) = serde_json::from_str::<Probe<'_>>(text) else { return false };
    match (probe.kind.as_str(), probe.delta) {
        ("content_block_delta", Some(delta)) => serde_json::from_str::<DeltaProbe<'_>>(delta.get())
            .is_ok_and(|delta| !DELTAS.contains(&delta.kind.as_str())),
        (kind, _) => !KNOWN.contains(&kind),
    }
}

/// What a delta event adds: to a block, or to the message.
#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) citation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_not_modelled_are_kept_verbatim() {
        for (json, kind) in [
            (r#"{"type":"text","text":"a"}"#, "text"),
            (r#"{"type":"text","text":"a","citations":[]}"#, "text"),
            (r#"{"type":"text","text":"a","citations":[{"type":"char_location"}]}"#, "text"),
            (r#"{"type":"redacted_thinking","data":"x"}"#, "opaque block"),
            (r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#, "opaque block"),
            (r#"{"type":"tool_use","id":"t","name":"f","input":{"a": 1}}"#, "tool call"),
            (r#"{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"direct"}}"#, "tool call"),
            (
                r#"{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"code"}}"#,
                "opaque block",
            ),
            (r#"{"type":"something_new"}"#, "opaque block"),
        ] {
            let raw = RawValue::from_string(json.to_owned()).expect("JSON");
            let block = block(&raw).expect("an object");
            assert_eq!(block.kind(), kind, "{json}");
            if let Block::Opaque(opaque) = block {
                assert_eq!(opaque.json.as_str(), json);
            }
        }
    }
}
