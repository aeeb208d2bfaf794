//! Tests of the file beside this folder.

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
    assert_eq!((partial.usage().input, partial.usage().output), (Tokens::Reported(9), Tokens::Reported(25)));
    assert!(partial.is_whole());
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
    let data = ByteString::from(delta(0, r#"{"type":"text_delta","text":"no escapes"}"#).replace("0", "0 "));
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
    let finish = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#;
    for events in [&[][..], &[START], &[START, finish]] {
        assert_eq!(decode(events).1.expect_err("cut").kind, ErrorKind::Interrupted);
    }
    // Cut inside the last frame, and with nothing but its blank line gone.
    for (tail, whole) in [(r#"data: {"type":"message_s"#, false), (r#"data: {"type":"message_stop"}"#, true)]
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
    let (first, second) =
        (delta(0, r#"{"type":"text_delta","text":"a"}"#), delta(0, r#"{"type":"text_delta","text":"b"}"#));
    let (partial, end) = decode(&[START, &text, &first, START, &text, &second, STOP]);
    assert_eq!(end, Ok(()));
    assert_eq!(partial.content().count(), 2);
}

#[test]
fn finish_reasons_come_with_their_word() {
    let mut reader = Reader::default();
    let mut ready = VecDeque::new();
    let data = r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}}"#;
    let event = sse::Event { event: None, data: data.into(), truncated: false };
    reader.read(Item::Event(event), &mut ready).expect("valid");
    let finish = StreamEvent::Finish {
        reason: FinishReason::StopSequence,
        raw: "stop_sequence".into(),
        stop_sequence: Some("END".into()),
    };
    assert_eq!(ready, [finish]);
}

/// Found by fuzzing: broken framing after the last frame came out as an error
/// after `End`.
#[test]
fn what_is_broken_after_the_end_does_not_matter() {
    let mut decoder = StreamDecoder::new(Dialect::Anthropic, sse::Limits::default());
    decoder.push(Bytes::from_static(b"data: {\"type\":\"message_stop\"}\n\n\xff\n"));
    decoder.finish();
    assert_eq!(decoder.next_event(), Ok(Some(StreamEvent::End)));
    assert_eq!(decoder.next_event(), Ok(None));
}

/// Found in review: the shape of an event was checked before its type.
#[test]
fn what_is_unknown_is_ignored_whatever_its_shape_and_an_error_is_one() {
    let text = open(0, r#"{"type":"text","text":""}"#);
    assert_eq!(decode(&[START, r#"{"type":"notice","message":"new"}"#, "", &text, STOP]).1, Ok(()));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"message":"m"}"#;
    assert_eq!(decode(&[START, error]).1.expect_err("error").kind, ErrorKind::Overloaded);
}
