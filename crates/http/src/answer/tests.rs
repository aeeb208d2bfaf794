//! What is written in a dialect is what our own codec for it reads, and a
//! stream is the same as the whole.

use http::HeaderMap;
use leverframe_core::{
    error::{Clock, ErrorKind},
    model::{Block, FinishReason, Partial, Refusal, Signature, Thinking, Tokens, ToolCall, Usage},
};
use proptest::prelude::*;

use super::*;
use crate::{
    codec::{StreamDecoder, decode, read_error},
    sse::Limits,
};

const DIALECTS: [Dialect; 4] =
    [Dialect::Anthropic, Dialect::Gemini, Dialect::OpenAiChat, Dialect::OpenAiResponses];

fn told() -> Told {
    Told { id: "7".to_owned(), model: "asked-for".to_owned(), created: 1_795_000_000 }
}

fn block() -> impl Strategy<Value = Block> {
    let text = "[a-z\"\\\\\n\u{e9}\u{1f600} ]{1,12}";
    let signature = prop::option::of(
        prop::sample::select(DIALECTS.to_vec())
            .prop_map(|dialect| Signature { dialect, value: "c2lnbmF0dXJl".to_owned() }),
    );
    prop_oneof![
        3 => text.prop_map(Block::text),
        1 => text.prop_map(|text| Block::Refusal(Refusal::from(text.as_str()))),
        2 => (text, signature).prop_map(|(text, signature)| {
            Block::Thinking(Thinking { signature, ..Thinking::new(text) })
        }),
        2 => ("[a-z]{1,8}", "[a-z_]{1,8}", prop::collection::btree_map("[a-z]{1,3}", text, 0..3)).prop_map(
            |(id, name, arguments)| {
                let arguments = serde_json::to_string(&arguments).expect("JSON");
                Block::ToolCall(ToolCall::new(id, name, arguments))
            }
        ),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let finish = prop::sample::select(vec![FinishReason::Stop, FinishReason::Length]);
    let tokens = || prop::option::of(0_u64..1_000_000).prop_map(Tokens::from);
    let usage = (1_u64..100_000, tokens(), 1_u64..100_000, tokens());
    (prop::collection::vec(block(), 1..6), finish, usage).prop_map(
        |(content, finish, (input, cache_read, output, reasoning))| {
            let calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
            let finish = if calls { FinishReason::ToolCalls } else { finish };
            let mut response = Response::new(content, finish);
            response.usage = Usage {
                input: Tokens::Reported(input),
                cache_read,
                output: Tokens::Reported(output),
                reasoning,
                ..Usage::default()
            };
            response
        },
    )
}

/// What every dialect can say of an answer.
#[derive(Debug, PartialEq)]
struct Essence {
    text: String,
    refusal: String,
    thinking: String,
    calls: Vec<(String, String, String)>,
    signatures: Vec<String>,
    finish: FinishReason,
    input: Option<u64>,
    output: Option<u64>,
    cached: u64,
    reasoning: u64,
}

fn essence(dialect: Dialect, response: &Response) -> Essence {
    let (mut text, mut refusal, mut thinking) = (String::new(), String::new(), String::new());
    let (mut calls, mut signatures) = (Vec::new(), Vec::new());
    for block in &response.content {
        match block {
            Block::Text(block) => text.push_str(&block.text),
            // Two of the dialects have no word for it but saying it.
            Block::Refusal(block) => match dialect {
                Dialect::Anthropic | Dialect::Gemini => text.push_str(&block.text),
                Dialect::OpenAiChat | Dialect::OpenAiResponses => refusal.push_str(&block.text),
            },
            Block::Thinking(block) => {
                thinking.push_str(&block.text);
                let signature = block.signature.as_ref().map(|signature| carry::carried(signature, dialect));
                signatures.extend(signature.filter(|value| !value.is_empty()));
            }
            Block::ToolCall(call) => {
                calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
    if dialect == Dialect::OpenAiChat {
        signatures.clear(); // it has no place for them
    }
    Essence {
        text,
        thinking,
        calls,
        signatures,
        finish: match (&response.finish, refusal.is_empty()) {
            // The dialects that know a refusal tell it by what was said.
            (FinishReason::Refusal, false) => FinishReason::Stop,
            (finish, _) => finish.clone(),
        },
        refusal,
        input: response.usage.input_total(),
        output: response.usage.output_total(),
        cached: response.usage.cache_read.value().unwrap_or(0),
        reasoning: response.usage.reasoning.value().unwrap_or(0),
    }
}

/// A stream as a client reads it, cut into pieces of this length.
fn read_stream(dialect: Dialect, bytes: &[u8], length: usize) -> Response {
    let mut decoder = StreamDecoder::new(dialect, Limits::default());
    let mut partial = Partial::new();
    for piece in bytes.chunks(length) {
        decoder.push(bytes::Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next_event().expect("good events") {
            partial.push(event);
        }
    }
    decoder.finish();
    while let Some(event) = decoder.next_event().expect("a good end") {
        partial.push(event);
    }
    partial.whole().expect("whole")
}

fn write_stream(dialect: Dialect, events: &[StreamEvent], form: StreamForm) -> Vec<u8> {
    let mut stream = StreamEncoder::new(dialect, told(), form);
    let mut out = Vec::new();
    events.iter().for_each(|event| stream.push(event, &mut out));
    out
}

proptest! {
    #[test]
    fn a_whole_answer_is_read_as_it_was(response in response()) {
        for dialect in DIALECTS {
            let body = encode_answer(dialect, &told(), &response);
            let read = decode(dialect, &HeaderMap::new(), &body);
            let read = read.unwrap_or_else(|failure| panic!("{dialect}: {failure:?}\n{}", String::from_utf8_lossy(&body)));
            prop_assert_eq!(essence(dialect, &read), essence(dialect, &response), "{}", dialect);
            prop_assert_eq!(read.model.as_deref(), Some("asked-for"));
            prop_assert!(read.id.is_some_and(|id| id.ends_with('7')));
        }
    }

    #[test]
    fn a_stream_is_read_as_it_was(response in response(), length in 1_usize..400) {
        let events = StreamEvent::replay(&response);
        for dialect in DIALECTS {
            let bytes = write_stream(dialect, &events, StreamForm { usage: true, array: false });
            let read = read_stream(dialect, &bytes, length);
            prop_assert_eq!(essence(dialect, &read), essence(dialect, &response), "{}", dialect);
            if dialect == Dialect::Gemini {
                let array = write_stream(dialect, &events, StreamForm { usage: true, array: true });
                let answers: Vec<serde_json::Value> = serde_json::from_slice(&array).expect("an array");
                prop_assert!(!answers.is_empty());
            }
        }
    }

    /// Whatever comes in whatever order makes a stream that ends where the
    /// provider's did, and no tool call or text is lost.
    #[test]
    fn calls_that_interleave_stay_apart(
        pieces in prop::collection::vec((0_u32..3, "[a-z]{1,4}"), 1..20),
    ) {
        let mut events = vec![StreamEvent::Start { id: None, model: None }];
        let mut calls: Vec<(String, String)> = Vec::new();
        for (index, piece) in &pieces {
            let id = format!("call-{index}");
            let place = calls.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                let (id, name) = (id.as_str().into(), "f".into());
                events.push(StreamEvent::ToolCallStart { index: *index, id, name });
                calls.push((format!("call-{index}"), "\"".to_owned()));
                events.push(StreamEvent::ToolCallDelta { index: *index, arguments: "{\"a\":\"".into() });
                calls.len() - 1
            });
            calls[place].1.push_str(piece);
            events.push(StreamEvent::ToolCallDelta { index: *index, arguments: piece.as_str().into() });
        }
        for (id, _) in &calls {
            let index = id.trim_start_matches("call-").parse().expect("a number");
            events.push(StreamEvent::ToolCallDelta { index, arguments: "\"}".into() });
            events.push(StreamEvent::BlockEnd { index });
        }
        let raw = "tool_use".into();
        events.push(StreamEvent::Finish { reason: FinishReason::ToolCalls, raw, stop_sequence: None });
        events.push(StreamEvent::End);
        let mut expected: Vec<_> =
            calls.into_iter().map(|(id, text)| (id, format!("{{\"a\":{text}\"}}"))).collect();
        expected.sort();
        for dialect in DIALECTS {
            let bytes = write_stream(dialect, &events, StreamForm::default());
            let read = read_stream(dialect, &bytes, 64);
            let mut found: Vec<_> = essence(dialect, &read)
                .calls
                .into_iter()
                .map(|(id, _, arguments)| (id, arguments))
                .collect();
            found.sort();
            prop_assert_eq!(&found, &expected, "{}", dialect);
        }
    }
}

#[test]
fn a_stream_that_breaks_off_ends_in_an_error_and_nothing_else() {
    let failure = Failure::new(ErrorKind::Overloaded, "too much to do");
    for dialect in DIALECTS {
        for begun in [false, true] {
            let mut stream = StreamEncoder::new(dialect, told(), StreamForm::default());
            let mut out = Vec::new();
            if begun {
                stream.push(&StreamEvent::TextDelta { index: 0, text: "Hel".into() }, &mut out);
            }
            stream.fail(&failure, &mut out);
            let mut decoder = StreamDecoder::new(dialect, Limits::default());
            decoder.push(out.into());
            decoder.finish();
            let read = std::iter::from_fn(|| decoder.next_event().transpose());
            let error = read.filter_map(Result::err).next().unwrap_or_else(|| panic!("{dialect}: no error"));
            assert_eq!(error.message, "too much to do", "{dialect}");
        }
    }
}

#[test]
fn without_the_providers_end_there_is_no_end() {
    let events = [
        StreamEvent::TextDelta { index: 0, text: "Hello".into() },
        StreamEvent::BlockEnd { index: 0 },
        StreamEvent::Usage(Usage { output: Tokens::Reported(3), ..Usage::default() }),
    ];
    for dialect in DIALECTS {
        let text = String::from_utf8(write_stream(dialect, &events, StreamForm::default())).expect("UTF-8");
        for invented in [
            "[DONE]",
            "message_stop",
            "message_delta",
            "finishReason\":\"",
            "response.completed",
            "finish_reason\":\"",
        ] {
            assert!(!text.contains(invented), "{dialect}: {text}");
        }
    }
}

#[test]
fn every_kind_of_failure_is_read_as_one_that_is_treated_alike() {
    use ErrorKind as K;
    let kinds = [
        (K::Server, K::Server),
        (K::Overloaded, K::Overloaded),
        (K::RateLimited, K::RateLimited),
        (K::QuotaExhausted, K::QuotaExhausted),
        (K::Authentication, K::Authentication),
        (K::Permission, K::Permission),
        (K::ModelNotFound, K::ModelNotFound),
        (K::InvalidRequest, K::InvalidRequest),
        (K::Unsupported, K::InvalidRequest),
        (K::Network, K::Server),
        (K::Unreadable, K::Server),
        (K::Interrupted, K::Server),
        (K::CircuitOpen, K::Overloaded),
        (K::DeadlineExceeded, K::Server),
        (K::Timeout(Clock::Headers), K::Server),
    ];
    for dialect in DIALECTS {
        for (kind, read_as) in kinds {
            let EncodedError { status, body } = encode_error(dialect, &Failure::new(kind, "so it is"), None);
            let read = read_error(dialect, status, &HeaderMap::new(), &body);
            assert_eq!(read.message, "so it is", "{dialect} {kind}");
            let same = read.kind == read_as || read.kind.code() == read_as.code();
            assert!(same || read_as == K::QuotaExhausted, "{dialect}: {kind} is read as {}", read.kind);
        }
    }
}
