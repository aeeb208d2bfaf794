//! One item of the output, kept whole: the dialect says each again when it is over.

use leverframe_core::model::{Block, Citation, Dialect, Signature};
use serde_json::value::RawValue;

use super::{
    Told,
    wire::{Body, Empty, ErrorBody, Incomplete, Item, Part, Summary, Typed, UsageBody, annotation},
};
use crate::answer::carry::{carried, carried_ahead};

/// One item of the output, kept whole: the dialect says each again when it is over.
#[derive(Debug)]
pub(super) struct Piece {
    /// The block it is made of, as the events name it.
    pub(super) index: u32,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) over: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text { text: String, citations: Vec<Citation>, refusal: bool },
    Call { call_id: String, name: String, arguments: String },
    Reasoning { text: String, signature: Option<String>, summary: bool },
    Raw(Box<RawValue>),
}

impl Piece {
    pub(super) fn of(index: u32, told: &Told, block: &Block) -> Option<Self> {
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

    /// The thought that carries the signature of a call, which comes after it.
    pub(super) fn ahead(index: u32, told: &Told, signature: &Signature) -> Self {
        let signature = Some(carried_ahead(signature));
        Self::new(index, told, Kind::Reasoning { text: String::new(), signature, summary: false })
    }

    pub(super) fn new(index: u32, told: &Told, kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Text { .. } => "msg",
            Kind::Call { .. } => "fc",
            Kind::Reasoning { .. } => "rs",
            Kind::Raw(_) => "item",
        };
        Self { index, id: format!("{prefix}_{}_{index}", told.id), kind, over: false }
    }

    /// The item as it is now; `begun` as it is when it begins: empty.
    pub(super) fn item(&self, begun: bool) -> Item<'_> {
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
    pub(super) fn part(&self, begun: bool) -> Part<'_> {
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

pub(super) fn encrypted(signature: &Signature) -> String {
    carried(signature, Dialect::OpenAiResponses)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one object")]
pub(super) fn body<'a>(
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
