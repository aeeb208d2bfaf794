//! Anthropic Messages.

use leverframe_core::model::{
    Block, Citation, Dialect, FinishReason, Response, Signature, StreamEvent, Usage,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Told, arguments_object,
    carry::{carried, carried_ahead},
    frame, json,
};

const ID: &str = "msg_";

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Content<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: UsageBody,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Typed<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<&'a RawValue>,
    },
    Thinking {
        thinking: &'a str,
        signature: String,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
}

/// A block of ours, or one of the dialect's own that is not modelled.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Typed(Typed<'a>),
    Raw(&'a RawValue),
}

#[derive(Clone, Copy, Serialize)]
struct UsageBody {
    /// 0 where nobody said: the dialect has no way to leave it out.
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

impl UsageBody {
    fn of(usage: &Usage) -> Self {
        let input = usage.input.plus(usage.audio_input);
        Self {
            input_tokens: input.value().unwrap_or(0),
            output_tokens: usage.output_total().unwrap_or(0),
            cache_read_input_tokens: usage.cache_read.value(),
            cache_creation_input_tokens: usage.cache_write_short.plus(usage.cache_write_long).value(),
            output_tokens_details: usage
                .reasoning
                .value()
                .map(|thinking_tokens| OutputDetails { thinking_tokens }),
        }
    }
}

fn finish<'a>(reason: &FinishReason, raw: &'a str) -> &'a str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Pause => "pause_turn",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        _ if raw.is_empty() => "end_turn",
        _ => raw,
    }
}

/// The citations the dialect gave itself; it has no words for others'.
fn citations(citations: &[Citation]) -> Vec<&RawValue> {
    let own = citations.iter().filter(|citation| citation.source.dialect == Dialect::Anthropic);
    own.map(|citation| citation.source.json.as_raw()).collect()
}

fn signed(signature: Option<&Signature>) -> String {
    signature.map(|signature| carried(signature, Dialect::Anthropic)).unwrap_or_default()
}

pub(super) fn whole(told: &Told, response: &Response) -> Vec<u8> {
    let inputs: Vec<_> = response
        .content
        .iter()
        .map(|block| match block {
            Block::ToolCall(call) => Some(arguments_object(&call.arguments)),
            _ => None,
        })
        .collect();
    let ahead = |block: &Block| {
        let Block::ToolCall(call) = block else { return None };
        let signature = carried_ahead(call.signature.as_ref()?);
        Some(Content::Typed(Typed::Thinking { thinking: "", signature }))
    };
    let content = response.content.iter().zip(&inputs).flat_map(|(block, input)| {
        let said = Some(match (block, input) {
            (Block::Text(text), _) => {
                let citations = citations(&text.citations);
                Content::Typed(Typed::Text { text: &text.text, citations })
            }
            (Block::Refusal(refusal), _) => {
                Content::Typed(Typed::Text { text: &refusal.text, citations: Vec::new() })
            }
            (Block::Thinking(thinking), _) => Content::Typed(Typed::Thinking {
                thinking: &thinking.text,
                signature: signed(thinking.signature.as_ref()),
            }),
            (Block::ToolCall(call), Some(input)) => {
                Content::Typed(Typed::ToolUse { id: &call.id, name: &call.name, input: input.as_raw() })
            }
            (Block::Opaque(opaque), _) if opaque.dialect == Dialect::Anthropic => {
                Content::Raw(opaque.json.as_raw())
            }
            _ => return [None, None],
        });
        [ahead(block), said]
    });
    let raw = response.finish_raw.as_deref().unwrap_or_default();
    json(&Message {
        id: &told.id(ID, response.id.as_deref()),
        r#type: "message",
        role: "assistant",
        model: told.model(response.model.as_deref()),
        content: content.flatten().collect(),
        stop_reason: Some(finish(&response.finish, raw)),
        stop_sequence: response.stop_sequence.as_deref(),
        usage: UsageBody::of(&response.usage),
    })
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: Content<'a> },
    ContentBlockDelta { index: usize, delta: Delta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: MessageDelta<'a>, usage: UsageBody },
    MessageStop,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citations { citation: &'a RawValue },
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
}

/// A block that was begun. Its number is its place in the list of all.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Option<Kind>,
    over: bool,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    told: Told,
    id: String,
    model: Option<String>,
    begun: bool,
    blocks: Vec<Open>,
    usage: Usage,
    finish: Option<(FinishReason, String, Option<String>)>,
}

impl Stream {
    pub(super) fn new(told: Told) -> Self {
        let id = told.id(ID, None);
        let (usage, blocks) = (Usage::default(), Vec::new());
        Self { told, id, model: None, begun: false, blocks, usage, finish: None }
    }

    pub(super) fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, model } if !self.begun => {
                self.id = self.told.id(ID, id.as_deref());
                self.model = model.as_ref().map(ToString::to_string);
            }
            StreamEvent::TextDelta { index, text } | StreamEvent::RefusalDelta { index, text } => {
                self.delta(*index, Kind::Text, Delta::Text { text }, out);
            }
            StreamEvent::ThinkingDelta { index, text } => {
                self.delta(*index, Kind::Thinking, Delta::Thinking { thinking: text }, out);
            }
            StreamEvent::Signature { index, dialect, signature } => {
                let signature = Signature { dialect: *dialect, value: signature.to_string() };
                self.sign(*index, &signature, out);
            }
            StreamEvent::ToolCallStart { index, id, name } => {
                let input = super::empty_object();
                let call = Typed::ToolUse { id, name, input: input.as_raw() };
                self.open(*index, Some(Kind::ToolUse), Content::Typed(call), out);
            }
            StreamEvent::ToolCallDelta { index, arguments } => {
                if let Some(number) = self.number(*index, Kind::ToolUse) {
                    let delta = Delta::InputJson { partial_json: arguments };
                    self.event(&Event::ContentBlockDelta { index: number, delta }, out);
                }
            }
            StreamEvent::Citation { index, citation } if citation.source.dialect == Dialect::Anthropic => {
                let delta = Delta::Citations { citation: citation.source.json.as_raw() };
                self.delta(*index, Kind::Text, delta, out);
            }
            StreamEvent::Opaque { index, block } if block.dialect == Dialect::Anthropic => {
                self.open(*index, None, Content::Raw(block.json.as_raw()), out);
                self.close(*index, out);
            }
            StreamEvent::BlockEnd { index } => self.close(*index, out),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Finish { reason, raw, stop_sequence } => {
                let stop_sequence = stop_sequence.as_ref().map(ToString::to_string);
                self.finish = Some((reason.clone(), raw.to_string(), stop_sequence));
            }
            StreamEvent::End => self.end(out),
            _ => {}
        }
    }

    /// The number of a block that is open, and of this kind.
    fn number(&self, index: u32, kind: Kind) -> Option<usize> {
        self.blocks.iter().rposition(|open| open.index == index && open.kind == Some(kind) && !open.over)
    }

    fn delta(&mut self, index: u32, kind: Kind, delta: Delta<'_>, out: &mut Vec<u8>) {
        let number = match self.number(index, kind) {
            Some(number) => number,
            None => {
                let content = match kind {
                    Kind::Thinking => Typed::Thinking { thinking: "", signature: String::new() },
                    Kind::Text | Kind::ToolUse => Typed::Text { text: "", citations: Vec::new() },
                };
                self.open(index, Some(kind), Content::Typed(content), out);
                self.blocks.len() - 1
            }
        };
        self.event(&Event::ContentBlockDelta { index: number, delta }, out);
    }

    /// The call that comes next, of this block, is signed.
    pub(super) fn sign_ahead(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        let thought = Typed::Thinking { thinking: "", signature: String::new() };
        let number = self.blocks.len();
        self.open(index, Some(Kind::Thinking), Content::Typed(thought), out);
        let delta = Delta::Signature { signature: carried_ahead(signature) };
        self.event(&Event::ContentBlockDelta { index: number, delta }, out);
        self.close(index, out);
    }

    /// The dialect signs reasoning and nothing else. Where another signs a
    /// text, an empty thought before it carries that.
    fn sign(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        let of_another = |open: &Open| open.index == index && open.kind != Some(Kind::Thinking);
        if self.blocks.iter().any(of_another) {
            return; // it has begun without
        }
        let delta = Delta::Signature { signature: carried(signature, Dialect::Anthropic) };
        self.delta(index, Kind::Thinking, delta, out);
    }

    fn open(&mut self, index: u32, kind: Option<Kind>, content: Content<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(index, out);
        let number = self.blocks.len();
        self.blocks.push(Open { index, kind, over: false });
        self.event(&Event::ContentBlockStart { index: number, content_block: content }, out);
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        let open = |open: &Open| open.index == index && !open.over;
        let Some(number) = self.blocks.iter().rposition(open) else { return };
        if let Some(open) = self.blocks.get_mut(number) {
            open.over = true;
        }
        self.event(&Event::ContentBlockStop { index: number }, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = Message {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: self.told.model(self.model.as_deref()),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: UsageBody::of(&self.usage),
        };
        self.event(&Event::MessageStart { message }, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let open: Vec<u32> = self.blocks.iter().filter(|open| !open.over).map(|open| open.index).collect();
        open.into_iter().for_each(|index| self.close(index, out));
        if let Some((reason, raw, stop_sequence)) = &self.finish {
            let stop_sequence = stop_sequence.as_deref();
            let delta = MessageDelta { stop_reason: finish(reason, raw), stop_sequence };
            self.event(&Event::MessageDelta { delta, usage: UsageBody::of(&self.usage) }, out);
        }
        self.event(&Event::MessageStop, out);
    }

    fn event(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        frame(out, Some(event.name()), event);
    }
}
