//! Reading a streamed chat completion.
//!
//! Chunks add to the fields of one message: one text, one reasoning, one
//! refusal, and tool calls that arrive in fragments. Fragments are told apart
//! by `index`, which starts at 0 by definition and at 1 on some servers; which
//! is missing where the whole call comes at once (Mistral); and which is the
//! same for several calls on others, where the id differs.

use std::collections::VecDeque;

use bytestring::ByteString;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{AUDIO_PIECES, Dialect, Field, Json, Opaque, Place, StreamEvent},
};
use serde_json::value::RawValue;

use super::{
    error, fast,
    wire::{self, Completion, Content, Message, Part},
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

/// What ends a stream by definition.
const DONE: &str = "[DONE]";

/// Most bytes kept of what does not belong in the stream, in case it turns
/// out to be an error.
const MAX_FOREIGN: usize = 16 << 10;

/// Most tool calls of one answer.
const MAX_CALLS: usize = 1024;

/// The dialect's half of a stream decoder.
#[derive(Debug, Default)]
pub(in crate::codec) struct Reader {
    started: bool,
    id: Option<ByteString>,
    model: Option<ByteString>,
    known: fast::Known,
    /// The next block's index.
    next: u32,
    text: Option<u32>,
    thinking: Option<u32>,
    refusal: Option<u32>,
    calls: Vec<Call>,
    /// Sound came, whose id is handed over once.
    audio: bool,
    /// What came beside the chunks.
    foreign: String,
    /// A finish reason was seen.
    finished: bool,
    ended: bool,
}

/// A tool call in the making.
#[derive(Debug)]
struct Call {
    /// The provider's index for its fragments.
    index: Option<i64>,
    id: Option<ByteString>,
    name: Option<ByteString>,
    /// Our block, once the call has a name.
    block: Option<u32>,
    /// Arguments that came before the name.
    waiting: String,
}

impl ReadStream for Reader {
    fn read(&mut self, item: Item, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        match item {
            Item::Event(event) => self.event(event, ready),
            Item::Foreign(line) => self.foreign(&line),
        }
    }

    fn end(&mut self, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        if self.ended {
            Ok(())
        } else if self.finished {
            self.complete(ready)
        } else if self.started || self.foreign.is_empty() {
            Err(interrupted("a finish reason or [DONE]"))
        } else {
            let shown = redact::excerpt(&self.foreign);
            let message = format!("expected the chunks of a chat completion, got {shown}");
            Err(Failure::new(ErrorKind::Unreadable, message))
        }
    }
}

impl Reader {
    fn event(&mut self, event: Event, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        let data = event.data;
        // Azure's first chunk has neither id nor model.
        if self.id.is_some()
            && self.model.is_some()
            && event.event.is_none()
            && let Some(text) = fast::text(&data, &mut self.known)
        {
            self.text(text.keep(&data), ready);
            return Ok(());
        }
        let text = data.trim();
        if text == DONE {
            return self.complete(ready);
        }
        if text.is_empty() || (event.truncated && DONE.starts_with(text)) {
            return Ok(());
        }
        if event.event.as_deref() == Some("error") {
            let unnamed = || Failure::new(ErrorKind::Server, redact::excerpt(text));
            return Err(error::read_inside(text).unwrap_or_else(unnamed));
        }
        let chunk: Completion<'_> = match serde_json::from_str(text) {
            Ok(chunk) => chunk,
            // Cut short with the body: whether that matters is for `end` to say.
            Err(source) if event.truncated && source.is_eof() => return Ok(()),
            Err(source) => {
                let wrong =
                    || unreadable("a chunk of a chat completion", text).with_source(position(&source));
                return Err(error::read_inside(text).unwrap_or_else(wrong));
            }
        };
        if (chunk.error.is_some() || chunk.choices.is_none())
            && let Some(failure) = error::read_inside(text)
        {
            return Err(failure);
        }
        self.chunk(chunk, &data, ready)
    }

    /// A line that is no server-sent event: an error that a server wrote
    /// without `data:` (GPUStack), possibly over several lines, or noise.
    fn foreign(&mut self, line: &str) -> Result<(), Failure> {
        let line = line.trim();
        let line = line.strip_prefix("error:").unwrap_or(line);
        let kept = self.keep_foreign(line);
        let failure = match kept && line.ends_with(['}', ']']) {
            true => error::read_inside(line).or_else(|| error::read_inside(&self.foreign)),
            false => None,
        };
        failure.map_or(Ok(()), Err)
    }

    /// Whether there was room for it.
    fn keep_foreign(&mut self, text: &str) -> bool {
        let room = self.foreign.len().saturating_add(text.len()) < MAX_FOREIGN;
        if room {
            self.foreign.push_str(text);
            self.foreign.push('\n');
        }
        room
    }

    fn chunk(
        &mut self,
        chunk: Completion<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let usage = chunk.usage();
        // What is not modelled comes with the first chunk or the last ones.
        let rest = !self.started || chunk.has_usage();
        let others = chunk.choices.as_ref().is_some_and(|choices| choices.others);
        let choice = match chunk.choices {
            Some(choices) => choices.choice,
            None if usage.is_some() => None,
            // An event of a kind nobody knows.
            None => {
                self.keep_foreign(data);
                return Ok(());
            }
        };
        if let Some(failure) =
            choice.as_ref().and_then(|choice| choice.error).and_then(|error| error::read_inside(error.get()))
        {
            return Err(failure);
        }
        self.start(chunk.id, chunk.model, ready);
        let rest = rest || choice.as_ref().is_some_and(|choice| choice.finish_reason.is_some());
        if rest {
            wire::answer_extra(data).into_iter().for_each(|field| extra(Place::Answer, field, false, ready));
        }
        if others {
            let others = wire::other_choices(data).into_iter().map(wire::other_choice);
            others.for_each(|field| extra(Place::Answer, field, true, ready));
        }
        if let Some(choice) = choice {
            choice.logprobs().into_iter().for_each(|field| extra(Place::Answer, field, true, ready));
            let whole = match &choice.delta {
                // A server that answers a stream with one whole message.
                None if self.next == 0 => choice
                    .whole()
                    .map_err(|source| unreadable("a message", data).with_source(position(&source)))?,
                _ => None,
            };
            if let Some(message) = choice.delta.or(whole) {
                self.message(message, data, ready)?;
            }
            if let Some(raw) = choice.finish_reason.filter(|raw| !raw.is_empty()) {
                self.finished = true;
                let reason = wire::finish(raw.as_str(), !self.calls.is_empty(), self.refusal.is_some());
                ready.push_back(StreamEvent::Finish { reason, raw: raw.keep(data), stop_sequence: None });
            }
        }
        ready.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// Every chunk repeats id and model; Azure's first has neither.
    fn start(&mut self, id: Option<Text<'_>>, model: Option<Text<'_>>, ready: &mut VecDeque<StreamEvent>) {
        let id = id.filter(|id| self.id.is_none() && !id.is_empty()).map(Text::copied);
        let model = model.filter(|model| self.model.is_none() && !model.is_empty()).map(Text::copied);
        if self.started && id.is_none() && model.is_none() {
            return;
        }
        self.started = true;
        self.id = self.id.take().or_else(|| id.clone());
        self.model = self.model.take().or_else(|| model.clone());
        ready.push_back(StreamEvent::Start { id, model });
    }

    fn message(
        &mut self,
        mut message: Message<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        if let Some(text) = message.take_reasoning() {
            self.thinking(text.keep(data), ready);
        }
        match message.content.take() {
            Some(Content::Text(text)) => self.text(text.keep(data), ready),
            Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| self.part(part, data, ready)),
            None => {}
        }
        if let Some(text) = message.refusal.take() {
            self.refusal(text.keep(data), ready);
        }
        for fragment in message.tool_calls.take().unwrap_or_default() {
            self.fragment(fragment, data, ready)?;
        }
        let legacy = message
            .function_call()
            .map_err(|source| unreadable("a function call", data).with_source(position(&source)))?;
        if let Some(function) = legacy {
            let arguments = function.arguments();
            self.call(None, None, (function.name, arguments), None, data, ready)?;
        }
        message.lists().for_each(|field| extra(Place::Message, field, true, ready));
        if let Some(sound) = message.audio() {
            self.sound(sound, ready);
        }
        for citation in message.citations() {
            let index = opened(&mut self.text, &mut self.next);
            ready.push_back(StreamEvent::Citation { index, citation: Box::new(citation) });
        }
        Ok(())
    }

    fn text(&mut self, text: ByteString, ready: &mut VecDeque<StreamEvent>) {
        if !text.is_empty() {
            let index = opened(&mut self.text, &mut self.next);
            ready.push_back(StreamEvent::TextDelta { index, text });
        }
    }

    fn thinking(&mut self, text: ByteString, ready: &mut VecDeque<StreamEvent>) {
        if !text.is_empty() {
            let index = opened(&mut self.thinking, &mut self.next);
            ready.push_back(StreamEvent::ThinkingDelta { index, text });
        }
    }

    fn refusal(&mut self, text: ByteString, ready: &mut VecDeque<StreamEvent>) {
        if !text.is_empty() {
            let index = opened(&mut self.refusal, &mut self.next);
            ready.push_back(StreamEvent::RefusalDelta { index, text });
        }
    }

    /// Sound comes in pieces that are kept one after the other; the id is what
    /// goes back with the message.
    fn sound(&mut self, sound: Field, ready: &mut VecDeque<StreamEvent>) {
        if !self.audio {
            self.audio = true;
            extra(Place::Message, sound.clone(), false, ready);
        }
        let Ok(value) = Json::parse(format!("[{}]", sound.value.as_str())) else { return };
        extra(Place::Answer, Field { name: AUDIO_PIECES.to_owned(), value, ..sound }, true, ready);
    }

    fn opaque(&mut self, json: Json, ready: &mut VecDeque<StreamEvent>) {
        let index = opened(&mut None, &mut self.next);
        ready.push_back(StreamEvent::Opaque { index, block: Opaque { dialect: Dialect::OpenAiChat, json } });
        ready.push_back(StreamEvent::BlockEnd { index });
    }

    fn part(&mut self, raw: &RawValue, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        match Part::read(raw) {
            Part::Text(text) => self.text(text.keep(data), ready),
            Part::Refusal(text) => self.refusal(text.keep(data), ready),
            Part::Thinking(text) => self.thinking(text.into(), ready),
            Part::Other(raw) => self.opaque(raw.into(), ready),
        }
    }

    fn fragment(
        &mut self,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let mut call: wire::ToolCall<'_> = serde_json::from_str(raw.get()).map_err(|source| {
            unreadable("a piece of a tool call", raw.get()).with_source(position(&source))
        })?;
        let named = call.take_named();
        self.call(call.index, call.id, named, Some(raw), data, ready)
    }

    fn call(
        &mut self,
        index: Option<i64>,
        id: Option<Text<'_>>,
        (name, arguments): (Option<Text<'_>>, Text<'_>),
        raw: Option<&RawValue>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let name = name.filter(|name| !name.is_empty());
        let id = id.filter(|id| !id.is_empty());
        if name.is_none() && id.is_none() && arguments.is_empty() {
            return Ok(());
        }
        let known = self.known_call(index, id.as_ref().map(Text::as_str), name.as_ref().map(Text::as_str));
        let nth = known.unwrap_or(self.calls.len());
        if known.is_none() {
            if nth >= MAX_CALLS {
                let limit = format!("an answer with at most {MAX_CALLS} tool calls");
                return Err(unreadable(&limit, data));
            }
            // Copied, so as not to hold on to the chunk they came in.
            let id = id.map(|id| ByteString::from(id.as_str()));
            self.calls.push(Call { index, id, name: None, block: None, waiting: String::new() });
        }
        let waiting: usize = self.calls.iter().map(|call| call.waiting.len()).sum();
        let Some(call) = self.calls.get_mut(nth) else { return Ok(()) };
        let (block, arguments) = match (call.block, name) {
            (Some(block), _) => (block, arguments.keep(data)),
            (None, None) => {
                if waiting.saturating_add(arguments.as_str().len()) > MAX_FOREIGN {
                    return Err(unreadable("the name of a tool call before its arguments", data));
                }
                call.waiting.push_str(arguments.as_str());
                return Ok(());
            }
            (None, Some(name)) => {
                let block = opened(&mut call.block, &mut self.next);
                let answer = self.id.as_deref().unwrap_or_default();
                let id = call.id.clone().unwrap_or_else(|| wire::made_up_id(answer, nth).into());
                let name = name.keep(data);
                call.name = Some(ByteString::from(&*name));
                ready.push_back(StreamEvent::ToolCallStart { index: block, id, name });
                let beside = raw.into_iter().flat_map(wire::call_extra);
                beside.for_each(|field| extra(Place::Block(block), field, false, ready));
                match call.waiting.is_empty() {
                    true => (block, arguments.keep(data)),
                    false => (block, (std::mem::take(&mut call.waiting) + arguments.as_str()).into()),
                }
            }
        };
        if !arguments.is_empty() {
            ready.push_back(StreamEvent::ToolCallDelta { index: block, arguments });
        }
        Ok(())
    }

    /// Which call a fragment belongs to; `None` when it begins one.
    fn known_call(&self, index: Option<i64>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let same_id = |call: &Call| id.is_some() && call.id.as_deref() == id;
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None => self
                .calls
                .iter()
                .rposition(same_id)
                .or_else(|| self.calls.len().checked_sub(1).filter(|_| name.is_none())),
        }?;
        let call = self.calls.get(at)?;
        let same_name = |call: &Call| call.name.is_none() || call.name.as_deref() == name;
        // Two calls under one index come one after the other, or alternate.
        match (name, id) {
            (Some(_), Some(_)) if call.id.is_some() && !same_id(call) => self.calls.iter().rposition(same_id),
            (Some(_), None) if !same_name(call) => {
                self.calls.iter().rposition(|call| call.index == index && same_name(call))
            }
            _ => Some(at),
        }
    }

    fn complete(&mut self, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        if self.calls.iter().any(|call| call.block.is_none()) {
            return Err(Failure::new(ErrorKind::Unreadable, "a tool call has no name"));
        }
        let calls = self.calls.iter().map(|call| call.block);
        let mut open: Vec<u32> =
            [self.text, self.thinking, self.refusal].into_iter().chain(calls).flatten().collect();
        open.sort_unstable();
        ready.extend(open.into_iter().map(|index| StreamEvent::BlockEnd { index }));
        // Some servers give no finish reason; but [DONE] alone is no answer.
        if !self.started && !self.finished {
            return Err(interrupted("any chunk before [DONE]"));
        }
        if !self.finished {
            let reason = wire::finish("", !self.calls.is_empty(), self.refusal.is_some());
            let raw = ByteString::default();
            ready.push_back(StreamEvent::Finish { reason, raw, stop_sequence: None });
        }
        self.ended = true;
        ready.push_back(StreamEvent::End);
        Ok(())
    }
}

fn extra(of: Place, field: Field, append: bool, ready: &mut VecDeque<StreamEvent>) {
    ready.push_back(StreamEvent::Extra { of, field: Box::new(field), append });
}

/// The index of a block, which is opened if it is not open.
fn opened(block: &mut Option<u32>, next: &mut u32) -> u32 {
    *block.get_or_insert_with(|| {
        let index = *next;
        *next = next.saturating_add(1);
        index
    })
}

#[cfg(test)]
mod tests;
