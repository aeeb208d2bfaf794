//! What happens after each kind of failure, row by row of the decision table,
//! on real sockets, for each dialect, streamed and not.
//!
//! The emulator counts calls by itself, so that a retry hidden in a lower
//! layer would show.

use std::time::Duration;

use futures_util::StreamExt;
use leverframe_emulator::{Fault, Step};
use leverframe_router::{
    Answer, BreakerConfig, BreakerState, Catalog, Clock, Error, ErrorKind, Guard, Standing, StateKind, Tokens,
};
use leverframe_tests::{DIALECTS, PROVIDERS, World, ask, lookup};

const LONG: Duration = Duration::from_secs(3600);

/// How often the failing route is asked, where the fault is retried.
const RETRIED: usize = 3;

/// One row: what the provider does, and what is to follow.
struct Row {
    name: &'static str,
    step: Step,
    kind: ErrorKind,
    /// Calls of the failing route.
    calls: usize,
    moves_on: bool,
    counts: bool,
    /// Leave out answers of one sort, where the fault is of the other.
    only: Option<Mode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Whole,
    Streamed,
}

fn row(name: &'static str, step: Step, kind: ErrorKind, calls: usize, moves_on: bool, counts: bool) -> Row {
    Row { name, step, kind, calls, moves_on, counts, only: None }
}

fn rows() -> Vec<Row> {
    use ErrorKind as K;
    let streamed = |row| Row { only: Some(Mode::Streamed), ..row };
    let limited = |seconds| Step::fault(Fault::RateLimited { retry_after_seconds: seconds });
    let unreadable = Step::raw(200, "text/html", "<html>It works!</html>");
    vec![
        row("network", Step::close_before_headers(), K::Network, RETRIED, true, true),
        row("server", Step::fault(Fault::Server), K::Server, RETRIED, true, true),
        row("overloaded", Step::fault(Fault::Overloaded), K::Overloaded, RETRIED, true, true),
        row("headers timeout", Step::stall_before_headers(), K::Timeout(Clock::Headers), 1, true, true),
        streamed(row(
            "first token timeout",
            Step::ok().before_first_token(LONG),
            K::Timeout(Clock::FirstToken),
            1,
            true,
            true,
        )),
        row("rate limited, no hint", limited(None), K::RateLimited, RETRIED, true, false),
        row("rate limited, hint beyond patience", limited(Some(60)), K::RateLimited, 1, true, false),
        row("quota exhausted", Step::fault(Fault::QuotaExhausted), K::QuotaExhausted, 1, true, false),
        row("authentication", Step::fault(Fault::Authentication), K::Authentication, 1, true, false),
        row("permission", Step::fault(Fault::Permission), K::Permission, 1, true, false),
        row("model not found", Step::fault(Fault::ModelNotFound), K::ModelNotFound, 1, true, false),
        row("context length", Step::fault(Fault::ContextLength), K::ContextLength, 1, false, false),
        row("unreadable", unreadable, K::Unreadable, 1, true, true),
        streamed(row("malformed frame", Step::ok().malformed_after(0), K::Unreadable, 1, true, true)),
        streamed(row(
            "interrupted before commit",
            Step::ok().end_after(0),
            K::Interrupted,
            RETRIED,
            true,
            true,
        )),
        streamed(row(
            "error inside a 200",
            Step::ok().error_after(0, Fault::Overloaded),
            K::Overloaded,
            RETRIED,
            true,
            true,
        )),
        Row {
            only: Some(Mode::Whole),
            ..row("idle before commit", Step::ok().stall_after(0), K::Timeout(Clock::Idle), 1, true, true)
        },
        row("cut inside the body", Step::ok().close_after(0), K::Interrupted, RETRIED, true, true),
        row("invalid request", Step::fault(Fault::InvalidRequest), K::InvalidRequest, 1, false, false),
    ]
}

async fn run(world: &World, name: &str, mode: Mode) -> Result<Answer, Error> {
    match mode {
        Mode::Whole => world.router.send(ask(name)).await,
        Mode::Streamed => world.router.stream(ask(name)).await?.collect().await,
    }
}

#[tokio::test]
async fn each_kind_of_failure_is_followed_by_what_its_row_says() {
    for (name, _, model) in DIALECTS {
        let model = model.trim_start_matches("responses/");
        let other = if name == "gemini" { "openai" } else { "gemini" };
        for mode in [Mode::Whole, Mode::Streamed] {
            for row in rows() {
                if row.only.is_some_and(|only| only != mode) {
                    continue;
                }
                let what = format!("{name}, {mode:?}, {}", row.name);
                // The breaker trips if every one of these failures counts.
                let failures = u32::try_from(row.calls).expect("small");
                let world = World::with(&[name, other], |builder| {
                    builder
                        .breaker(BreakerConfig { consecutive_failures: failures, ..BreakerConfig::default() })
                })
                .await;
                world.always(name, row.step);
                let outcome = run(&world, name, mode).await;

                assert_eq!(world.calls(name), row.calls, "{what}");
                assert_eq!(world.calls(other), usize::from(row.moves_on), "{what}");
                let first = match (&outcome, row.moves_on) {
                    (Ok(answer), true) => answer.attempts()[0].clone(),
                    (Err(error), false) => {
                        assert_eq!(error.kind(), row.kind, "{what}");
                        error.attempts()[0].clone()
                    }
                    (outcome, _) => panic!("{what}: {outcome:?}"),
                };
                assert_eq!(first.failure.expect("it failed").kind, row.kind, "{what}");
                let state = world.router.breaker_state(name, model).expect("configured");
                assert_eq!(matches!(state, BreakerState::Open(_)), row.counts, "{what}: {state:?}");

                let records = world.records.all();
                assert_eq!(records.len(), 1, "{what}: exactly one record");
                assert!(records[0].journal.replay().expect("legal").is_terminal(), "{what}");
                let sent = records[0].attempts.iter().filter(|attempt| attempt.sent).count();
                assert_eq!(sent, world.emulator.calls().len(), "{what}: every call is an attempt");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_moves_on_only_if_asked_to() {
    for (name, ..) in DIALECTS {
        let other = if name == "gemini" { "claude" } else { "gemini" };
        for (asked, calls) in [(false, 0), (true, 1)] {
            for mode in [Mode::Whole, Mode::Streamed] {
                let world = World::with(&[name, other], |builder| builder.fallback_on_refusal(asked)).await;
                world.always(name, Step::fault(Fault::ContentFilter));
                let outcome = run(&world, name, mode).await;
                assert_eq!((outcome.is_ok(), world.calls(other)), (asked, calls), "{name}, {mode:?}");
                if let Err(error) = outcome {
                    assert_eq!(error.kind(), ErrorKind::Refused, "{name}, {mode:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_after_its_first_content_is_never_sent_again() {
    let faults = [
        ("closed", Step::ok().close_after(3), ErrorKind::Interrupted),
        ("ended early", Step::ok().end_after(3), ErrorKind::Interrupted),
        ("stalled", Step::ok().stall_after(3), ErrorKind::Timeout(Clock::Idle)),
        ("error event", Step::ok().error_after(3, Fault::Overloaded), ErrorKind::Overloaded),
        (
            "rate limited",
            Step::ok().error_after(3, Fault::RateLimited { retry_after_seconds: None }),
            ErrorKind::RateLimited,
        ),
        ("malformed", Step::ok().malformed_after(3), ErrorKind::Unreadable),
    ];
    for (name, ..) in DIALECTS {
        for (what, step, kind) in faults.clone() {
            let world =
                World::with(&[name, if name == "gemini" { "claude" } else { "gemini" }], |builder| builder)
                    .await;
            world.always(name, step);
            let stream = world.router.stream(ask(name)).await.expect("the answer begins");
            let error = stream.collect().await.expect_err(what);
            assert_eq!(error.kind(), kind, "{name}, {what}");
            let text = error.partial().expect("something had arrived").text();
            assert!(text.starts_with("This is ") && !text.contains("Hello"), "{name}, {what}: {text}");
            assert_eq!(world.emulator.calls().len(), 1, "{name}, {what}");
            let last = error.journal().entries().last().expect("not empty").to;
            assert!(last.seen && last.kind == StateKind::Failed, "{name}, {what}");
        }
    }
}

#[tokio::test]
async fn a_bare_json_error_between_geminis_events_is_an_error() {
    let world = World::with(&["gemini"], |builder| builder).await;
    world.always("gemini", Step::ok().bare_error_after(2, Fault::Overloaded));
    let error =
        world.router.stream(ask("gemini")).await.expect("begins").collect().await.expect_err("breaks off");
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_hint_is_waited_for_and_no_longer() {
    for (name, ..) in DIALECTS {
        let world =
            World::with(&[name, if name == "gemini" { "claude" } else { "gemini" }], |builder| builder).await;
        let (_, fake, model) = lookup(name);
        world.emulator.script(
            fake,
            model.trim_start_matches("responses/"),
            [Step::fault(Fault::RateLimited { retry_after_seconds: Some(1) })],
        );
        let answer = world.router.send(ask(name)).await.expect("answers after the wait");
        let [limited, answered] = answer.attempts() else { panic!("{:?}", answer.attempts()) };
        let waited = answered.started_at.since(limited.ended_at);
        assert!(waited >= Duration::from_secs(1), "{name}: {waited:?}");
        let path: Vec<_> = answer.journal().path().collect();
        assert!(path.windows(2).any(|two| two == [StateKind::RateLimited, StateKind::Retrying]), "{path:?}");
    }
}

#[tokio::test]
async fn a_rejected_key_is_set_aside_on_all_its_routes_and_a_missing_model_on_its_own() {
    for (fault, all) in
        [(Fault::Authentication, true), (Fault::ModelNotFound, false), (Fault::Permission, false)]
    {
        let world = World::with(&["claude", "gemini"], |builder| builder).await;
        let (_, fake, model) = lookup("claude");
        world.emulator.script(fake, model, [Step::fault(fault)]);
        for model in [model, model, "claude-other"] {
            let answer = world.router.send(ask("claude").model(model)).await;
            answer.expect("one of the two answers");
        }
        let calls = if all { 1 } else { 2 };
        assert_eq!(world.calls("claude"), calls, "{fault:?}");
    }
}

#[tokio::test]
async fn one_budget_bounds_all_attempts() {
    let world = World::with(&["claude", "gemini", "openai"], |builder| builder.attempts(4)).await;
    for (name, ..) in PROVIDERS {
        world.always(name, Step::fault(Fault::Server));
    }
    let error = world.router.send(ask("claude")).await.expect_err("nobody answers");
    assert_eq!(world.emulator.calls().len(), 4);
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Server, 4));
    let text = error.to_string();
    assert!(text.contains("claude") && text.contains("gemini"), "{text}");
}

#[tokio::test]
async fn the_deadline_ends_everything() {
    let timeout = Duration::from_millis(120);
    for mode in [Mode::Whole, Mode::Streamed] {
        for step in [Step::stall_before_headers(), Step::ok().before_first_token(LONG)] {
            let world = World::with(&["claude"], |builder| builder).await;
            world.always("claude", step);
            let request = ask("claude").timeout(timeout);
            let error = match mode {
                Mode::Whole => world.router.send(request).await.expect_err("too late"),
                Mode::Streamed => world.router.stream(request).await.expect_err("too late"),
            };
            assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{mode:?}");
            assert_eq!(world.emulator.calls().len(), 1, "nothing is sent after the deadline");
            let record = error.record().expect("recorded");
            assert!(
                record.duration() >= timeout && record.duration() < timeout * 3,
                "{:?}",
                record.duration()
            );
        }
    }
}

/// Found in review: a provider that hung used up the whole deadline, so that
/// nobody else was asked, again and again.
#[tokio::test]
async fn a_provider_that_hangs_leaves_the_others_their_share_of_the_deadline() {
    for step in [Step::stall_before_headers(), Step::ok().before_first_token(LONG)] {
        let world = World::new().await;
        world.always("claude", step);
        let stream = world.router.stream(ask("claude").timeout(Duration::from_millis(200))).await;
        let answer = stream.expect("gemini begins").collect().await.expect("gemini answers");
        assert!(matches!(answer.attempts()[0].failure.as_ref().map(|f| f.kind), Some(ErrorKind::Timeout(_))));
    }
}

/// Found in review: the retries of two dead providers used up the attempts
/// that the third would have answered with.
#[tokio::test]
async fn retries_leave_every_route_an_attempt() {
    for attempts in [3, 4, 6] {
        let world = World::with(&["claude", "gemini", "openai"], |builder| builder.attempts(attempts)).await;
        for name in ["claude", "gemini"] {
            world.always(name, Step::fault(Fault::Server));
        }
        let answer = world.router.send(ask("claude")).await.expect("openai answers");
        assert_eq!(answer.attempts().last().map(|last| last.provider.as_str()), Some("openai"));
    }
}

#[tokio::test]
async fn the_connection_of_a_stream_that_was_read_to_its_end_is_used_again() {
    for (name, ..) in DIALECTS {
        let world =
            World::with(&[name, if name == "gemini" { "claude" } else { "gemini" }], |builder| builder).await;
        for _ in 0..5 {
            let stream = world.router.stream(ask(name)).await.expect("begins");
            stream.collect().await.expect("ends");
        }
        assert_eq!(world.emulator.open_connections(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_broken_stream_is_told_of_rather_than_what_led_to_it() {
    let world = World::new().await;
    world.always("claude", Step::fault(Fault::Overloaded));
    world.always("gemini", Step::ok().close_after(3));
    let error = world.router.stream(ask("claude")).await.expect("begins").collect().await.expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.attempts().len() > 1);
}

#[tokio::test]
async fn the_first_failure_is_not_hidden_by_what_the_fallback_ran_into() {
    let world = World::with(&["claude", "gemini"], |builder| builder).await;
    world.always("claude", Step::fault(Fault::Overloaded));
    world.always("gemini", Step::fault(Fault::Authentication));
    let error = world.router.send(ask("claude")).await.expect_err("neither answers");
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.to_string().contains("gemini gemini-test: not authenticated"), "{error}");
}

#[tokio::test]
async fn an_open_breaker_is_skipped_and_a_good_probe_closes_it() {
    let open_for = Duration::from_millis(40);
    let world = World::with(&["claude", "gemini"], |builder| {
        builder.breaker(BreakerConfig { consecutive_failures: 3, open_for, ..BreakerConfig::default() })
    })
    .await;
    let (_, fake, model) = lookup("claude");
    world.emulator.script(fake, model, [(); 3].map(|()| Step::fault(Fault::Server)));
    world.router.send(ask("claude")).await.expect("gemini answers");
    let answer = world.router.send(ask("claude")).await.expect("gemini answers");
    assert_eq!(world.calls("claude"), 3, "the open breaker lets nothing through");
    assert_eq!(answer.attempts()[0].provider.as_str(), "gemini");
    let last = answer.record().choice.considered.last().expect("two routes");
    assert_eq!(last.provider.as_str(), "claude");
    assert!(matches!(last.standing, Standing::SetBack(refusal) if refusal.by == Guard::Breaker), "{last:?}");
    while matches!(world.router.breaker_state("claude", model), Some(BreakerState::Open(_))) {
        tokio::task::yield_now().await;
    }
    let answer = world.router.send(ask("claude")).await.expect("the probe succeeds");
    assert_eq!(answer.attempts()[0].provider.as_str(), "claude");
    assert_eq!(world.router.breaker_state("claude", model), Some(BreakerState::Closed));
}

#[tokio::test]
async fn a_route_behind_an_open_breaker_is_the_last_to_be_asked_and_refuses() {
    let world = World::with(&["claude", "gemini"], |builder| {
        builder.breaker(BreakerConfig { consecutive_failures: 3, ..BreakerConfig::default() })
    })
    .await;
    world.always("claude", Step::fault(Fault::Server));
    world.router.send(ask("claude")).await.expect("gemini answers");
    world.always("gemini", Step::fault(Fault::Authentication));
    let error = world.router.send(ask("claude")).await.expect_err("neither answers");
    let attempts: Vec<_> = error
        .attempts()
        .iter()
        .map(|attempt| {
            let kind = attempt.failure.as_ref().map(|failure| failure.kind);
            (attempt.provider.as_str(), attempt.sent, kind)
        })
        .collect();
    assert_eq!(
        attempts,
        [("gemini", true, Some(ErrorKind::Authentication)), ("claude", false, Some(ErrorKind::CircuitOpen))]
    );
}

#[tokio::test]
async fn a_limit_of_our_own_refuses_before_sending_and_says_until_when() {
    let emulator = leverframe_emulator::Emulator::start().await.expect("loopback has free ports");
    let limited = leverframe_tests::provider(&emulator, "claude").requests_per_minute(1);
    let router = leverframe_tests::base().provider(limited).build().expect("valid");
    router.send(ask("claude")).await.expect("the first of the minute");
    // Nobody else could answer, so the minute would be waited for if the deadline allowed it.
    let error = router.send(ask("claude").timeout(Duration::from_secs(10))).await.expect_err("the second");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.failure().retry_after.is_some_and(|wait| wait > Duration::from_secs(50)), "{error}");
    assert!(error.attempts().iter().all(|attempt| !attempt.sent));
    assert_eq!(emulator.calls().len(), 1);
}

#[tokio::test]
async fn a_conversation_that_is_too_long_moves_on_to_a_larger_window_only() {
    let catalog = r#"{"as_of": "2026-11-23", "families": {
        "anthropic": {"source": "test", "models": {"claude-test": {"capabilities": {"context_window": 1000}}}},
        "google": {"source": "test", "models": {"gemini-test": {"capabilities": {"context_window": 500}}}},
        "openai": {"source": "test", "models": {"gpt-test": {"capabilities": {"context_window": 2000}}}}}}"#;
    let catalog = Catalog::parse(catalog).expect("a catalog");
    let world = World::with(&["claude", "gemini", "openai"], |builder| builder.catalog(catalog)).await;
    world.always("claude", Step::context_length());
    world.always("openai", Step::text("it fits"));
    let answer = world.router.send(ask("claude")).await.expect("openai takes it");
    assert_eq!(answer.text(), "it fits");
    assert_eq!((world.calls("claude"), world.calls("gemini"), world.calls("openai")), (1, 0, 1));
    // From the largest there is nowhere to go.
    world.always("openai", Step::context_length());
    let error = world.router.send(ask("openai")).await.expect_err("too long for all");
    assert_eq!((error.kind(), world.calls("gemini")), (ErrorKind::ContextLength, 0));
}

#[tokio::test]
async fn what_a_broken_stream_used_is_estimated_and_marked_so() {
    for (name, ..) in DIALECTS {
        let world = World::with(&[name], |builder| builder).await;
        world.always(name, Step::text("one two three four five six").end_after(4));
        let mut stream = world.router.stream(ask(name)).await.expect("begins");
        while let Some(Ok(_)) = stream.next().await {}
        let usage = stream.record().expect("it is over").usage;
        // Gemini reports as it goes.
        let marked = matches!(usage.output, Tokens::Estimated(1..20)) || name == "gemini";
        assert!(marked, "{name}: {usage:?}");
        assert!(usage.input_total().is_some_and(|input| input > 0), "{name}: {usage:?}");
    }
}

#[tokio::test]
async fn a_route_that_hangs_looks_ill_to_impatient_callers_too() {
    let breaker = BreakerConfig { consecutive_failures: 3, ..BreakerConfig::default() };
    let world = World::with(&["claude"], |builder| builder.breaker(breaker)).await;
    let (_, _, model) = lookup("claude");
    let patience = Duration::from_millis(60);
    // It is known to answer at once.
    for _ in 0..30 {
        world.router.send(ask("claude")).await.expect("answers");
    }
    world.always("claude", Step::stall_before_headers());
    for _ in 0..3 {
        assert_eq!(world.router.breaker_state("claude", model), Some(BreakerState::Closed));
        let error = world.router.send(ask("claude").timeout(patience)).await.expect_err("it hangs");
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    }
    assert!(matches!(world.router.breaker_state("claude", model), Some(BreakerState::Open(_))));
}
