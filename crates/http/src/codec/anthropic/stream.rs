//! Reading a streamed message.
//!
//! Blocks open, grow by deltas and close, each under its index. Blocks that
//! are not modelled arrive whole when they open, or (server tools, compaction)
//! with an input that follows; they are handed over whole when they close.

use std::collections::{BTreeMap, VecDeque};

use bytestring::ByteString;
use leverframe_core::{
    error::Failure,
    model::{Block, Dialect, Json, Opaque, StreamEvent},
};
use serde_json::value::RawValue;

use super::{
    error,
    wire::{self, Delta, Event, UsageBody},
};
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
    /// A good stop reason was seen: the answer is there, but for its last frame.
    ended: bool,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// With its citations, joined by commas.
    Text {
        citations: String,
    },
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
        let event: Event<'_> = match serde_json::from_str(data) {
            Ok(event) => event,
            // Cut short with the body: `end` says what that means.
            Err(source) if frame.truncated && source.is_eof() => return Ok(()),
            Err(source) => return Err(error::unreadable("an event of a message", data, source)),
        };
        match event.kind.as_str() {
            "content_block_delta" => {
                if let (Some(at), Some(delta)) = (event.index, event.delta) {
                    self.delta(at, delta, data, ready);
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
                    let keep = |text: Text<'_>| text.keep(data);
                    ready.push_back(StreamEvent::Start {
                        id: message.id.map(keep),
                        model: message.model.map(keep),
                    });
                    // Its count of output is a placeholder, not a report.
                    self.used(message.usage.map(UsageBody::read).map(UsageBody::before_output), ready);
                }
            }
            "message_delta" => {
                if let Some(delta) = event.delta {
                    self.finish(delta, data, ready);
                }
                self.used(event.usage.map(UsageBody::read), ready);
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

    fn used(&mut self, usage: Option<UsageBody>, ready: &mut VecDeque<StreamEvent>) {
        if let Some(usage) = usage {
            self.usage = self.usage.updated(usage);
            ready.push_back(StreamEvent::Usage(self.usage.into()));
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
        let index = self.take_index();
        let unreadable = |source| error::unreadable("a content block", data, source);
        let body: wire::BlockBody<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
        let kind = match wire::block(raw).map_err(unreadable)? {
            Block::Text(text) => {
                if !text.is_empty() {
                    ready.push_back(StreamEvent::TextDelta { index, text: text.into() });
                }
                Kind::Text { citations: String::new() }
            }
            Block::Thinking(thinking) => {
                ready.push_back(StreamEvent::ThinkingDelta { index, text: thinking.text.into() });
                if let Some(signature) = thinking.signature.filter(|signature| !signature.is_empty()) {
                    ready.push_back(StreamEvent::Signature { index, signature: signature.into() });
                }
                Kind::Thinking
            }
            Block::ToolCall(call) => {
                let keep = |text: Option<Text<'_>>| text.unwrap_or_default().keep(data);
                ready.push_back(StreamEvent::ToolCallStart {
                    index,
                    id: keep(body.id),
                    name: keep(body.name),
                });
                // The input is empty here and follows in pieces; some proxies send it whole.
                if !is_empty_object(&call.arguments) {
                    ready.push_back(StreamEvent::ToolCallDelta { index, arguments: call.arguments.into() });
                }
                Kind::ToolCall
            }
            _ => Kind::Other { block: raw.to_owned(), input: String::new(), content: BTreeMap::new() },
        };
        self.open.push((at, Open { index, kind }));
        Ok(())
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }

    fn delta(&mut self, at: u32, delta: Delta<'_>, data: &ByteString, ready: &mut VecDeque<StreamEvent>) {
        let Some(open) = self.open.iter_mut().rev().find(|(of, _)| *of == at).map(|(_, open)| open) else {
            return; // a delta for no block adds to nothing
        };
        let index = open.index;
        let kind = delta.kind.as_ref().map_or("", Text::as_str);
        match (kind, &mut open.kind) {
            ("text_delta", Kind::Text { .. }) => {
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
                if let Some(signature) = delta.signature {
                    ready.push_back(StreamEvent::Signature { index, signature: signature.keep(data) });
                }
            }
            ("input_json_delta", Kind::ToolCall) => {
                if let Some(arguments) = delta.partial_json.filter(|json| !json.is_empty()) {
                    ready.push_back(StreamEvent::ToolCallDelta { index, arguments: arguments.keep(data) });
                }
            }
            ("citations_delta", Kind::Text { citations }) => {
                if let Some(citation) = delta.citation {
                    let comma = if citations.is_empty() { "" } else { "," };
                    citations.push_str(comma);
                    citations.push_str(citation.get());
                }
            }
            ("input_json_delta", Kind::Other { input, .. }) => {
                input.push_str(delta.partial_json.as_ref().map_or("", Text::as_str));
            }
            ("compaction_delta", Kind::Other { content, .. }) => {
                let given = [("content", delta.content), ("encrypted_content", delta.encrypted_content)];
                let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
                content.extend(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            _ => {}
        }
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
            Kind::Text { citations } => {
                ready.push_back(StreamEvent::BlockEnd { index });
                let list = (!citations.is_empty()).then(|| format!("[{citations}]"));
                if let Some(block) = list.and_then(|list| wire::citations(&list)) {
                    let index = self.take_index();
                    ready.push_back(StreamEvent::Opaque { index, block });
                    ready.push_back(StreamEvent::BlockEnd { index });
                }
            }
            Kind::Thinking | Kind::ToolCall => ready.push_back(StreamEvent::BlockEnd { index }),
        }
    }
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

/// Whether a tool's input is `{}`, with or without the white space that
/// Anthropic pads with.
fn is_empty_object(json: &str) -> bool {
    let inside = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use leverframe_core::{
        error::ErrorKind,
        model::{FinishReason, Partial, Tokens},
    };
    use proptest::prelude::*;

    use super::{super::response, *};
    use crate::codec::StreamDecoder;

    fn decode(events: &[&str]) -> (Partial, Result<(), Failure>) {
        decode_body(events.iter().map(|data| format!("event: x\ndata: {data}\n\n")).collect::<String>())
    }

    fn decode_body(body: impl Into<Bytes>) -> (Partial, Result<(), Failure>) {
        let mut decoder = StreamDecoder::new(Dialect::Anthropic, sse::Limits::default());
        let mut partial = Partial::new();
        decoder.push(body.into());
        let mut drain = |decoder: &mut StreamDecoder| -> Result<(), Failure> {
            while let Some(event) = decoder.next_event()? {
                partial.push(event);
            }
            Ok(())
        };
        let end = drain(&mut decoder).and_then(|()| {
            decoder.finish();
            drain(&mut decoder)
        });
        (partial, end)
    }

    const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-x","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#;
    const STOP: &str = r#"{"type":"message_stop"    }"#;

    fn delta(at: u32, delta: &str) -> String {
        format!(r#"{{"type":"content_block_delta","index":{at},"delta":{delta}}}"#)
    }

    fn open(at: u32, block: &str) -> String {
        format!(r#"{{"type":"content_block_start","index":{at},"content_block":{block}}}"#)
    }

    #[test]
    fn a_message_as_the_reference_shows_it() {
        let (partial, end) = decode(&[
            START,
            &open(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
            r#"{"type": "ping"}"#,
            &delta(0, r#"{"type":"thinking_delta","thinking":"hm"}"#),
            &delta(0, r#"{"type":"signature_delta","signature":"sig"}"#),
            r#"{"type":"content_block_stop","index":0}"#,
            &open(1, r#"{"type":"text","text":""}"#),
            &delta(1, r#"{"type":"text_delta","text":"Hel"}"#),
            &delta(1, r#"{"type":"text_delta","text":"lo\n"}"#),
            &delta(1, r#"{"type":"citations_delta","citation":{"type":"char_location"}}"#),
            r#"{"type":"content_block_stop","index":1}"#,
            &open(2, r#"{"type":"tool_use","id":"toolu_1","name":"now","input":{}}"#),
            &delta(2, r#"{"type":"input_json_delta","partial_json":""}"#),
            r#"{"type":"content_block_stop","index":2}"#,
            &open(3, r#"{"type":"redacted_thinking","data":"xx"}"#),
            r#"{"type":"content_block_stop","index":3}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":25}}"#,
            r#"{"type":"brand_new","index":1}"#,
            STOP,
        ]);
        assert_eq!(end, Ok(()));
        let blocks: Vec<_> = partial.content().collect();
        assert!(
            matches!(blocks[0], Block::Thinking(t) if t.text == "hm" && t.signature.as_deref() == Some("sig"))
        );
        assert_eq!(partial.text(), "Hello\n");
        assert!(matches!(blocks[2], Block::Opaque(o) if o.json.as_str().contains("char_location")));
        assert!(matches!(blocks[3], Block::ToolCall(c) if c.name == "now" && c.arguments.is_empty()));
        assert!(
            matches!(blocks[4], Block::Opaque(o) if o.json.as_str() == r#"{"type":"redacted_thinking","data":"xx"}"#)
        );
        assert_eq!(
            (partial.usage().input, partial.usage().output),
            (Tokens::Reported(9), Tokens::Reported(25))
        );
        assert!(partial.terminal_frame().is_some());
    }

    /// One answer twice: streamed, and whole.
    const STREAMED: [&str; 17] = [
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-x","content":[],"usage":{"input_tokens":9,"cache_creation_input_tokens":4,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"s1","input":{},"name":"web_search"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"n\":"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"12345678901234567890}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Hi"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"a":1}}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{ }}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\": 1}"}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":8,"output_tokens":25}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    const WHOLE: &str = r#"{"type":"message","id":"msg_1","model":"claude-x","stop_reason":"tool_use","content":[
        {"type":"thinking","thinking":"","signature":"sig"},
        {"id":"s1","input":{"n":12345678901234567890},"name":"web_search","type":"server_tool_use"},
        {"type":"text","text":"Hi","citations":[{"a":1}]},
        {"type":"text","text":""},
        {"type":"tool_use","id":"t1","name":"f","input":{"a": 1}}],
        "usage":{"input_tokens":8,"cache_creation_input_tokens":4,"output_tokens":25}}"#;

    #[test]
    fn a_stream_is_what_the_whole_answer_would_be() {
        let (partial, end) = decode(&STREAMED);
        assert_eq!(end, Ok(()));
        let whole = response::decode(&HeaderMap::new(), WHOLE).expect("valid");
        assert_eq!(partial.content().cloned().collect::<Vec<_>>(), whole.content);
        assert_eq!(partial.usage(), &whole.usage);
        assert_eq!(whole.usage.input_total(), Some(12));
    }

    #[test]
    fn text_without_escapes_is_a_slice_of_what_arrived() {
        let mut reader = Reader::default();
        let mut ready = VecDeque::new();
        let data =
            ByteString::from(delta(0, r#"{"type":"text_delta","text":"no escapes"}"#).replace("0", "0 "));
        for data in [open(0, r#"{"type":"text","text":""}"#).into(), data.clone()] {
            let event = sse::Event { event: None, data, truncated: false };
            reader.read(Item::Event(event), &mut ready).expect("valid");
        }
        let Some(StreamEvent::TextDelta { text, .. }) = ready.pop_front() else { panic!("{ready:?}") };
        assert_eq!(text, "no escapes");
        assert!(data.as_bytes().as_ptr_range().contains(&text.as_bytes().as_ptr()));
    }

    #[test]
    fn counts_of_another_shape_do_not_spoil_the_answer() {
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":"many"}}}"#;
        let (partial, end) = decode(&[start, STOP]);
        assert_eq!((end, partial.usage().input), (Ok(()), Tokens::Unknown));
    }

    proptest! {
        #[test]
        fn damaged_streams_are_read_without_panic(
            cut in 0_usize..3000,
            change in (0_usize..3000, any::<u8>()),
            order in prop::collection::vec(0..STREAMED.len(), 0..30),
        ) {
            let events = order.iter().map(|at| format!("data: {}\n\n", STREAMED[*at]));
            let mut body = events.collect::<String>().into_bytes();
            if let Some(byte) = body.get_mut(change.0) {
                *byte = change.1;
            }
            body.truncate(cut);
            let _ = response::decode(&HeaderMap::new(), &String::from_utf8_lossy(&body));
            let _ = error::read(500, &HeaderMap::new(), &String::from_utf8_lossy(&body));
            let _ = decode_body(body);
        }
    }

    #[test]
    fn without_message_stop_it_was_interrupted() {
        let finish =
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#;
        for events in [&[][..], &[START], &[START, finish]] {
            assert_eq!(decode(events).1.expect_err("cut").kind, ErrorKind::Interrupted);
        }
        // Cut inside the last frame, and with nothing but its blank line gone.
        for (tail, whole) in
            [(r#"data: {"type":"message_s"#, false), (r#"data: {"type":"message_stop"}"#, true)]
        {
            let end = decode_body(format!("data: {START}\n\n{tail}")).1;
            assert_eq!(
                end.as_ref().err().map(|failure| failure.kind),
                (!whole).then_some(ErrorKind::Interrupted)
            );
        }
    }

    #[test]
    fn an_error_event_is_the_providers_failure() {
        for (kind, expected) in [
            ("overloaded_error", ErrorKind::Overloaded),
            ("api_error", ErrorKind::Server),
            ("rate_limit_error", ErrorKind::RateLimited),
        ] {
            let error = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
            assert_eq!(decode(&[START, &error]).1.expect_err("error").kind, expected);
        }
        assert_eq!(decode(&[START, "{\"type\": "]).1.expect_err("broken").kind, ErrorKind::Unreadable);
    }

    #[test]
    fn what_follows_the_end_is_ignored() {
        assert_eq!(decode(&[START, STOP, "[DONE]", "nonsense"]).1, Ok(()));
    }

    #[test]
    fn blocks_that_begin_anew_do_not_merge() {
        let text = open(0, r#"{"type":"text","text":""}"#);
        let (first, second) = (
            delta(0, r#"{"type":"text_delta","text":"a"}"#),
            delta(0, r#"{"type":"text_delta","text":"b"}"#),
        );
        let (partial, end) = decode(&[START, &text, &first, START, &text, &second, STOP]);
        assert_eq!(end, Ok(()));
        assert_eq!(partial.content().count(), 2);
    }

    #[test]
    fn finish_reasons_come_with_their_word() {
        let mut reader = Reader::default();
        let mut ready = VecDeque::new();
        let data =
            r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}}"#;
        let event = sse::Event { event: None, data: data.into(), truncated: false };
        reader.read(Item::Event(event), &mut ready).expect("valid");
        let finish = StreamEvent::Finish {
            reason: FinishReason::StopSequence,
            raw: "stop_sequence".into(),
            stop_sequence: Some("END".into()),
        };
        assert_eq!(ready, [finish]);
    }
}
