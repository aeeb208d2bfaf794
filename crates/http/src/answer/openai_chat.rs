//! OpenAI Chat Completions.

use leverframe_core::model::{
    Block, Citation, Dialect, Extra, FinishReason, Response, Signature, StreamEvent, Usage,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Told, carry::ExtraContent, frame, json};

const ID: &str = "chatcmpl-";

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageBody>,
    #[serde(flatten, skip_serializing_if = "Rest::is_empty")]
    rest: Rest<'a>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(flatten, skip_serializing_if = "Rest::is_empty")]
    rest: Rest<'a>,
}

/// A call, or a piece of one: then `index` says of which, and what is not said
/// stays as it was.
#[derive(Default, Serialize)]
struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
    /// Its signature, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent>,
}

#[derive(Default, Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Annotation<'a> {
    r#type: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    url: &'a str,
    title: &'a str,
    start_index: u32,
    end_index: u32,
}

impl<'a> Annotation<'a> {
    /// `None` for a citation that is not of the web, which the dialect cannot say.
    fn of(citation: &'a Citation) -> Option<Self> {
        let url = citation.url.as_deref()?;
        let title = citation.title.as_deref().unwrap_or(url);
        let url_citation = UrlCitation { url, title, start_index: 0, end_index: 0 };
        Some(Self { r#type: "url_citation", url_citation })
    }
}

#[derive(Clone, Copy, Serialize)]
struct UsageBody {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Serialize)]
struct PromptDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
struct CompletionDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl UsageBody {
    /// `None` where input or output is unknown: the dialect has no way to say
    /// so, and 0 would be untrue.
    fn of(usage: &Usage) -> Option<Self> {
        let (prompt_tokens, completion_tokens) = (usage.input_total()?, usage.output_total()?);
        Some(Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read.value(),
                cache_write_tokens: usage.cache_write_short.plus(usage.cache_write_long).value(),
                audio_tokens: usage.audio_input.value(),
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning.value(),
                audio_tokens: usage.audio_output.value(),
            },
        })
    }
}

/// Fields of the dialect's own that are not modelled.
#[derive(Default)]
struct Rest<'a>(Vec<(&'a str, &'a RawValue)>);

/// The fields that are written of every answer and message.
const WRITTEN: [&str; 12] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "role",
    "content",
    "refusal",
    "reasoning_content",
    "tool_calls",
    "annotations",
];

impl<'a> Rest<'a> {
    fn of(extra: &'a Extra) -> Self {
        let own = |field: &&leverframe_core::model::Field| {
            // Not what is written anyway, and not what belongs to the choice.
            field.dialect == Dialect::OpenAiChat
                && !field.name.contains('.')
                && !WRITTEN.contains(&field.name.as_str())
        };
        Self(extra.iter().filter(own).map(|field| (field.name.as_str(), field.value.as_raw())).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Rest<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

pub(super) fn finish<'a>(reason: &FinishReason, raw: &'a str) -> &'a str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause | FinishReason::Refusal => {
            "stop"
        }
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Error => "error",
        _ if raw.is_empty() => "stop",
        _ => raw,
    }
}

pub(super) fn whole(told: &Told, response: &Response) -> Vec<u8> {
    let mut message =
        Message { role: "assistant", rest: Rest::of(&response.message_extra), ..Message::default() };
    let join = |to: &mut Option<String>, text: &str| to.get_or_insert_default().push_str(text);
    for block in &response.content {
        match block {
            Block::Text(text) => {
                join(&mut message.content, &text.text);
                message.annotations.extend(text.citations.iter().filter_map(Annotation::of));
            }
            Block::Thinking(thinking) => join(&mut message.reasoning_content, &thinking.text),
            Block::Refusal(refusal) => join(&mut message.refusal, &refusal.text),
            Block::ToolCall(call) => message.tool_calls.push(ToolCall {
                index: None,
                id: Some(&call.id),
                r#type: Some("function"),
                function: Function { name: Some(&call.name), arguments: &call.arguments },
                extra_content: call.signature.as_ref().map(ExtraContent::of),
            }),
            // Not sayable here, and no model's answer but its own dialect's.
            _ => {}
        }
    }
    let raw = response.finish_raw.as_deref().unwrap_or_default();
    json(&Completion {
        id: &told.id(ID, response.id.as_deref()),
        object: "chat.completion",
        created: told.created,
        model: told.model(response.model.as_deref()),
        choices: [Choice { index: 0, message, logprobs: None, finish_reason: finish(&response.finish, raw) }],
        usage: UsageBody::of(&response.usage),
        rest: Rest::of(&response.extra),
    })
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageBody>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[Annotation<'a>; 1]>,
}

/// A stream of chunks.
#[derive(Debug)]
pub(super) struct Stream {
    told: Told,
    id: String,
    model: Option<String>,
    with_usage: bool,
    begun: bool,
    /// The blocks that are tool calls; a call's number is its place here.
    calls: Vec<u32>,
    /// That of the call that begins next.
    signature: Option<ExtraContent>,
    usage: Usage,
    finish: Option<(FinishReason, String)>,
}

impl Stream {
    pub(super) fn new(told: Told, with_usage: bool) -> Self {
        let id = told.id(ID, None);
        Self {
            told,
            id,
            model: None,
            with_usage,
            begun: false,
            calls: Vec::new(),
            signature: None,
            usage: Usage::default(),
            finish: None,
        }
    }

    pub(super) fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, model } if !self.begun => {
                self.id = self.told.id(ID, id.as_deref());
                self.model = model.as_ref().map(ToString::to_string);
            }
            StreamEvent::TextDelta { text, .. } => {
                self.delta(Delta { content: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::ThinkingDelta { text, .. } => {
                self.delta(Delta { reasoning_content: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::RefusalDelta { text, .. } => {
                self.delta(Delta { refusal: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::ToolCallStart { index, id, name } => {
                self.calls.push(*index);
                let function = Function { name: Some(name), arguments: "" };
                let extra_content = self.signature.take();
                let call =
                    ToolCall { id: Some(id), r#type: Some("function"), function, extra_content, index: None };
                self.call(self.calls.len() - 1, call, out);
            }
            StreamEvent::ToolCallDelta { index, arguments } => {
                let Some(number) = self.calls.iter().rposition(|call| call == index) else { return };
                let function = Function { name: None, arguments };
                self.call(number, ToolCall { function, ..ToolCall::default() }, out);
            }
            StreamEvent::Citation { citation, .. } => {
                if let Some(annotation) = Annotation::of(citation) {
                    self.delta(Delta { annotations: Some([annotation]), ..Delta::default() }, out);
                }
            }
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Finish { reason, raw, .. } => self.finish = Some((reason.clone(), raw.to_string())),
            StreamEvent::End => self.end(out),
            // What belongs to a block or an answer and the dialect does not say in pieces.
            _ => {}
        }
    }

    /// The call that begins next is signed.
    pub(super) fn sign_next(&mut self, signature: &Signature) {
        self.signature = Some(ExtraContent::of(signature));
    }

    fn call(&mut self, number: usize, call: ToolCall<'_>, out: &mut Vec<u8>) {
        let call = ToolCall { index: Some(number), ..call };
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    fn delta(&mut self, mut delta: Delta<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            delta.role = Some("assistant");
        }
        self.chunk(&[ChunkChoice { index: 0, delta, finish_reason: None }], None, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some((reason, raw)) = self.finish.take() {
            let role = (!self.begun).then_some("assistant");
            let delta = Delta { role, ..Delta::default() };
            let finish_reason = Some(finish(&reason, &raw));
            self.chunk(&[ChunkChoice { index: 0, delta, finish_reason }], None, out);
        }
        if self.with_usage
            && let Some(usage) = UsageBody::of(&self.usage)
        {
            self.chunk(&[], Some(usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.told.created,
            model: self.told.model(self.model.as_deref()),
            choices,
            usage,
        };
        frame(out, None, &chunk);
    }
}
