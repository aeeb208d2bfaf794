//! Whole stretches of traffic against the real router in virtual time, each
//! with a target that must be met.
//!
//! A module is a scenario: a world, some traffic, what must hold. All figures
//! are printed; `--nocapture` shows them. `make test` plays them scaled down;
//! `make simulate` sets `SIMULATE_FULL` and plays an hour of weather at 100
//! requests a second and the outage at 1000 a second, in the release profile.
//! Runs of one seed are alike.

mod cancellations;
mod deadlines;
mod faults;
mod flapping;
mod halved;
mod hedging;
mod limits;
mod outage;
mod queues;
mod stragglers;
mod weather;

use std::{future::Future, time::Duration};

use leverframe_tests::sim::{Load, Script, World};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How much later than its deadline a call may end. Timers tick in milliseconds.
const GRACE: Duration = Duration::from_millis(50);

/// Plays a simulation in virtual time.
fn simulate<T>(simulation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without threads or sockets").block_on(simulation)
}

/// Whether scenarios are played at full length.
fn full() -> bool {
    std::env::var_os("SIMULATE_FULL").is_some()
}

/// All three providers, healthy, in the order in which they fall back.
fn healthy() -> [Script; 3] {
    [Script::anthropic(), Script::gemini(), Script::openai()]
}

/// What a model's own provider is called.
const MODELS: [(&str, &str); 3] =
    [("claude", "claude-sonnet-5"), ("gemini", "gemini-3.6-flash"), ("openai", "gpt-4.1-mini")];

/// Every model, equally often.
fn every_model() -> Vec<String> {
    MODELS.iter().map(|(_, model)| (*model).to_owned()).collect()
}

#[test]
fn a_healthy_world_answers_everything_at_the_first_attempt() {
    simulate(async {
        let world = World::new(1, healthy().into(), |builder| builder);
        let load = Load { models: every_model(), ..Load::steady(50.0, secs(20), "") };
        let report = world.run(load).await;
        println!("healthy\n{report}");
        assert_eq!((report.answered(), report.attempts_per_call()), (1000, 1.0));
        world.settle();
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let play = |seed| {
        simulate(async {
            let world = World::new(seed, weather::scripts(secs(60)).into(), |builder| builder);
            let load = weather::load(30.0, secs(60));
            let report = world.run(load).await;
            world.settle();
            report.calls
        })
    };
    assert_eq!(play(7), play(7));
    assert_ne!(play(7), play(8));
}
