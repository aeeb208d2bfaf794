//! A provider is down for a minute; another one stands in.

use std::time::Duration;

use leverframe_router::BreakerState;
use leverframe_tests::sim::{Fault, Load, Script, World};
use tokio::time::sleep;

use super::{full, secs, simulate};

const DOWN: std::ops::Range<Duration> = secs(10)..secs(70);

/// Most attempts at a dead provider in a minute, once its breaker is open.
const TARGET: usize = 5;

/// Writes down when a breaker changes its state, to the millisecond.
async fn transitions(world: &World, name: &str, until: Duration) -> Vec<(Duration, BreakerState)> {
    let mut seen = vec![(Duration::ZERO, BreakerState::Closed)];
    while world.age() < until {
        let state = world.breaker(name);
        if seen.last().is_none_or(|(_, last)| *last != state) {
            seen.push((world.age(), state));
        }
        sleep(Duration::from_millis(1)).await;
    }
    seen
}

#[test]
fn a_dead_provider_is_left_alone_and_taken_back() {
    let per_second = if full() { 1000.0 } else { 50.0 };
    simulate(async {
        let lasts = secs(140);
        let scripts = vec![Script::anthropic().outage(DOWN, Fault::Server), Script::gemini()];
        let world = World::new(2, scripts, |builder| builder);
        let load = Load::steady(per_second, lasts, "claude-sonnet-5");
        let (report, transitions) =
            tokio::join!(world.run(load), transitions(&world, "claude", lasts + secs(30)));

        let changed = |to: fn(&BreakerState) -> bool, after: Duration| {
            transitions.iter().find(|(at, state)| *at >= after && to(state)).map(|(at, _)| *at)
        };
        let is_open = |state: &BreakerState| matches!(state, BreakerState::Open(_));
        let opened = changed(is_open, DOWN.start).expect("it opens");
        let closed = changed(|state| *state == BreakerState::Closed, DOWN.end).expect("it closes again");
        let last_opened =
            transitions.iter().rfind(|(at, state)| *at < DOWN.end && is_open(state)).expect("it was open").0;
        let half_open =
            changed(|state| *state == BreakerState::HalfOpen, last_opened).expect("a probe is let through");
        let cooldown = half_open - last_opened;
        let arrivals = &report.providers[0].1.arrivals;
        let seen = |from: Duration, to: Duration| {
            arrivals.iter().filter(|arrival| arrival.at >= from && arrival.at < to).count()
        };
        let worst = report.calls.iter().filter(|call| call.at >= opened).map(|call| call.attempts[0]).max();
        let (before, after) = (seen(DOWN.start, opened), seen(opened, DOWN.end));
        let asked = report.calls.iter().filter(|call| DOWN.contains(&call.at)).count();
        let own = |from: Duration, to: Duration| {
            let calls = report.calls.iter().filter(|call| call.at >= from && call.at < to);
            let (own, all) =
                calls.fold((0, 0), |(own, all), c| (own + usize::from(c.answered_by == Some(0)), all + 1));
            own as f64 / f64::from(all)
        };
        println!(
            "outage of 60 s at {per_second} calls a second\n{report}\
             opened after {:?} and {before} attempts; {after} attempts while open ({:.5} per call, at most \
             {worst:?} for one); \
             back {:?} after recovery, the last cooldown being {cooldown:?}; then {:.1} % its own\n",
            opened - DOWN.start,
            after as f64 / asked as f64,
            closed - DOWN.end,
            100.0 * own(closed, closed + secs(10)),
        );
        assert_eq!(report.answered(), report.calls.len(), "the fallback answers everything");
        assert!(after <= TARGET, "{after} attempts while open");
        assert_eq!(worst, Some(1), "one attempt for each call, whatever comes of it");
        // A probe takes its time as well.
        assert!(closed - DOWN.end <= cooldown + secs(3), "{:?} until it is taken back", closed - DOWN.end);
        assert_eq!(own(closed, closed + secs(10)), 1.0, "all is as before");
        world.settle();
    });
}
