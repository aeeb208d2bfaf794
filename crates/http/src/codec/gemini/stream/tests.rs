//! Tests of the file beside this folder.

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
    assert!(partial.is_whole());
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
            Block::ToolCall(call) => (call.name.as_str(), call.arguments.as_str(), call.signature.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("f", r#"{"city":"Boston"}"#, Some("s")), ("g", r#"{"n":1}"#, None), ("h", "{}", None)];
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
    assert_eq!((failure.message.as_str(), failure.provider_request_id.as_deref()), ("busy {\"", Some("r")));
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
