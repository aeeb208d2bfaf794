//! Callers that leave at any moment, while providers fail in every way.

use std::time::Duration;

use leverframe_router::{BreakerConfig, BreakerState};
use leverframe_tests::sim::{Arrivals, Behaviour, Ended, Fault, Latency, Leave, Load, World};

use super::{GRACE, MODELS, every_model, healthy, secs, simulate};

/// How long providers fail.
const STORM: Duration = secs(90);

fn stormy() -> Behaviour {
    Behaviour::default()
        .with_fault(0.05, Fault::Server)
        .with_fault(0.05, Fault::Hang)
        .with_fault(0.02, Fault::HangAfter(1))
        .with_fault(0.02, Fault::ResetAfter(1))
        .with_fault(0.02, Fault::TruncatedAfter(0))
        .with_fault(0.02, Fault::ConnectTimeout)
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    for arrivals in [
        Arrivals::Poisson { per_second: 100.0 },
        Arrivals::Closed { callers: 2000, think: Latency::lognormal(10_000, 60_000) },
    ] {
        simulate(async {
            let mut scripts =
                healthy().map(|script| script.behaving(stormy()).from(STORM, Behaviour::default()));
            // Down often enough that breakers are open and probes on their way as callers leave.
            scripts[0] = scripts[0].clone().flapping(secs(0)..STORM, secs(13), 0.5, Fault::Server);
            scripts[1] = scripts[1].clone().flapping(secs(0)..STORM, secs(17), 0.4, Fault::Hang);
            // Back soon: many probes are let through, and many of their callers leave. The
            // lease is too long to help: a probe must give its pass back as it is dropped.
            let breaker = BreakerConfig {
                open_for: secs(1),
                open_cap: secs(2),
                probe_lease: secs(100_000),
                ..Default::default()
            };
            let world = World::new(4, scripts.into(), |builder| builder.breaker(breaker));
            let leave = Leave { share: 0.5, after: Latency::lognormal(600, 20_000) };
            let load = Load {
                arrivals,
                leave: Some(leave),
                models: every_model(),
                timeout: Some(secs(30)),
                ..Load::steady(1.0, secs(60), "")
            };
            let report = world.run(load).await;
            println!("cancellations, {arrivals:?}\n{report}");
            assert!(report.left() > 500, "{} left", report.left());
            world.settle(); // nothing open, nothing sent for who had left
            for (name, _) in MODELS {
                let counts = world.counts(name);
                assert!(counts.cancelled > 50, "{name}: {} cancelled", counts.cancelled);
                assert!(counts.noticed_within <= GRACE, "{name}: {:?}", counts.noticed_within);
            }
            breakers_close_again(&world, STORM).await;
            models_are_back_with_their_own(&world).await;
        });
    }
}

/// Once all is well a little traffic finds that out. `storm` is its end.
pub(super) async fn breakers_close_again(world: &World, storm: Duration) {
    // The end of the storm, the longest that breakers stay open, and a probe.
    let calm = storm.saturating_sub(world.age()) + secs(10);
    world.run(Load { models: every_model(), ..Load::steady(3.0, calm, "") }).await;
    for (name, _) in MODELS {
        assert_eq!(world.breaker(name), BreakerState::Closed, "{name}");
    }
    world.settle();
}

async fn models_are_back_with_their_own(world: &World) {
    for (place, (name, model)) in MODELS.into_iter().enumerate() {
        let report = world.run(Load::steady(1.0, secs(10), model)).await;
        for call in report.calls {
            assert_eq!((call.ended, call.answered_by), (Ended::Answered, Some(place)), "{name}");
        }
    }
    world.settle();
}
