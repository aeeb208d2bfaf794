//! Refusals in words, and limits that are used up.

use super::client::{Api, ask};
use leverframe_emulator::{Emulator, Fault, Step};
use serde_json::{Value, json};

#[tokio::test]
async fn a_refusal_is_said_in_the_dialects_way() {
    let emulator = Emulator::start().await.expect("starts");
    // Where a whole answer says so, and what.
    for (api, says) in [
        (
            Api::Messages,
            vec![
                ("/content", json!([])),
                ("/stop_reason", json!("refusal")),
                ("/stop_details/type", json!("refusal")),
                ("/stop_details/category", json!("general_harms")),
                ("/stop_details/explanation", json!("I will not.")),
            ],
        ),
        (
            Api::GenerateContent,
            vec![
                ("/candidates/0/finishReason", json!("SAFETY")),
                ("/candidates/0/finishMessage", json!("I will not.")),
                ("/candidates/0/content", json!({})),
                ("/candidates/0/safetyRatings/0/blocked", json!(true)),
            ],
        ),
        (
            Api::Chat,
            vec![
                ("/choices/0/finish_reason", json!("stop")),
                ("/choices/0/message/refusal", json!("I will not.")),
                ("/choices/0/message/content", Value::Null),
            ],
        ),
        (
            Api::Responses,
            vec![
                ("/status", json!("completed")),
                ("/output/0/content", json!([{"type": "refusal", "refusal": "I will not."}])),
            ],
        ),
    ] {
        emulator.always(api.provider(), Step::refusal_saying("I will not."));
        let whole = ask(&emulator, api, false).await;
        for (place, value) in says {
            assert_eq!(whole.json().pointer(place), Some(&value), "{api:?} {place}: {}", whole.body);
        }
    }
}

#[tokio::test]
async fn a_refusal_is_streamed() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, has, lacks) in [
        (
            Api::Messages,
            ["\"stop_reason\":\"refusal\"", "\"explanation\":\"I will not.\""],
            "content_block_start",
        ),
        (Api::GenerateContent, ["\"finishReason\":\"SAFETY\"", "\"blocked\":true"], "\"text\""),
        (Api::Chat, ["\"delta\":{\"refusal\":\"will \"}", "\"finish_reason\":\"stop\""], "\"content\":\""),
        (Api::Responses, ["\"delta\":\"will \"", "\"refusal\":\"I will not.\""], "output_text"),
    ] {
        emulator.always(api.provider(), Step::refusal_saying("I will not."));
        let answer = ask(&emulator, api, true).await;
        assert!(answer.whole && answer.status == 200);
        assert!(has.iter().all(|has| answer.body.contains(has)), "{api:?}: {}", answer.body);
        assert!(!answer.body.contains(lacks), "{api:?}: {}", answer.body);
    }
    // It breaks like any other answer.
    emulator.always(Api::Chat.provider(), Step::refusal_saying("I will not.").close_after(1));
    for api in [Api::Chat, Api::Responses] {
        let answer = ask(&emulator, api, true).await;
        assert!(!answer.whole && answer.body.contains("\"I \"") && !answer.body.contains("will"));
    }
}

#[tokio::test]
async fn a_429_leaves_nothing_remaining_and_anything_else_does() {
    let emulator = Emulator::start().await.expect("starts");
    for (step, used_up) in [
        (Step::rate_limited(Some(7)), true),
        (Step::rate_limited(None), true),
        (Step::quota_exhausted(), true),
        (Step::ok(), false),
        (Step::overloaded(), false),
        (Step::ok().error_after(1, Fault::RateLimited { retry_after_seconds: None }), false),
    ] {
        for api in [Api::Messages, Api::Chat, Api::Responses] {
            emulator.script_any(api.provider(), [step.clone()]);
            let answer = ask(&emulator, api, true).await;
            let of_limits = |name: &str| name.contains("ratelimit") && name.contains("remaining");
            let remaining: Vec<_> = answer
                .headers
                .iter()
                .filter(|(name, _)| of_limits(name.as_str()))
                .map(|(_, value)| value)
                .collect();
            assert!(remaining.len() >= 2);
            assert!(
                remaining.iter().all(|left| (*left == "0") == used_up),
                "{api:?} {step:?}: {remaining:?}"
            );
        }
    }
    emulator.script_any(Api::Chat.provider(), [Step::rate_limited(Some(7))]);
    let limited = ask(&emulator, Api::Chat, false).await;
    assert_eq!(limited.header("x-ratelimit-reset-requests"), "7s", "as the hint says");
}
