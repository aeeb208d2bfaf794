//! Gemini `generateContent` and `streamGenerateContent`.

use leverframe_core::{
    error::Failure,
    model::{Block, Dialect, FinishReason, Json, Response, Signature, StreamEvent, Usage},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Told, arguments_object, carry::carried, encode_error, json, write_json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    candidates: [Candidate<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata>,
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    index: u32,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parts: &'a [Part<'a>],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Typed(Typed<'a>),
    Raw(&'a RawValue),
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Typed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<String>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: &'a str,
    name: &'a str,
    args: &'a RawValue,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_token_count: Option<u64>,
}

impl UsageMetadata {
    fn of(usage: &Usage) -> Option<Self> {
        (*usage != Usage::default()).then(|| Self {
            prompt_token_count: usage.input_total(),
            candidates_token_count: usage.output.plus(usage.audio_output).value(),
            cached_content_token_count: usage.cache_read.value(),
            thoughts_token_count: usage.reasoning.value(),
            total_token_count: usage.total(),
        })
    }
}

fn finish<'a>(reason: &FinishReason, raw: &'a str) -> &'a str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        // The dialect's own words for what is none of these.
        _ if !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => raw,
        _ => "OTHER",
    }
}

fn signed(signature: Option<&Signature>) -> Option<String> {
    signature.map(|signature| carried(signature, Dialect::Gemini))
}

pub(super) fn whole(told: &Told, response: &Response) -> Vec<u8> {
    let args: Vec<Option<Json>> = response
        .content
        .iter()
        .map(|block| match block {
            Block::ToolCall(call) => Some(arguments_object(&call.arguments)),
            _ => None,
        })
        .collect();
    let parts = response.content.iter().zip(&args).filter_map(|(block, args)| {
        Some(Part::Typed(match (block, args) {
            (Block::Text(text), _) => Typed {
                text: Some(&text.text),
                thought_signature: signed(text.signature.as_ref()),
                ..Typed::default()
            },
            (Block::Refusal(refusal), _) => Typed { text: Some(&refusal.text), ..Typed::default() },
            (Block::Thinking(thinking), _) => Typed {
                text: Some(&thinking.text),
                thought: Some(true),
                thought_signature: signed(thinking.signature.as_ref()),
                ..Typed::default()
            },
            (Block::ToolCall(call), Some(args)) => Typed {
                function_call: Some(FunctionCall { id: &call.id, name: &call.name, args: args.as_raw() }),
                thought_signature: signed(call.signature.as_ref()),
                ..Typed::default()
            },
            (Block::Opaque(opaque), _) if opaque.dialect == Dialect::Gemini => {
                return Some(Part::Raw(opaque.json.as_raw()));
            }
            _ => return None,
        }))
    });
    let parts: Vec<_> = parts.collect();
    let raw = response.finish_raw.as_deref().unwrap_or_default();
    json(&Answer {
        candidates: [Candidate {
            content: Content { role: "model", parts: &parts },
            finish_reason: Some(finish(&response.finish, raw)),
            index: 0,
        }],
        usage_metadata: UsageMetadata::of(&response.usage),
        model_version: told.model(response.model.as_deref()),
        response_id: response.id.as_deref().unwrap_or(&told.id),
    })
}

/// A tool call in the making: the dialect says it in one piece.
#[derive(Debug)]
struct Call {
    index: u32,
    id: String,
    name: String,
    arguments: String,
    signature: Option<String>,
}

/// A stream of answers, each with what is new.
#[derive(Debug)]
pub(super) struct Stream {
    told: Told,
    id: String,
    model: Option<String>,
    array: bool,
    begun: bool,
    /// The last block that was a thought.
    thought: Option<u32>,
    calls: Vec<Call>,
    usage: Usage,
    finish: Option<(FinishReason, String)>,
}

impl Stream {
    pub(super) fn new(told: Told, array: bool) -> Self {
        let id = told.id.clone();
        let (calls, usage) = (Vec::new(), Usage::default());
        Self { told, id, model: None, array, begun: false, thought: None, calls, usage, finish: None }
    }

    pub(super) fn is_array(&self) -> bool {
        self.array
    }

    pub(super) fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, model } => {
                if let Some(id) = id {
                    self.id = id.to_string();
                }
                self.model = model.as_ref().map(ToString::to_string).or_else(|| self.model.take());
            }
            StreamEvent::TextDelta { text, .. } | StreamEvent::RefusalDelta { text, .. } => {
                self.part(Typed { text: Some(text), ..Typed::default() }, out);
            }
            StreamEvent::ThinkingDelta { index, text } => {
                self.thought = Some(*index);
                self.part(Typed { text: Some(text), thought: Some(true), ..Typed::default() }, out);
            }
            StreamEvent::ToolCallStart { index, id, name } => self.calls.push(Call {
                index: *index,
                id: id.to_string(),
                name: name.to_string(),
                arguments: String::new(),
                signature: None,
            }),
            StreamEvent::ToolCallDelta { index, arguments } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.index == *index) {
                    call.arguments.push_str(arguments);
                }
            }
            StreamEvent::Signature { index, dialect, signature } => {
                let signature = Signature { dialect: *dialect, value: signature.to_string() };
                let signature = carried(&signature, Dialect::Gemini);
                match self.calls.iter_mut().find(|call| call.index == *index) {
                    Some(call) => call.signature = Some(signature),
                    None => {
                        let (text, thought) = (Some(""), (self.thought == Some(*index)).then_some(true));
                        let thought_signature = Some(signature);
                        self.part(Typed { text, thought, thought_signature, ..Typed::default() }, out);
                    }
                }
            }
            StreamEvent::Opaque { block, .. } if block.dialect == Dialect::Gemini => {
                self.answer(&[Part::Raw(block.json.as_raw())], None, None, out);
            }
            StreamEvent::BlockEnd { index } => {
                if let Some(place) = self.calls.iter().position(|call| call.index == *index) {
                    let call = self.calls.remove(place);
                    self.call(&call, out);
                }
            }
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Finish { reason, raw, .. } => self.finish = Some((reason.clone(), raw.to_string())),
            StreamEvent::End => self.end(out),
            _ => {}
        }
    }

    fn call(&mut self, call: &Call, out: &mut Vec<u8>) {
        let args = arguments_object(&call.arguments);
        let function_call = FunctionCall { id: &call.id, name: &call.name, args: args.as_raw() };
        let thought_signature = call.signature.clone();
        self.part(Typed { function_call: Some(function_call), thought_signature, ..Typed::default() }, out);
    }

    fn part(&mut self, part: Typed<'_>, out: &mut Vec<u8>) {
        self.answer(&[Part::Typed(part)], None, None, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // Cut short by the limit: what there is of a call is said.
        for call in std::mem::take(&mut self.calls) {
            self.call(&call, out);
        }
        let usage = UsageMetadata::of(&self.usage);
        let reason = self.finish.take();
        let reason = reason.as_ref().map(|(reason, raw)| finish(reason, raw));
        if reason.is_some() || usage.is_some() {
            self.answer(&[], reason, usage, out);
        }
        if self.array {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
    }

    pub(super) fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let error = encode_error(Dialect::Gemini, failure, None);
        self.lead(out);
        out.extend_from_slice(&error.body);
        out.extend_from_slice(if self.array { b"]" } else { b"\r\n\r\n" });
    }

    /// What stands before an answer.
    fn lead(&mut self, out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(match (self.array, begun) {
            (true, false) => b"[".as_slice(),
            (true, true) => b",\r\n",
            (false, _) => b"data: ",
        });
    }

    fn answer(
        &mut self,
        parts: &[Part<'_>],
        finish_reason: Option<&str>,
        usage_metadata: Option<UsageMetadata>,
        out: &mut Vec<u8>,
    ) {
        self.lead(out);
        let content = Content { role: "model", parts };
        let answer = Answer {
            candidates: [Candidate { content, finish_reason, index: 0 }],
            usage_metadata,
            model_version: self.told.model(self.model.as_deref()),
            response_id: &self.id,
        };
        write_json(out, &answer);
        if !self.array {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}
