//! Tests of the file beside this folder.

use leverframe_core::model::Tokens;
use serde_json::{Map, Value};

use super::{super::arguments::PartialArg, *};

fn usage(json: &str) -> Usage {
    let chunk = format!("{{\"usageMetadata\":{json}}}");
    serde_json::from_str::<Chunk<'_>>(&chunk).expect("JSON").usage().unwrap_or_default()
}

#[test]
fn buckets_are_disjoint_and_add_up_to_the_total() {
    let n = Tokens::Reported;
    let none = Usage::default();
    let cases = [
        (
            r#"{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13}"#,
            13,
            Usage { input: n(9), output: n(4), ..none },
        ),
        (
            r#"{"promptTokenCount":100,"toolUsePromptTokenCount":50,"cachedContentTokenCount":64,
                "candidatesTokenCount":30,"thoughtsTokenCount":20,"totalTokenCount":200}"#,
            200,
            Usage { input: n(86), cache_read: n(64), output: n(30), reasoning: n(20), ..none },
        ),
        // 40 of audio, 10 of them from the cache.
        (
            r#"{"promptTokenCount":100,"cachedContentTokenCount":30,"candidatesTokenCount":8,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":60},{"modality":"AUDIO","tokenCount":40}],
                "cacheTokensDetails":[{"modality":4,"tokenCount":10}],
                "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":8}],"totalTokenCount":108}"#,
            108,
            Usage {
                input: n(40),
                cache_read: n(30),
                audio_input: n(30),
                output: n(0),
                audio_output: n(8),
                ..none
            },
        ),
        // All was thought: there is no candidatesTokenCount.
        (
            r#"{"promptTokenCount":5,"thoughtsTokenCount":7,"totalTokenCount":12}"#,
            12,
            Usage { input: n(5), reasoning: n(7), ..none },
        ),
    ];
    for (json, total, expected) in cases {
        assert_eq!(usage(json), expected, "{json}");
        assert_eq!(expected.total(), Some(total), "{json}");
    }
    assert_eq!(usage(r#"{"trafficType":"ON_DEMAND"}"#), none);
}

#[test]
fn every_finish_reason_has_a_word() {
    use FinishReason::{ContentFilter, Error, Length, Other, Pause, Stop, ToolCalls};
    let cases = [
        (Stop, "STOP 1"),
        (Length, "MAX_TOKENS 2"),
        (
            ContentFilter,
            "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT \
             IMAGE_RECITATION IMAGE_OTHER MODEL_ARMOR LANGUAGE ESCALATION 3 4 6 7 8",
        ),
        (Pause, "CONTINUATION"),
        (
            Error,
            "MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MALFORMED_RESPONSE \
             MISSING_THOUGHT_SIGNATURE PUP_LIMITED_DISABLED OTHER NO_IMAGE 5",
        ),
        (Other, "NEVER_HEARD_OF 99"),
    ];
    for (expected, words) in cases {
        for raw in words.split_whitespace() {
            assert_eq!(finish(raw, false), expected, "{raw}");
        }
    }
    assert_eq!((finish("STOP", true), finish("MAX_TOKENS", true)), (ToolCalls, Length));
}

#[test]
fn made_up_ids_are_recognised_differ_and_are_short() {
    let id = made_up_id("dqHOab6xGLzWodAPkPuViA4", 0);
    assert!(is_made_up(&id) && is_made_up(&made_up_id("", 3)));
    assert_ne!(id, made_up_id("another", 0));
    assert!(made_up_id(&"x".repeat(99), 123).len() <= 40);
    assert!(!is_made_up("call_0"));
}

#[test]
fn arguments_are_put_together() {
    let pieces = r#"[{"jsonPath":"$.city","stringValue":"New ","willContinue":true},
        {"jsonPath":"$.city","stringValue":"Delhi"}, {"jsonPath":"$.days","numberValue":3},
        {"jsonPath":"$['a.b'][\"c\"]","boolValue":true}, {"jsonPath":"$.none","nullValue":"NULL_VALUE"},
        {"jsonPath":"$.list[0].x","stringValue":"one"}, {"jsonPath":"$.list[1].x","numberValue":0.5}]"#;
    let pieces: Vec<PartialArg<'_>> = serde_json::from_str(pieces).expect("JSON");
    let mut arguments = Map::new();
    for piece in pieces {
        piece.put_into(&mut arguments).expect("a path that makes sense");
    }
    let expected = r#"{"a.b":{"c":true},"city":"New Delhi","days":3,
        "list":[{"x":"one"},{"x":0.5}],"none":null}"#;
    assert_eq!(Value::Object(arguments), serde_json::from_str::<Value>(expected).expect("JSON"));
}

#[test]
fn paths_that_make_no_sense_are_refused() {
    let deep = format!("${}", ".a".repeat(1000));
    for path in ["", "$", "a", "$[0]", "$.a[7]", "$.a[x]", "$.a[", "$.a['b", "$*", "$.text.a", &deep] {
        let mut arguments = Map::from_iter([("text".to_owned(), Value::from("t"))]);
        let piece = PartialArg {
            json_path: path.into(),
            string_value: Some("v".into()),
            number_value: None,
            bool_value: None,
        };
        assert_eq!(piece.put_into(&mut arguments), None, "{path}");
    }
}

#[test]
fn only_the_first_candidate_is_read_and_its_text_is_not_copied() {
    let text = r#"{"candidates":[{"index":1},{"content":{"parts":[{"text":"a"}]}},{"index":2}]}"#;
    let mut chunk: Chunk<'_> = serde_json::from_str(text).expect("JSON");
    let parts: Vec<_> = chunk.take_candidate().0.expect("index 0").take_parts().collect();
    let data = bytestring::ByteString::from(text);
    assert!(matches!(parts.as_slice(), [Part { text: Some(text), .. }] if text.as_str() == "a"), "{parts:?}");
    assert_eq!(raw_part(&data, 0).expect("a part").as_str(), r#"{"text":"a"}"#);
}
