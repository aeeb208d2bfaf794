//! Tests of the file beside this folder.

mod whole;

use bytes::Bytes;
use leverframe_core::model::{Block, Json, Partial, Response, Signature, Text as TextBlock, Tokens, Usage};

use super::*;
use crate::{codec::StreamDecoder, sse};

/// Everything a body gives, up to and with its failure.
fn events(body: impl Into<Bytes>) -> (Vec<StreamEvent>, Option<Failure>) {
    let mut decoder = StreamDecoder::new(Dialect::Gemini, sse::Limits::default());
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

/// As Google frames its chunks.
fn framed<S: AsRef<str>>(chunks: &[S]) -> String {
    chunks.iter().map(|chunk| format!("data: {}\r\n\r\n", chunk.as_ref())).collect()
}

fn fold(events: Vec<StreamEvent>) -> Option<Response> {
    let mut partial = Partial::new();
    events.into_iter().for_each(|event| partial.push(event));
    partial.whole()
}

fn answer_of(body: &str) -> Response {
    let (events, failure) = events(body.to_owned());
    assert_eq!(failure, None, "{body}");
    fold(events).expect("a whole answer")
}

fn answer<S: AsRef<str>>(chunks: &[S]) -> Response {
    answer_of(&framed(chunks))
}

fn failed(body: &str) -> ErrorKind {
    let (events, failure) = events(body.to_owned());
    assert!(!events.contains(&StreamEvent::End));
    failure.expect(body).kind
}

fn parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}],"role":"model"}}}}],"responseId":"r"}}"#)
}

/// A chunk with text and what else is said of its candidate and of itself.
fn chunk(text: &str, candidate: &str, more: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}{candidate}}}]{more}}}"#)
}

const STOP: &str = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
const STOPS: &str = r#","finishReason":"STOP""#;
const BUSY: &str = "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"busy {\\\"\",\n\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n";

#[test]
fn a_stream_is_complete_at_the_end_of_the_body() {
    let usage = r#"{"promptTokenCount":1}"#;
    let last = chunk("j", STOPS, &format!(r#","usageMetadata":{usage},"modelVersion":"m","responseId":"r""#));
    let (events, failure) = events(framed(&[parts(r#"{"text":"He"}"#), last]));
    assert_eq!(failure, None);
    let field = Field {
        dialect: Dialect::Gemini,
        name: "usageMetadata".to_owned(),
        value: Json::parse(usage).expect("JSON"),
    };
    let expected = [
        StreamEvent::Start { id: Some("r".into()), model: None },
        StreamEvent::TextDelta { index: 0, text: "He".into() },
        // Every chunk repeats the id.
        StreamEvent::Start { id: None, model: Some("m".into()) },
        StreamEvent::TextDelta { index: 0, text: "j".into() },
        StreamEvent::Finish { reason: FinishReason::Stop, raw: "STOP".into(), stop_sequence: None },
        StreamEvent::Extra { of: Place::Answer, field: Box::new(field), append: false },
        StreamEvent::Usage(Usage { input: Tokens::Reported(1), ..Usage::default() }),
        StreamEvent::BlockEnd { index: 0 },
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
fn a_part_that_is_signed_does_not_merge() {
    let signed = |text: &str| {
        let signature = Some(Signature { dialect: Dialect::Gemini, value: "s".to_owned() });
        Block::Text(TextBlock { signature, ..TextBlock::new(text) })
    };
    let response = answer(&[
        parts(r#"{"text":"a"}"#),
        parts(r#"{"text":"b"}"#),
        parts(r#"{"text":"c","thoughtSignature":"s"}"#),
        parts(r#"{"text":"d"}"#),
        parts(r#"{"text":"","thoughtSignature":"s"}"#),
        STOP.to_owned(),
    ]);
    assert_eq!(response.content, [Block::text("ab"), signed("c"), Block::text("d"), signed("")]);
}

#[test]
fn the_last_usage_and_the_last_finish_reason_hold() {
    let usage = |prompt: u32, output: u32| {
        format!(r#","usageMetadata":{{"promptTokenCount":{prompt},"candidatesTokenCount":{output}}}"#)
    };
    // Code execution stops twice, and counts less the second time.
    let first = chunk("a", r#","finishReason":"STOP","safetyRatings":[1]"#, &usage(169, 50));
    let last = chunk("b", r#","finishReason":"MAX_TOKENS","safetyRatings":[2]"#, &usage(79, 5));
    let response = answer(&[first, last, r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#.to_owned()]);
    assert_eq!(
        (response.text().as_str(), response.finish.clone(), response.usage.total()),
        ("ab", FinishReason::Length, Some(84))
    );
    let said = |response: &Response, name: &str| {
        response.extra.get(Dialect::Gemini, name).map(|json| json.as_str().to_owned())
    };
    assert_eq!(said(&response, "safetyRatings").as_deref(), Some("[2]"));
    let kept = r#"{"promptTokenCount":79,"candidatesTokenCount":5}"#;
    assert_eq!(said(&response, "usageMetadata").as_deref(), Some(kept));
    // Found in review: figures that come after the finish reason were not kept.
    let after = format!("{{{}}}", &usage(79, 5)[1..]);
    let response = answer(&[chunk("a", STOPS, &usage(1, 1)), after]);
    assert_eq!((said(&response, "usageMetadata").as_deref(), response.usage.total()), (Some(kept), Some(84)));
}

#[test]
fn findings_come_with_any_chunk() {
    let other = r#"{"index":1,"content":{"parts":[{"text":"x"}]}}"#;
    let logprobs = |n: u8| format!(r#","logprobsResult":{{"chosenCandidates":[{n}],"topCandidates":[]}}"#);
    let response = answer(&[
        chunk("a", &logprobs(1), ""),
        chunk("b", r#","groundingMetadata":{"n":1}"#, ""),
        format!(r#"{{"candidates":[{other}]}}"#),
        format!(
            r#"{{"candidates":[{other},{{"index":0,"finishReason":"STOP","finishMessage":"m"{}}}]}}"#,
            logprobs(2)
        ),
    ]);
    let kept: Vec<_> =
        response.extra.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    let others = format!("[{other},{other}]");
    let expected = [
        ("groundingMetadata", r#"{"n":1}"#),
        ("finishMessage", "\"m\""),
        // Lists that grew come last.
        ("logprobsResult.chosenCandidates", "[1,2]"),
        ("logprobsResult.topCandidates", "[]"),
        ("candidates", &others),
    ];
    assert_eq!((kept.as_slice(), response.text().as_str()), (&expected[..], "ab"));
}

/// Of each call: its id, name, arguments and signature.
fn calls(response: &Response) -> Vec<(&str, &str, &str, Option<&str>)> {
    fn call(block: &Block) -> (&str, &str, &str, Option<&str>) {
        let Block::ToolCall(call) = block else { panic!("{block:?}") };
        let signature = call.signature.as_ref().map(|signature| signature.value.as_str());
        (&call.id, &call.name, &call.arguments, signature)
    }
    response.content.iter().map(call).collect()
}

#[test]
fn calls_without_ids_get_one_each() {
    let two = parts(r#"{"functionCall":{"name":"f"}},{"functionCall":{"name":"g","args":{"a":1}}}"#);
    let response = answer(&[&two, &parts(r#"{"functionCall":{"id":"own","name":"f"}}"#), STOP]);
    assert_eq!(
        calls(&response),
        [("gemini_r_0", "f", "{}", None), ("gemini_r_1", "g", r#"{"a":1}"#, None), ("own", "f", "{}", None)]
    );
    assert_eq!(response.finish, FinishReason::ToolCalls);
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
        r#"{"functionCall":{"name":"i","args":{"a":1},"partialArgs":[{"jsonPath":"$.b","boolValue":true}]}}"#,
        r#"{"functionCall":{"name":"h","willContinue":true}}"#,
    ]
    .map(parts);
    let response = answer(&[&chunks[..], &[STOP.to_owned()]].concat());
    let calls: Vec<_> =
        calls(&response).into_iter().map(|(_, name, args, signature)| (name, args, signature)).collect();
    let expected = [
        ("f", r#"{"city":"Boston"}"#, Some("s")),
        ("g", r#"{"n":1}"#, None),
        ("i", r#"{"a":1,"b":true}"#, None),
        ("h", "{}", None),
    ];
    assert_eq!(calls, expected);
    let leap = parts(r#"{"functionCall":{"name":"f","partialArgs":[{"jsonPath":"$.a[999999999]"}]}}"#);
    assert_eq!(failed(&framed(&[leap])), ErrorKind::Unreadable);
}

#[test]
fn a_blocked_prompt_completes_the_answer() {
    let (events, failure) = events(framed(&[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#]));
    assert_eq!(failure, None);
    let reason = FinishReason::ContentFilter;
    let finish = StreamEvent::Finish { reason, raw: "SAFETY".into(), stop_sequence: None };
    assert_eq!((events.first(), events.last()), (Some(&finish), Some(&StreamEvent::End)));
}

#[test]
fn errors_within_a_stream_are_classified() {
    let hello = framed(&[parts(r#"{"text":"Hello"}"#)]);
    let stopped = format!("{hello}{}", framed(&[STOP]));
    let error = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#;
    let cases = [
        (format!("{hello}{}", framed(&[error])), ErrorKind::RateLimited),
        (format!("{hello}{BUSY}"), ErrorKind::Overloaded),
        // The known case: everything was said, and then this.
        (format!("{stopped}{BUSY}"), ErrorKind::Overloaded),
        (format!("{stopped}{}", BUSY.replace('\n', "\r\n")), ErrorKind::Overloaded),
        (format!("{hello}[{BUSY}]"), ErrorKind::Overloaded),
        (format!("{hello}{error}"), ErrorKind::RateLimited),
        (format!("{hello}[noise]\n{error}"), ErrorKind::RateLimited),
        (format!("{stopped}{}", BUSY.trim_end_matches("}\n")), ErrorKind::Interrupted),
        (format!("{hello}{{\"some\": \"JSON\"}}\n"), ErrorKind::Unreadable),
        (framed(&["no JSON"]), ErrorKind::Unreadable),
        (framed(&[r#"{"candidates":7}"#]), ErrorKind::Unreadable),
    ];
    for (body, kind) in cases {
        assert_eq!(failed(&body), kind, "{body}");
    }
    let failure = events(format!("{hello}{BUSY}")).1.expect("a failure");
    assert_eq!((failure.message.as_str(), failure.provider_request_id.as_deref()), ("busy {\"", Some("r")));
}

#[test]
fn what_ends_too_early_is_interrupted() {
    let hello = framed(&[parts(r#"{"text":"Hello"}"#)]);
    let cut = hello.trim_end().trim_end_matches('}');
    let unspecified = r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#;
    let cases = [
        String::new(),
        hello.clone(),
        cut.to_owned(),
        // It went on after the finish reason, so there is more to come.
        format!("{}{cut}", framed(&[STOP])),
        framed(&[unspecified]),
        format!("{hello}[noise]\n"),
    ];
    for body in cases {
        assert_eq!(failed(&body), ErrorKind::Interrupted, "{body}");
    }
    assert_eq!(failed("<html>\n"), ErrorKind::Unreadable);
}

#[test]
fn what_does_no_harm_is_ignored() {
    let hello = parts(r#"{"text":"Hello","videoMetadata":{}}"#);
    let stream = framed(&[&hello, "", r#"{"new":{}}"#, STOP, "[DONE]"]);
    for noise in ["noise", "[noise]", "[log] {braces}", ": comment", "[]]"] {
        assert_eq!(answer_of(&format!("{noise}\r\n{stream}{noise}\n\n")).text(), "Hello", "{noise}");
    }
    for ends in ["\n", "\r", "\r\n"] {
        let stream = stream.replace("\r\n", ends);
        assert_eq!(answer_of(&stream).text(), "Hello");
        assert_eq!(answer_of(stream.trim_end()).text(), "Hello", "without the blank line");
    }
}

#[test]
fn what_is_held_has_bounds() {
    let piece = format!(
        r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"$.a","stringValue":"{}","willContinue":true}}],"willContinue":true}}}}"#,
        "x".repeat(1 << 20)
    );
    let mut chunks = vec![parts(r#"{"functionCall":{"name":"f","willContinue":true}}"#)];
    chunks.extend(std::iter::repeat_n(parts(&piece), 5));
    assert_eq!(failed(&framed(&chunks)), ErrorKind::Unreadable);
}

/// The decoder holds no more after a long stream than after a short one.
#[test]
fn memory_does_not_grow_with_the_stream() {
    let held = |rounds: u32| {
        let mut decoder = StreamDecoder::new(Dialect::Gemini, sse::Limits::default());
        let measured = allocation_counter::measure(|| {
            let mut push = |body: String| {
                decoder.push(Bytes::from(body));
                while decoder.next_event().expect("valid").is_some() {}
            };
            for _ in 0..rounds {
                push(framed(&[
                    chunk(
                        &"x".repeat(100),
                        r#","groundingMetadata":{"n":1}"#,
                        r#","usageMetadata":{"promptTokenCount":1}"#,
                    ),
                    parts(r#"{"text":"t","thought":true,"thoughtSignature":"s"},{"executableCode":{}}"#),
                    parts(r#"{"functionCall":{"name":"f","args":{}}}"#),
                    parts(r#"{"functionCall":{"name":"f","willContinue":true}}"#),
                    parts(r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"b"}]}}"#),
                    STOP.to_owned(),
                ]));
                push("noise\n[noise]\n".to_owned());
            }
        });
        measured.bytes_current
    };
    let (short, long) = (held(10), held(1000));
    // A little noise is kept, should it be part of an error.
    assert!(long <= short + 2 * MAX_FOREIGN as i64, "{short} bytes became {long}");
    assert!(held(4000) <= long + MAX_FOREIGN as i64);
}

/// Found in review: what is beside a text or a call was lost.
#[test]
fn what_is_beside_a_part_is_kept() {
    let text = parts(r#"{"text":"a","partMetadata":{"n":1}}"#);
    let call = parts(r#"{"functionCall":{"name":"f","new":2},"partMetadata":3}"#);
    let response = answer(&[&text, &call, STOP]);
    let get = |nth: usize, name: &str| {
        let extra = response.content.get(nth).and_then(Block::extra);
        extra.and_then(|extra| extra.get(Dialect::Gemini, name)).map(|json| json.as_str().to_owned())
    };
    assert_eq!(get(0, "partMetadata").as_deref(), Some(r#"{"n":1}"#));
    assert_eq!((get(1, "partMetadata").as_deref(), get(1, "new").as_deref()), (Some("3"), Some("2")));
}
