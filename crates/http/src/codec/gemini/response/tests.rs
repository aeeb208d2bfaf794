//! Tests of the file beside this folder.

use leverframe_core::{
    error::ErrorKind,
    model::{Block, Dialect, Extra, FinishReason, Json, Opaque, Signature, Text, Thinking, Tokens, ToolCall},
};

use super::*;

fn read(text: &str) -> Result<Response, Failure> {
    decode(&HeaderMap::new(), text)
}

fn blocks(parts: &str) -> Vec<Block> {
    let text = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"STOP"}}],"responseId":"r"}}"#
    );
    read(&text).expect(parts).content
}

fn signed(value: &str) -> Option<Signature> {
    Some(Signature { dialect: Dialect::Gemini, value: value.to_owned() })
}

fn extra(fields: &[(&str, &str)]) -> Extra {
    let field = |(name, json): &(&str, &str)| leverframe_core::model::Field {
        dialect: Dialect::Gemini,
        name: (*name).to_owned(),
        value: Json::parse(*json).expect("JSON"),
    };
    fields.iter().map(field).collect()
}

fn kept(response: &Response) -> Vec<(&str, &str)> {
    response.extra.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}

#[test]
fn a_whole_answer() {
    let usage =
        r#"{"promptTokenCount":3,"candidatesTokenCount":"2","thoughtsTokenCount":4.0,"totalTokenCount":9}"#;
    let text = format!(
        r#"{{"candidates": [{{"content": {{"role": "model", "parts": [
                {{"text": "let me see", "thought": true}}, {{"text": "J\u00e4"}}, {{"text": "!"}}]}},
                "finishReason": "STOP", "index": 0, "safetyRatings": []}}],
            "usageMetadata": {usage}, "modelVersion": "gemini-9", "responseId": "abc"}}"#
    );
    let content = vec![Block::Thinking(Thinking::new("let me see")), Block::text("Jä!")];
    let mut expected = Response::new(content, FinishReason::Stop);
    (expected.id, expected.model) = (Some("abc".to_owned()), Some("gemini-9".to_owned()));
    expected.finish_raw = Some("STOP".to_owned());
    // Numbers may be strings, and whole numbers fractions.
    expected.usage.input = Tokens::Reported(3);
    expected.usage.output = Tokens::Reported(2);
    expected.usage.reasoning = Tokens::Reported(4);
    expected.extra = extra(&[("safetyRatings", "[]"), ("usageMetadata", usage)]);
    assert_eq!(read(&text).expect("an answer"), expected);
}

#[test]
fn parts_become_blocks() {
    let call = |id: &str, arguments: &str, signature: Option<Signature>| {
        Block::ToolCall(ToolCall { signature, ..ToolCall::new(id, "f", arguments) })
    };
    let text =
        |text: &str, signature: &str| Block::Text(Text { signature: signed(signature), ..Text::new(text) });
    let thinking = |text: &str, signature: Option<Signature>| {
        Block::Thinking(Thinking { signature, ..Thinking::new(text) })
    };
    let cases = [
        (r#"{"text":"a"},{"text":""},{"text":"b"}"#, vec![Block::text("ab")]),
        (
            r#"{"text":"a"},{"text":"b","thoughtSignature":"s"},{"text":"c"}"#,
            vec![Block::text("a"), text("b", "s"), Block::text("c")],
        ),
        (r#"{"text":"a"},{"text":"","thoughtSignature":"s"}"#, vec![Block::text("a"), text("", "s")]),
        (r#"{"text":"a","thoughtSignature":""},{"text":"b"}"#, vec![Block::text("ab")]),
        (
            r#"{"text":"a","thought":true},{"text":"b","thought":true,"thoughtSignature":"s"},{"text":"c","thought":true}"#,
            vec![thinking("a", None), thinking("b", signed("s")), thinking("c", None)],
        ),
        (r#"{"text":"a","thought":true},{"text":"b"}"#, vec![thinking("a", None), Block::text("b")]),
        (
            r#"{"functionCall":{"name":"f","args":{"x": 1}},"thoughtSignature":"s"},
               {"functionCall":{"name":"f"}}, {"functionCall":{"id":"own","name":"f","args":null}}"#,
            vec![
                call("gemini_r_0", r#"{"x": 1}"#, signed("s")),
                call("gemini_r_1", "{}", None),
                call("own", "{}", None),
            ],
        ),
        ("{}", vec![]),
    ];
    for (parts, expected) in cases {
        assert_eq!(blocks(parts), expected, "{parts}");
    }
    for json in [
        r#"{"executableCode": {"language":"PYTHON"}, "thoughtSignature":"s"}"#,
        r#"{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}}"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"AA=="}}"#,
        r#"{"toolCall":{"id":"1","toolType":"GOOGLE_SEARCH_WEB"}}"#,
        r#"{"thoughtSignature":"s"}"#,
        r#"{"brandNew":[ 1 ]}"#,
    ] {
        let opaque =
            Block::Opaque(Opaque { dialect: Dialect::Gemini, json: Json::parse(json).expect("JSON") });
        assert_eq!(blocks(&format!(r#"{{"text":"a"}},{json}"#)), [Block::text("a"), opaque]);
    }
}

#[test]
fn every_way_to_finish() {
    use FinishReason::{ContentFilter, Error, Length, Other, Pause, Stop, ToolCalls};
    let cases = [
        (
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":1}]}"#,
            ToolCalls,
            Some("1"),
        ),
        (
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"MAX_TOKENS"}]}"#,
            Length,
            Some("MAX_TOKENS"),
        ),
        (r#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}"#, Stop, Some("STOP")),
        (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, ContentFilter, Some("SAFETY")),
        (r#"{"candidates":[{"finishReason":"CONTINUATION"}]}"#, Pause, Some("CONTINUATION")),
        (
            r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#,
            Error,
            Some("MALFORMED_FUNCTION_CALL"),
        ),
        (r#"{"candidates":[{"finishReason":"NEW_ONE"}]}"#, Other, Some("NEW_ONE")),
        (r#"{"candidates":[{"index":0}]}"#, Other, None),
        (
            r#"{"promptFeedback":{"blockReason":"MODEL_ARMOR"},"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
            ContentFilter,
            Some("MODEL_ARMOR"),
        ),
        (
            r#"{"promptFeedback":{"blockReason":"JAILBREAK"},"candidates":[]}"#,
            ContentFilter,
            Some("JAILBREAK"),
        ),
    ];
    for (text, finish, raw) in cases {
        let response = read(text).expect(text);
        assert_eq!((response.finish, response.finish_raw.as_deref()), (finish, raw), "{text}");
        assert_eq!(response.usage.total(), None);
    }
}

#[test]
fn what_is_not_modelled_is_kept_by_name() {
    let candidate = |fields: &str| format!(r#"{{"candidates":[{{"finishReason":"STOP",{fields}}}]}}"#);
    let grounding = r#"{"webSearchQueries":["q"],"groundingChunks":[{"web":{"uri":"u"}}]}"#;
    let other = r#"{"index":1,"content":{"parts":[{"text":"b"}]}}"#;
    let others = format!("[{other}]");
    let cases = [
        (candidate(&format!(r#""groundingMetadata":{grounding}"#)), vec![("groundingMetadata", grounding)]),
        (
            candidate(r#""safetyRatings":[{"category":"C"}],"finishMessage":"m","continuationToken":"t""#),
            vec![("safetyRatings", r#"[{"category":"C"}]"#), ("finishMessage", "\"m\""), ("continuationToken", "\"t\"")],
        ),
        (
            candidate(r#""citationMetadata":{"citationSources":[]},"urlContextMetadata":{},"avgLogprobs":-0.5,"new":1"#),
            vec![("citationMetadata", r#"{"citationSources":[]}"#), ("urlContextMetadata", "{}"), ("avgLogprobs", "-0.5"), ("new", "1")],
        ),
        (
            candidate(r#""logprobsResult":{"chosenCandidates":[{"token":"a"}],"topCandidates":[]}"#),
            vec![("logprobsResult.chosenCandidates", r#"[{"token":"a"}]"#), ("logprobsResult.topCandidates", "[]")],
        ),
        (
            format!(r#"{{"candidates":[{other},{{"index":0,"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"STOP"}}]}}"#),
            vec![("candidates", others.as_str())],
        ),
        (
            r#"{"candidates":[{"finishReason":"STOP"}],"createTime":"now","modelStatus":{"stage":"S"},"promptFeedback":{"safetyRatings":[]}}"#.to_owned(),
            vec![("createTime", "\"now\""), ("modelStatus", r#"{"stage":"S"}"#), ("promptFeedback", r#"{"safetyRatings":[]}"#)],
        ),
        (
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"trafficType":"ON_DEMAND"}}"#.to_owned(),
            vec![("promptFeedback", r#"{"blockReason":"SAFETY"}"#), ("usageMetadata", r#"{"trafficType":"ON_DEMAND"}"#)],
        ),
    ];
    for (text, expected) in &cases {
        assert_eq!(kept(&read(text).expect(text)), *expected);
    }
    assert_eq!(read(&cases[4].0).expect("an answer").text(), "a");
}

#[test]
fn usage_of_another_shape_does_not_spoil_the_answer() {
    for usage in [
        "null",
        "{}",
        r#"{"promptTokenCount":"many"}"#,
        r#"{"promptTokenCount":-1}"#,
        r#"{"promptTokenCount":{}}"#,
        "7",
        r#"{"promptTokensDetails":7}"#,
        r#"{"promptTokensDetails":[7]}"#,
        r#"{"candidatesTokensDetails":[{"modality":{},"tokenCount":1}]}"#,
    ] {
        let text = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
        );
        let response = read(&text).expect(usage);
        assert_eq!((response.text().as_str(), response.usage.total()), ("a", None), "{usage}");
    }
}

#[test]
fn an_array_of_chunks_reads_as_a_stream() {
    let text = r#"[{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":9}}
        ,
        {"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5}}
        ]"#;
    let response = read(text).expect("an answer");
    assert_eq!(
        (&response.content[..], response.usage.input),
        (&[Block::text("Hello")][..], Tokens::Reported(5))
    );
}

#[test]
fn what_is_no_answer_is_an_error() {
    let cases = [
        ("", ErrorKind::Unreadable),
        ("<html>", ErrorKind::Unreadable),
        ("[]", ErrorKind::Unreadable),
        ("[1]", ErrorKind::Unreadable),
        (r#"[{"candidates":[{"finishReason":"STOP"}]}"#, ErrorKind::Unreadable),
        (r#"{"totalTokens":7}"#, ErrorKind::Unreadable),
        (r#"{"candidates":[]}"#, ErrorKind::Unreadable),
        (r#"{"candidates":"many"}"#, ErrorKind::Unreadable),
        (r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#, ErrorKind::Overloaded),
        (
            r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
            ErrorKind::RateLimited,
        ),
        (
            r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"error":{"code":500,"message":"m","status":"INTERNAL"}}]"#,
            ErrorKind::Server,
        ),
    ];
    for (text, kind) in cases {
        let failure = read(text).expect_err(text);
        assert_eq!(failure.kind, kind, "{text}: {failure}");
    }
}
