//! What the fuzz targets check, one function each.
//!
//! The functions panic when a check fails. They know nothing of libFuzzer, so
//! the tests below run the same checks on the seeds and on mutations of them.
//!
//! The input of a streamed target is a line that says how to cut, then a body.
//! Each letter of the line is the length of a chunk: `A` is one byte, `Z` is
//! 26, `@` none; in general the low five bits. The line is repeated until the
//! body is used up. The answer of `error` and `hints` looks like HTTP: a
//! status, headers, a blank line, a body; `hints` has the headers alone.

use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use leverframe_core::{
    error::{ErrorKind, Exposure, Failure},
    model::{Dialect, Losses, Partial, Request, StreamEvent},
};
use leverframe_http::{
    codec::{self, Call, Compat, Endpoint, StreamDecoder},
    hints,
    sse::{Decoder, Item, Limits, SseError},
};

/// Limits that are never reached here, and limits that often are.
const LIMITS: [Limits; 2] = [Limits { line: 8 << 20, event: 16 << 20 }, Limits { line: 160, event: 240 }];

/// Most letters of the line that says how to cut.
const MAX_LETTERS: usize = 16;

/// Event streams: however the bytes are cut, the items and the error are the
/// same, there are no more items than bytes, and nothing follows the end.
pub fn sse(input: &[u8]) {
    for limits in LIMITS {
        same_however_cut(input, |chunks, queued| read_items(limits, chunks, queued));
    }
}

/// [`StreamDecoder`] for Anthropic.
pub fn stream_anthropic(input: &[u8]) {
    stream(Dialect::Anthropic, input);
}

/// [`StreamDecoder`] for Gemini.
pub fn stream_gemini(input: &[u8]) {
    stream(Dialect::Gemini, input);
}

/// [`StreamDecoder`] for OpenAI Chat Completions.
pub fn stream_openai_chat(input: &[u8]) {
    stream(Dialect::OpenAiChat, input);
}

/// [`StreamDecoder`] for OpenAI Responses.
pub fn stream_openai_responses(input: &[u8]) {
    stream(Dialect::OpenAiResponses, input);
}

/// Requests as clients write them: any body is read or refused, and what is
/// read and written again without loss reads the same. Written for another
/// dialect it is JSON or a typed error, and what is lost is listed.
pub fn request(input: &[u8]) {
    for dialect in Dialect::ALL {
        let asked = match codec::read_request(dialect, input) {
            Ok(asked) => asked,
            Err(failure) => {
                assert_eq!(failure.kind, ErrorKind::InvalidRequest, "{dialect}: {failure}");
                continue;
            }
        };
        let request = asked.request.clone().losses(Losses::Allow);
        for other in Dialect::ALL {
            let Some((body, losses)) = write(other, &request, asked.stream) else { continue };
            serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("what is written is JSON");
            if other == dialect && losses == 0 {
                same_again(dialect, asked.stream, &request, &body);
            }
        }
    }
}

fn write(dialect: Dialect, request: &Request, stream: bool) -> Option<(Bytes, usize)> {
    let endpoint = Endpoint::new(dialect, "http://127.0.0.1", "key".into()).expect("an endpoint");
    // Nothing is lost to what a server may not have.
    let endpoint = endpoint.with_compat(Compat { cache_control: true, top_k: true, ..Compat::default() });
    let model = if request.model.is_empty() { "m" } else { request.model.as_str() };
    match codec::encode(&endpoint, Call { request, model, stream }) {
        Ok(encoded) => Some((encoded.request.into_body(), encoded.losses.len())),
        Err(failure) => {
            let kinds = [ErrorKind::InvalidRequest, ErrorKind::Unsupported];
            assert!(kinds.contains(&failure.kind), "{dialect}: {failure}");
            None
        }
    }
}

/// What was written reads as something that is written in the same way.
fn same_again(dialect: Dialect, stream: bool, request: &Request, body: &Bytes) {
    let again = codec::read_request(dialect, body)
        .unwrap_or_else(|failure| panic!("{dialect}: written {body:?} and not read: {failure}"));
    let mut again = again.request.losses(Losses::Allow);
    if again.model.is_empty() {
        again.model.clone_from(&request.model);
    }
    let (twice, losses) = write(dialect, &again, stream).expect("it was written once");
    assert_eq!((twice, losses), (body.clone(), 0), "{dialect}");
}

/// Whole answers: any body is an answer or a failure, in every dialect.
pub fn response(input: &[u8]) {
    for dialect in Dialect::ALL {
        match codec::decode(dialect, &HeaderMap::new(), input) {
            Ok(response) => {
                assert!(response.text().len() <= input.len().saturating_mul(2), "text out of nowhere");
            }
            Err(failure) => {
                check_failure(&failure);
                if std::str::from_utf8(input).is_err() {
                    assert_eq!(failure.kind, ErrorKind::Unreadable);
                }
            }
        }
    }
}

/// Error answers: any status, headers and body are classified.
pub fn error(input: &[u8]) {
    let (first, rest) = line(input);
    let status = std::str::from_utf8(first).ok().and_then(|text| text.trim().parse().ok());
    let status =
        status.unwrap_or_else(|| first.iter().fold(0, |sum: u16, byte| (sum << 8) | u16::from(*byte)));
    let (headers, body) = headers(rest);
    for dialect in Dialect::ALL {
        let failure = codec::read_error(dialect, status, &headers, body);
        assert_eq!(failure.status, Some(status), "{dialect}");
        check_failure(&failure);
        assert_eq!(failure, codec::read_error(dialect, status, &headers, body));
    }
}

/// Headers that say when to come back: the wait is bounded, and what one
/// header asks for is not shortened by another.
pub fn hints(input: &[u8]) {
    let (all, _) = headers(input);
    let wait = hints::read(&all);
    assert!(wait <= Some(hints::LONGEST), "{wait:?}");
    for alone in ["retry-after", "retry-after-ms"] {
        let kept = ["date", alone]
            .into_iter()
            .filter_map(|name| Some((HeaderName::from_static(name), all.get(name)?.clone())));
        assert!(hints::read(&kept.collect()) <= wait, "{alone} was shortened");
    }
}

/// However the bytes are cut, the events and the outcome are the same.
fn stream(dialect: Dialect, input: &[u8]) {
    for limits in LIMITS {
        same_however_cut(input, |chunks, queued| read_stream(dialect, limits, chunks, queued));
    }
}

/// Reads the body in one piece, cut as the input says, the same with all
/// chunks pushed before the first item is taken, and byte by byte.
fn same_however_cut<T: PartialEq + Debug>(input: &[u8], read: impl Fn(&[Bytes], bool) -> T) {
    let (letters, body) = line(input);
    let whole = read(&[Bytes::copy_from_slice(body)], false);
    let chunks = cut(letters, body);
    assert_eq!(whole, read(&chunks, false), "cut");
    assert_eq!(whole, read(&chunks, true), "cut and queued");
    assert_eq!(whole, read(&cut(b"A", body), false), "byte by byte");
}

fn cut(letters: &[u8], body: &[u8]) -> Vec<Bytes> {
    let sizes: Vec<_> = letters.iter().take(MAX_LETTERS).map(|letter| usize::from(letter & 31)).collect();
    let mut chunks = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        if sizes.iter().all(|size| *size == 0) {
            chunks.push(Bytes::copy_from_slice(rest));
            break;
        }
        for size in &sizes {
            let (chunk, tail) = rest.split_at(rest.len().min(*size));
            chunks.push(Bytes::copy_from_slice(chunk));
            rest = tail;
        }
    }
    chunks
}

fn read_items(limits: Limits, chunks: &[Bytes], queued: bool) -> (Vec<Item>, Option<SseError>) {
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    let mut decoder = Decoder::new(limits);
    let mut items = Vec::new();
    let mut read = || -> Result<(), SseError> {
        let mut keep = |item| {
            items.push(item);
            assert!(items.len() <= bytes, "more items than bytes");
        };
        for chunk in chunks {
            decoder.push(chunk.clone());
            while !queued && let Some(item) = decoder.next_item()? {
                keep(item);
            }
        }
        while let Some(item) = decoder.next_item()? {
            keep(item);
        }
        while let Some(item) = decoder.finish()? {
            keep(item);
        }
        Ok(())
    };
    let error = read().err();
    decoder.push(Bytes::from_static(b"data: late\n\n"));
    let after = error.map_or(Ok(None), Err);
    assert_eq!((decoder.next_item(), decoder.finish()), (after.clone(), after), "after the end");
    (items, error)
}

fn read_stream(
    dialect: Dialect,
    limits: Limits,
    chunks: &[Bytes],
    queued: bool,
) -> (Vec<StreamEvent>, Option<Failure>) {
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    let mut decoder = StreamDecoder::new(dialect, limits);
    let mut events = Vec::new();
    let mut failure: Option<Failure> = None;
    let mut take = |decoder: &mut StreamDecoder| loop {
        match decoder.next_event() {
            Ok(None) => break,
            Ok(Some(event)) => {
                assert!(failure.is_none(), "{event:?} after {failure:?}");
                events.push(event);
                assert!(events.len() <= 2 * bytes + 8, "more events than the bytes can hold");
            }
            Err(error) => {
                assert!(failure.is_none(), "{error:?} after {failure:?}");
                failure = Some(error);
            }
        }
    };
    for chunk in chunks {
        decoder.push(chunk.clone());
        if !queued {
            take(&mut decoder);
        }
    }
    take(&mut decoder);
    decoder.finish();
    take(&mut decoder);
    decoder.push(Bytes::from_static(b"data: {}\n\n"));
    take(&mut decoder);
    check_events(&events, failure.as_ref());
    (events, failure)
}

/// An answer ends in exactly one of `End` and a failure.
fn check_events(events: &[StreamEvent], failure: Option<&Failure>) {
    let ends = events.iter().filter(|event| **event == StreamEvent::End).count();
    assert_eq!(ends + usize::from(failure.is_some()), 1, "{ends} ends and {failure:?}");
    assert_eq!(ends == 1, events.last() == Some(&StreamEvent::End), "an event after the end");
    let mut partial = Partial::new();
    for event in events {
        partial.push(event.clone());
    }
    assert_eq!(partial.is_whole(), ends == 1);
    if let Some(failure) = failure {
        check_failure(failure);
    }
}

fn check_failure(failure: &Failure) {
    assert!(failure.retry_after <= Some(hints::LONGEST), "{failure:?}");
    assert!(!failure.to_string().is_empty());
    let _ = failure.kind.decision(Exposure::Unseen);
}

/// The first line and what follows it.
fn line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// Headers that are read, so that a line without a name still is one of them.
const NAMES: [&str; 12] = [
    "date",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-should-retry",
    "request-id",
    "x-request-id",
];

/// Headers up to a blank line, and what follows it.
fn headers(mut input: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while !input.is_empty() {
        let (text, rest) = line(input);
        input = rest;
        let Some((first, tail)) = text.split_first() else { break };
        let named = text.iter().position(|byte| *byte == b':').and_then(|end| {
            let name = HeaderName::from_bytes(&text[..end]).ok()?;
            Some((name, text[end + 1..].trim_ascii()))
        });
        let (name, value) = named
            .unwrap_or_else(|| (HeaderName::from_static(NAMES[usize::from(*first) % NAMES.len()]), tail));
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    (headers, input)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use fastrand::Rng;

    const ROUNDS: usize = 400;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        let mut files: Vec<_> = fs::read_dir(folder)
            .expect("a folder of seeds")
            .map(|file| file.expect("a file").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{target} has no seeds");
        files.into_iter().map(|file| fs::read(file).expect("readable")).collect()
    }

    /// A few edits: bytes changed, ranges removed, repeated, or taken from elsewhere.
    fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..=input.len());
            let to = input.len().min(at + rng.usize(1..40));
            match rng.u8(..6) {
                0 if at < input.len() => input[at] = rng.u8(..),
                1 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
                2 => drop(input.drain(at..to)),
                3 => input.extend_from_within(at..to),
                4 => {
                    let from = rng.usize(..=other.len());
                    let piece = &other[from..other.len().min(from + 60)];
                    drop(input.splice(at..at, piece.iter().copied()));
                }
                _ => input.insert(at, *rng.choice(b"\r\n:\" {}[]0-\xFF\xEF\xBB\xBF").expect("not empty")),
            }
        }
    }

    fn run(target: &str, check: fn(&[u8])) {
        let seeds = seeds(target);
        seeds.iter().for_each(|seed| check(seed));
        let mut rng = Rng::with_seed(7);
        for _ in 0..ROUNDS {
            let mut input = rng.choice(&seeds).expect("seeds").clone();
            let other = rng.choice(&seeds).expect("seeds").clone();
            mutate(&mut rng, &mut input, &other);
            check(&input);
            let noise: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
            check(&noise);
        }
    }

    macro_rules! smoke {
        ($($target:ident)*) => {$(
            #[test]
            fn $target() {
                run(stringify!($target), super::$target);
            }
        )*};
    }

    smoke! {
        sse stream_anthropic stream_gemini stream_openai_chat stream_openai_responses response request error
        hints
    }
}
