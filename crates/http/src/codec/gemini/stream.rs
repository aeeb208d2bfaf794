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
    model::{Dialect, FinishReason, Opaque, StreamEvent},
};
use serde_json::{Map, Value};

use super::{
    error,
    wire::{self, Chunk, FunctionCall, Part},
};
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
            return Err(match self.foreign.text.is_empty() || self.answered {
                true => interrupted("a finish reason"),
                false => error::unreadable("the chunks of a Gemini answer", &self.foreign.text),
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
        let mut chunk: Chunk<'_> = serde_json::from_str(data).map_err(|source| {
            let unreadable = || error::unreadable("a Gemini answer", data).with_source(source);
            error::read_inside(data).unwrap_or_else(unreadable)
        })?;
        if chunk.error.is_some()
            && let Some(failure) = error::read_inside(data)
        {
            return Err(failure);
        }
        self.start(chunk.response_id.take(), chunk.model_version.take(), data, ready);
        let mut finish = None;
        if let Some(mut candidate) = chunk.take_candidate() {
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
        if let Some((reason, raw)) = finish {
            self.answered = true;
            self.finished = true;
            self.close_call(ready);
            ready.push_back(StreamEvent::Finish { reason, raw, stop_sequence: None });
        }
        ready.extend(chunk.usage().map(StreamEvent::Usage));
        Ok(())
    }

    /// All chunks were read. Whether there was an answer among them.
    pub(super) fn complete(&mut self, ready: &mut VecDeque<StreamEvent>) -> bool {
        self.close_call(ready);
        self.answered
    }

    /// Every chunk repeats id and model.
    fn start(
        &mut self,
        id: Option<Text<'_>>,
        model: Option<Text<'_>>,
        data: &ByteString,
        ready: &mut VecDeque<StreamEvent>,
    ) {
        let news = |new: Option<Text<'_>>, known: &mut Option<ByteString>| {
            let new = new.filter(|new| !new.is_empty() && known.as_deref() != Some(new.as_str()))?.keep(data);
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
        if let Some(call) = part.function_call {
            return self.call(call, signature, nth, data, ready);
        }
        let Some(text) = part.text else {
            self.opaque(nth, data, ready);
            return Ok(());
        };
        let text = text.keep(data);
        match (part.thought.unwrap_or_default(), signature) {
            (_, None) if text.is_empty() => {}
            (true, None) => {
                let index = match self.open {
                    Open::Thinking(index) => index,
                    _ => self.block(),
                };
                self.open = Open::Thinking(index);
                ready.push_back(StreamEvent::ThinkingDelta { index, text });
            }
            (false, None) => {
                let index = match self.open {
                    Open::Text(index) => index,
                    _ => self.block(),
                };
                self.open = Open::Text(index);
                ready.push_back(StreamEvent::TextDelta { index, text });
            }
            (true, Some(signature)) => {
                let index = self.block();
                ready.push_back(StreamEvent::ThinkingDelta { index, text });
                ready.push_back(StreamEvent::Signature { index, signature });
            }
            (false, Some(signature)) => {
                ready.push_back(StreamEvent::Signature { index: self.block(), signature });
                if !text.is_empty() {
                    ready.push_back(StreamEvent::TextDelta { index: self.block(), text });
                }
            }
        }
        Ok(())
    }

    /// The index of a new block, which nothing is added to by itself.
    fn block(&mut self) -> u32 {
        self.open = Open::Nothing;
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    fn opaque(&mut self, nth: usize, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        // A part of which nothing is left says nothing.
        if let Some(json) = wire::raw_part(data, nth).filter(|json| json.as_str() != "{}") {
            let block = Opaque { dialect: Dialect::Gemini, json };
            ready.push_back(StreamEvent::Opaque { index: self.block(), block });
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
                let index = self.block();
                let made_up = || wire::made_up_id(self.id.as_deref().unwrap_or_default(), self.calls).into();
                let id = call.id.filter(|id| !id.is_empty()).map_or_else(made_up, |id| id.keep(data));
                ready.push_back(StreamEvent::ToolCallStart { index, id, name: name.keep(data) });
                self.calls = self.calls.saturating_add(1);
                if in_pieces {
                    self.assembly = Some(Assembly { index, arguments: Map::new() });
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
        ready.extend(signature.map(|signature| StreamEvent::Signature { index, signature }));
        let Some(assembly) = &mut self.assembly else {
            let arguments = call.args.map_or("{}", |args| args.get());
            ready
                .push_back(StreamEvent::ToolCallDelta { index, arguments: Text::from(arguments).keep(data) });
            return Ok(());
        };
        let senseless = || error::unreadable("a piece of a function call", data);
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
        if let Some(Assembly { index, arguments }) = self.assembly.take() {
            let arguments = Value::Object(arguments).to_string().into();
            ready.push_back(StreamEvent::ToolCallDelta { index, arguments });
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
        (self.depth == 0).then(|| self.failure())
    }

    fn failure(&self) -> Failure {
        error::read_inside(&self.text)
            .unwrap_or_else(|| error::unreadable("server-sent events of a Gemini answer", &self.text))
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
mod tests {
    use http::HeaderMap;
    use leverframe_core::model::{Block, Partial, Thinking, Tokens, ToolCall};

    use super::*;
    use crate::codec::{StreamDecoder, decode};

    /// Everything a stream gives, up to and with its failure.
    fn read(body: &str) -> (Vec<StreamEvent>, Option<Failure>) {
        let mut decoder = StreamDecoder::new(Dialect::Gemini, crate::sse::Limits::default());
        decoder.push(body.to_owned().into());
        let mut events = Vec::new();
        let mut ended = false;
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) if ended => return (events, None),
                Ok(None) => {
                    ended = true;
                    decoder.finish();
                }
                Err(failure) => return (events, Some(failure)),
            }
        }
    }

    fn body(chunks: &[&str]) -> String {
        chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
    }

    fn parts(parts: &str) -> String {
        format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}],"role":"model"}}}}],"responseId":"r"}}"#)
    }

    fn fold(body: &str) -> Partial {
        let (events, failure) = read(body);
        assert_eq!(failure, None);
        let mut partial = Partial::new();
        events.into_iter().for_each(|event| partial.push(event));
        assert!(partial.terminal_frame().is_some());
        partial
    }

    const STOP: &str = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
    const BUSY: &str = "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"busy {\\\"\",\n\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n";

    #[test]
    fn a_stream_is_complete_at_the_end_of_the_body() {
        let chunk = r#"{"candidates":[{"content":{"parts":[{"text":"Hej"}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":1},"modelVersion":"m","responseId":"r"}"#
            .replace('\n', " ");
        let (events, failure) = read(&body(&[&chunk]));
        assert_eq!(failure, None);
        let expected = [
            StreamEvent::Start { id: Some("r".into()), model: Some("m".into()) },
            StreamEvent::TextDelta { index: 0, text: "Hej".into() },
            StreamEvent::Finish { reason: FinishReason::Stop, raw: "STOP".into(), stop_sequence: None },
            StreamEvent::Usage(leverframe_core::model::Usage {
                input: Tokens::Reported(1),
                ..Default::default()
            }),
            StreamEvent::End,
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn text_is_a_slice_of_what_came() {
        let data = ByteString::from(parts(r#"{"text":"nothing is copied"}"#));
        let mut ready = VecDeque::new();
        Reader::default().chunk(&data, &mut ready).expect("a chunk");
        let Some(StreamEvent::TextDelta { text, .. }) = ready.pop_back() else { panic!("{ready:?}") };
        assert!(data.as_bytes().as_ptr_range().contains(&text.as_bytes().as_ptr()));
    }

    #[test]
    fn a_stream_reads_like_the_whole_answer() {
        let thought = r#"{"text":"a ","thought":true}"#;
        let rest = r#"{"text":"thought","thought":true,"thoughtSignature":"t"}"#;
        let hello = r#"{"text":"Hello"}"#;
        let signed = r#"{"text":"","thoughtSignature":"e"}"#;
        let code = r#"{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}"#;
        let call = r#"{"functionCall":{"name":"f","args":{"x":[1]}},"thoughtSignature":"c"}"#;
        let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":9}}"#;
        let all = [thought, rest, hello, signed, code, call];
        let chunks: Vec<_> = all.iter().map(|part| parts(part)).collect();
        let mut chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
        chunks.push(last);
        let streamed = fold(&body(&chunks));
        let whole = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{}]}},"finishReason":"STOP"}}],"responseId":"r",
                "usageMetadata":{{"promptTokenCount":7,"candidatesTokenCount":9}}}}"#,
            all.join(",")
        );
        let whole = decode(Dialect::Gemini, &HeaderMap::new(), whole.as_bytes()).expect("an answer");
        assert_eq!(streamed.content().cloned().collect::<Vec<_>>(), whole.content);
        assert_eq!((*streamed.usage(), streamed.text()), (whole.usage, whole.text()));
        let signature = |text: &str, signature: &str| {
            Block::Thinking(Thinking { text: text.into(), signature: Some(signature.into()) })
        };
        assert_eq!(
            whole.content.get(1..4),
            Some(&[signature("thought", "t"), Block::Text("Hello".into()), signature("", "e"),][..])
        );
    }

    #[test]
    fn the_last_usage_and_the_last_finish_reason_hold() {
        let first = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":169,"candidatesTokenCount":50}}"#
            .replace('\n', " ");
        let last = r#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"}],
            "usageMetadata":{"promptTokenCount":79,"candidatesTokenCount":5}}"#
            .replace('\n', " ");
        let stream = body(&[&first, &last, r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#]);
        assert_eq!(fold(&stream).usage().total(), Some(84));
        assert_eq!(fold(&stream).text(), "ab");
        let finish = read(&stream).0.into_iter().rev().find_map(|event| match event {
            StreamEvent::Finish { reason, .. } => Some(reason),
            _ => None,
        });
        assert_eq!(finish, Some(FinishReason::Length));
    }

    #[test]
    fn calls_without_ids_get_one_each() {
        let two = parts(r#"{"functionCall":{"name":"f"}},{"functionCall":{"name":"g","args":{"a":1}}}"#);
        let partial = fold(&body(&[&two, &parts(r#"{"functionCall":{"id":"own","name":"f"}}"#), STOP]));
        let calls: Vec<_> = partial
            .content()
            .map(|block| match block {
                Block::ToolCall(ToolCall { id, arguments, .. }) => (id.as_str(), arguments.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(calls, [("gemini_r_0", "{}"), ("gemini_r_1", r#"{"a":1}"#), ("own", "{}")]);
    }

    #[test]
    fn arguments_in_pieces_are_put_together() {
        let chunks = [
            r#"{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"s"}"#,
            r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"Bos","willContinue":true}],"willContinue":true}}"#,
            r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"ton"}],"willContinue":true}}"#,
            r#"{"functionCall":{}}"#,
            r#"{"functionCall":{"name":"g","willContinue":true}}"#,
            r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.n","numberValue":1}]}}"#,
            r#"{"functionCall":{}}"#,
            r#"{"functionCall":{"name":"h","willContinue":true}}"#,
        ]
        .map(parts);
        let mut chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
        chunks.push(STOP);
        let partial = fold(&body(&chunks));
        let calls: Vec<_> = partial
            .content()
            .map(|block| match block {
                Block::ToolCall(call) => {
                    (call.name.as_str(), call.arguments.as_str(), call.signature.as_deref())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected =
            [("f", r#"{"city":"Boston"}"#, Some("s")), ("g", r#"{"n":1}"#, None), ("h", "{}", None)];
        assert_eq!(calls, expected);
        let leap = parts(r#"{"functionCall":{"name":"f","partialArgs":[{"jsonPath":"$.a[999999999]"}]}}"#);
        assert_eq!(read(&body(&[&leap])).1.map(|failure| failure.kind), Some(ErrorKind::Unreadable));
    }

    #[test]
    fn a_blocked_prompt_completes_the_answer() {
        let (events, failure) = read(&body(&[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#]));
        assert_eq!(failure, None);
        let reason = FinishReason::ContentFilter;
        let finish = StreamEvent::Finish { reason, raw: "SAFETY".into(), stop_sequence: None };
        assert_eq!(events, [finish, StreamEvent::End]);
    }

    #[test]
    fn errors_within_a_stream_are_classified() {
        let hello = body(&[&parts(r#"{"text":"Hello"}"#)]);
        let stopped = format!("{hello}{}", body(&[STOP]));
        let error = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#;
        let cases = [
            (format!("{hello}{}", body(&[error])), ErrorKind::RateLimited),
            (format!("{hello}{BUSY}"), ErrorKind::Overloaded),
            // The known case: everything was said, and then this.
            (format!("{stopped}{BUSY}"), ErrorKind::Overloaded),
            (format!("{hello}[{BUSY}]"), ErrorKind::Overloaded),
            (format!("{hello}{error}"), ErrorKind::RateLimited),
            (format!("{stopped}{}", BUSY.trim_end_matches("}\n")), ErrorKind::Interrupted),
            (format!("{hello}{{\"some\": \"JSON\"}}\n"), ErrorKind::Unreadable),
            (body(&["no JSON"]), ErrorKind::Unreadable),
            (body(&[r#"{"candidates":7}"#]), ErrorKind::Unreadable),
        ];
        for (body, kind) in cases {
            let failure = read(&body).1.expect("a failure");
            assert_eq!(failure.kind, kind, "{body}: {failure}");
        }
        let failure = read(&format!("{hello}{BUSY}")).1.expect("a failure");
        assert_eq!(
            (failure.message.as_str(), failure.provider_request_id.as_deref()),
            ("busy {\"", Some("r"))
        );
    }

    #[test]
    fn what_ends_too_early_is_interrupted() {
        let hello = body(&[&parts(r#"{"text":"Hello"}"#)]);
        let cut = hello.trim_end().trim_end_matches('}');
        let unspecified = r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#;
        let cases = [
            String::new(),
            hello.clone(),
            cut.to_owned(),
            // It went on after the finish reason, so there is more to come.
            format!("{}{cut}", body(&[STOP])),
            body(&[unspecified]),
        ];
        for body in cases {
            let failure = read(&body).1.expect("a failure");
            assert_eq!(failure.kind, ErrorKind::Interrupted, "{body}: {failure}");
        }
        assert_eq!(read("<html>\n").1.map(|failure| failure.kind), Some(ErrorKind::Unreadable));
    }

    #[test]
    fn what_does_no_harm_is_ignored() {
        let hello = parts(r#"{"text":"Hello","videoMetadata":{}}"#);
        let stream = body(&[&hello, "", r#"{"new":{}}"#, STOP, "[DONE]"]);
        assert_eq!(fold(&format!("{stream}noise\n\n")).text(), "Hello");
        let without_the_blank_line = stream.trim_end();
        assert_eq!(fold(without_the_blank_line).text(), "Hello");
    }
}
