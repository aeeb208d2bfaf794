//! Configured limits: kept to, with and without a queue in front of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leverframe_router::{Limits, NanoDollars, Queueing, Record, Recorder};
use leverframe_tests::sim::{
    Arrival, Arrivals, Behaviour, Ended, Latency, Leave, Load, Report, Script, World,
};

use super::{GRACE, full, secs, simulate};

const MODEL: &str = "claude-sonnet-5";
const MINUTE: Duration = secs(60);
const QUEUE: Queueing = Queueing { length: 20, patience: secs(5) };

/// One provider, its answers half a second long, and nobody to fall back to.
fn world(limits: Limits, queue: Option<Queueing>, spent: &Arc<Spent>) -> World {
    let behaviour = Behaviour {
        headers: Latency::millis(200),
        first_token: Latency::millis(240),
        token: Latency::millis(20),
        ..Behaviour::default()
    };
    let script = Script::anthropic().behaving(behaviour).configured(|provider| provider.limits(limits));
    World::new(31, vec![script], |builder| {
        let builder = builder.recorder(Arc::clone(spent) as _);
        match queue {
            Some(queue) => builder.queueing(queue),
            None => builder,
        }
    })
}

fn poisson(per_second: f64, lasts: Duration) -> Load {
    Load { arrivals: Arrivals::Poisson { per_second }, ..Load::steady(per_second, lasts, MODEL) }
}

/// What all calls together cost, in nano-dollars.
#[derive(Debug, Default)]
struct Spent(AtomicU64);

impl Recorder for Spent {
    fn record(&self, record: &Arc<Record>) {
        let cost = record.cost().and_then(|amount| amount.value());
        self.0.fetch_add(cost.map_or(0, NanoDollars::get), Ordering::Relaxed);
    }
}

/// Most requests in any stretch of this length that is open at its end.
fn busiest(arrivals: &[Arrival], window: Duration) -> usize {
    let after = |from: usize| arrivals.partition_point(|arrival| arrival.at < arrivals[from].at + window);
    (0..arrivals.len()).map(|from| after(from) - from).max().unwrap_or_default()
}

/// How long calls waited before they were sent.
fn waits(report: &Report) -> Vec<Duration> {
    let arrivals = report.providers[0].1.arrivals.iter();
    let asked = |number| report.calls.iter().find(|call| Some(call.number) == number);
    arrivals.filter_map(|arrival| Some(arrival.at - asked(arrival.call)?.at)).collect()
}

/// In their turn, and none for longer than it is ready to.
fn queue_is_fair(report: &Report, patience: Duration) {
    let arrivals = &report.providers[0].1.arrivals;
    let in_turn = arrivals.is_sorted_by(|one, next| one.call < next.call);
    assert!(in_turn, "first come, first served");
    let longest = waits(report).into_iter().max().unwrap_or_default();
    assert!(longest <= patience + GRACE, "one waited {longest:?} and was sent");
    let failed = report.calls.iter().filter(|call| matches!(call.ended, Ended::Failed(_)));
    let given_up = failed.map(|call| call.took).max().unwrap_or_default();
    assert!(given_up <= patience + GRACE, "one waited {given_up:?} in vain");
}

#[test]
fn no_minute_holds_more_requests_than_configured() {
    let lasts = if full() { secs(1800) } else { secs(150) };
    for queue in [None, Some(QUEUE)] {
        simulate(async {
            let limits = Limits { requests_per_minute: Some(300), ..Limits::default() };
            let world = world(limits, queue, &Arc::default());
            let report = world.run(poisson(6.0, lasts)).await;
            let most = busiest(&report.providers[0].1.arrivals, MINUTE);
            println!("300 a minute, queue: {queue:?}, at most {most} in a minute\n{report}");
            assert_eq!(most, 300, "the limit is kept to, and used");
            if queue.is_some() {
                queue_is_fair(&report, QUEUE.patience);
            }
            world.settle();
            // After a quiet minute all of it is there again.
            tokio::time::sleep(MINUTE).await;
            let burst = world.run(Load::steady(50.0, secs(5), MODEL)).await;
            assert_eq!((burst.answered(), burst.attempts_per_call()), (burst.calls.len(), 1.0));
        });
    }
}

#[test]
fn no_more_requests_are_out_than_configured() {
    const PLACES: u64 = 5;
    let lasts = if full() { secs(1800) } else { secs(60) };
    let leave = Some(Leave { share: 0.4, after: Latency::lognormal(600, 3000) });
    let cases = [
        ("no queue", None, None, None),
        ("a queue", Some(QUEUE), None, None),
        ("a queue, callers leave", Some(QUEUE), leave, None),
        ("a queue, deadlines before patience", Some(QUEUE), leave, Some(secs(2))),
    ];
    for (name, queue, leave, timeout) in cases {
        simulate(async {
            let limits = Limits { concurrency: Some(PLACES), ..Limits::default() };
            let world = world(limits, queue, &Arc::default());
            let report = world.run(Load { leave, timeout, ..poisson(15.0, lasts) }).await;
            let most = report.providers[0].1.most_open;
            println!("{PLACES} at a time, {name}: at most {most}\n{report}");
            assert_eq!(most, PLACES, "{name}");
            world.settle();
            let Some(queue) = queue else { return };
            queue_is_fair(&report, timeout.unwrap_or(queue.patience));
            // Answers take half a second and some are left before: nobody who has gone holds a place up.
            let seen = report.providers[0].1.arrivals.len() as f64;
            let capacity = PLACES as f64 * lasts.as_secs_f64() / 0.5;
            assert!(seen >= 0.95 * capacity, "{name}: {seen} of {capacity}");
            // As many callers as may wait, some of whom ask again before the next one has
            // its turn: no place in the queue was lost.
            let arrivals = Arrivals::Closed { callers: queue.length, think: Latency::ZERO };
            let report = world.run(Load { arrivals, ..Load::steady(1.0, secs(10), MODEL) }).await;
            assert_eq!(report.answered(), report.calls.len(), "{name}: the queue is as long as it was");
            world.settle();
        });
    }
}

#[test]
fn no_day_costs_more_than_configured() {
    const LIMIT: u64 = 50_000_000; // five cents
    for queue in [None, Some(QUEUE)] {
        simulate(async {
            let limits = Limits { spend_per_day: Some(NanoDollars::new(LIMIT)), ..Limits::default() };
            let spent = Arc::<Spent>::default();
            let world = world(limits, queue, &spent);
            let report = world.run(poisson(4.0, secs(120))).await;
            let cents = spent.0.load(Ordering::Relaxed) as f64 / 1e7;
            println!("5 cents a day, queue: {queue:?}: {cents:.3} cents spent\n{report}");
            assert!(cents <= 5.0, "{cents} cents");
            // What is left is less than an answer might cost.
            assert!(cents >= 3.0, "{cents} cents");
            assert!(report.answered() < report.calls.len());
            world.settle();
            tokio::time::sleep(secs(24 * 3600)).await;
            let next_day = world.run(Load::steady(1.0, secs(20), MODEL)).await;
            assert_eq!(next_day.answered(), next_day.calls.len());
        });
    }
}
