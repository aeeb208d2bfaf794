//! Reading a streamed message.
//!
//! Blocks open, grow by deltas and close, each under its index. Blocks that
//! are not modelled arrive whole when they open, or (server tools, compaction)
//! with an input that follows; they are handed over whole when they close.

use std::collections::{BTreeMap, VecDeque};

use bytestring::ByteString;
use leverframe_core::{
    error::Failure,
    model::{Block, Dialect, Extra, Field, Json, Opaque, Place, StreamEvent},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    error, fast,
    usage::UsageBody,
    wire::{self, Delta, Event, Message},
};
use crate::codec::failure::{position, unreadable};
use crate::{
    codec::stream::{ReadStream, interrupted},
    codec::text::Text,
    sse::{self, Item},
};

/// The dialect's half of a stream decoder.
#[derive(Debug, Default)]
pub(in crate::codec) struct Reader {
    usage: UsageBody,
    /// The open blocks, with Anthropic's index.
    open: Vec<(u32, Open)>,
    /// The next block's index with us.
    next: u32,
    /// `message_stop` was seen.
    ended: bool,
}

/// Most blocks that are open at once; the API opens one after the other.
const MAX_OPEN: usize = 256;

/// Most bytes of a server tool's input, which is handed over whole.
const MAX_INPUT: usize = 1 << 20;

/// A block that is open.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    ToolCall,
    /// Not modelled: the block as it opened, and the input that followed.
    Other {
        block: Box<RawValue>,
        input: String,
        content: BTreeMap<String, Box<RawValue>>,
    },
}

impl ReadStream for Reader {
    fn read(&mut self, item: Item, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        match item {
            Item::Event(event) if !self.ended => self.event(&event, ready),
            // A bare line is noise unless it is an error somebody wrote without `data:`.
            Item::Foreign(line) if !self.ended && error::is_error(&line) => Err(error::read_inside(&line)),
            Item::Event(_) | Item::Foreign(_) => Ok(()),
        }
    }

    fn end(&mut self, _ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        match self.ended {
            true => Ok(()),
            false => Err(interrupted("message_stop")),
        }
    }
}

impl Reader {
    fn event(&mut self, frame: &sse::Event, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        let data = &frame.data;
        if let Some(delta) = fast::delta(data)
            && let Some(event) = self.grow(delta, data)
        {
            ready.push_back(event);
            return Ok(());
        }
        let event: Event<'_> = match serde_json::from_str(data) {
            Ok(event) => event,
            // Cut short with the body: `end` says what that means.
            Err(source) if frame.truncated && source.is_eof() => return Ok(()),
            Err(_) if data.trim().is_empty() => return Ok(()),
            Err(_) if frame.event.as_deref() == Some("error") || error::is_error(data) => {
                return Err(error::read_inside(data));
            }
            Err(_) if wire::is_unknown(data) => return Ok(()),
            Err(source) => {
                return Err(unreadable("an event of a message", data).with_source(position(&source)));
            }
        };
        match event.kind.as_str() {
            "content_block_delta" => {
                if let (Some(at), Some(delta)) = (event.index, event.delta) {
                    self.delta(at, delta, data, ready)?;
                }
            }
            "content_block_start" => {
                if let (Some(at), Some(raw)) = (event.index, event.content_block) {
                    self.start(at, raw, data, ready)?;
                }
            }
            "content_block_stop" => {
                if let Some(at) = event.index {
                    self.stop(at, ready);
                }
            }
            "message_start" => {
                if let Some(message) = event.message {
                    self.begin(message, data, ready)?;
                }
            }
            "message_delta" => {
                if let Some(delta) = event.delta {
                    self.finish(delta, data, ready);
                }
                // It is the only event of its kind, and parsed once more for what is not modelled.
                let raw: Option<RawDelta<'_>> = serde_json::from_str(data).ok();
                add(wire::extra(raw.and_then(|raw| raw.delta).map_or("", RawValue::get)), ready);
                add(wire::extra(data), ready);
                self.used(event.usage, |usage| usage, ready);
            }
            "message_stop" => {
                self.close_all(ready);
                self.ended = true;
                ready.push_back(StreamEvent::End);
            }
            "error" => return Err(error::read_inside(data)),
            _ => {} // `ping`, and what is newer than this
        }
        Ok(())
    }

    /// What a delta adds to a block that is modelled. `None` where there is no
    /// such block, or it adds nothing.
    fn grow(&self, delta: fast::Delta<'_>, data: &ByteString) -> Option<StreamEvent> {
        let open = self.open.iter().rev().find(|(at, _)| *at == delta.at).map(|(_, open)| open)?;
        let index = open.index;
        if delta.text.is_empty() {
            return None;
        }
        match (&open.kind, delta.kind.as_str(), delta.field) {
            (Kind::Text, "text_delta", "text") => {
                Some(StreamEvent::TextDelta { index, text: delta.text.keep(data) })
            }
            (Kind::Thinking, "thinking_delta", "thinking") => {
                Some(StreamEvent::ThinkingDelta { index, text: delta.text.keep(data) })
            }
            (Kind::ToolCall, "input_json_delta", "partial_json") => {
                Some(StreamEvent::ToolCallDelta { index, arguments: delta.text.keep(data) })
            }
            _ => None,
        }
    }

    fn begin(
        &mut self,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let wrong = |source| unreadable("a message", data).with_source(position(&source));
        let message: Message<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
        let (id, model) = (message.id.map(Text::copied), message.model.map(Text::copied));
        ready.push_back(StreamEvent::Start { id, model });
        add(wire::extra(raw.get()), ready);
        // Its count of output is a placeholder, not a report.
        self.used(message.usage, UsageBody::before_output, ready);
        Ok(())
    }

    fn used(
        &mut self,
        raw: Option<&RawValue>,
        known: impl Fn(UsageBody) -> UsageBody,
        ready: &mut VecDeque<StreamEvent>,
    ) {
        if let Some(raw) = raw {
            self.usage = self.usage.updated(known(UsageBody::read(raw)));
            ready.push_back(StreamEvent::Usage(self.usage.into()));
            add(wire::usage_extra(raw), ready);
        }
    }

    fn finish(&mut self, delta: Delta<'_>, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        if let Some(raw) = delta.stop_reason {
            ready.push_back(StreamEvent::Finish {
                reason: wire::finish(raw.as_str()),
                raw: raw.keep(data),
                stop_sequence: delta.stop_sequence.map(|sequence| sequence.keep(data)),
            });
        }
    }

    fn start(
        &mut self,
        at: u32,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        // A second block under an open index begins anew (a proxy's retry): nothing merges.
        self.stop(at, ready);
        if self.open.len() >= MAX_OPEN {
            return Err(unreadable("a message with fewer open blocks", data));
        }
        let index = self.take_index();
        let wrong = |source| unreadable("a content block", data).with_source(position(&source));
        let block = wire::block(raw).map_err(wrong)?;
        if let Some(model) = wire::fallback_model(&block) {
            // The provider's own fallback: from here on another model answers.
            ready.push_back(StreamEvent::Start { id: None, model: Some(model.into()) });
        }
        let kind = match &block {
            Block::Text(_) => Kind::Text,
            Block::Thinking(_) => Kind::Thinking,
            Block::ToolCall(_) => Kind::ToolCall,
            _ => Kind::Other { block: raw.to_owned(), input: String::new(), content: BTreeMap::new() },
        };
        if !matches!(kind, Kind::Other { .. }) {
            let bare = block.extra().is_none_or(Extra::is_empty);
            let mut events = Vec::new();
            StreamEvent::replay_block(index, &block, &mut events);
            ready.extend(events.into_iter().filter(|event| match event {
                // Mostly empty here; what follows says more. Fields need a block to belong to.
                StreamEvent::TextDelta { text, .. } => !text.is_empty() || !bare,
                StreamEvent::ToolCallDelta { arguments, .. } => arguments != "{}",
                StreamEvent::BlockEnd { .. } => false,
                _ => true,
            }));
        }
        self.open.push((at, Open { index, kind }));
        Ok(())
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }

    fn delta(
        &mut self,
        at: u32,
        delta: Delta<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let Some(open) = self.open.iter_mut().rev().find(|(of, _)| *of == at).map(|(_, open)| open) else {
            return Ok(()); // a delta for no block adds to nothing
        };
        let index = open.index;
        let kind = delta.kind.as_ref().map_or("", Text::as_str);
        match (kind, &mut open.kind) {
            ("text_delta", Kind::Text) => {
                if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
                    ready.push_back(StreamEvent::TextDelta { index, text: text.keep(data) });
                }
            }
            ("thinking_delta", Kind::Thinking) => {
                if let Some(text) = delta.thinking.filter(|text| !text.is_empty()) {
                    ready.push_back(StreamEvent::ThinkingDelta { index, text: text.keep(data) });
                }
            }
            ("signature_delta", Kind::Thinking) => {
                if let Some(signature) = delta.signature.filter(|signature| !signature.is_empty()) {
                    ready.push_back(StreamEvent::Signature {
                        index,
                        dialect: Dialect::Anthropic,
                        signature: signature.keep(data),
                    });
                }
            }
            ("input_json_delta", Kind::ToolCall) => {
                if let Some(arguments) = delta.partial_json.filter(|json| !json.is_empty()) {
                    ready.push_back(StreamEvent::ToolCallDelta { index, arguments: arguments.keep(data) });
                }
            }
            ("citations_delta", Kind::Text) => {
                if let Some(raw) = delta.citation {
                    let citation = Box::new(wire::citation(raw));
                    ready.push_back(StreamEvent::Citation { index, citation });
                }
            }
            ("input_json_delta", Kind::Other { input, .. }) => {
                let more = delta.partial_json.as_ref().map_or("", Text::as_str);
                if input.len().saturating_add(more.len()) > MAX_INPUT {
                    let limit = format!("a server tool's input of at most {MAX_INPUT} bytes");
                    return Err(unreadable(&limit, data));
                }
                input.push_str(more);
            }
            ("compaction_delta", Kind::Other { content, .. }) => {
                let given = [("content", delta.content), ("encrypted_content", delta.encrypted_content)];
                let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
                content.extend(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, at: u32, ready: &mut VecDeque<StreamEvent>) {
        if let Some(place) = self.open.iter().rposition(|(of, _)| *of == at) {
            let (_, open) = self.open.remove(place);
            self.close(open, ready);
        }
    }

    fn close_all(&mut self, ready: &mut VecDeque<StreamEvent>) {
        for (_, open) in std::mem::take(&mut self.open) {
            self.close(open, ready);
        }
    }

    fn close(&mut self, open: Open, ready: &mut VecDeque<StreamEvent>) {
        let index = open.index;
        match open.kind {
            Kind::Other { block, input, content } => {
                let block = Opaque { dialect: Dialect::Anthropic, json: completed(block, &input, content) };
                ready.push_back(StreamEvent::Opaque { index, block });
                ready.push_back(StreamEvent::BlockEnd { index });
            }
            Kind::Text | Kind::Thinking | Kind::ToolCall => ready.push_back(StreamEvent::BlockEnd { index }),
        }
    }
}

/// The delta of a message as it came.
#[derive(Deserialize)]
struct RawDelta<'a> {
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
}

/// Hands over what is not modelled.
fn add(fields: impl IntoIterator<Item = Field>, ready: &mut VecDeque<StreamEvent>) {
    let events = fields.into_iter().map(|field| StreamEvent::Extra {
        of: Place::Answer,
        field: Box::new(field),
        append: false,
    });
    ready.extend(events);
}

/// A block as it would have come whole: verbatim, unless more of it followed.
fn completed(block: Box<RawValue>, input: &str, content: BTreeMap<String, Box<RawValue>>) -> Json {
    if input.is_empty() && content.is_empty() {
        return block.into();
    }
    let fields = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(block.get());
    let Ok(mut fields) = fields else { return block.into() };
    if let Ok(input) = serde_json::from_str(input) {
        fields.insert("input".to_owned(), input);
    }
    fields.extend(content);
    serde_json::value::to_raw_value(&fields).unwrap_or(block).into()
}

#[cfg(test)]
mod tests;
