//! Tests of the file beside this folder.

mod whole;

use bytes::Bytes;
use leverframe_core::{
    error::ErrorKind,
    model::{FinishReason, Opaque, Partial, Response, Tokens},
};

use super::*;
use crate::codec::StreamDecoder;

/// Everything a body gives, up to and with its failure.
fn events(body: impl Into<Bytes>) -> (Vec<StreamEvent>, Option<Failure>) {
    let mut decoder = StreamDecoder::new(Dialect::Anthropic, sse::Limits::default());
    decoder.push(body.into());
    let (mut events, mut ended) = (Vec::new(), false);
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

/// As Anthropic frames its events.
fn framed<S: AsRef<str>>(data: &[S]) -> String {
    data.iter().map(|data| format!("event: x\ndata: {}\n\n", data.as_ref())).collect()
}

fn read<S: AsRef<str>>(data: &[S]) -> (Vec<StreamEvent>, Option<Failure>) {
    events(framed(data))
}

fn fold(events: Vec<StreamEvent>) -> Option<Response> {
    let mut partial = Partial::new();
    events.into_iter().for_each(|event| partial.push(event));
    partial.whole()
}

fn answer<S: AsRef<str>>(data: &[S]) -> Response {
    let (events, failure) = read(data);
    assert_eq!(failure, None);
    fold(events).expect("a whole answer")
}

fn failure<S: AsRef<str>>(data: &[S]) -> Failure {
    read(data).1.expect("a failure")
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#;
const FINISH: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#;
const STOP: &str = r#"{"type":"message_stop"    }"#;

fn open(at: u32, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{at},"content_block":{block}}}"#)
}

fn delta(at: u32, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{at},"delta":{delta}}}"#)
}

fn text(at: u32, text: &str) -> String {
    delta(at, &format!(r#"{{"type":"text_delta","text":"{text}"}}"#))
}

fn input(at: u32, json: &str) -> String {
    let json = serde_json::Value::from(json);
    delta(at, &format!(r#"{{"type":"input_json_delta","partial_json":{json}}}"#))
}

fn close(at: u32) -> String {
    format!(r#"{{"type":"content_block_stop","index":{at}}}"#)
}

fn done(stop_reason: &str, usage: &str) -> String {
    format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{stop_reason}"}},"usage":{usage}}}"#)
}

const TEXT: &str = r#"{"type":"text","text":""}"#;

#[test]
fn every_event_in_its_turn() {
    let own = |s: &str| -> String { s.to_owned() };
    let search = r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#;
    let (events, failure) = read(&[
        own(START),
        open(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        own(r#"{"type": "ping"}"#),
        delta(0, r#"{"type":"thinking_delta","thinking":"hm","estimated_tokens":1}"#),
        delta(0, r#"{"type":"signature_delta","signature":"sig"}"#),
        close(0),
        open(1, TEXT),
        text(1, "Hi"),
        delta(1, r#"{"type":"citations_delta","citation":{"type":"char_location","cited_text":"c"}}"#),
        close(1),
        open(2, r#"{"type":"tool_use","id":"toolu_1","name":"now","input":{}}"#),
        input(2, ""),
        close(2),
        open(3, search),
        input(3, "{\"q\":"),
        input(3, "1}"),
        close(3),
        own(
            r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"output_tokens":25}}"#,
        ),
        own(r#"{"type":"brand_new","index":1}"#),
        own(STOP),
    ]);
    assert_eq!(failure, None);
    let opaque = |json: &str| Opaque { dialect: Dialect::Anthropic, json: Json::parse(json).expect("JSON") };
    let counted = |output: Tokens| {
        let input = Tokens::Reported(9);
        StreamEvent::Usage(leverframe_core::model::Usage { input, output, ..Default::default() })
    };
    let citation = wire::citation(opaque(r#"{"type":"char_location","cited_text":"c"}"#).json.as_raw());
    let block = opaque(r#"{"id":"s","input":{"q":1},"name":"web_search","type":"server_tool_use"}"#);
    let dialect = Dialect::Anthropic;
    let expected = [
        StreamEvent::Start { id: Some("msg_1".into()), model: Some("claude-x".into()) },
        // The count of output at the start is a placeholder.
        counted(Tokens::Unknown),
        StreamEvent::ThinkingDelta { index: 0, text: "".into() },
        StreamEvent::ThinkingDelta { index: 0, text: "hm".into() },
        StreamEvent::Signature { index: 0, dialect, signature: "sig".into() },
        StreamEvent::BlockEnd { index: 0 },
        StreamEvent::TextDelta { index: 1, text: "Hi".into() },
        StreamEvent::Citation { index: 1, citation: Box::new(citation) },
        StreamEvent::BlockEnd { index: 1 },
        StreamEvent::ToolCallStart { index: 2, id: "toolu_1".into(), name: "now".into() },
        StreamEvent::BlockEnd { index: 2 },
        StreamEvent::Opaque { index: 3, block },
        StreamEvent::BlockEnd { index: 3 },
        StreamEvent::Finish {
            reason: FinishReason::StopSequence,
            raw: "stop_sequence".into(),
            stop_sequence: Some("END".into()),
        },
        counted(Tokens::Reported(25)),
        StreamEvent::End,
    ];
    assert_eq!(events, expected);
    // A call without arguments is one with none.
    let Some(Block::ToolCall(call)) = fold(events).and_then(|response| response.content.get(2).cloned())
    else {
        panic!("the call is the third block")
    };
    assert_eq!(call.arguments, "{}");
}

#[test]
fn a_refusal_keeps_its_details() {
    let details = r#"{"type":"refusal","category":null,"explanation":"e"}"#;
    let refusal = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"refusal","stop_sequence":null,"stop_details":{details},"container":{{"id":"c"}}}},"context_management":{{"n":1}},"usage":{{"output_tokens":2,"server_tool_use":{{"n":1}}}}}}"#
    );
    let tool = open(1, r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#);
    let response = answer(&[
        START,
        &open(0, TEXT),
        &text(0, "Well"),
        &close(0),
        &tool,
        &input(1, "{\"cut"),
        &refusal,
        STOP,
    ]);
    assert_eq!((&response.finish, response.text().as_str()), (&FinishReason::Refusal, "Well"));
    assert!(matches!(&response.content[1], Block::ToolCall(call) if call.arguments == "{\"cut"));
    let kept: Vec<_> =
        response.extra.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    let expected = [
        ("stop_details", details),
        ("container", r#"{"id":"c"}"#),
        ("context_management", r#"{"n":1}"#),
        ("usage.server_tool_use", r#"{"n":1}"#),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn the_last_usage_and_the_last_finish_hold() {
    let first = done(
        "pause_turn",
        r#"{"output_tokens":5,"input_tokens":11,"cache_read_input_tokens":3,"iterations":[1]}"#,
    );
    let last = done("end_turn", r#"{"output_tokens":7,"iterations":[1,2]}"#);
    let silent = r#"{"type":"message_delta","delta":{"stop_reason":null}}"#;
    let response = answer(&[START, &first, &last, silent, STOP]);
    assert_eq!((response.finish, response.finish_raw.as_deref()), (FinishReason::Stop, Some("end_turn")));
    let usage = response.usage;
    assert_eq!(
        (usage.input, usage.cache_read, usage.output),
        (Tokens::Reported(11), Tokens::Reported(3), Tokens::Reported(7))
    );
    let iterations = response.extra.get(Dialect::Anthropic, "usage.iterations").map(Json::as_str);
    assert_eq!(iterations, Some("[1,2]"));
    // A new total makes the split of the old one stale.
    let split = START.replace(
        r#""input_tokens":9"#,
        r#""input_tokens":9,"cache_creation_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":4}"#,
    );
    let usage =
        answer(&[split, done("end_turn", r#"{"cache_creation_input_tokens":6}"#), STOP.to_owned()]).usage;
    assert_eq!((usage.cache_write_short, usage.cache_write_long), (Tokens::Reported(6), Tokens::Unknown));
}

/// Recorded: a proxy repeats `message_start`, or splices a second answer in.
#[test]
fn a_message_that_begins_again_does_not_merge() {
    let again = START.replace("msg_1", "msg_2").replace("claude-x", "claude-y");
    let response = answer(&[START, &again, &open(0, TEXT), &text(0, "a"), &close(0), FINISH, STOP]);
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("msg_2"), Some("claude-y")));
    assert_eq!(response.content, [Block::text("a")]);
    let spliced =
        answer(&[START, &open(0, TEXT), &text(0, "a"), &again, &open(0, TEXT), &text(0, "b"), FINISH, STOP]);
    assert_eq!(spliced.content, [Block::text("a"), Block::text("b")]);
}

#[test]
fn another_model_may_take_over() {
    let fallback =
        r#"{"type":"fallback","from":{"model":"claude-x"},"to":{"model":"claude-z"},"trigger":"overloaded"}"#;
    let response =
        answer(&[START, &open(0, fallback), &close(0), &open(1, TEXT), &text(1, "a"), FINISH, STOP]);
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("msg_1"), Some("claude-z")));
    assert_eq!(response.content.len(), 2);
}

#[test]
fn an_error_is_the_providers_failure() {
    let error = |kind: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}},"request_id":"req_1"}}"#)
    };
    for (kind, expected) in [
        ("overloaded_error", ErrorKind::Overloaded),
        ("api_error", ErrorKind::Server),
        ("rate_limit_error", ErrorKind::RateLimited),
        ("invalid_request_error", ErrorKind::InvalidRequest),
        ("new_error", ErrorKind::Server),
    ] {
        let error = error(kind);
        // After an event, and as a line that is none.
        for body in [framed(&[START, &error]), format!("{}{error}\n", framed(&[START]))] {
            let failure = events(body).1.expect("an error");
            assert_eq!(
                (failure.kind, failure.provider_request_id.as_deref()),
                (expected, Some("req_1")),
                "{failure}"
            );
        }
    }
    let named = format!("{}event: error\ndata: busy\n\n", framed(&[START]));
    assert_eq!(events(named).1.expect("an error").kind, ErrorKind::Server);
    // What else it says is of another shape than that of an event.
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"message":"m"}"#;
    assert_eq!(failure(&[START, error]).kind, ErrorKind::Overloaded);
}

#[test]
fn what_is_not_in_the_dialect_is_unreadable() {
    for data in [
        r#"{"type": "#,
        "7",
        "{}",
        r#"{"type":"content_block_delta","index":-1}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{}}"#,
        r#"{"type":"message_start","message":7}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}"#,
    ] {
        assert_eq!(failure(&[START, data]).kind, ErrorKind::Unreadable, "{data}");
    }
}

/// Found in review: the shape of an event was checked before its type.
#[test]
fn what_is_unknown_is_ignored_whatever_its_shape() {
    for data in [
        r#"{"type":"notice","message":"new"}"#,
        "",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":[7]}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":"x"}}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"of no block"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"of another kind"}}"#,
        r#"{"type":"content_block_stop","index":7}"#,
        r#"{"type":"message_delta"}"#,
    ] {
        let response = answer(&[START, &open(0, TEXT), &text(0, "a"), data, &text(0, "b"), FINISH, STOP]);
        assert_eq!(response.content, [Block::text("ab")], "{data}");
    }
    let noise = format!("{}[noise]\n: comment\n{}", framed(&[START]), framed(&[FINISH, STOP]));
    assert_eq!(events(noise).1, None);
}

#[test]
fn what_follows_the_end_does_not_matter() {
    for rest in ["data: [DONE]\n\n", "data: nonsense\n\n", "{\"type\":\"error\"}\n", "\u{0}"] {
        let (events, failure) = events(format!("{}{rest}", framed(&[START, FINISH, STOP])));
        assert_eq!((events.last(), failure), (Some(&StreamEvent::End), None), "{rest}");
    }
    // Found by fuzzing: broken framing after the last frame was an error after `End`.
    let (given, failure) = events(Bytes::from_static(b"data: {\"type\":\"message_stop\"}\n\n\xff\n"));
    assert_eq!((given, failure), (vec![StreamEvent::End], None));
}

#[test]
fn text_without_escapes_is_a_slice_of_what_arrived() {
    let mut reader = Reader::default();
    let mut ready = VecDeque::new();
    let data = ByteString::from(text(0, "no escapes"));
    for data in [open(0, TEXT).into(), data.clone()] {
        let event = sse::Event { event: None, data, truncated: false };
        reader.read(Item::Event(event), &mut ready).expect("valid");
    }
    let Some(StreamEvent::TextDelta { text, .. }) = ready.pop_front() else { panic!("{ready:?}") };
    assert!(data.as_bytes().as_ptr_range().contains(&text.as_bytes().as_ptr()));
}

#[test]
fn what_is_held_has_bounds() {
    let search = r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#;
    let mut long = vec![START.to_owned(), open(0, search)];
    long.extend(std::iter::repeat_n(input(0, &"x".repeat(1 << 18)), 5));
    assert_eq!(failure(&long).kind, ErrorKind::Unreadable);
    let many: Vec<_> = (0..=256).map(|at| open(at, TEXT)).collect();
    assert_eq!(failure(&many).kind, ErrorKind::Unreadable);
}

/// The decoder holds no more after a long stream than after a short one.
#[test]
fn memory_does_not_grow_with_the_stream() {
    let held = |rounds: u32| {
        let mut decoder = StreamDecoder::new(Dialect::Anthropic, sse::Limits::default());
        let measured = allocation_counter::measure(|| {
            let mut push = |data: String| {
                decoder.push(Bytes::from(framed(&[data])));
                while decoder.next_event().expect("valid").is_some() {}
            };
            push(START.to_owned());
            for at in 0..rounds {
                for data in [
                    open(at, TEXT),
                    text(at, &"x".repeat(100)),
                    delta(at, r#"{"type":"citations_delta","citation":{"type":"char_location"}}"#),
                    close(at),
                    open(at, r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#),
                    input(at, "{\"q\":1}"),
                    close(at),
                    open(at, r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#),
                    input(at, "{}"),
                    close(at),
                    done("end_turn", r#"{"output_tokens":2,"iterations":[1]}"#),
                ] {
                    push(data);
                }
            }
        });
        measured.bytes_current
    };
    let (short, long) = (held(10), held(1000));
    assert!(long <= short + 1024, "{short} bytes became {long}");
}
