//! Reading a whole answer.
//!
//! A stream's chunks are whole answers, so this reads a stream of one chunk:
//! both ways cannot differ. An array of them, which is what
//! `streamGenerateContent` gives without `alt=sse`, reads as a stream, too.

use std::collections::VecDeque;

use bytestring::ByteString;
use http::HeaderMap;
use leverframe_core::{
    error::Failure,
    model::{FinishReason, Partial, Response, StreamEvent},
};
use serde_json::value::RawValue;

use super::stream::Reader;
use crate::codec::failure::{position, unreadable};

/// What is expected of a body.
const EXPECTED: &str = "a Gemini answer with candidates";

/// Reads the body of a successful answer. Gemini's headers say nothing of it.
pub(in crate::codec) fn decode(_headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    let mut reader = Reader::default();
    let mut events = VecDeque::new();
    for chunk in chunks(text)? {
        reader.chunk(&ByteString::from(chunk), &mut events)?;
    }
    if !reader.complete(&mut events) {
        return Err(unreadable(EXPECTED, text));
    }
    Ok(fold(events))
}

fn chunks(text: &str) -> Result<Vec<&str>, Failure> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text]);
    }
    serde_json::from_str::<Vec<&RawValue>>(text)
        .map(|chunks| chunks.into_iter().map(RawValue::get).collect())
        .map_err(|source| unreadable(EXPECTED, text).with_source(position(&source)))
}

fn fold(events: impl IntoIterator<Item = StreamEvent>) -> Response {
    let mut response = Response::new(Vec::new(), FinishReason::Other);
    let mut partial = Partial::new();
    for event in events {
        match event {
            StreamEvent::Start { id, model } => {
                response.id = id.map(|id| id.to_string()).or(response.id);
                response.model = model.map(|model| model.to_string()).or(response.model);
            }
            StreamEvent::Finish { reason, raw, .. } => {
                response.finish = reason;
                response.finish_raw = Some(raw.to_string());
            }
            other => partial.push(other),
        }
    }
    response.content = partial.content().cloned().collect();
    response.usage = *partial.usage();
    response
}

#[cfg(test)]
mod tests {
    use leverframe_core::{
        error::ErrorKind,
        model::{Block, Dialect, Thinking, Tokens, ToolCall},
    };

    use super::*;

    fn read(text: &str) -> Result<Response, Failure> {
        decode(&HeaderMap::new(), text)
    }

    fn read_parts(parts: &str) -> Vec<Block> {
        let text = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"STOP"}}],"responseId":"r"}}"#
        );
        read(&text).expect("an answer").content
    }

    fn thinking(text: &str, signature: Option<&str>) -> Block {
        Block::Thinking(Thinking { text: text.to_owned(), signature: signature.map(str::to_owned) })
    }

    fn call(id: &str, arguments: &str, signature: Option<&str>) -> Block {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
        Block::ToolCall(ToolCall { id, name, arguments, signature: signature.map(str::to_owned) })
    }

    #[test]
    fn a_whole_answer() {
        let text = r#"{
            "candidates": [{"content": {"role": "model", "parts": [
                {"text": "let me see", "thought": true}, {"text": "J\u00e4"}, {"text": "!"}]},
                "finishReason": "STOP", "index": 0, "safetyRatings": []}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
            "modelVersion": "gemini-9", "responseId": "abc"}"#;
        let response = read(text).expect("an answer");
        assert_eq!(response.content, [thinking("let me see", None), Block::Text("Jä!".into())]);
        assert_eq!((response.finish, response.finish_raw.as_deref()), (FinishReason::Stop, Some("STOP")));
        assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("abc"), Some("gemini-9")));
        assert_eq!((response.usage.input, response.usage.total()), (Tokens::Reported(3), Some(5)));
    }

    #[test]
    fn parts_become_blocks() {
        let code = r#"{"executableCode": {"language":"PYTHON"}, "thoughtSignature":"s"}"#;
        let picture = r#"{"inlineData":{"mimeType":"image/png","data":"AA=="}}"#;
        let cases = [
            (r#"{"text":"a"},{"text":""},{"text":"b"}"#, vec![Block::Text("ab".into())]),
            (
                r#"{"text":"a"},{"text":"b","thoughtSignature":"s"},{"text":"c"}"#,
                vec![
                    Block::Text("a".into()),
                    thinking("", Some("s")),
                    Block::Text("b".into()),
                    Block::Text("c".into()),
                ],
            ),
            (
                r#"{"text":"a"},{"text":"","thoughtSignature":"s"}"#,
                vec![Block::Text("a".into()), thinking("", Some("s"))],
            ),
            (
                r#"{"text":"a","thought":true},{"text":"b","thought":true,"thoughtSignature":"s"}"#,
                vec![thinking("a", None), thinking("b", Some("s"))],
            ),
            (
                r#"{"functionCall":{"name":"f","args":{"x": 1}},"thoughtSignature":"s"},
                   {"functionCall":{"name":"f"}}, {"functionCall":{"id":"own","name":"f","args":null}}"#,
                vec![
                    call("gemini_r_0", r#"{"x": 1}"#, Some("s")),
                    call("gemini_r_1", "{}", None),
                    call("own", "{}", None),
                ],
            ),
            ("{}", vec![]),
        ];
        for (parts, expected) in cases {
            assert_eq!(read_parts(parts), expected, "{parts}");
        }
        let opaque = read_parts(&format!("{code},{picture}"));
        for (block, json) in opaque.iter().zip([code, picture]) {
            let Block::Opaque(opaque) = block else { panic!("{block:?}") };
            assert_eq!((opaque.dialect, opaque.json.as_str()), (Dialect::Gemini, json));
        }
    }

    #[test]
    fn calls_finish_with_stop_and_a_blocked_prompt_has_no_content() {
        use FinishReason::{ContentFilter, Length, Other, ToolCalls};
        let cases = [
            (
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":1}]}"#,
                ToolCalls,
                Some("1"),
            ),
            (
                r#"{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}]}"#,
                Length,
                Some("MAX_TOKENS"),
            ),
            (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, ContentFilter, Some("SAFETY")),
            (r#"{"candidates":[{"finishReason":"NEW_ONE"}]}"#, Other, Some("NEW_ONE")),
            (r#"{"candidates":[{"index":0}]}"#, Other, None),
            (
                r#"{"promptFeedback":{"blockReason":"MODEL_ARMOR"},"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
                ContentFilter,
                Some("MODEL_ARMOR"),
            ),
        ];
        for (text, finish, raw) in cases {
            let response = read(text).expect(text);
            assert_eq!((response.finish, response.finish_raw.as_deref()), (finish, raw), "{text}");
        }
    }

    #[test]
    fn an_array_of_chunks_reads_as_a_stream() {
        let text = r#"[{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}
            , {"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}]}]"#;
        assert_eq!(read(text).expect("an answer").content, [Block::Text("Hello".into())]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let cases = [
            ("", ErrorKind::Unreadable),
            ("<html>", ErrorKind::Unreadable),
            ("[]", ErrorKind::Unreadable),
            ("[1]", ErrorKind::Unreadable),
            (r#"{"totalTokens":7}"#, ErrorKind::Unreadable),
            (r#"{"candidates":[]}"#, ErrorKind::Unreadable),
            (r#"{"candidates":"many"}"#, ErrorKind::Unreadable),
            (r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#, ErrorKind::Overloaded),
            (
                r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
                ErrorKind::RateLimited,
            ),
        ];
        for (text, kind) in cases {
            let failure = read(text).expect_err(text);
            assert_eq!(failure.kind, kind, "{text}: {failure}");
        }
    }
}
