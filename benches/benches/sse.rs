//! The event stream decoder against `sse-stream` and `sse-core`, the fastest
//! crates we know.
//!
//! One stream of 317-byte events, cut four ways. All take the same `Bytes` and
//! validate UTF-8; ours caps lines and events and does not copy, theirs copy
//! into a `String`.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{Stream as _, stream};
use leverframe_http::sse::{Decoder, Limits};
use sse_core::SseDecoder;
use sse_stream::SseByteStream;

const EVENT: usize = 317;

/// About `bytes` bytes of events in chunks of `size`, shared as hyper's are.
fn chunks(bytes: usize, size: usize) -> (Vec<Bytes>, usize) {
    let (head, tail) = ("data: {\"delta\":\"", "\"}\n\n");
    let event = format!("{head}{}{tail}", "x".repeat(EVENT - head.len() - tail.len()));
    let count = bytes / EVENT;
    let text = event.repeat(count);
    let chunks = text.as_bytes().chunks(size).map(|chunk| BytesMut::from(chunk).split().freeze()).collect();
    (chunks, count)
}

fn ours(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new(Limits::default());
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Ok(Some(item)) = decoder.next_item() {
            black_box(item);
            events += 1;
        }
    }
    events
}

fn theirs(chunks: &[Bytes]) -> usize {
    let mut decoder = pin!(SseByteStream::new(stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>))));
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(Some(Ok(item))) = decoder.as_mut().poll_next(&mut context) {
        black_box(item);
        events += 1;
    }
    events
}

fn core(chunks: &[Bytes]) -> usize {
    let mut decoder = SseDecoder::new();
    let mut events = 0;
    for chunk in chunks {
        let mut chunk = chunk.clone();
        while let Some(Ok(item)) = decoder.next(&mut chunk) {
            black_box(item);
            events += 1;
        }
    }
    events
}

fn sse(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    for (name, bytes, size) in [
        ("16 KiB chunks", 8 << 20, 16 << 10),
        ("1460-byte chunks", 8 << 20, 1460),
        ("an event a chunk", 8 << 20, EVENT),
        ("1-byte chunks", 64 << 10, 1),
    ] {
        let (chunks, events) = chunks(bytes, size);
        assert_eq!((ours(&chunks), theirs(&chunks), core(&chunks)), (events, events, events));
        group.throughput(Throughput::Bytes((events * EVENT) as u64));
        group.bench_function(BenchmarkId::new("leverframe", name), |b| b.iter(|| ours(black_box(&chunks))));
        group.bench_function(BenchmarkId::new("sse-stream", name), |b| b.iter(|| theirs(black_box(&chunks))));
        group.bench_function(BenchmarkId::new("sse-core", name), |b| b.iter(|| core(black_box(&chunks))));
    }
    group.finish();
}

criterion_group!(benches, sse);
criterion_main!(benches);
