//! From the bytes of a streamed answer to typed events, for each dialect.
//!
//! Text deltas of about 300 bytes, in chunks of 16 KiB. Beside them the least
//! that any decoder of OpenAI's chunks does: `serde_json` into a borrowed
//! struct with nothing but the text, on payloads that are cut out already.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use leverframe_core::model::{Dialect, StreamEvent};
use leverframe_http::{codec::StreamDecoder, sse::Limits};
use serde::Deserialize;

const CHUNK: usize = 16 << 10;
const EVENTS: usize = 4096;
const EVENT: usize = 300;

/// An event's payload with a filler for its length.
fn payload(dialect: Dialect) -> (&'static str, String) {
    let text = "the quick brown fox";
    match dialect {
        Dialect::Anthropic => (
            "event: content_block_delta\n",
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}~"}}}}"#
            ),
        ),
        Dialect::Gemini => (
            "",
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}~"}}],"role":"model"}},"index":0}}],"usageMetadata":{{"promptTokenCount":12,"candidatesTokenCount":34,"totalTokenCount":46}},"modelVersion":"gemini-3-flash","responseId":"abcdefghijkl"}}"#
            ),
        ),
        Dialect::OpenAiChat => (
            "",
            format!(
                r#"{{"id":"chatcmpl-abcdefghijklmnopqrstuvwxyz","object":"chat.completion.chunk","created":1787000000,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{{"content":"{text}~"}},"logprobs":null,"finish_reason":null}}],"obfuscation":"abcdef"}}"#
            ),
        ),
        Dialect::OpenAiResponses => (
            "event: response.output_text.delta\n",
            format!(
                r#"{{"type":"response.output_text.delta","item_id":"msg_0123456789abcdef0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":"{text}~","logprobs":[],"obfuscation":"abcdefgh","sequence_number":17}}"#
            ),
        ),
    }
}

/// The beginning that every stream of the dialect has.
fn opening(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"content\":[]}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        ),
        Dialect::Gemini | Dialect::OpenAiChat => "",
        Dialect::OpenAiResponses => {
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"g\"}}\n\n"
        }
    }
}

/// A stream of `EVENTS` text deltas, padded to `EVENT` bytes each.
fn stream(dialect: Dialect) -> Vec<Bytes> {
    let (line, payload) = payload(dialect);
    let used = line.len() + "data: \n\n".len() + payload.len() - 1;
    let payload = payload.replace('~', &"x".repeat(EVENT.saturating_sub(used)));
    let text = opening(dialect).to_owned() + &format!("{line}data: {payload}\n\n").repeat(EVENTS);
    text.as_bytes().chunks(CHUNK).map(|chunk| BytesMut::from(chunk).split().freeze()).collect()
}

fn decode(dialect: Dialect, chunks: &[Bytes]) -> usize {
    let mut decoder = StreamDecoder::new(dialect, Limits::default());
    let mut deltas = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Ok(Some(event)) = decoder.next_event() {
            deltas += usize::from(matches!(black_box(event), StreamEvent::TextDelta { .. }));
        }
    }
    deltas
}

/// The least: the text of a chunk and nothing else.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    content: &'a str,
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec: text deltas");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let (_, payload) = payload(Dialect::OpenAiChat);
    let payloads = vec![payload.replace('~', ""); EVENTS];
    group.bench_function("serde_json, the text of an OpenAI chunk alone", |b| {
        b.iter(|| {
            for payload in &payloads {
                let chunk: Chunk<'_> = serde_json::from_str(black_box(payload)).expect("a chunk");
                black_box(chunk.choices[0].delta.content);
            }
        });
    });
    for dialect in Dialect::ALL {
        let chunks = stream(dialect);
        assert_eq!(decode(dialect, &chunks), EVENTS);
        let id = BenchmarkId::from_parameter(dialect);
        group.bench_function(id, |b| b.iter(|| decode(dialect, black_box(&chunks))));
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
