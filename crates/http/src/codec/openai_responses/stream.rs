//! Reading a streamed response.
//!
//! Items of the output open, grow by deltas and are sent again whole when they
//! are done. Deltas are handed over as they come; from the whole item is taken
//! what no delta had. Items without deltas of ours are handed over when done.

use std::collections::{BTreeSet, VecDeque};

use bytestring::ByteString;
use leverframe_core::{
    error::Failure,
    model::{Block, Place, StreamEvent},
};
use serde_json::value::RawValue;

use super::{
    error, fast,
    wire::{self, CallStart, Delta, Event, Response},
};
use crate::{
    codec::{
        failure::{position, unreadable},
        stream::{ReadStream, interrupted},
        text::Text,
    },
    sse::{self, Item},
};

/// Most blocks that are open at once, and most items of an answer.
const MAX_OPEN: usize = 256;
const MAX_ITEMS: usize = 16_384;

/// The dialect's half of a stream decoder.
#[derive(Debug, Default)]
pub(in crate::codec) struct Reader {
    /// The answer's id, once it has begun.
    id: Option<ByteString>,
    started: bool,
    /// The next block's index with us.
    next: u32,
    open: Vec<Open>,
    /// Items that are done, by their place in the output.
    done: BTreeSet<u32>,
    calls: bool,
    refused: bool,
    ended: bool,
}

/// A block that is growing.
#[derive(Debug)]
struct Open {
    /// Its place: of the item in the output, and of the part in the item.
    at: (u32, u32),
    index: u32,
    kind: Kind,
    /// Whether any delta came.
    filled: bool,
    citations: usize,
    /// Which part of the reasoning the last delta was of.
    part: Option<(bool, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thinking,
    ToolCall,
}

impl Kind {
    fn of(block: &Block) -> Option<Self> {
        match block {
            Block::Text(_) => Some(Self::Text),
            Block::Refusal(_) => Some(Self::Refusal),
            Block::Thinking(_) => Some(Self::Thinking),
            Block::ToolCall(_) => Some(Self::ToolCall),
            _ => None,
        }
    }
}

impl ReadStream for Reader {
    fn read(&mut self, item: Item, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        match item {
            Item::Event(event) if !self.ended => self.event(&event, ready),
            // A bare line is noise unless it is an error somebody wrote without `data:`.
            Item::Foreign(line) if !self.ended && line.trim_start().starts_with('{') => {
                error::read_inside(&line).map_or(Ok(()), Err)
            }
            Item::Event(_) | Item::Foreign(_) => Ok(()),
        }
    }

    fn end(&mut self, _ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        match self.ended {
            true => Ok(()),
            false => Err(interrupted("response.completed")),
        }
    }
}

impl Reader {
    fn event(&mut self, frame: &sse::Event, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        let data = &frame.data;
        if let Some(delta) = fast::delta(data) {
            let (kind, at) =
                if delta.is_text { (Kind::Text, delta.at) } else { (Kind::ToolCall, (delta.at.0, 0)) };
            return self.grow(kind, at, delta.text, data, ready);
        }
        let event: Event<'_> = match serde_json::from_str(data) {
            Ok(event) => event,
            // Cut short with the body: `end` says what that means.
            Err(source) if frame.truncated && source.is_eof() => return Ok(()),
            // Responses does not send [DONE]; proxies add it.
            Err(_) if matches!(data.trim(), "" | "[DONE]") => return Ok(()),
            Err(source) => {
                let wrong = || unreadable("an event of a response", data).with_source(position(&source));
                return Err(error::read_inside(data).unwrap_or_else(wrong));
            }
        };
        let item = event.output_index.unwrap_or(0);
        let part = event.content_index.unwrap_or(0);
        let delta = match event.delta {
            Some(Delta::Text(text)) => Some(text),
            Some(Delta::Other(_)) | None => None,
        };
        match (event.kind.as_str(), delta) {
            ("response.output_text.delta", Some(delta)) => {
                self.grow(Kind::Text, (item, part), delta, data, ready)?;
            }
            ("response.refusal.delta", Some(delta)) => {
                self.refused = true;
                self.grow(Kind::Refusal, (item, part), delta, data, ready)?;
            }
            (
                "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta",
                Some(delta),
            ) => self.grow(Kind::ToolCall, (item, 0), delta, data, ready)?,
            ("response.reasoning_summary_text.delta", Some(delta)) => {
                self.think(item, (false, event.summary_index.unwrap_or(0)), delta, data, ready)?;
            }
            ("response.reasoning_text.delta", Some(delta)) => {
                self.think(item, (true, part), delta, data, ready)?
            }
            ("response.output_item.added", _) => {
                if let Some(raw) = event.item {
                    self.added(item, raw, data, ready)?;
                }
            }
            ("response.output_item.done", _) => {
                if let Some(raw) = event.item {
                    self.item(item, raw, data, ready)?;
                }
            }
            ("response.output_text.annotation.added", _) => {
                if let Some(raw) = event.annotation {
                    self.cite((item, part), raw, data, ready)?;
                }
            }
            ("response.created" | "response.in_progress" | "response.queued", _) => {
                if let Some(raw) = event.response {
                    self.start(raw, data, ready)?;
                }
            }
            ("response.completed" | "response.incomplete" | "response.failed", _) => {
                let Some(raw) = event.response else { return Err(unreadable("a response in it", data)) };
                self.complete(event.kind.as_str() == "response.failed", raw, data, ready)?;
            }
            ("error", _) => {
                let said = event.error.and_then(|error| error::read_inside(error.get()));
                let said = said.or_else(|| error::read_inside(data));
                return Err(said.unwrap_or_else(|| unreadable("an error", data)));
            }
            _ => {} // steps of OpenAI's own tools, and what is newer than this
        }
        Ok(())
    }

    fn start(
        &mut self,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        if !self.started {
            let response = parse(raw, data)?;
            self.begin(response.id, response.model, ready);
        }
        Ok(())
    }

    fn begin(&mut self, id: Option<Text<'_>>, model: Option<Text<'_>>, ready: &mut VecDeque<StreamEvent>) {
        self.started = true;
        let keep = |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(Text::copied);
        self.id = keep(id);
        ready.push_back(StreamEvent::Start { id: self.id.clone(), model: keep(model) });
    }

    fn opened(&self, at: (u32, u32), kind: Kind) -> Option<usize> {
        self.open.iter().position(|open| open.at == at && open.kind == kind)
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }

    fn open(&mut self, at: (u32, u32), kind: Kind, data: &str) -> Result<&mut Open, Failure> {
        let known = match self.opened(at, kind) {
            Some(known) => known,
            None if self.open.len() >= MAX_OPEN => {
                return Err(unreadable("a response with fewer open items", data));
            }
            None => {
                let index = self.take_index();
                self.open.push(Open { at, index, kind, filled: false, citations: 0, part: None });
                self.open.len() - 1
            }
        };
        self.open.get_mut(known).ok_or_else(|| unreadable("an open item", data))
    }

    /// The index of the block that a delta belongs to; `None` for a delta of nothing.
    fn fill(
        &mut self,
        at: (u32, u32),
        kind: Kind,
        delta: &Text<'_>,
        data: &str,
    ) -> Result<Option<u32>, Failure> {
        if delta.is_empty() || self.done.contains(&at.0) {
            return Ok(None);
        }
        let open = self.open(at, kind, data)?;
        open.filled = true;
        Ok(Some(open.index))
    }

    /// More of a block.
    fn grow(
        &mut self,
        kind: Kind,
        at: (u32, u32),
        delta: Text<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        // Only a call that has begun has a name.
        if kind == Kind::ToolCall && self.opened(at, kind).is_none() {
            return Ok(());
        }
        let Some(index) = self.fill(at, kind, &delta, data)? else { return Ok(()) };
        let text = delta.keep(data);
        ready.push_back(match kind {
            Kind::Text => StreamEvent::TextDelta { index, text },
            Kind::Refusal => StreamEvent::RefusalDelta { index, text },
            Kind::Thinking => StreamEvent::ThinkingDelta { index, text },
            Kind::ToolCall => StreamEvent::ToolCallDelta { index, arguments: text },
        });
        Ok(())
    }

    /// Parts of one reasoning are lines of one text.
    fn think(
        &mut self,
        item: u32,
        part: (bool, u32),
        delta: Text<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        if self.done.contains(&item) {
            return Ok(());
        }
        let open = self.open((item, 0), Kind::Thinking, data)?;
        let index = open.index;
        if open.part.replace(part).is_some_and(|last| last != part) {
            ready.push_back(StreamEvent::ThinkingDelta { index, text: ByteString::from_static("\n") });
        }
        open.filled = true;
        if !delta.is_empty() {
            ready.push_back(StreamEvent::ThinkingDelta { index, text: delta.keep(data) });
        }
        Ok(())
    }

    fn cite(
        &mut self,
        at: (u32, u32),
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        if self.done.contains(&at.0) {
            return Ok(());
        }
        let open = self.open(at, Kind::Text, data)?;
        open.citations += 1;
        let index = open.index;
        ready.push_back(StreamEvent::Citation { index, citation: Box::new(wire::citation(raw)) });
        Ok(())
    }

    /// An item begins: of interest only where it is a tool call.
    fn added(
        &mut self,
        item: u32,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let Ok(CallStart { kind, call_id: Some(id), name: Some(name) }) =
            serde_json::from_str::<CallStart<'_>>(raw.get())
        else {
            return Ok(());
        };
        let is_call = matches!(kind.as_str(), "function_call" | wire::CUSTOM_CALL);
        if !is_call || id.is_empty() || name.is_empty() || self.opened((item, 0), Kind::ToolCall).is_some() {
            return Ok(());
        }
        self.calls = true;
        let index = self.open((item, 0), Kind::ToolCall, data)?.index;
        ready.push_back(StreamEvent::ToolCallStart { index, id: id.keep(data), name: name.keep(data) });
        Ok(())
    }

    /// An item is done, and here it is whole.
    fn item(
        &mut self,
        item: u32,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        if self.done.len() >= MAX_ITEMS {
            return Err(unreadable("a response with fewer items", data));
        }
        if !self.done.insert(item) {
            return Ok(()); // sent twice
        }
        for (part, block) in (0..).zip(wire::item(raw)) {
            self.calls |= matches!(block, Block::ToolCall(_));
            self.refused |= matches!(block, Block::Refusal(_));
            let open = Kind::of(&block).and_then(|kind| self.opened((item, part), kind));
            match open.map(|at| self.open.swap_remove(at)) {
                Some(open) => finish(open, &block, ready),
                None => {
                    let index = self.take_index();
                    let mut events = Vec::new();
                    StreamEvent::replay_block(index, &block, &mut events);
                    ready.extend(events);
                }
            }
        }
        // What was announced and is not in the whole item.
        self.close(|open| open.at.0 == item, ready);
        Ok(())
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, ready: &mut VecDeque<StreamEvent>) {
        self.open.retain(|open| {
            let closes = which(open);
            if closes {
                ready.push_back(StreamEvent::BlockEnd { index: open.index });
            }
            !closes
        });
    }

    fn complete(
        &mut self,
        failed: bool,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let response = parse(raw, data)?;
        if failed || response.error.is_some() {
            return Err(error::failed(&response, raw.get()));
        }
        // Items that were not done, or all of them where only this event came.
        let nothing_came = self.done.is_empty() && self.open.is_empty();
        for (item, raw) in (0..).zip(response.output.iter().flatten()) {
            if nothing_came || self.open.iter().any(|open| open.at.0 == item) {
                self.item(item, raw, data, ready)?;
            }
        }
        self.close(|_| true, ready);
        let (reason, usage) = (response.finish(self.calls, self.refused), response.usage());
        let status = response.status.map(|status| status.keep(data)).unwrap_or_default();
        // Some servers change the id; the last one is what may be referred to.
        let changed = response.id.as_ref().is_some_and(|id| self.id.as_deref() != Some(id.as_str()));
        if !self.started || changed {
            self.begin(response.id, response.model, ready);
        }
        for field in wire::answer_extra(raw.get()) {
            ready.push_back(StreamEvent::Extra { of: Place::Answer, field: Box::new(field), append: false });
        }
        ready.extend(usage.map(StreamEvent::Usage));
        ready.push_back(StreamEvent::Finish { reason, raw: status, stop_sequence: None });
        self.ended = true;
        ready.push_back(StreamEvent::End);
        Ok(())
    }
}

fn parse<'a>(raw: &'a RawValue, data: &str) -> Result<Response<'a>, Failure> {
    serde_json::from_str(raw.get())
        .map_err(|source| unreadable("a response", data).with_source(position(&source)))
}

/// Hands over what the whole block has beyond its deltas.
fn finish(open: Open, block: &Block, ready: &mut VecDeque<StreamEvent>) {
    let mut events = Vec::new();
    StreamEvent::replay_block(open.index, block, &mut events);
    let mut citations = 0;
    ready.extend(events.into_iter().filter(|event| match event {
        StreamEvent::TextDelta { .. }
        | StreamEvent::RefusalDelta { .. }
        | StreamEvent::ThinkingDelta { .. }
        | StreamEvent::ToolCallDelta { .. } => !open.filled,
        StreamEvent::ToolCallStart { .. } => false,
        StreamEvent::Citation { .. } => {
            citations += 1;
            citations > open.citations
        }
        _ => true,
    }));
}

#[cfg(test)]
mod tests;
