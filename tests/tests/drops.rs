//! Ten thousand requests and streams dropped at random points, over real
//! sockets: the provider is told at once, nothing is asked after the drop, and
//! nothing is left behind.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use leverframe_emulator::{Call, CallEnd, Emulator, Fault, Step};
use leverframe_router::{BreakerConfig, ErrorKind, Outcome, RetryBudgetConfig, Router};
use leverframe_tests::{PROVIDERS, Records, ask, base, provider};
use tokio::time::Instant;

const WANTED: usize = 10_000;
/// Of requests; about half of one ends before it is dropped.
const MAX_BATCHES: usize = 60;
const REQUESTS: usize = 500;
/// How soon a provider has to be told.
const AT_ONCE: Duration = Duration::from_millis(50);

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1e3)
}

/// Providers that are slow, break, refuse and stall in turns.
fn script(emulator: &Emulator) {
    let slow = Step::tokens(["a"; 20]).before_headers(millis(20.0)).between_tokens(millis(4.0));
    let steps = [
        slow.clone(),
        Step::server_error().before_headers(millis(1.0)),
        slow.clone().reset_after(3),
        Step::stall_before_headers(),
        slow.clone().stall_after(5),
        Step::fault(Fault::Overloaded),
        slow,
    ];
    for (_, fake, _) in PROVIDERS {
        emulator.cycle(fake, None, steps.clone());
    }
}

/// Sends a request and drops it after `patience`. When it was dropped, if it
/// was not over before.
async fn dropped(router: &Router, number: usize, streamed: bool, patience: Duration) -> Option<Instant> {
    let request = ask("claude").user(format!("drop-{number:06}"));
    let going_on = async {
        if !streamed {
            return drop(router.send(request).await);
        }
        let Ok(mut stream) = router.stream(request).await else { return };
        while stream.next().await.is_some() {}
    };
    tokio::time::timeout(patience, going_on).await.is_err().then(Instant::now)
}

/// The request a call was made for.
fn number(call: &Call) -> usize {
    let body = call.body.to_string();
    let at = body.find("drop-").expect("every request has its number");
    body[at + 5..at + 11].parse().expect("a number")
}

/// Waits until the emulator has noticed everything.
async fn settled(emulator: &Emulator) -> Vec<Call> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let calls = emulator.calls();
        if calls.iter().all(|call| call.end.is_some()) || Instant::now() > patience {
            return calls;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_drops_leave_nothing_behind() {
    let mut rng = fastrand::Rng::with_seed(11);
    let tasks_before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (mut drops, mut told_after) = (0, Vec::new());
    let mut batches = 0..MAX_BATCHES;
    while drops < WANTED
        && let Some(batch) = batches.next()
    {
        let emulator = Emulator::start().await.expect("loopback has free ports");
        script(&emulator);
        let records = Arc::new(Records::default());
        let breaker = BreakerConfig { consecutive_failures: u32::MAX, ..BreakerConfig::default() };
        let retries = RetryBudgetConfig { ratio: 10.0, ..RetryBudgetConfig::default() };
        let builder = base().seed(batch as u64).breaker(breaker).retry_budget(retries);
        let mut builder = builder.recorder(Arc::clone(&records) as _);
        for (name, ..) in PROVIDERS {
            builder = builder.provider(provider(&emulator, name));
        }
        let router = builder.build().expect("valid");
        let plans: Vec<_> = (0..REQUESTS).map(|n| (n, rng.bool(), millis(rng.f64() * 25.0))).collect();
        let requests = plans.into_iter().map(|(n, streamed, patience)| {
            let router = &router;
            async move { (n, dropped(router, n, streamed, patience).await) }
        });
        // A few at a time, so that what is measured is the drop and not the machine's queue.
        let dropped: HashMap<usize, Instant> = stream::iter(requests)
            .buffer_unordered(24)
            .filter_map(|(n, at)| async move { Some((n, at?)) })
            .collect()
            .await;
        drops += dropped.len();
        for call in settled(&emulator).await {
            let Some(dropped_at) = dropped.get(&number(&call)) else { continue };
            let (end, ended_at) = (call.end.expect("settled"), call.ended_at.expect("settled"));
            assert!(
                call.at <= *dropped_at + AT_ONCE,
                "asked {:?} after the drop",
                call.at.duration_since(*dropped_at)
            );
            if end == CallEnd::ClientWentAway {
                told_after.push(ended_at.saturating_duration_since(*dropped_at));
            }
        }
        assert_eq!(records.all().len(), REQUESTS, "one record each");
        let cancelled =
            |outcome: &Outcome| matches!(outcome, Outcome::Failed { kind: ErrorKind::Cancelled, .. });
        let cancelled = records.all().iter().filter(|record| cancelled(&record.outcome)).count();
        assert_eq!(cancelled, dropped.len(), "each drop is recorded as one");
    }
    told_after.sort();
    let at = |share: f64| told_after[((told_after.len() - 1) as f64 * share) as usize];
    println!(
        "{drops} drops of {} requests, {} while a provider was at work; told after {:?} (median), {:?} (p99), {:?} (last)",
        batches.start * REQUESTS,
        told_after.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert!(drops >= WANTED, "{drops}");
    assert!(at(0.99) < AT_ONCE, "{:?}", at(0.99));
    // The routers are gone, and with them every task and idle connection of theirs.
    let patience = Instant::now() + Duration::from_secs(10);
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    while alive() > tasks_before && Instant::now() < patience {
        tokio::task::yield_now().await;
    }
    assert_eq!(alive(), tasks_before, "tasks are left behind");
}
