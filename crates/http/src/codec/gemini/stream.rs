//! Reading a streamed answer.
//!
//! Every chunk is a whole answer as far as it goes beyond the last one: text
//! is incremental, a function call comes at once (or, from Vertex on request,
//! argument by argument, and is put together here). Usage is cumulative, so
//! that the last one holds; it may shrink on the way.

use std::collections::VecDeque;

use bytestring::ByteString;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Dialect, Field, FinishReason, Opaque, Place, StreamEvent},
};
use serde_json::{Map, Value};

use super::{
    error, fast,
    wire::{self, Chunk, FunctionCall, Part},
};
use crate::codec::failure::{position, unreadable};
use crate::{
    codec::{
        stream::{ReadStream, interrupted},
        text::Text,
    },
    redact,
    sse::{Event, Item},
};

/// Most bytes kept of an error that is not framed as an event.
const MAX_FOREIGN: usize = 64 << 10;

/// Most bytes of arguments that come in pieces, which are handed over whole.
const MAX_ARGUMENTS: usize = 4 << 20;

/// The dialect's half of a stream decoder.
#[derive(Debug, Default)]
pub(in crate::codec) struct Reader {
    id: Option<ByteString>,
    model: Option<ByteString>,
    /// A candidate, or a reason why there is none, was seen.
    answered: bool,
    /// A finish reason was seen.
    finished: bool,
    /// The body ended within a chunk.
    cut: bool,
    /// The next block's index.
    next: u32,
    open: Open,
    calls: usize,
    assembly: Option<Assembly>,
    foreign: Foreign,
}

/// The block that more text or thoughts would be added to.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Text(u32),
    Thinking(u32),
}

/// A function call whose arguments come in pieces.
#[derive(Debug)]
struct Assembly {
    index: u32,
    /// Bytes of the chunks the pieces came in.
    bytes: usize,
    arguments: Map<String, Value>,
}

impl ReadStream for Reader {
    fn read(&mut self, item: Item, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        let outcome = match item {
            Item::Event(event) => self.event(&event, ready),
            Item::Foreign(line) => self.foreign.line(&line).map_or(Ok(()), Err),
        };
        outcome.map_err(|failure| match failure.provider_request_id {
            None => failure.with_provider_request_id(self.id.as_ref().map(ByteString::to_string)),
            Some(_) => failure,
        })
    }

    fn end(&mut self, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        self.foreign.end()?;
        if self.cut {
            return Err(interrupted("the rest of its last chunk"));
        }
        if !self.finished {
            // A body that was cut in its first line begins like any other.
            let cut = "data:".starts_with(self.foreign.text.trim_end());
            return Err(match cut || self.answered {
                true => interrupted("a finish reason"),
                false => unreadable("the chunks of a Gemini answer", &self.foreign.text),
            });
        }
        self.complete(ready);
        ready.push_back(StreamEvent::End);
        Ok(())
    }
}

impl Reader {
    fn event(&mut self, event: &Event, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        match event.data.trim() {
            // Gemini does not send [DONE]; proxies add it.
            "" | "[DONE]" => Ok(()),
            _ => self.chunk(&event.data, ready).or_else(|failure| {
                // Cut short with the body, rather than wrong.
                self.cut = event.truncated && failure.kind == ErrorKind::Unreadable;
                if self.cut { Ok(()) } else { Err(failure) }
            }),
        }
    }

    /// Reads a chunk, or a whole answer.
    pub(super) fn chunk(
        &mut self,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        // What comes after a finish reason may be the last word on more than the text.
        if !self.finished
            && let Some(chunk) = fast::text(data, self.id.as_deref(), self.model.as_deref())
        {
            self.answered = true;
            self.text(chunk.text.keep(data), None, false, ready);
            ready.extend(chunk.usage.map(StreamEvent::Usage));
            return Ok(());
        }
        let mut chunk: Chunk<'_> = serde_json::from_str(data).map_err(|source| {
            let wrong = || unreadable("a Gemini answer", data).with_source(position(&source));
            error::read_inside(data).unwrap_or_else(wrong)
        })?;
        if chunk.error.is_some()
            && let Some(failure) = error::read_inside(data)
        {
            return Err(failure);
        }
        self.start(chunk.response_id.take(), chunk.model_version.take(), ready);
        let mut finish = None;
        let (candidate, more) = chunk.take_candidate();
        if let Some(mut candidate) = candidate {
            self.answered = true;
            for (nth, part) in candidate.take_parts().enumerate() {
                self.part(part, nth, data, ready)?;
            }
            finish = candidate
                .take_finish_reason()
                .map(|raw| (wire::finish(raw.as_str(), self.calls > 0), raw.keep(data)));
        }
        if finish.is_none() {
            finish = chunk.take_block_reason().map(|raw| (FinishReason::ContentFilter, raw.keep(data)));
        }
        let usage = chunk.usage();
        let counted = usage.is_some() || finish.is_some();
        if let Some((reason, raw)) = finish {
            self.answered = true;
            self.finished = true;
            self.close_call(ready);
            ready.push_back(StreamEvent::Finish { reason, raw, stop_sequence: None });
        }
        // The figures of the last chunk hold, and it may come after the finish reason.
        if more || self.finished {
            let fields = wire::answer_extra(data, self.finished).into_iter();
            for (field, append) in fields.filter(|(field, _)| counted || field.name != "usageMetadata") {
                ready.push_back(StreamEvent::Extra { of: Place::Answer, field: Box::new(field), append });
            }
        }
        ready.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// All chunks were read. Whether there was an answer among them.
    pub(super) fn complete(&mut self, ready: &mut VecDeque<StreamEvent>) -> bool {
        self.close_call(ready);
        self.close(ready);
        self.answered
    }

    /// Every chunk repeats id and model.
    fn start(&mut self, id: Option<Text<'_>>, model: Option<Text<'_>>, ready: &mut VecDeque<StreamEvent>) {
        let news = |new: Option<Text<'_>>, known: &mut Option<ByteString>| {
            let new = new.filter(|new| !new.is_empty() && known.as_deref() != Some(new.as_str()))?.copied();
            *known = Some(new.clone());
            Some(new)
        };
        let (id, model) = (news(id, &mut self.id), news(model, &mut self.model));
        if id.is_some() || model.is_some() {
            ready.push_back(StreamEvent::Start { id, model });
        }
    }

    fn part(
        &mut self,
        mut part: Part<'_>,
        nth: usize,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let signature = part.thought_signature.take().filter(|signature| !signature.is_empty());
        let signature = signature.map(|signature| signature.keep(data));
        // What is beside a text or a call goes to the block that was opened last.
        let beside = if part.has_more() { wire::part_extra(data, nth) } else { Vec::new() };
        if let Some(call) = part.function_call {
            self.call(call, signature, nth, data, ready)?;
            self.beside(beside, ready);
            return Ok(());
        }
        let Some(text) = part.text else {
            self.opaque(nth, data, ready);
            return Ok(());
        };
        let text = text.keep(data);
        self.text(text, signature, part.thought.unwrap_or_default(), ready);
        self.beside(beside, ready);
        Ok(())
    }

    fn beside(&self, fields: Vec<Field>, ready: &mut VecDeque<StreamEvent>) {
        let Some(index) = self.next.checked_sub(1) else { return };
        let of = Place::Block(index);
        // A signed part ended its block already: what stood beside it goes before that end.
        let end = ready.pop_back_if(|last| *last == StreamEvent::BlockEnd { index });
        ready.extend(fields.into_iter().map(|field| StreamEvent::Extra {
            of,
            field: Box::new(field),
            append: false,
        }));
        ready.extend(end);
    }

    /// A text, or a thought.
    fn text(
        &mut self,
        text: ByteString,
        signature: Option<ByteString>,
        thought: bool,
        ready: &mut VecDeque<StreamEvent>,
    ) {
        if signature.is_none() && text.is_empty() {
            return;
        }
        // A part that is signed is a block of its own.
        let index = match self.open {
            Open::Thinking(index) if thought && signature.is_none() => index,
            Open::Text(index) if !thought && signature.is_none() => index,
            _ => self.block(ready),
        };
        ready.push_back(match thought {
            true => StreamEvent::ThinkingDelta { index, text },
            false => StreamEvent::TextDelta { index, text },
        });
        match signature {
            Some(signature) => {
                let dialect = Dialect::Gemini;
                ready.push_back(StreamEvent::Signature { index, dialect, signature });
                ready.push_back(StreamEvent::BlockEnd { index });
                self.open = Open::Nothing;
            }
            None if thought => self.open = Open::Thinking(index),
            None => self.open = Open::Text(index),
        }
    }

    /// The index of a new block, which nothing is added to by itself.
    fn block(&mut self, ready: &mut VecDeque<StreamEvent>) -> u32 {
        self.close(ready);
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    /// Ends the block that texts or thoughts were added to.
    fn close(&mut self, ready: &mut VecDeque<StreamEvent>) {
        if let Open::Text(index) | Open::Thinking(index) = std::mem::take(&mut self.open) {
            ready.push_back(StreamEvent::BlockEnd { index });
        }
    }

    fn opaque(&mut self, nth: usize, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        // A part of which nothing is left says nothing.
        if let Some(json) = wire::raw_part(data, nth).filter(|json| json.as_str() != "{}") {
            let block = Opaque { dialect: Dialect::Gemini, json };
            let index = self.block(ready);
            ready.push_back(StreamEvent::Opaque { index, block });
            ready.push_back(StreamEvent::BlockEnd { index });
        }
    }

    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<ByteString>,
        nth: usize,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let name = call.name.filter(|name| !name.is_empty());
        let in_pieces = call.will_continue || !call.partial_args.is_empty();
        let index = match (name, &self.assembly) {
            (Some(name), _) => {
                self.close_call(ready);
                let index = self.block(ready);
                let made_up = || wire::made_up_id(self.id.as_deref().unwrap_or_default(), self.calls).into();
                let id = call.id.filter(|id| !id.is_empty()).map_or_else(made_up, |id| id.keep(data));
                ready.push_back(StreamEvent::ToolCallStart { index, id, name: name.keep(data) });
                self.calls = self.calls.saturating_add(1);
                if in_pieces {
                    self.assembly = Some(Assembly { index, bytes: 0, arguments: Map::new() });
                }
                index
            }
            (None, Some(assembly)) => assembly.index,
            // It closes what is closed already.
            (None, None) if call.args.is_none() && !in_pieces => return Ok(()),
            (None, None) => {
                self.opaque(nth, data, ready);
                return Ok(());
            }
        };
        let dialect = Dialect::Gemini;
        ready.extend(signature.map(|signature| StreamEvent::Signature { index, dialect, signature }));
        let Some(assembly) = &mut self.assembly else {
            let arguments = call.args.map_or("{}", |args| args.get());
            ready
                .push_back(StreamEvent::ToolCallDelta { index, arguments: Text::from(arguments).keep(data) });
            ready.push_back(StreamEvent::BlockEnd { index });
            return Ok(());
        };
        assembly.bytes = assembly.bytes.saturating_add(data.len());
        if assembly.bytes > MAX_ARGUMENTS {
            let limit = format!("a function call in pieces of at most {MAX_ARGUMENTS} bytes");
            return Err(unreadable(&limit, data));
        }
        let senseless = || unreadable("a piece of a function call", data);
        if let Some(args) = call.args {
            let args: Map<String, Value> = serde_json::from_str(args.get()).map_err(|_| senseless())?;
            assembly.arguments.extend(args);
        }
        for piece in call.partial_args {
            piece.put_into(&mut assembly.arguments).ok_or_else(senseless)?;
        }
        if !call.will_continue {
            self.close_call(ready);
        }
        Ok(())
    }

    fn close_call(&mut self, ready: &mut VecDeque<StreamEvent>) {
        if let Some(Assembly { index, arguments, .. }) = self.assembly.take() {
            let arguments = Value::Object(arguments).to_string().into();
            ready.push_back(StreamEvent::ToolCallDelta { index, arguments });
            ready.push_back(StreamEvent::BlockEnd { index });
        }
    }
}

/// Lines that are no server-sent events: a JSON error, printed over several
/// lines, or noise.
#[derive(Debug, Default)]
struct Foreign {
    text: String,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Foreign {
    /// Takes a line in, and gives the failure once the JSON is whole.
    fn line(&mut self, line: &str) -> Option<Failure> {
        let begins = self.depth == 0 && line.trim_start().starts_with(['{', '[']);
        if begins {
            self.text.clear();
        }
        if self.text.len().saturating_add(line.len()) < MAX_FOREIGN {
            self.text.push_str(line);
            self.text.push('\n');
        }
        if self.depth == 0 && !begins {
            return None;
        }
        for byte in line.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth = self.depth.saturating_add(1),
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.depth == 0 { self.failure() } else { None }
    }

    /// What only looks like JSON is noise, such as `[log]`.
    fn failure(&self) -> Option<Failure> {
        error::read_inside(&self.text).or_else(|| {
            let json = serde_json::from_str::<serde::de::IgnoredAny>(&self.text).is_ok();
            json.then(|| unreadable("server-sent events of a Gemini answer", &self.text))
        })
    }

    fn end(&self) -> Result<(), Failure> {
        match self.depth {
            0 => Ok(()),
            // Whatever it was going to say, it was not that all is well.
            _ => Err(interrupted(&format!("the rest of {}", redact::excerpt(&self.text)))),
        }
    }
}

#[cfg(test)]
mod tests;
