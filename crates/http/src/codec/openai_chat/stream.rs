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
    model::{Dialect, FinishReason, Json, Opaque, StreamEvent},
};
use serde_json::value::RawValue;

use super::{
    error,
    wire::{self, Completion, Content, Field, Function, Message, Part},
};
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

/// The dialect's half of a stream decoder.
#[derive(Debug, Default)]
pub(in crate::codec) struct Reader {
    started: bool,
    id: Option<ByteString>,
    model: Option<ByteString>,
    /// The next block's index.
    next: u32,
    text: Option<u32>,
    thinking: Option<u32>,
    refusal: Option<u32>,
    calls: Vec<Call>,
    /// Lists that are not modelled, their elements joined by commas. They are
    /// handed over at the end, because they come in pieces.
    kept: Vec<(Field, String)>,
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
                let unreadable = || error::unreadable("a chunk of a chat completion", text, source);
                return Err(error::read_inside(text).unwrap_or_else(unreadable));
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
        self.keep_foreign(line);
        let failure = match line.ends_with(['}', ']']) {
            true => error::read_inside(line).or_else(|| error::read_inside(&self.foreign)),
            false => None,
        };
        failure.map_or(Ok(()), Err)
    }

    fn keep_foreign(&mut self, text: &str) {
        if self.foreign.len().saturating_add(text.len()) < MAX_FOREIGN {
            self.foreign.push_str(text);
            self.foreign.push('\n');
        }
    }

    fn chunk(
        &mut self,
        chunk: Completion<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let usage = chunk.usage();
        let choice = match chunk.choices {
            Some(choices) => choices.0,
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
        self.start(chunk.id, chunk.model, data, ready);
        if let Some(choice) = choice {
            let whole = match &choice.delta {
                // A server that answers a stream with one whole message.
                None if self.next == 0 => {
                    choice.whole().map_err(|source| error::unreadable("a message", data, source))?
                }
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
    fn start(
        &mut self,
        id: Option<Text<'_>>,
        model: Option<Text<'_>>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) {
        let id = id.filter(|id| self.id.is_none() && !id.is_empty()).map(|id| id.keep(data));
        let model =
            model.filter(|model| self.model.is_none() && !model.is_empty()).map(|model| model.keep(data));
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
        let legacy =
            message.function_call().map_err(|source| error::unreadable("a function call", data, source))?;
        if let Some(function) = legacy {
            self.call(None, None, function, data, ready);
        }
        for (field, raw) in message.unmodelled() {
            self.keep(field, raw.get(), ready);
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

    fn opaque(&mut self, json: Json, ready: &mut VecDeque<StreamEvent>) {
        let index = opened(&mut None, &mut self.next);
        ready.push_back(StreamEvent::Opaque { index, block: Opaque { dialect: Dialect::OpenAiChat, json } });
    }

    fn part(&mut self, raw: &RawValue, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        match Part::read(raw) {
            Part::Text(text) => self.text(text.keep(data), ready),
            Part::Refusal(text) => self.refusal(text.keep(data), ready),
            Part::Thinking(text) => self.thinking(text.into(), ready),
            Part::Other(raw) => self.opaque(Json::from(raw.to_owned()), ready),
        }
    }

    fn keep(&mut self, field: Field, raw: &str, ready: &mut VecDeque<StreamEvent>) {
        if field == Field::Audio {
            if let Some(json) = wire::as_object(field.name(), raw) {
                self.opaque(json, ready);
            }
            return;
        }
        let elements = raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']')).unwrap_or(raw);
        match self.kept.iter_mut().find(|(kept, _)| *kept == field) {
            Some((_, list)) => {
                list.push(',');
                list.push_str(elements);
            }
            None => self.kept.push((field, elements.to_owned())),
        }
    }

    fn fragment(
        &mut self,
        raw: &RawValue,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) -> Result<(), Failure> {
        let call: wire::ToolCall<'_> = serde_json::from_str(raw.get())
            .map_err(|source| error::unreadable("a piece of a tool call", raw.get(), source))?;
        if call.is_foreign() {
            if let Some(json) = wire::as_object("tool_calls", &format!("[{}]", raw.get())) {
                self.opaque(json, ready);
            }
            return Ok(());
        }
        self.call(call.index, call.id, call.function.unwrap_or_default(), data, ready);
        Ok(())
    }

    fn call(
        &mut self,
        index: Option<i64>,
        id: Option<Text<'_>>,
        function: Function<'_>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) {
        let arguments = function.arguments();
        let name = function.name.filter(|name| !name.is_empty());
        let id = id.filter(|id| !id.is_empty());
        if name.is_none() && id.is_none() && arguments.is_empty() {
            return;
        }
        let known = self.known_call(index, id.as_ref().map(Text::as_str), name.is_some());
        let nth = known.unwrap_or(self.calls.len());
        if known.is_none() {
            let id = id.map(|id| id.keep(data));
            self.calls.push(Call { index, id, block: None, waiting: String::new() });
        }
        let Some(call) = self.calls.get_mut(nth) else { return };
        let (block, arguments) = match (call.block, name) {
            (Some(block), _) => (block, arguments.keep(data)),
            (None, None) => {
                call.waiting.push_str(arguments.as_str());
                return;
            }
            (None, Some(name)) => {
                let block = opened(&mut call.block, &mut self.next);
                let answer = self.id.as_deref().unwrap_or_default();
                let id = call.id.clone().unwrap_or_else(|| wire::made_up_id(answer, nth).into());
                ready.push_back(StreamEvent::ToolCallStart { index: block, id, name: name.keep(data) });
                match call.waiting.is_empty() {
                    true => (block, arguments.keep(data)),
                    false => (block, (std::mem::take(&mut call.waiting) + arguments.as_str()).into()),
                }
            }
        };
        if !arguments.is_empty() {
            ready.push_back(StreamEvent::ToolCallDelta { index: block, arguments });
        }
    }

    /// Which call a fragment belongs to; `None` when it begins one.
    fn known_call(&self, index: Option<i64>, id: Option<&str>, named: bool) -> Option<usize> {
        let same_id = |call: &Call| id.is_some() && call.id.as_deref() == id;
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None => self
                .calls
                .iter()
                .rposition(same_id)
                .or_else(|| self.calls.len().checked_sub(1).filter(|_| !named)),
        }?;
        let call = self.calls.get(at)?;
        let another = named && id.is_some() && call.id.is_some() && !same_id(call);
        // Two calls under one index come one after the other, or alternate.
        if another { self.calls.iter().rposition(same_id) } else { Some(at) }
    }

    fn complete(&mut self, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure> {
        if self.calls.iter().any(|call| call.block.is_none()) {
            return Err(Failure::new(ErrorKind::Unreadable, "a tool call has no name"));
        }
        for (field, elements) in std::mem::take(&mut self.kept) {
            if let Some(json) = wire::as_object(field.name(), &format!("[{elements}]")) {
                self.opaque(json, ready);
            }
        }
        if !self.finished && !self.calls.is_empty() {
            let (reason, raw) = (FinishReason::ToolCalls, ByteString::default());
            ready.push_back(StreamEvent::Finish { reason, raw, stop_sequence: None });
        }
        self.ended = true;
        ready.push_back(StreamEvent::End);
        Ok(())
    }
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
mod tests {
    use std::fmt::Write;

    use bytes::Bytes;
    use leverframe_core::model::{Block, Partial};

    use super::*;
    use crate::{codec::StreamDecoder, sse::Limits};

    fn read(body: &str) -> (Vec<StreamEvent>, Option<Failure>) {
        read_in_pieces(body.as_bytes(), std::iter::repeat(usize::MAX))
    }

    fn read_in_pieces(
        body: &[u8],
        lengths: impl IntoIterator<Item = usize>,
    ) -> (Vec<StreamEvent>, Option<Failure>) {
        let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Limits::default());
        let mut events = Vec::new();
        let mut drain = |decoder: &mut StreamDecoder| -> Result<(), Failure> {
            while let Some(event) = decoder.next_event()? {
                events.push(event);
            }
            Ok(())
        };
        let mut rest = body;
        let mut lengths = lengths.into_iter();
        let mut decode = || {
            while !rest.is_empty() {
                let length = lengths.next().unwrap_or(usize::MAX).min(rest.len());
                let (piece, left) = rest.split_at(length);
                rest = left;
                decoder.push(Bytes::copy_from_slice(piece));
                drain(&mut decoder)?;
            }
            decoder.finish();
            drain(&mut decoder)
        };
        let failure = decode().err();
        (events, failure)
    }

    fn sse(data: &[&str]) -> String {
        data.iter().fold(String::new(), |mut body, data| {
            let _ = write!(body, "data: {data}\n\n");
            body
        })
    }

    /// One chunk for each delta, then a finish reason and `[DONE]`.
    fn deltas(deltas: &[&str]) -> Vec<StreamEvent> {
        let mut body = String::new();
        for delta in deltas {
            let _ = write!(
                body,
                "data: {{\"id\":\"abc\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n"
            );
        }
        body.push_str(&sse(&[r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, "[DONE]"]));
        let (events, failure) = read(&body);
        assert_eq!(failure, None, "{body}");
        assert_eq!(events.last(), Some(&StreamEvent::End));
        events
    }

    fn fold(events: &[StreamEvent]) -> Partial {
        let mut partial = Partial::new();
        events.iter().cloned().for_each(|event| partial.push(event));
        partial
    }

    fn calls(events: &[StreamEvent]) -> Vec<(String, String, String)> {
        fold(events)
            .content()
            .filter_map(|block| match block {
                Block::ToolCall(call) => Some((call.id.clone(), call.name.clone(), call.arguments.clone())),
                _ => None,
            })
            .collect()
    }

    const TEXT: &str =
        r#"{"id":"abc","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}"#;
    const STOP: &str =
        r#"{"id":"abc","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str =
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

    #[test]
    fn an_answer_is_a_start_deltas_a_finish_usage_and_an_end() {
        let more = r#"{"id":"abc","model":"m","choices":[{"index":0,"delta":{"content":"lo \"\u00e9\""}}],"usage":null}"#;
        let (events, failure) = read(&sse(&[TEXT, more, STOP, USAGE, "[DONE]", "whatever follows"]));
        assert_eq!(failure, None);
        let delta = |text: &'static str| StreamEvent::TextDelta { index: 0, text: text.into() };
        let usage = *fold(&events).usage();
        let expected = [
            StreamEvent::Start { id: Some("abc".into()), model: Some("m".into()) },
            delta("Hel"),
            delta("lo \"é\""),
            StreamEvent::Finish { reason: FinishReason::Stop, raw: "stop".into(), stop_sequence: None },
            StreamEvent::Usage(usage),
            StreamEvent::End,
        ];
        assert_eq!(events, expected);
        assert_eq!(usage.total(), Some(5));
    }

    #[test]
    fn what_ends_a_stream() {
        let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"lo";
        let cases = [
            (sse(&[TEXT, STOP, "[DONE]"]), None),
            (sse(&[TEXT, STOP]), None),
            (sse(&[TEXT, "[DONE]"]), None),
            (sse(&[TEXT, STOP]) + "data: [DO", None),
            (sse(&[TEXT, STOP]) + "data: {\"choices\":[],\"usa", None),
            (sse(&[TEXT]), Some(ErrorKind::Interrupted)),
            (sse(&[TEXT]) + "data: [DO", Some(ErrorKind::Interrupted)),
            (sse(&[TEXT]) + cut, Some(ErrorKind::Interrupted)),
            (sse(&[TEXT]) + cut + "\n\n", Some(ErrorKind::Unreadable)),
            (String::new(), Some(ErrorKind::Interrupted)),
            (": keep-alive\n\n".to_owned(), Some(ErrorKind::Interrupted)),
            (sse(&["{\"type\":\"ping\"}"]), Some(ErrorKind::Unreadable)),
            ("<html>nothing here</html>\n".to_owned(), Some(ErrorKind::Unreadable)),
            (sse(&["nonsense"]), Some(ErrorKind::Unreadable)),
            (
                sse(&[r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a"}]}}]}"#, "[DONE]"]),
                Some(ErrorKind::Unreadable),
            ),
        ];
        for (body, kind) in cases {
            let (events, failure) = read(&body);
            assert_eq!(failure.map(|failure| failure.kind), kind, "{body}");
            assert_eq!(events.last() == Some(&StreamEvent::End), kind.is_none(), "{body}");
        }
    }

    #[test]
    fn errors_inside_a_stream_are_the_providers() {
        let cases = [
            (sse(&[r#"{"error":{"message":"why","type":"server_error"}}"#]), ErrorKind::Server),
            (sse(&[r#"{"error":{"message":"why","code":429},"choices":[{"delta":{"content":""}}]}"#]), ErrorKind::RateLimited),
            (sse(&[r#"{"choices":[{"error":{"message":"why","code":502},"finish_reason":"error"}]}"#]), ErrorKind::Server),
            (sse(&[r#"{"object":"error","message":"why","code":400}"#]), ErrorKind::InvalidRequest),
            (
                "event: error\ndata: {\"error\":{\"message\":\"why\",\"code\":\"tool_use_failed\",\"status_code\":400}}\n\n".to_owned(),
                ErrorKind::Server,
            ),
            ("event: error\ndata: why\n\n".to_owned(), ErrorKind::Server),
            ("error: {\"detail\":\"why\"}\n".to_owned(), ErrorKind::Server),
            ("{\n  \"error\": {\n    \"message\": \"why\",\n    \"code\": 503\n  }\n}\n".to_owned(), ErrorKind::Overloaded),
        ];
        for (error, kind) in cases {
            let (events, failure) = read(&(sse(&[TEXT]) + &error));
            let failure = failure.unwrap_or_else(|| panic!("no failure: {error}"));
            assert_eq!((failure.kind, failure.message.trim()), (kind, "why"), "{error}");
            assert_eq!(fold(&events).text(), "Hel", "{error}");
        }
    }

    #[test]
    fn tool_calls_are_put_together_however_they_are_cut() {
        let call =
            |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
        let cases: [(&str, &[&str], Vec<_>); 9] = [
            (
                "by index, interleaved",
                &[
                    r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                    r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}"#,
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}},{"index":1,"function":{"arguments":"{}"}}]}"#,
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#,
                ],
                vec![call("a", "f", r#"{"x":1}"#), call("b", "g", "{}")],
            ),
            (
                "starting at 1",
                &[r#"{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#],
                vec![call("a", "f", "{}")],
            ),
            (
                "whole, without index",
                &[
                    r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
                ],
                vec![call("a", "f", "{}"), call("b", "f", "{}")],
            ),
            (
                "without index, in pieces",
                &[
                    r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
                    r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
                ],
                vec![call("a", "f", "{}")],
            ),
            (
                "several under one index",
                &[
                    r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
                    r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
                ],
                vec![call("a", "f", "{}"), call("b", "f", "{}")],
            ),
            (
                "id and name repeated",
                &[
                    r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
                    r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]}"#,
                ],
                vec![call("a", "f", "{}")],
            ),
            (
                "no ids",
                &[
                    r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
                    r#"{"tool_calls":[{"index":1,"id":"","function":{"name":"g","arguments":{"x":1}}}]}"#,
                ],
                vec![call("call_abc_0", "f", "{}"), call("call_abc_1", "g", r#"{"x":1}"#)],
            ),
            (
                "name after the id",
                &[
                    r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}}]}"#,
                    r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}"#,
                ],
                vec![call("a", "f", "{}")],
            ),
            (
                "legacy function call",
                &[
                    r#"{"function_call":{"name":"f","arguments":""}}"#,
                    r#"{"function_call":{"arguments":"{}"}}"#,
                ],
                vec![call("call_abc_0", "f", "{}")],
            ),
        ];
        for (case, fragments, expected) in cases {
            let events = deltas(fragments);
            assert_eq!(calls(&events), expected, "{case}");
            let forced = events.iter().any(|event| {
                matches!(event, StreamEvent::Finish { reason: FinishReason::ToolCalls, raw, .. } if raw == "stop")
            });
            assert!(forced, "{case}");
        }
    }

    #[test]
    fn chunks_without_content_are_no_content() {
        let body = sse(&[
            r#"{"choices":[],"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#,
            TEXT,
            r#"{"choices":[{"index":0,"content_filter_offsets":{},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"another choice"}}]}"#,
            STOP,
            "[DONE]",
        ]);
        let (events, failure) = read(&body);
        assert_eq!(failure, None);
        assert_eq!(events.first(), Some(&StreamEvent::Start { id: None, model: None }));
        assert_eq!(fold(&events).text(), "Hel");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, StreamEvent::Start { id: Some(id), .. } if id == "abc"))
        );
    }

    /// The same answer, whole and streamed, comes to the same.
    #[test]
    fn a_stream_is_what_the_whole_answer_would_be() {
        let finished = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":9,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":4}}}"#;
        let finished = finished.replace('\n', "");
        let streamed = sse(&[
            r#"{"id":"abc","model":"m","choices":[{"delta":{"role":"assistant","content":"","reasoning":"h"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"h"}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"He"}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"llo"}]}}]}"#,
            r#"{"choices":[{"delta":{"refusal":"No."}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}}]}"#,
            &finished,
            "[DONE]",
        ]);
        let whole = r#"{"id":"abc","model":"m","choices":[{"message":{"content":"Hello","reasoning":"hm","refusal":"No.",
            "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}],
            "reasoning_details":[{"type":"reasoning.text","text":"h"},{"type":"reasoning.encrypted","data":"x"}]},
            "finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":9,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":4}}}"#;
        let whole = super::super::response::decode(&http::HeaderMap::new(), whole).expect("an answer");
        let (events, failure) = read(&streamed);
        assert_eq!(failure, None);
        let partial = fold(&events);
        assert_eq!(partial.content().cloned().collect::<Vec<_>>(), whole.content);
        assert_eq!((partial.usage(), partial.text()), (&whole.usage, whole.text()));
        let finish =
            StreamEvent::Finish { reason: whole.finish, raw: "tool_calls".into(), stop_sequence: None };
        assert!(events.contains(&finish));
    }

    #[test]
    fn text_without_escapes_is_a_slice_of_what_arrived() {
        // The first line of a stream is copied, because it may begin with a byte order mark.
        let body = Bytes::from(": comment\n".to_owned() + &sse(&[TEXT]));
        let within = body.as_ptr_range();
        let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Limits::default());
        decoder.push(body);
        while let Ok(Some(event)) = decoder.next_event() {
            if let StreamEvent::TextDelta { text, .. } = event {
                assert!(within.contains(&text.as_bytes().as_ptr()));
                return;
            }
        }
        panic!("no text");
    }

    const QUIRKS: &[&str] = &[
        TEXT,
        r#"{"choices":[{"delta":{"reasoning":"h\u00e9","content":"l\"o ✓"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"annotations":[{"n":1}]}}]}"#,
        r#"{"choices":[{"index":0}]}"#,
        STOP,
        USAGE,
        "[DONE]",
    ];

    proptest::proptest! {
        #[test]
        fn how_the_bytes_are_split_makes_no_difference(lengths in proptest::collection::vec(1usize..60, 0..60)) {
            let body = sse(QUIRKS);
            proptest::prop_assert_eq!(read_in_pieces(body.as_bytes(), lengths), read(&body));
        }

        /// Whatever is done to a stream, reading it ends in an answer or a failure.
        #[test]
        fn damaged_streams_are_read_without_panic(
            at in 0usize..900, cut in 0usize..40, put in proptest::collection::vec(proptest::num::u8::ANY, 0..8),
        ) {
            let mut body = sse(QUIRKS).into_bytes();
            let at = at.min(body.len());
            let end = (at + cut).min(body.len());
            body.splice(at..end, put);
            let (events, failure) = read_in_pieces(&body, []);
            proptest::prop_assert!(failure.is_some() || events.last() == Some(&StreamEvent::End));
        }
    }
}
