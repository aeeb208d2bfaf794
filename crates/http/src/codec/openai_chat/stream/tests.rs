//! Tests of the file beside this folder.

use std::fmt::Write;

use bytes::Bytes;
use leverframe_core::model::{Block, FinishReason, Partial};

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
const STOP: &str = r#"{"id":"abc","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

#[test]
fn an_answer_is_a_start_deltas_a_finish_usage_and_an_end() {
    let more = r#"{"id":"abc","model":"m","choices":[{"index":0,"delta":{"content":"lo \"\u00e9\""}}],"usage":null}"#;
    let (events, failure) = read(&sse(&[TEXT, more, STOP, USAGE, "[DONE]", "whatever follows"]));
    assert_eq!(failure, None);
    // What is not modelled comes beside it.
    let events: Vec<_> =
        events.into_iter().filter(|event| !matches!(event, StreamEvent::Extra { .. })).collect();
    let delta = |text: &'static str| StreamEvent::TextDelta { index: 0, text: text.into() };
    let usage = *fold(&events).usage();
    let expected = [
        StreamEvent::Start { id: Some("abc".into()), model: Some("m".into()) },
        delta("Hel"),
        delta("lo \"é\""),
        StreamEvent::Finish { reason: FinishReason::Stop, raw: "stop".into(), stop_sequence: None },
        StreamEvent::Usage(usage),
        StreamEvent::BlockEnd { index: 0 },
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

/// Found in review: what had no finish reason was called a tool call.
#[test]
fn done_without_a_reason_says_nothing_of_calls() {
    let call = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#;
    for (chunk, reason) in [(TEXT, FinishReason::Other), (call, FinishReason::ToolCalls)] {
        let (events, failure) = read(&sse(&[chunk, "[DONE]"]));
        assert_eq!(failure, None);
        assert_eq!(fold(&events).whole().expect("whole").finish, reason, "{chunk}");
    }
}

/// Found in review: Azure names the answer in its second chunk.
#[test]
fn an_answer_that_is_named_late_is_named_before_its_text() {
    let first = r#"{"choices":[],"id":"","model":"","prompt_filter_results":[]}"#;
    let (events, _) = read(&sse(&[first, TEXT, STOP, "[DONE]"]));
    let named = events.iter().position(|event| matches!(event, StreamEvent::Start { id: Some(_), .. }));
    let text = events.iter().position(|event| matches!(event, StreamEvent::TextDelta { .. }));
    assert!(named.is_some() && named < text, "{events:?}");
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
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
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
            &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{}"}}"#],
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
    let partial = fold(&events);
    assert_eq!(partial.text(), "Hel");
    // The other choice is kept, and so is what Azure's filter says.
    let response = partial.whole().expect("whole");
    for (name, part) in [("choices", "another choice"), ("prompt_filter_results", "prompt_index")] {
        let kept = response.extra.get(Dialect::OpenAiChat, name).map_or("", |json| json.as_str());
        assert!(kept.contains(part), "{name}: {kept}");
    }
    assert!(
        events.iter().any(|event| matches!(event, StreamEvent::Start { id: Some(id), .. } if id == "abc"))
    );
}

/// The same answer, whole and streamed, comes to the same.
#[test]
fn a_stream_is_what_the_whole_answer_would_be() {
    let finished = r#"{"service_tier":"flex","choices":[{"delta":{},"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":9,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":4}}}"#;
    let finished = finished.replace('\n', "");
    let streamed = sse(&[
        r#"{"id":"abc","model":"m","choices":[{"delta":{"role":"assistant","content":"","reasoning":"h"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"h"}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"He"},"logprobs":{"content":[{"token":"He"}]}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"llo"}]},"logprobs":{"content":[{"token":"llo"}]}}]}"#,
        r#"{"choices":[{"delta":{"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}]}}]}"#,
        r#"{"choices":[{"delta":{"refusal":"No."}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","type":"custom","custom":{"name":"g","input":"x"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"custom":{"input":"y"}}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}}]}"#,
        &finished,
        "[DONE]",
    ]);
    let whole = r#"{"id":"abc","model":"m","service_tier":"flex","choices":[{"message":{"content":"Hello","reasoning":"hm",
        "refusal":"No.","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}],
        "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"b","type":"custom","custom":{"name":"g","input":"xy"}}],
        "reasoning_details":[{"type":"reasoning.text","text":"h"},{"type":"reasoning.encrypted","data":"x"}]},
        "logprobs":{"content":[{"token":"He"},{"token":"llo"}]},"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":9,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":4}}}"#;
    let whole = super::super::response::decode(&http::HeaderMap::new(), whole).expect("an answer");
    let (events, failure) = read(&streamed);
    assert_eq!(failure, None);
    let mut response = fold(&events).whole().expect("whole");
    // In which order fields that are not modelled come is nobody's business.
    let sorted = |extra: &leverframe_core::model::Extra| {
        let mut fields: Vec<_> =
            extra.iter().map(|field| (field.name.clone(), field.value.as_str().to_owned())).collect();
        fields.sort();
        fields
    };
    assert_eq!(sorted(&response.extra), sorted(&whole.extra));
    response.extra = whole.extra.clone();
    assert_eq!(response, whole);
    assert_eq!(response.finish, FinishReason::ToolCalls);
    assert_eq!(response.content.len(), 5, "thinking, text, refusal, two calls");
}

/// A stream that is cut anywhere is not passed off as whole.
#[test]
fn a_stream_that_is_cut_anywhere_is_no_answer() {
    let body = sse(QUIRKS);
    let finished = body.find("\"finish_reason\":\"stop\"").expect("it finishes");
    for end in (0..finished).filter(|end| body.is_char_boundary(*end)) {
        let (events, failure) = read(&body[..end]);
        assert!(failure.is_some() && events.last() != Some(&StreamEvent::End), "cut at {end}");
    }
}

/// The short way of reading a chunk gives what the long way would.
#[test]
fn a_plain_chunk_reads_the_same_in_both_ways() {
    let unusual =
        r#","x":{"deep":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#;
    for text in ["plain", "", "esc\\n\\\"\\u00e9\\ud83d\\ude00", "✓"] {
        let chunk = |more: &str| {
            format!(
                r#"{{"id":"abc","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null,"logprobs":null}}]{more}}}"#
            )
        };
        let none = fast::Known::default;
        assert!(fast::text(&chunk(""), &mut none()).is_some(), "{text}");
        assert!(fast::text(&chunk(unusual), &mut none()).is_none(), "{text}");
        let read = |more: &str| read(&sse(&[TEXT, &chunk(more), STOP, "[DONE]"]));
        assert_eq!(read(""), read(unusual), "{text}");
    }
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

/// Found in review: without ids to tell them apart, two calls under one index merged.
#[test]
fn calls_under_one_index_without_ids_are_told_apart_by_name() {
    let call = |name: &str, arguments: &str| {
        format!(
            r#"data: {{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"","function":{{"name":"{name}","arguments":"{arguments}"}}}}]}}}}]}}"#
        )
    };
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Limits::default());
    decoder.push(format!("{}\n\n{}\n\ndata: [DONE]\n\n", call("f", "{}"), call("g", "[]")).into());
    let mut partial = Partial::new();
    while let Some(event) = decoder.next_event().expect("valid") {
        partial.push(event);
    }
    assert_eq!(partial.content().count(), 2);
}
