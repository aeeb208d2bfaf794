//! Tests of the file beside this folder.

use leverframe_core::model::Tokens;

use super::*;

fn usage(json: &str) -> Usage {
    let text = format!("{{\"usage\":{json}}}");
    serde_json::from_str::<Completion<'_>>(&text).expect("JSON").usage().expect("usage")
}

#[test]
fn usage_is_taken_apart_and_adds_up() {
    let n = Tokens::Reported;
    let none = Usage::default();
    let cases = [
        (
            "{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}",
            Usage { input: n(9), output: n(4), ..none },
        ),
        (
            r#"{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
                "prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":16,"audio_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":3}}"#,
            Usage {
                input: n(15),
                cache_read: n(64),
                cache_write_short: n(16),
                audio_input: n(5),
                output: n(7),
                reasoning: n(20),
                audio_output: n(3),
                ..none
            },
        ),
        // DeepSeek
        (
            "{\"prompt_tokens\":50,\"prompt_cache_hit_tokens\":40,\"completion_tokens\":1}",
            Usage { input: n(10), cache_read: n(40), output: n(1), ..none },
        ),
        // xAI: reasoning stands beside completion_tokens.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
                "completion_tokens_details":{"reasoning_tokens":20}}"#,
            Usage { input: n(10), output: n(5), reasoning: n(20), ..none },
        ),
        // More reasoning than completion: the total is what is billed.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                "completion_tokens_details":{"reasoning_tokens":7}}"#,
            Usage { input: n(10), output: n(0), reasoning: n(5), ..none },
        ),
        ("{\"prompt_tokens_details\":null}", none),
    ];
    for (json, expected) in cases {
        assert_eq!(usage(json), expected, "{json}");
    }
    assert_eq!(usage(cases[1].0).total(), Some(130));
    assert_eq!(usage(cases[3].0).total(), Some(35));
}

#[test]
fn usage_is_looked_for_where_groq_puts_it_and_may_be_unreadable() {
    let groq = r#"{"x_groq":{"id":"r","usage":{"prompt_tokens":1,"completion_tokens":2}}}"#;
    let body: Completion<'_> = serde_json::from_str(groq).expect("JSON");
    assert_eq!(body.usage().and_then(|usage| usage.total()), Some(3));
    for text in [r#"{"usage":null}"#, r#"{"usage":"lots"}"#, "{}"] {
        assert_eq!(serde_json::from_str::<Completion<'_>>(text).expect("JSON").usage(), None, "{text}");
    }
}

#[test]
fn every_finish_reason_has_a_word() {
    use FinishReason::{ContentFilter, Error, Length, Other, Refusal, Stop, ToolCalls};
    let cases = [
        ("stop", false, false, Stop),
        ("stop", true, false, ToolCalls),
        ("stop", false, true, Refusal),
        ("eos", false, false, Stop),
        ("length", true, false, Length),
        ("tool_calls", true, false, ToolCalls),
        ("function_call", true, false, ToolCalls),
        ("content_filter", false, false, ContentFilter),
        ("error", false, false, Error),
        ("insufficient_system_resource", false, false, Error),
        ("", true, false, ToolCalls),
        ("", false, false, Other),
        ("never heard of", true, false, Other),
    ];
    for (raw, calls, refused, expected) in cases {
        assert_eq!(finish(raw, calls, refused), expected, "{raw} {calls} {refused}");
    }
}

#[test]
fn made_up_ids_differ_and_are_short() {
    assert_eq!(made_up_id("", 0), "call_x_0");
    let long = made_up_id(&"chatcmpl-0123456789".repeat(9), 11);
    assert!(long.len() <= 40 && long != made_up_id("chatcmpl-other", 11), "{long}");
}

#[test]
fn only_the_first_choice_is_read_and_nothing_of_it_is_copied() {
    let text = r#"{"choices":[{"index":1,"delta":{"content":"b"}},{"delta":{"content":"a"}},{"index":2}]}"#;
    let body: Completion<'_> = serde_json::from_str(text).expect("JSON");
    let choice = body.choices.and_then(|choices| choices.choice).expect("index 0");
    let content = choice.delta.and_then(|delta| delta.content);
    assert!(matches!(content, Some(Content::Text(text)) if text.as_str() == "a"));
    let empty: Completion<'_> = serde_json::from_str(r#"{"choices":[]}"#).expect("JSON");
    assert!(empty.choices.expect("present").choice.is_none());
}
