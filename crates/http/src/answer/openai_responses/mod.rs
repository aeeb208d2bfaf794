//! OpenAI Responses.

mod piece;
mod wire;

use leverframe_core::{
    error::Failure,
    model::{Block, Citation, Dialect, FinishReason, Response, Signature, StreamEvent, Usage},
};
use piece::{Kind, Piece, body, encrypted};
use wire::{ErrorBody, Event, Numbered, StreamError, Summary, UsageBody, annotation, status};

use super::{Told, error::openai_type, frame, json};

const ID: &str = "resp_";

pub(super) fn whole(told: &Told, response: &Response) -> Vec<u8> {
    let pieces = (0..).zip(&response.content).flat_map(|(index, block)| {
        let signature = match block {
            Block::ToolCall(call) => call.signature.as_ref(),
            _ => None,
        };
        [signature.map(|signature| Piece::ahead(index, told, signature)), Piece::of(index, told, block)]
    });
    let pieces: Vec<Piece> = pieces.flatten().collect();
    let (status, incomplete) = status(&response.finish);
    let id = told.id(ID, response.id.as_deref());
    let usage = UsageBody::of(&response.usage);
    json(&body(told, &id, response.model.as_deref(), status, &pieces, usage, incomplete, None))
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

    /// The call that comes next, of this block, is signed.
    pub(super) fn sign_ahead(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        let ahead = Piece::ahead(index, &self.told, signature);
        self.open(index, ahead.kind, out);
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
        let (code, message) = error(failure, &mut self.number, out);
        let (model, usage) = (self.model.as_deref(), UsageBody::of(&self.usage));
        let error = Some(ErrorBody { code, message });
        let response = body(&self.told, &self.id, model, "failed", &self.pieces, usage, None, error);
        write(&mut self.number, Event::Failed { response }, out);
    }
}

/// Writes the event, and says its code and message.
fn error<'a>(failure: &'a Failure, number: &mut u64, out: &mut Vec<u8>) -> (&'a str, &'a str) {
    let (r#type, code) = openai_type(failure.kind);
    let (code, message) = (code.unwrap_or(r#type), failure.message.as_str());
    write(number, Event::Error { error: StreamError { r#type, code, message, param: None } }, out);
    (code, message)
}

/// Ends a stream that someone else has written, whose numbers are not known.
pub(super) fn break_off(failure: &Failure, out: &mut Vec<u8>) {
    error(failure, &mut 0, out);
}

fn write(number: &mut u64, event: Event<'_>, out: &mut Vec<u8>) {
    let name = event.name();
    frame(out, Some(name), &Numbered { event, sequence_number: *number });
    *number += 1;
}
