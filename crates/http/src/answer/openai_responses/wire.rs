//! The JSON of an answer, whole and in pieces.

use leverframe_core::model::{Citation, FinishReason, Usage};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created_at: u64,
    pub(super) status: &'static str,
    pub(super) model: &'a str,
    pub(super) output: Vec<Item<'a>>,
    pub(super) usage: Option<UsageBody>,
    pub(super) error: Option<ErrorBody<'a>>,
    pub(super) incomplete_details: Option<Incomplete>,
    // What the official SDKs take for granted, though nobody asked for it here.
    pub(super) instructions: Option<()>,
    pub(super) metadata: Empty,
    pub(super) parallel_tool_calls: bool,
    pub(super) temperature: Option<()>,
    pub(super) tool_choice: &'static str,
    pub(super) tools: [(); 0],
    pub(super) top_p: Option<()>,
}

#[derive(Serialize)]
pub(super) struct Empty {}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Incomplete {
    pub(super) reason: &'static str,
}

#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    pub(super) code: &'a str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Typed(Typed<'a>),
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Typed<'a> {
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
pub(super) enum Part<'a> {
    OutputText { text: &'a str, annotations: Vec<Annotation<'a>> },
    Refusal { refusal: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary<'a> {
    SummaryText { text: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Annotation<'a> {
    UrlCitation { url: &'a str, title: &'a str, start_index: u32, end_index: u32 },
}

pub(super) fn annotation(citation: &Citation) -> Option<Annotation<'_>> {
    let url = citation.url.as_deref()?;
    let title = citation.title.as_deref().unwrap_or(url);
    Some(Annotation::UrlCitation { url, title, start_index: 0, end_index: 0 })
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct UsageBody {
    pub(super) input_tokens: u64,
    pub(super) input_tokens_details: InputDetails,
    pub(super) output_tokens: u64,
    pub(super) output_tokens_details: OutputDetails,
    pub(super) total_tokens: u64,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct InputDetails {
    /// 0 where nobody said: the official SDKs take it for granted.
    pub(super) cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct OutputDetails {
    pub(super) reasoning_tokens: u64,
}

impl UsageBody {
    pub(super) fn of(usage: &Usage) -> Option<Self> {
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
pub(super) fn status(reason: &FinishReason) -> (&'static str, Option<Incomplete>) {
    let incomplete = |reason| ("incomplete", Some(Incomplete { reason }));
    match reason {
        FinishReason::Length | FinishReason::ContextWindow => incomplete("max_output_tokens"),
        FinishReason::ContentFilter => incomplete("content_filter"),
        FinishReason::Pause => incomplete("max_messages"),
        FinishReason::Error => ("failed", None),
        _ => ("completed", None),
    }
}

#[derive(Serialize)]
pub(super) struct Numbered<'a> {
    #[serde(flatten)]
    pub(super) event: Event<'a>,
    pub(super) sequence_number: u64,
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Event<'a> {
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
pub(super) struct StreamError<'a> {
    pub(super) r#type: &'static str,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    pub(super) param: Option<()>,
}

impl Event<'_> {
    pub(super) fn name(&self) -> &'static str {
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
