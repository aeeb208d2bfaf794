//! What can be made to go wrong, and how a client comes to feel it.

use std::{io::ErrorKind, time::Duration};

use super::client::{Answer, Api, ask, call, post, try_send};
use bytes::Bytes;
use http_body_util::Full;
use leverframe_emulator::{CallEnd, Emulator, Fault, Step};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

const LONG: Duration = Duration::from_secs(3600);

fn four() -> Step {
    Step::text("one two three four")
}

#[tokio::test]
async fn faults_have_the_providers_status_and_body() {
    let emulator = Emulator::start().await.expect("starts");
    let cases = [
        (
            Step::overloaded(),
            [529, 503, 503, 503],
            ["overloaded_error", "UNAVAILABLE", "server_is_overloaded"],
        ),
        (Step::rate_limited(Some(7)), [429; 4], ["rate_limit_error", "\"7s\"", "rate_limit_exceeded"]),
        (Step::rate_limited(None), [429; 4], ["rate_limit_error", "PerMinute", "rate_limit_exceeded"]),
        (Step::quota_exhausted(), [429; 4], ["enforced_spend_limit_reached", "PerDay", "insufficient_quota"]),
        (Step::server_error(), [500; 4], ["api_error", "INTERNAL", "server_error"]),
        (
            Step::authentication(),
            [401, 400, 401, 401],
            ["authentication_error", "API_KEY_INVALID", "invalid_api_key"],
        ),
        (Step::permission(), [403; 4], ["permission_error", "PERMISSION_DENIED", "insufficient_permissions"]),
        (Step::model_not_found(), [404, 404, 404, 400], ["not_found_error", "NOT_FOUND", "model_not_found"]),
        (
            Step::context_length(),
            [400; 4],
            ["prompt is too long", "exceeds the maximum", "context_length_exceeded"],
        ),
        (Step::invalid_request(), [400; 4], ["invalid_request_error", "INVALID_ARGUMENT", "invalid_type"]),
        (
            Step::fault(Fault::ContentFilter),
            [200, 200, 400, 400],
            ["\"refusal\"", "blockReason", "content_filter"],
        ),
        (Step::raw(418, "text/plain", "{teapot"), [418; 4], ["{teapot"; 3]),
    ];
    for (step, statuses, words) in cases {
        for (nth, api) in Api::ALL.into_iter().enumerate() {
            emulator.script_any(api.provider(), [step.clone()]);
            let answer = ask(&emulator, api, true).await;
            assert_eq!(answer.status.as_u16(), statuses[nth], "{api:?} {step:?}");
            assert!(answer.body.contains(words[nth.min(2)]), "{api:?} {step:?}: {}", answer.body);
            // Google's hint is in the body.
            let hint = if words[1] == "\"7s\"" && api != Api::GenerateContent { "7" } else { "" };
            assert_eq!(answer.header("retry-after"), hint, "{api:?} {step:?}");
        }
    }
}

/// Each interruption after two tokens: has the second token come, the third,
/// the finish reason; did the body end properly; and what else is said.
#[tokio::test]
async fn interruptions_are_real() {
    let emulator = Emulator::start().await.expect("starts");
    let cases = [
        (four().close_after(2), [true, false, false], false, ""),
        (four().reset_after(2), [true, false, false], false, ""),
        (four().end_after(2), [true, false, false], true, ""),
        (four().error_after(2, Fault::Overloaded), [true, false, false], true, "overloaded"),
        (four().bare_error_after(2, Fault::Overloaded), [true, false, false], true, "\n{\n  \""),
        (four().malformed_after(2), [true, true, true], true, "{\"del"),
        (four().long_line_after(2, 100_000), [true, true, true], true, "xxxxxxxx"),
        (four().close_after(9), [true, true, false], false, ""),
        (four(), [true, true, true], true, ""),
    ];
    for (api, finish) in [
        (Api::Messages, "\"end_turn\""),
        (Api::GenerateContent, "\"STOP\""),
        (Api::Chat, "\"finish_reason\":\"stop\""),
        (Api::Responses, "event: response.completed"),
    ] {
        for (step, [second, third, finished], whole, says) in &cases {
            for http2 in [false, true] {
                emulator.script_any(api.provider(), [step.clone()]);
                let (path, body) = call(api, true);
                let request = post(&emulator, api, &path).body(Full::new(Bytes::from(body.to_string())));
                let answer = try_send(http2, request.expect("valid")).await.expect("headers came");
                let Answer { body, .. } = &answer;
                let what = format!("{api:?} {http2} {:?}: {body}", step);
                assert_eq!(answer.whole, *whole, "{what}");
                assert!(body.contains("one"), "{what}");
                assert_eq!(body.contains("two"), *second, "{what}");
                assert_eq!(body.contains("three"), *third, "{what}");
                assert_eq!(body.contains(finish), *finished, "{what}");
                assert!(body.contains(says), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn errors_inside_a_stream_may_come_before_any_token() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, frame) in [
        (Api::Messages, "event: error\ndata: {\"error\":{"),
        (Api::GenerateContent, "data: {\"error\":{\"code\":503"),
        (Api::Chat, "data: {\"error\":{"),
        (Api::Responses, "event: error\ndata: {\"error\":{"),
    ] {
        emulator.always(api.provider(), four().error_after(0, Fault::Overloaded));
        let answer = ask(&emulator, api, true).await;
        assert!(answer.whole && answer.status == 200);
        assert!(answer.body.contains(frame) && !answer.body.contains("one"), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_terminal_frame_can_be_left_out() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, terminal) in [
        (Api::Messages, "message_stop"),
        (Api::GenerateContent, "finishReason"),
        (Api::Chat, "[DONE]"),
        (Api::Responses, "response.completed"),
    ] {
        emulator.script_any(api.provider(), [four(), four().without_terminal_frame()]);
        let [with, without] = [ask(&emulator, api, true).await, ask(&emulator, api, true).await];
        assert!(with.body.contains(terminal) && with.whole);
        assert!(!without.body.contains(terminal) && without.body.contains("four") && without.whole);
    }
}

#[tokio::test]
async fn a_long_line_is_as_long_as_asked_and_nothing_but_a_line() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        emulator.always(api.provider(), four().long_line_after(1, 1 << 20));
        let answer = ask(&emulator, api, true).await;
        let longest = answer.body.lines().max_by_key(|line| line.len()).expect("lines");
        let said: String =
            serde_json::from_str(longest.strip_prefix("data: ").expect("data")).expect("a string");
        assert_eq!(said.len(), 1 << 20, "{api:?}");
    }
}

#[tokio::test]
async fn answers_that_are_not_streamed_are_interrupted_in_the_middle() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        for (step, whole) in [
            (four().close_after(0), false),
            (four().reset_after(0), false),
            (four().end_after(0), true),
            (four().malformed_after(0), true),
        ] {
            emulator.script_any(api.provider(), [step]);
            let answer = ask(&emulator, api, false).await;
            assert_eq!(answer.whole, whole, "{api:?}");
            assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err(), "{}", answer.body);
        }
    }
}

/// A bare socket sees whether the other end said goodbye.
#[tokio::test]
async fn a_close_says_goodbye_and_a_reset_does_not() {
    let emulator = Emulator::start().await.expect("starts");
    let (path, body) = call(Api::Chat, true);
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer k\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    for (step, reset, says) in [
        (Step::close_before_headers(), false, ""),
        (Step::reset_before_headers(), true, ""),
        (four().close_after(1), false, "one"),
        (four().reset_after(1), true, "one"),
    ] {
        emulator.script_any(Api::Chat.provider(), [step]);
        let url = emulator.base_url(Api::Chat.provider());
        let address = url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        let mut read = Vec::new();
        let ended = stream.read_to_end(&mut read).await;
        let read = String::from_utf8_lossy(&read);
        assert_eq!(
            ended.err().map(|error| error.kind()),
            reset.then_some(ErrorKind::ConnectionReset),
            "{read}"
        );
        assert!(read.contains(says) && !read.ends_with("0\r\n\r\n"), "{read}");
    }
}

#[tokio::test]
async fn no_answer_comes_over_http2_either() {
    let emulator = Emulator::start().await.expect("starts");
    for step in [Step::close_before_headers(), Step::reset_before_headers()] {
        emulator.script_any(Api::GenerateContent.provider(), [step]);
        let (path, body) = call(Api::GenerateContent, true);
        let request =
            post(&emulator, Api::GenerateContent, &path).body(Full::new(Bytes::from(body.to_string())));
        try_send(true, request.expect("valid")).await.expect_err("no answer");
    }
    assert!(emulator.calls().iter().all(|call| call.end == Some(CallEnd::Answered)), "as scripted");
}

/// The clock stands still unless everyone waits for it.
#[tokio::test(start_paused = true)]
async fn waits_add_up() {
    let emulator = Emulator::start().await.expect("starts");
    let seconds = Duration::from_secs;
    for api in Api::ALL {
        let slow =
            four().before_headers(seconds(1)).before_first_token(seconds(10)).between_tokens(seconds(100));
        emulator.always(api.provider(), slow);
        for (streamed, expected) in [(true, 311), (false, 11)] {
            let start = Instant::now();
            assert!(ask(&emulator, api, streamed).await.whole);
            assert_eq!(start.elapsed().as_secs(), expected, "{api:?} {streamed}");
        }
    }
}

/// Whoever waits or stalls notices that nobody listens any more.
#[tokio::test]
async fn a_client_that_goes_away_is_noticed_wherever_it_waits() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        for step in [
            Step::stall_before_headers(),
            Step::ok().before_headers(LONG),
            Step::ok().before_first_token(LONG),
            four().stall_after(0),
            four().stall_after(2),
        ] {
            for http2 in [false, true] {
                for streamed in [false, true] {
                    emulator.script_any(api.provider(), [step.clone()]);
                    let (path, body) = call(api, streamed);
                    let request = post(&emulator, api, &path).body(Full::new(Bytes::from(body.to_string())));
                    let before = emulator.calls().len();
                    let asking = try_send(http2, request.expect("valid"));
                    let arrived = async {
                        while emulator.calls().len() == before {
                            tokio::task::yield_now().await;
                        }
                    };
                    tokio::select! {
                        answer = asking => panic!("it hangs: {answer:?}"),
                        () = arrived => {}
                    }
                    let ended = async {
                        while emulator.open_connections() > 0
                            || emulator.calls().get(before).is_none_or(|call| call.end.is_none())
                        {
                            tokio::task::yield_now().await;
                        }
                    };
                    timeout(Duration::from_secs(10), ended).await.expect("noticed");
                    let call = &emulator.calls()[before];
                    assert_eq!(
                        call.end,
                        Some(CallEnd::ClientWentAway),
                        "{api:?} {step:?} {http2} {streamed}"
                    );
                }
            }
        }
    }
}
