//! A stream is the whole answer in pieces, and only when all of it came.

use http::HeaderMap;
use leverframe_core::model::Extra;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::*;
use crate::codec::decode;

/// A part whole, and the parts of a stream that say the same.
type Given = (Value, Vec<Value>);

fn words() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\\n😀]{1,9}"
}

fn text() -> impl Strategy<Value = Given> {
    (words(), 0_usize..5, any::<bool>()).prop_map(|(text, at, thought)| {
        let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
        let part =
            |text: &str| if thought { json!({"text": text, "thought": true}) } else { json!({"text": text}) };
        let (first, rest) = text.split_at(at);
        (part(&text), vec![part(first), part(rest)])
    })
}

fn at_once() -> impl Strategy<Value = Given> {
    select(vec![
        json!({"text": "b", "thoughtSignature": "s"}),
        json!({"text": "b", "thought": true, "thoughtSignature": "s"}),
        json!({"text": "", "thoughtSignature": "s"}),
        json!({"functionCall": {"name": "f", "args": {"x": [1, "ä"]}}, "thoughtSignature": "s"}),
        json!({"functionCall": {"name": "f"}}),
        json!({"functionCall": {"id": "own", "name": "f", "args": {}}}),
        json!({"executableCode": {"code": "1"}, "thoughtSignature": "s"}),
        json!({"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
        json!({"thoughtSignature": "s"}),
    ])
    .prop_map(|part| (part.clone(), vec![part]))
}

fn in_pieces() -> impl Strategy<Value = Given> {
    let piece = |path: &str, text: &str, more: bool| {
        json!({"functionCall": {"willContinue": true,
            "partialArgs": [{"jsonPath": path, "stringValue": text, "willContinue": more}]}})
    };
    Just((
        json!({"functionCall": {"name": "f", "args": {"a": "bc", "d": {"e": "f"}}}}),
        vec![
            json!({"functionCall": {"name": "f", "willContinue": true}}),
            piece("$.a", "b", true),
            piece("$.a", "c", false),
            piece("$.d.e", "f", false),
            json!({"functionCall": {}}),
        ],
    ))
}

#[derive(Clone, Debug)]
struct Answer {
    parts: Vec<Given>,
    /// What ends it, beside its parts.
    candidate: Value,
    usage: Value,
    /// Whether usage comes after the finish reason.
    late: bool,
    other: Option<Value>,
}

fn answers() -> impl Strategy<Value = Answer> {
    let part = prop_oneof![3 => text(), 3 => at_once(), 1 => in_pieces()];
    let candidate = select(vec![
        json!({"finishReason": "STOP", "index": 0}),
        json!({"finishReason": "MAX_TOKENS", "safetyRatings": [{"category": "C"}]}),
        json!({"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["q"]}, "avgLogprobs": -0.5}),
        json!({"finishReason": 1, "logprobsResult": {"chosenCandidates": [{"token": "a"}]}}),
        json!({"finishReason": "CONTINUATION", "continuationToken": "t", "finishMessage": "m"}),
    ]);
    let usage = select(vec![
        json!({"promptTokenCount": 7, "candidatesTokenCount": 9, "totalTokenCount": 16}),
        json!({"promptTokenCount": "7", "thoughtsTokenCount": 3, "cachedContentTokenCount": 2}),
    ]);
    let other = option::of(Just(json!({"index": 1, "content": {"parts": [{"text": "x"}]}})));
    (vec(part, 0..5), candidate, usage, any::<bool>(), other)
        .prop_map(|(parts, candidate, usage, late, other)| Answer { parts, candidate, usage, late, other })
}

impl Answer {
    fn ending(&self, parts: Vec<Value>) -> Value {
        let mut candidate = self.candidate.clone();
        candidate["content"] = json!({"role": "model", "parts": parts});
        let candidates: Vec<_> = [candidate].into_iter().chain(self.other.clone()).collect();
        json!({"candidates": candidates, "modelVersion": "m", "responseId": "r", "createTime": "now"})
    }

    fn whole(&self) -> String {
        let mut whole = self.ending(self.parts.iter().map(|(whole, _)| whole.clone()).collect());
        whole["usageMetadata"] = self.usage.clone();
        whole.to_string()
    }

    fn streamed(&self) -> Vec<String> {
        let pieces = self.parts.iter().flat_map(|(_, pieces)| pieces);
        let mut chunks: Vec<_> = pieces
            .map(|part| {
                json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}],
                "usageMetadata": {"promptTokenCount": 100}, "modelVersion": "m", "responseId": "r"})
            })
            .collect();
        let mut ending = self.ending(Vec::new());
        if self.late {
            chunks.extend([ending, json!({"usageMetadata": self.usage, "responseId": "r"})]);
        } else {
            ending["usageMetadata"] = self.usage.clone();
            chunks.push(ending);
        }
        chunks.iter().map(Value::to_string).collect()
    }
}

/// Fields of an object have no order, and those of an answer come in any.
fn normal(mut response: Response) -> Response {
    let mut fields: Vec<_> = response.extra.into_iter().collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    response.extra = Extra::from_iter(fields);
    response
}

proptest! {
    #[test]
    fn a_stream_is_what_the_whole_answer_would_be(answer in answers()) {
        let (events, failure) = events(framed(&answer.streamed()));
        prop_assert_eq!(failure, None);
        let whole = decode(Dialect::Gemini, &HeaderMap::new(), answer.whole().as_bytes()).expect("an answer");
        let streamed = normal(fold(events).expect("its end"));
        prop_assert_eq!(&streamed, &normal(whole));
        // Without `alt=sse` the chunks come as an array.
        let array = format!("[{}\r\n]", answer.streamed().join("\n,\r\n"));
        let array = decode(Dialect::Gemini, &HeaderMap::new(), array.as_bytes()).expect("an answer");
        prop_assert_eq!(&streamed, &normal(array));
    }

    #[test]
    fn how_the_bytes_are_split_makes_no_difference(answer in answers(), size in 1_usize..50) {
        let body = framed(&answer.streamed());
        let mut decoder = StreamDecoder::new(Dialect::Gemini, sse::Limits::default());
        let mut partial = Partial::new();
        for chunk in body.as_bytes().chunks(size) {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = decoder.next_event().expect("valid") {
                partial.push(event);
            }
        }
        decoder.finish();
        while let Some(event) = decoder.next_event().expect("valid") {
            partial.push(event);
        }
        prop_assert_eq!(partial.whole(), fold(events(body).0));
    }

    #[test]
    fn damaged_streams_are_read_without_panic(
        answer in answers(),
        cut in 0_usize..3000,
        change in (0_usize..3000, any::<u8>()),
        order in vec(0_usize..20, 0..20),
    ) {
        let streamed = answer.streamed();
        let shuffled: Vec<_> = order.iter().filter_map(|at| streamed.get(*at)).collect();
        let mut body = framed(&shuffled).into_bytes();
        if let Some(byte) = body.get_mut(change.0) {
            *byte = change.1;
        }
        body.truncate(cut);
        let _ = decode(Dialect::Gemini, &HeaderMap::new(), &body);
        let (events, failure) = events(body);
        prop_assert!(failure.is_none() || !events.contains(&StreamEvent::End));
    }
}

/// Wherever a body is cut, it was interrupted: nobody takes half for the whole.
#[test]
fn a_body_that_is_cut_is_interrupted() {
    let chunks = [
        parts(r#"{"text":"håll 😀","thought":true}"#),
        parts(r#"{"text":"{\"}","thoughtSignature":"s"}"#),
        parts(r#"{"functionCall":{"name":"f","willContinue":true}}"#),
        parts(r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"b"}]}}"#),
        chunk("!", STOPS, r#","usageMetadata":{"promptTokenCount":1}"#),
    ];
    for body in [framed(&chunks), framed(&chunks).replace("\r\n", "\n")] {
        // The chunk is whole without the blank line after it.
        let whole = body.trim_end().len();
        for cut in 0..whole {
            let (given, failure) = events(Bytes::copy_from_slice(&body.as_bytes()[..cut]));
            let kind = failure.map(|failure| failure.kind);
            assert_eq!(
                kind,
                Some(ErrorKind::Interrupted),
                "{}",
                String::from_utf8_lossy(&body.as_bytes()[..cut])
            );
            assert!(!given.contains(&StreamEvent::End));
        }
        assert_eq!(events(body[..whole].to_owned()).1, None);
    }
}
