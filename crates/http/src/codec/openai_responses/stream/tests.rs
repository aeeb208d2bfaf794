//! Tests of the file beside this folder.

use bytes::Bytes;
use leverframe_core::{
    error::ErrorKind,
    model::{Dialect, FinishReason, Partial, Response as Answer},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{codec::StreamDecoder, sse::Limits};

fn read_in_pieces(
    body: &[u8],
    lengths: impl IntoIterator<Item = usize>,
) -> (Vec<StreamEvent>, Option<Failure>) {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiResponses, Limits::default());
    let mut events = Vec::new();
    let mut drain = |decoder: &mut StreamDecoder| -> Result<(), Failure> {
        while let Some(event) = decoder.next_event()? {
            events.push(event);
        }
        Ok(())
    };
    let (mut rest, mut lengths) = (body, lengths.into_iter());
    let mut decode = || {
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(lengths.next().unwrap_or(usize::MAX).min(rest.len()));
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

fn read(body: &str) -> (Vec<StreamEvent>, Option<Failure>) {
    read_in_pieces(body.as_bytes(), [])
}

fn sse(events: &[Value]) -> String {
    let line =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(line).collect()
}

fn whole(events: &[StreamEvent]) -> Answer {
    let mut partial = Partial::new();
    events.iter().cloned().for_each(|event| partial.push(event));
    partial.whole().expect("whole")
}

fn output() -> Value {
    json!([
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
            "encrypted_content": "e"},
        {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Hé\"llo", "annotations": [{"type": "url_citation", "url": "u"}]},
            {"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"x\":1}"},
        {"type": "custom_tool_call", "id": "ct", "call_id": "d", "name": "g", "input": "any"},
        {"type": "web_search_call", "id": "ws", "status": "completed"}])
}

fn response(status: &str, output: Value) -> Value {
    json!({"id": "r", "model": "m", "status": status, "service_tier": "flex", "output": output,
        "usage": {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 4}}})
}

/// The events that lead to [`output`], without the last one.
fn steps() -> Vec<Value> {
    let output = output();
    let done =
        |nth: usize| json!({"type": "response.output_item.done", "output_index": nth, "item": output[nth]});
    vec![
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "model": "m", "status": "in_progress", "output": []}}),
        json!({"type": "response.in_progress", "response": {"id": "r", "model": "m"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs", "summary": []}}),
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "one"}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "two"}),
        done(0),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "other", "content": []}}),
        json!({"type": "response.output_text.delta", "item_id": "rotated", "output_index": 1, "content_index": 0, "delta": "Hé\"", "obfuscation": "x"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "llo", "logprobs": []}),
        json!({"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0, "annotation": {"type": "url_citation", "url": "u"}}),
        json!({"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "Hé\"llo"}),
        json!({"type": "response.refusal.delta", "output_index": 1, "content_index": 1, "delta": "No."}),
        done(1),
        json!({"type": "response.output_item.added", "output_index": 2, "item": {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}}),
        json!({"type": "response.output_item.added", "output_index": 3, "item": {"type": "custom_tool_call", "id": "ct", "call_id": "d", "name": "g", "input": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"x\""}),
        json!({"type": "response.custom_tool_call_input.delta", "output_index": 3, "delta": "any"}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": ":1}"}),
        done(2),
        done(3),
        json!({"type": "response.web_search_call.searching", "output_index": 4}),
        done(4),
    ]
}

fn stream(last: Value) -> String {
    let mut events = steps();
    events.push(last);
    sse(&events)
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": response("completed", output)})
}

#[test]
fn a_stream_is_what_the_whole_answer_would_be() {
    let body = response("completed", output()).to_string();
    let expected = super::super::response::decode(&http::HeaderMap::new(), &body).expect("an answer");
    // The last event may repeat the output or not.
    for last in [output(), json!([])] {
        let (events, failure) = read(&stream(completed(last)));
        assert_eq!(failure, None);
        assert_eq!(whole(&events), expected);
        let ends = events.iter().filter(|event| matches!(event, StreamEvent::BlockEnd { .. })).count();
        assert_eq!(ends, expected.content.len());
    }
    // All of it may be in the last event, or in the whole items.
    for events in [
        vec![completed(output())],
        (0..5)
            .map(|nth| json!({"type": "response.output_item.done", "output_index": nth, "item": output()[nth]}))
            .chain([completed(json!([]))])
            .collect(),
    ] {
        let (events, failure) = read(&sse(&events));
        assert_eq!(failure, None);
        assert_eq!(whole(&events), expected);
    }
}

#[test]
fn deltas_come_as_they_are_sent() {
    let (events, _) = read(&stream(completed(json!([]))));
    let texts: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::TextDelta { text, .. }
            | StreamEvent::RefusalDelta { text, .. }
            | StreamEvent::ThinkingDelta { text, .. }
            | StreamEvent::ToolCallDelta { arguments: text, .. } => Some(&**text),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["one", "\n", "two", "Hé\"", "llo", "No.", "{\"x\"", "any", ":1}"]);
}

#[test]
fn what_ends_a_stream() {
    let incomplete = json!({"type": "response.incomplete", "response": {"status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"}}});
    let failed = |code: &str| json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "why"}}});
    let nested = json!({"type": "error", "sequence_number": 2, "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "why", "param": null}});
    let flat = json!({"type": "error", "code": "server_error", "message": "why", "param": null, "sequence_number": 2});
    let cases = [
        (stream(completed(json!([]))), None),
        (stream(completed(json!([]))) + "data: [DONE]\n\n", None),
        (stream(incomplete), None),
        (stream(failed("server_error")), Some(ErrorKind::Server)),
        (stream(failed("rate_limit_exceeded")), Some(ErrorKind::RateLimited)),
        (stream(nested), Some(ErrorKind::RateLimited)),
        (stream(flat), Some(ErrorKind::Server)),
        (sse(&steps()), Some(ErrorKind::Interrupted)),
        (sse(&steps()) + "data: [DONE]\n\n", Some(ErrorKind::Interrupted)),
        (String::new(), Some(ErrorKind::Interrupted)),
        ("data: nonsense\n\n".to_owned(), Some(ErrorKind::Unreadable)),
        (sse(&steps()) + "{\"error\":{\"message\":\"why\",\"code\":503}}\n", Some(ErrorKind::Overloaded)),
    ];
    for (body, kind) in cases {
        let (events, failure) = read(&body);
        assert_eq!(failure.as_ref().map(|failure| failure.kind), kind, "{body}");
        assert_eq!(events.last() == Some(&StreamEvent::End), kind.is_none(), "{body}");
        if let Some(failure) = failure.filter(|failure| failure.message.contains("why")) {
            assert_eq!(failure.message, "why");
        }
    }
}

#[test]
fn a_call_that_is_cut_short_by_the_bound_is_not_called_whole() {
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}});
    let delta =
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"x\""});
    let last = json!({"type": "response.incomplete", "response": {"status": "incomplete", "output": [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"x\"", "status": "incomplete"}],
        "incomplete_details": {"reason": "max_output_tokens"}}});
    let (events, failure) = read(&sse(&[added, delta, last]));
    assert_eq!(failure, None);
    let answer = whole(&events);
    assert_eq!((answer.finish, answer.finish_raw.as_deref()), (FinishReason::Length, Some("incomplete")));
    let [Block::ToolCall(call)] = answer.content.as_slice() else { panic!("{:?}", answer.content) };
    assert_eq!(call.arguments, "{\"x\"");
}

#[test]
fn a_plain_event_reads_the_same_in_both_ways() {
    for text in ["plain", "", "esc\n\"é😀"] {
        let plain = json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": text});
        let mut unusual = plain.clone();
        unusual["unheard_of"] = json!({});
        assert!(fast::delta(&plain.to_string()).is_some());
        assert!(fast::delta(&unusual.to_string()).is_none());
        let read = |event: Value| read(&sse(&[steps()[0].clone(), event, completed(json!([]))]));
        assert_eq!(read(plain), read(unusual), "{text}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_no_answer() {
    let body = stream(completed(json!([])));
    let last = body.rfind("event: response.completed").expect("it completes");
    let data = body[last..].trim_end().len();
    for end in (0..last + data).filter(|end| body.is_char_boundary(*end)) {
        let (events, failure) = read(&body[..end]);
        assert_eq!(failure.map(|failure| failure.kind), Some(ErrorKind::Interrupted), "cut at {end}");
        assert_ne!(events.last(), Some(&StreamEvent::End), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn how_the_bytes_are_split_makes_no_difference(lengths in prop::collection::vec(1usize..60, 0..60)) {
        let body = stream(completed(output()));
        prop_assert_eq!(read_in_pieces(body.as_bytes(), lengths), read(&body));
    }

    /// Whatever is done to a stream, reading it ends in an answer or a failure.
    #[test]
    fn damaged_streams_are_read_without_panic(
        at in 0usize..4000, cut in 0usize..40, put in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut body = stream(completed(output())).into_bytes();
        let at = at.min(body.len());
        let end = (at + cut).min(body.len());
        body.splice(at..end, put);
        let (events, failure) = read_in_pieces(&body, []);
        prop_assert!(failure.is_some() || events.last() == Some(&StreamEvent::End));
    }
}
