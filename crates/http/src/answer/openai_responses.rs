//! OpenAI Responses.

use leverframe_core::{
    error::Failure,
    model::{Block, Citation, Dialect, FinishReason, Response, Signature, StreamEvent, Usage},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Told, carry::carried, error::openai_type, frame, json};

const ID: &str = "resp_";

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    model: &'a str,
    output: Vec<Item<'a>>,
    usage: Option<UsageBody>,
    error: Option<ErrorBody<'a>>,
    incomplete_details: Option<Incomplete>,
    // What the official SDKs take for granted, though nobody asked for it here.
    instructions: Option<()>,
    metadata: Empty,
    parallel_tool_calls: bool,
    temperature: Option<()>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<()>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Clone, Copy, Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Typed(Typed<'a>),
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Typed<'a> {
    Message {
        id: &'a str,
        role: &'static str,
        status: &'static str,
        content: Vec<Part<'a>>,
    },
    FunctionCall {
        id: &'a str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        status: &'static str,
    },
    Reasoning {
        id: &'a str,
        summary: Vec<Summary<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    OutputText { text: &'a str, annotations: Vec<Annotation<'a>> },
    Refusal { refusal: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Summary<'a> {
    SummaryText { text: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Annotation<'a> {
    UrlCitation { url: &'a str, title: &'a str, start_index: u32, end_index: u32 },
}

fn annotation(citation: &Citation) -> Option<Annotation<'_>> {
    let url = citation.url.as_deref()?;
    let title = citation.title.as_deref().unwrap_or(url);
    Some(Annotation::UrlCitation { url, title, start_index: 0, end_index: 0 })
}

#[derive(Clone, Copy, Serialize)]
struct UsageBody {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Clone, Copy, Serialize)]
struct InputDetails {
    /// 0 where nobody said: the official SDKs take it for granted.
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl UsageBody {
    fn of(usage: &Usage) -> Option<Self> {
        let (input_tokens, output_tokens) = (usage.input_total()?, usage.output_total()?);
        Some(Self {
            input_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cache_read.value().unwrap_or(0),
                cache_write_tokens: usage.cache_write_short.plus(usage.cache_write_long).value(),
            },
            output_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning.value().unwrap_or(0) },
            total_tokens: input_tokens.saturating_add(output_tokens),
        })
    }
}

/// The status of an answer that ended like this, and what it lacks.
fn status(reason: &FinishReason) -> (&'static str, Option<Incomplete>) {
    let incomplete = |reason| ("incomplete", Some(Incomplete { reason }));
    match reason {
        FinishReason::Length | FinishReason::ContextWindow => incomplete("max_output_tokens"),
        FinishReason::ContentFilter => incomplete("content_filter"),
        FinishReason::Pause => incomplete("max_messages"),
        FinishReason::Error => ("failed", None),
        _ => ("completed", None),
    }
}

/// One item of the output, kept whole: the dialect says each again when it is over.
#[derive(Debug)]
struct Piece {
    /// The block it is made of, as the events name it.
    index: u32,
    id: String,
    kind: Kind,
    over: bool,
}

#[derive(Debug)]
enum Kind {
    Text { text: String, citations: Vec<Citation>, refusal: bool },
    Call { call_id: String, name: String, arguments: String },
    Reasoning { text: String, signature: Option<String>, summary: bool },
    Raw(Box<RawValue>),
}

impl Piece {
    fn of(index: u32, told: &Told, block: &Block) -> Option<Self> {
        let kind = match block {
            Block::Text(text) => {
                Kind::Text { text: text.text.clone(), citations: text.citations.clone(), refusal: false }
            }
            Block::Refusal(refusal) => {
                Kind::Text { text: refusal.text.clone(), citations: Vec::new(), refusal: true }
            }
            Block::ToolCall(call) => Kind::Call {
                call_id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            },
            Block::Thinking(thinking) => Kind::Reasoning {
                text: thinking.text.clone(),
                signature: thinking.signature.as_ref().map(encrypted),
                summary: !thinking.text.is_empty(),
            },
            Block::Opaque(opaque) if opaque.dialect == Dialect::OpenAiResponses => {
                Kind::Raw(opaque.json.as_raw().to_owned())
            }
            _ => return None,
        };
        Some(Self::new(index, told, kind))
    }

    fn new(index: u32, told: &Told, kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Text { .. } => "msg",
            Kind::Call { .. } => "fc",
            Kind::Reasoning { .. } => "rs",
            Kind::Raw(_) => "item",
        };
        Self { index, id: format!("{prefix}_{}_{index}", told.id), kind, over: false }
    }

    /// The item as it is now; `begun` as it is when it begins: empty.
    fn item(&self, begun: bool) -> Item<'_> {
        let status = if begun { "in_progress" } else { "completed" };
        Item::Typed(match &self.kind {
            Kind::Raw(raw) => return Item::Raw(raw),
            Kind::Text { .. } => Typed::Message {
                id: &self.id,
                role: "assistant",
                status,
                content: if begun { Vec::new() } else { vec![self.part(false)] },
            },
            Kind::Call { call_id, name, arguments } => Typed::FunctionCall {
                id: &self.id,
                call_id,
                name,
                arguments: if begun { "" } else { arguments },
                status,
            },
            Kind::Reasoning { text, signature, summary } => Typed::Reasoning {
                id: &self.id,
                summary: match *summary && !begun {
                    true => vec![Summary::SummaryText { text }],
                    false => Vec::new(),
                },
                encrypted_content: signature.as_deref().filter(|_| !begun),
            },
        })
    }

    /// The content of a message.
    fn part(&self, begun: bool) -> Part<'_> {
        let (text, citations, refusal) = match &self.kind {
            Kind::Text { text, citations, refusal } if !begun => {
                (text.as_str(), citations.as_slice(), *refusal)
            }
            Kind::Text { refusal, .. } => ("", [].as_slice(), *refusal),
            Kind::Call { .. } | Kind::Reasoning { .. } | Kind::Raw(_) => ("", [].as_slice(), false),
        };
        match refusal {
            true => Part::Refusal { refusal: text },
            false => {
                Part::OutputText { text, annotations: citations.iter().filter_map(annotation).collect() }
            }
        }
    }
}

fn encrypted(signature: &Signature) -> String {
    carried(signature, Dialect::OpenAiResponses)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one object")]
fn body<'a>(
    told: &'a Told,
    id: &'a str,
    model: Option<&'a str>,
    status: &'static str,
    pieces: &'a [Piece],
    usage: Option<UsageBody>,
    incomplete_details: Option<Incomplete>,
    error: Option<ErrorBody<'a>>,
) -> Body<'a> {
    Body {
        id,
        object: "response",
        created_at: told.created,
        status,
        model: told.model(model),
        output: pieces.iter().map(|piece| piece.item(false)).collect(),
        usage,
        error,
        incomplete_details,
        instructions: None,
        metadata: Empty {},
        parallel_tool_calls: true,
        temperature: None,
        tool_choice: "auto",
        tools: [],
        top_p: None,
    }
}

pub(super) fn whole(told: &Told, response: &Response) -> Vec<u8> {
    let pieces: Vec<Piece> =
        (0..).zip(&response.content).filter_map(|(index, block)| Piece::of(index, told, block)).collect();
    let (status, incomplete) = status(&response.finish);
    let id = told.id(ID, response.id.as_deref());
    let usage = UsageBody::of(&response.usage);
    json(&body(told, &id, response.model.as_deref(), status, &pieces, usage, incomplete, None))
}

#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(flatten)]
    event: Event<'a>,
    sequence_number: u64,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Event<'a> {
    #[serde(rename = "response.created")]
    Created { response: Body<'a> },
    #[serde(rename = "response.in_progress")]
    InProgress { response: Body<'a> },
    #[serde(rename = "response.completed")]
    Completed { response: Body<'a> },
    #[serde(rename = "response.incomplete")]
    Incomplete { response: Body<'a> },
    #[serde(rename = "response.failed")]
    Failed { response: Body<'a> },
    #[serde(rename = "response.output_item.added")]
    ItemAdded { output_index: usize, item: Item<'a> },
    #[serde(rename = "response.output_item.done")]
    ItemDone { output_index: usize, item: Item<'a> },
    #[serde(rename = "response.content_part.added")]
    PartAdded { item_id: &'a str, output_index: usize, content_index: u32, part: Part<'a> },
    #[serde(rename = "response.content_part.done")]
    PartDone { item_id: &'a str, output_index: usize, content_index: u32, part: Part<'a> },
    #[serde(rename = "response.output_text.delta")]
    TextDelta { item_id: &'a str, output_index: usize, content_index: u32, delta: &'a str, logprobs: [(); 0] },
    #[serde(rename = "response.output_text.done")]
    TextDone { item_id: &'a str, output_index: usize, content_index: u32, text: &'a str, logprobs: [(); 0] },
    #[serde(rename = "response.output_text.annotation.added")]
    AnnotationAdded {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        annotation_index: usize,
        annotation: Annotation<'a>,
    },
    #[serde(rename = "response.refusal.delta")]
    RefusalDelta { item_id: &'a str, output_index: usize, content_index: u32, delta: &'a str },
    #[serde(rename = "response.refusal.done")]
    RefusalDone { item_id: &'a str, output_index: usize, content_index: u32, refusal: &'a str },
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta { item_id: &'a str, output_index: usize, delta: &'a str },
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone { item_id: &'a str, output_index: usize, name: &'a str, arguments: &'a str },
    #[serde(rename = "response.reasoning_summary_part.added")]
    SummaryAdded { item_id: &'a str, output_index: usize, summary_index: u32, part: Summary<'a> },
    #[serde(rename = "response.reasoning_summary_part.done")]
    SummaryDone { item_id: &'a str, output_index: usize, summary_index: u32, part: Summary<'a> },
    #[serde(rename = "response.reasoning_summary_text.delta")]
    SummaryDelta { item_id: &'a str, output_index: usize, summary_index: u32, delta: &'a str },
    #[serde(rename = "response.reasoning_summary_text.done")]
    SummaryTextDone { item_id: &'a str, output_index: usize, summary_index: u32, text: &'a str },
    #[serde(rename = "error")]
    Error { error: StreamError<'a> },
}

#[derive(Serialize)]
struct StreamError<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    param: Option<()>,
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::InProgress { .. } => "response.in_progress",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
            Self::ItemAdded { .. } => "response.output_item.added",
            Self::ItemDone { .. } => "response.output_item.done",
            Self::PartAdded { .. } => "response.content_part.added",
            Self::PartDone { .. } => "response.content_part.done",
            Self::TextDelta { .. } => "response.output_text.delta",
            Self::TextDone { .. } => "response.output_text.done",
            Self::AnnotationAdded { .. } => "response.output_text.annotation.added",
            Self::RefusalDelta { .. } => "response.refusal.delta",
            Self::RefusalDone { .. } => "response.refusal.done",
            Self::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::SummaryAdded { .. } => "response.reasoning_summary_part.added",
            Self::SummaryDone { .. } => "response.reasoning_summary_part.done",
            Self::SummaryDelta { .. } => "response.reasoning_summary_text.delta",
            Self::SummaryTextDone { .. } => "response.reasoning_summary_text.done",
            Self::Error { .. } => "error",
        }
    }
}

/// A stream of events, numbered.
#[derive(Debug)]
pub(super) struct Stream {
    told: Told,
    id: String,
    model: Option<String>,
    begun: bool,
    number: u64,
    pieces: Vec<Piece>,
    usage: Usage,
    finish: Option<FinishReason>,
}

impl Stream {
    pub(super) fn new(told: Told) -> Self {
        let id = told.id(ID, None);
        let (pieces, usage) = (Vec::new(), Usage::default());
        Self { told, id, model: None, begun: false, number: 0, pieces, usage, finish: None }
    }

    pub(super) fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, model } if !self.begun => {
                self.id = self.told.id(ID, id.as_deref());
                self.model = model.as_ref().map(ToString::to_string);
            }
            StreamEvent::TextDelta { index, text } => self.text(*index, text, false, out),
            StreamEvent::RefusalDelta { index, text } => self.text(*index, text, true, out),
            StreamEvent::ThinkingDelta { index, text } => self.thought(*index, text, out),
            StreamEvent::Signature { index, dialect, signature } => {
                let signature = Signature { dialect: *dialect, value: signature.to_string() };
                self.sign(*index, &signature, out);
            }
            StreamEvent::ToolCallStart { index, id, name } => {
                let (call_id, name) = (id.to_string(), name.to_string());
                self.open(*index, Kind::Call { call_id, name, arguments: String::new() }, out);
            }
            StreamEvent::ToolCallDelta { index, arguments } => {
                let Some(output_index) = self.find(*index) else { return };
                let Some(piece) = self.pieces.get_mut(output_index) else { return };
                let Kind::Call { arguments: all, .. } = &mut piece.kind else { return };
                all.push_str(arguments);
                let delta = Event::ArgumentsDelta { item_id: &piece.id, output_index, delta: arguments };
                write(&mut self.number, delta, out);
            }
            StreamEvent::Citation { index, citation } => self.cite(*index, citation, out),
            StreamEvent::Opaque { index, block } if block.dialect == Dialect::OpenAiResponses => {
                self.open(*index, Kind::Raw(block.json.as_raw().to_owned()), out);
                self.close(*index, out);
            }
            StreamEvent::BlockEnd { index } => self.close(*index, out),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Finish { reason, .. } => self.finish = Some(reason.clone()),
            StreamEvent::End => self.end(out),
            _ => {}
        }
    }

    /// The place of an item that is open.
    fn find(&self, index: u32) -> Option<usize> {
        self.pieces.iter().rposition(|piece| piece.index == index && !piece.over)
    }

    fn text(&mut self, index: u32, text: &str, refusal: bool, out: &mut Vec<u8>) {
        let same = |piece: &Piece| matches!(piece.kind, Kind::Text { refusal: is, .. } if is == refusal);
        let output_index = self.find_or_open(index, same, out, || Kind::Text {
            text: String::new(),
            citations: Vec::new(),
            refusal,
        });
        let Some(piece) = self.pieces.get_mut(output_index) else { return };
        if let Kind::Text { text: all, .. } = &mut piece.kind {
            all.push_str(text);
        }
        let (item_id, content_index) = (piece.id.as_str(), 0);
        let event = match refusal {
            true => Event::RefusalDelta { item_id, output_index, content_index, delta: text },
            false => Event::TextDelta { item_id, output_index, content_index, delta: text, logprobs: [] },
        };
        write(&mut self.number, event, out);
    }

    fn thought(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        let same = |piece: &Piece| matches!(piece.kind, Kind::Reasoning { .. });
        let output_index = self.find_or_open(index, same, out, || Kind::Reasoning {
            text: String::new(),
            signature: None,
            summary: false,
        });
        let Some(piece) = self.pieces.get_mut(output_index) else { return };
        let Kind::Reasoning { text: all, summary, .. } = &mut piece.kind else { return };
        all.push_str(text);
        let item_id = piece.id.as_str();
        if !std::mem::replace(summary, true) {
            let part = Summary::SummaryText { text: "" };
            let added = Event::SummaryAdded { item_id, output_index, summary_index: 0, part };
            write(&mut self.number, added, out);
        }
        let delta = Event::SummaryDelta { item_id, output_index, summary_index: 0, delta: text };
        write(&mut self.number, delta, out);
    }

    /// The dialect signs reasoning and nothing else: another's signature of a
    /// block that is none comes in a thought of its own.
    fn sign(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        let same = |piece: &Piece| matches!(piece.kind, Kind::Reasoning { .. });
        if self.find(index).and_then(|place| self.pieces.get(place)).is_some_and(|piece| !same(piece)) {
            return;
        }
        let place = self.find_or_open(index, same, out, || Kind::Reasoning {
            text: String::new(),
            signature: None,
            summary: false,
        });
        if let Some(Piece { kind: Kind::Reasoning { signature: of, .. }, .. }) = self.pieces.get_mut(place) {
            *of = Some(encrypted(signature));
        }
    }

    fn cite(&mut self, index: u32, citation: &Citation, out: &mut Vec<u8>) {
        let (Some(output_index), Some(annotation)) = (self.find(index), annotation(citation)) else { return };
        let Some(piece) = self.pieces.get_mut(output_index) else { return };
        let Kind::Text { citations, .. } = &mut piece.kind else { return };
        citations.push(citation.clone());
        let event = Event::AnnotationAdded {
            item_id: &piece.id,
            output_index,
            content_index: 0,
            annotation_index: citations.len() - 1,
            annotation,
        };
        write(&mut self.number, event, out);
    }

    fn find_or_open(
        &mut self,
        index: u32,
        same: impl Fn(&Piece) -> bool,
        out: &mut Vec<u8>,
        kind: impl FnOnce() -> Kind,
    ) -> usize {
        match self.find(index).filter(|place| self.pieces.get(*place).is_some_and(&same)) {
            Some(place) => place,
            None => self.open(index, kind(), out),
        }
    }

    fn open(&mut self, index: u32, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.begin(out);
        self.close(index, out);
        let output_index = self.pieces.len();
        let piece = Piece::new(index, &self.told, kind);
        let added = Event::ItemAdded { output_index, item: piece.item(true) };
        write(&mut self.number, added, out);
        if let Kind::Text { .. } = piece.kind {
            let part = piece.part(true);
            let added = Event::PartAdded { item_id: &piece.id, output_index, content_index: 0, part };
            write(&mut self.number, added, out);
        }
        self.pieces.push(piece);
        output_index
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(output_index) = self.find(index) else { return };
        let Some(piece) = self.pieces.get_mut(output_index) else { return };
        piece.over = true;
        let (piece, number) = (&*piece, &mut self.number);
        let (item_id, content_index, summary_index) = (piece.id.as_str(), 0, 0);
        match &piece.kind {
            Kind::Text { text, refusal, .. } => {
                let done = match refusal {
                    true => Event::RefusalDone { item_id, output_index, content_index, refusal: text },
                    false => Event::TextDone { item_id, output_index, content_index, text, logprobs: [] },
                };
                write(number, done, out);
                let part = piece.part(false);
                write(number, Event::PartDone { item_id, output_index, content_index, part }, out);
            }
            Kind::Call { name, arguments, .. } => {
                write(number, Event::ArgumentsDone { item_id, output_index, name, arguments }, out);
            }
            Kind::Reasoning { text, summary: true, .. } => {
                let done = Event::SummaryTextDone { item_id, output_index, summary_index, text };
                write(number, done, out);
                let part = Summary::SummaryText { text };
                write(number, Event::SummaryDone { item_id, output_index, summary_index, part }, out);
            }
            Kind::Reasoning { .. } | Kind::Raw(_) => {}
        }
        write(number, Event::ItemDone { output_index, item: piece.item(false) }, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for created in [true, false] {
            let model = self.model.as_deref();
            let response = body(&self.told, &self.id, model, "in_progress", &[], None, None, None);
            let event = match created {
                true => Event::Created { response },
                false => Event::InProgress { response },
            };
            write(&mut self.number, event, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let open: Vec<u32> =
            self.pieces.iter().filter(|piece| !piece.over).map(|piece| piece.index).collect();
        open.into_iter().for_each(|index| self.close(index, out));
        let (status, incomplete) = status(&self.finish.take().unwrap_or(FinishReason::Other));
        let (model, usage) = (self.model.as_deref(), UsageBody::of(&self.usage));
        let response = body(&self.told, &self.id, model, status, &self.pieces, usage, incomplete, None);
        let event = match status {
            "incomplete" => Event::Incomplete { response },
            "failed" => Event::Failed { response },
            _ => Event::Completed { response },
        };
        write(&mut self.number, event, out);
    }

    pub(super) fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.begin(out);
        let (r#type, code) = openai_type(failure.kind);
        let (code, message) = (code.unwrap_or(r#type), failure.message.as_str());
        let error = StreamError { r#type, code, message, param: None };
        write(&mut self.number, Event::Error { error }, out);
        let (model, usage) = (self.model.as_deref(), UsageBody::of(&self.usage));
        let error = Some(ErrorBody { code, message });
        let response = body(&self.told, &self.id, model, "failed", &self.pieces, usage, None, error);
        write(&mut self.number, Event::Failed { response }, out);
    }
}

fn write(number: &mut u64, event: Event<'_>, out: &mut Vec<u8>) {
    let name = event.name();
    frame(out, Some(name), &Numbered { event, sequence_number: *number });
    *number += 1;
}
