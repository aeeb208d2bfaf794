//! Requests that wait for a limit wait in turn, and no longer than they are patient.

use std::time::Duration;

use leverframe_router::{Limits, Queueing};
use leverframe_tests::sim::{Behaviour, Latency, Load, Script, World};

use super::{GRACE, secs, simulate};

const MODEL: &str = "claude-sonnet-5";

/// One request at a time, each of which takes so long.
fn one_at_a_time(takes: Duration) -> Script {
    let latency = Latency::Constant(takes);
    let behaviour =
        Behaviour { headers: latency, first_token: Latency::ZERO, tokens: 1, ..Behaviour::default() };
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    Script::anthropic().behaving(behaviour).configured(|provider| provider.limits(limits))
}

#[test]
fn nobody_waits_longer_than_patience() {
    simulate(async {
        for length in [1, 100] {
            let queueing = Queueing { length, patience: secs(1) };
            let world = World::new(41, vec![one_at_a_time(secs(30))], |builder| builder.queueing(queueing));
            let report = world.run(Load { streamed: 0.0, ..Load::steady(10.0, secs(2), MODEL) }).await;
            assert_eq!(report.answered(), 1);
            let longest = report.calls.iter().skip(1).map(|call| call.took).max().expect("some were refused");
            assert!(longest <= queueing.patience + GRACE, "{length}: {longest:?}");
            world.settle();
        }
    });
}

#[test]
fn first_come_first_served() {
    simulate(async {
        let queueing = Queueing { length: 100, patience: secs(60) };
        let takes = Duration::from_millis(200);
        let world = World::new(42, vec![one_at_a_time(takes)], |builder| builder.queueing(queueing));
        let report = world.run(Load { streamed: 0.0, ..Load::steady(10.0, secs(8), MODEL) }).await;
        assert_eq!(report.answered(), report.calls.len());
        let ends: Vec<_> = report.calls.iter().map(|call| call.at + call.took).collect();
        assert!(ends.is_sorted(), "{ends:?}");
        // None of the time is lost between one and the next.
        let all = takes * u32::try_from(ends.len()).expect("few");
        let last = ends.last().expect("some");
        assert!(*last <= all + secs(1), "{last:?} for {all:?} of work");
        world.settle();
    });
}
