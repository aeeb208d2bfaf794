//! A second route is asked when the first one is late with a stream.

use std::time::Duration;

use leverframe_router::{Hedging, Limits, OnBreak, Provider, RetryBudgetConfig};
use leverframe_tests::sim::{Arrivals, Behaviour, Fault, Latency, Load, Report, Script, Stragglers, World};

use super::{secs, simulate, weather};

const MODEL: &str = "claude-sonnet-5";

/// Answers begin after so many milliseconds, and have four tokens.
fn begins_after(millis: u64) -> Behaviour {
    Behaviour {
        headers: Latency::ZERO,
        first_token: Latency::millis(millis),
        token: Latency::millis(10),
        refusal: Latency::millis(millis),
        ..Behaviour::default()
    }
}

fn streams(per_second: f64, lasts: Duration) -> Load {
    Load { streamed: 1.0, ..Load::steady(per_second, lasts, MODEL) }
}

fn seen(report: &Report, nth: usize) -> usize {
    report.providers[nth].1.arrivals.len()
}

#[test]
fn a_hedge_answers_for_a_route_that_hangs() {
    simulate(async {
        let claude = Script::anthropic().behaving(begins_after(100)).outage(secs(10)..secs(20), Fault::Hang);
        let world = World::new(31, vec![claude, Script::gemini().behaving(begins_after(100))], |builder| {
            builder.hedging(Hedging::default())
        });
        let report = world.run(streams(0.9, secs(9))).await;
        assert_eq!(seen(&report, 1), 0, "nothing is late");
        // Too few to learn from: 20 are needed.
        let warm = world.run(streams(20.0, Duration::from_millis(950))).await;
        assert_eq!(seen(&warm, 1), 0, "nothing is late");
        let report = world.run(streams(0.9, secs(9))).await;
        println!("hedging a hang\n{report}");
        assert_eq!(report.answered(), report.calls.len());
        assert!(seen(&report, 1) >= 7);
        let slowest = report.first_tokens().max;
        assert!(slowest < secs(1), "{slowest:?}");
        world.settle();
    });
}

#[test]
fn who_was_late_may_answer_all_the_same() {
    simulate(async {
        let claude = Script::anthropic().behaving(begins_after(100)).from(secs(10), begins_after(400));
        let world = World::new(32, vec![claude, Script::gemini().behaving(begins_after(5000))], |builder| {
            builder.hedging(Hedging::default())
        });
        world.run(streams(10.0, secs(9))).await;
        tokio::time::sleep(secs(2)).await;
        let report = world.run(streams(0.5, secs(9))).await;
        assert!(seen(&report, 1) > 0, "it was late");
        assert!(report.calls.iter().all(|call| call.answered_by == Some(0)), "and answered");
        world.settle();
    });
}

#[test]
fn an_answer_that_has_begun_is_not_late_though_it_is_held_back() {
    simulate(async {
        let long = Behaviour { tokens: 100, token: Latency::millis(50), ..begins_after(100) };
        let scripts = vec![Script::anthropic().behaving(long), Script::gemini()];
        let world =
            World::new(33, scripts, |builder| builder.hedging(Hedging::default()).on_break(OnBreak::Buffer));
        let report = world.run(streams(2.0, secs(60))).await;
        assert_eq!(report.answered(), report.calls.len());
        assert_eq!(seen(&report, 1), 0, "none is paid for twice");
        world.settle();
    });
}

#[test]
fn what_is_late_stays_rare_though_those_that_lose_are_never_seen_to_begin() {
    simulate(async {
        let slow = Stragglers { share: 0.03, factor: 30.0 };
        let spread = Behaviour { first_token: Latency::lognormal(300, 1500), ..begins_after(0) };
        let scripts = vec![
            Script::anthropic().behaving(Behaviour { stragglers: Some(slow), ..spread }),
            Script::gemini().behaving(begins_after(50)),
        ];
        let world = World::new(34, scripts, |builder| {
            builder
                .hedging(Hedging::default())
                .retry_budget(RetryBudgetConfig { ratio: 1.0, ..RetryBudgetConfig::default() })
        });
        let report = world.run(streams(10.0, secs(900))).await;
        let share = seen(&report, 1) as f64 / report.calls.len() as f64;
        println!("hedges: {share:.3} of all\n{report}");
        assert!((0.03..0.07).contains(&share), "a twentieth is late, and {share} was hedged");
        world.settle();
    });
}

#[test]
fn a_route_that_has_no_room_for_a_hedge_is_left_to_fall_back_to() {
    simulate(async {
        let late = Behaviour { headers: Latency::ZERO, ..begins_after(2000) }.with_fault(1.0, Fault::Server);
        let claude = Script::anthropic().behaving(begins_after(100)).from(secs(10), late);
        // An answer takes 12 of these: there is room for the smallest request, and for no other.
        let limits = Limits { input_tokens_per_minute: Some(13), ..Limits::default() };
        let gemini = Script::gemini()
            .behaving(begins_after(100))
            .configured(|provider: Provider| provider.limits(limits));
        let world = World::new(35, vec![claude, gemini], |builder| builder.hedging(Hedging::default()));
        world.run(streams(10.0, secs(9))).await;
        let other = Load { models: vec!["gemini-3.6-flash".into()], ..streams(1.0, secs(1)) };
        assert_eq!(world.run(other).await.answered(), 1, "it fills the limit");
        tokio::time::sleep(secs(2)).await;
        let report = world.run(Load { timeout: Some(secs(300)), ..streams(1.0, secs(1)) }).await;
        println!("no room\n{report}");
        assert_eq!(report.answered(), 1, "once there is room");
        world.settle();
    });
}

#[test]
fn the_books_agree_in_bad_weather_with_hedges_and_queues() {
    simulate(async {
        let lasts = secs(180);
        let limits = Limits { concurrency: Some(30), ..Limits::default() };
        let scripts = weather::scripts(lasts).map(|script| script.configured(|p| p.limits(limits)));
        let world = World::new(36, scripts.into(), |builder| {
            builder.hedging(Hedging { quantile: 0.8, ..Hedging::default() }).queueing(Default::default())
        });
        let load = Load { arrivals: Arrivals::Poisson { per_second: 60.0 }, ..weather::load(60.0, lasts) };
        let report = world.run(load).await;
        println!("weather with hedges and queues\n{report}");
        assert!(report.success_rate() >= 0.99, "{}", report.success_rate());
        world.settle();
    });
}
