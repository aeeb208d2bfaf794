//! Many threads at one key: what no schedule may break.
//!
//! Each thread takes its time from one counter that all of them push on, and
//! reads it late by up to a second. Nothing sleeps; several windows pass.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    catalog::NanoDollars,
    guard::{BreakerConfig, LimitKind},
    model::{Tokens, Usage},
};

const THREADS: u64 = 64;
const STEPS: usize = 400;
const START: u64 = 1_800_000_000_000_000_000;

/// What stays counted of one request.
#[derive(Clone, Copy, Debug)]
struct Kept {
    route: usize,
    at: Timestamp,
    took: Claim,
}

#[derive(Debug, Default)]
struct Shared {
    clock: AtomicU64,
    /// Admitted and not over, by the threads' own count.
    out: AtomicU64,
    most_out: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    fn now(&self, rng: &mut fastrand::Rng) -> Timestamp {
        let latest = self.clock.fetch_add(rng.u64(0..30_000_000), Ordering::Relaxed);
        Timestamp::from_unix_nanos(START + latest - rng.u64(0..1_000_000_000))
    }
}

/// Asks the gate again from within, which would hang were a lock held.
#[derive(Debug)]
struct Nosy(Mutex<Option<Arc<Gate>>>, AtomicU64);

impl Watcher for Nosy {
    fn released(&self, _scope: Scope) {
        if let Some(gate) = &*lock(&self.0) {
            self.1.fetch_add(gate.in_flight() + 1, Ordering::Relaxed);
        }
    }
}

const KEY: Limits = Limits {
    requests_per_minute: Some(300),
    tokens_per_minute: Some(20_000),
    input_tokens_per_minute: None,
    output_tokens_per_minute: None,
    requests_per_day: None,
    spend_per_day: Some(NanoDollars::new(100_000)),
    concurrency: Some(40),
    adaptive: true,
};

const ROUTE: Limits = Limits {
    requests_per_minute: Some(200),
    tokens_per_minute: None,
    input_tokens_per_minute: Some(8_000),
    output_tokens_per_minute: Some(9_000),
    requests_per_day: Some(5_000),
    spend_per_day: None,
    concurrency: Some(30),
    adaptive: true,
};

/// One request: admitted if it may be, then dropped or settled in some way.
fn request(gates: &[Arc<Gate>], shared: &Shared, rng: &mut fastrand::Rng) -> Option<Kept> {
    let claim = Claim {
        input_tokens: rng.u64(0..100),
        output_tokens: rng.u64(0..100),
        cost: NanoDollars::new(rng.u64(0..100)),
    };
    let route = rng.usize(..gates.len());
    let now = shared.now(rng);
    let mut admission = match gates[route].admit(&claim, now) {
        Ok(admission) => admission,
        Err(refusal) => {
            assert!(refusal.until > now, "{refusal:?} at {now}");
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
    };
    let out = shared.out.fetch_add(1, Ordering::Relaxed) + 1;
    shared.most_out.fetch_max(out, Ordering::Relaxed);
    let at = admission.counted_at();
    assert!(at >= now, "counted before it came");
    std::thread::yield_now();
    let dropped_unsent = rng.u8(..4) == 0;
    if !dropped_unsent {
        admission.mark_sent();
    }
    // Given back here, before the gate is: never more out than the gate knows.
    shared.out.fetch_sub(1, Ordering::Relaxed);
    let took = if dropped_unsent {
        drop(admission);
        return None;
    } else {
        ends(admission, claim, shared, rng)
    };
    Some(Kept { route, at, took })
}

/// What becomes of a request that was sent, and what of its claim stays.
fn ends(admission: Admission, claim: Claim, shared: &Shared, rng: &mut fastrand::Rng) -> Claim {
    let now = shared.now(rng);
    let (input, output) = (rng.u64(..=claim.input_tokens), rng.u64(..=claim.output_tokens));
    let usage =
        Usage { input: Tokens::Reported(input), output: Tokens::Reported(output), ..Usage::default() };
    let spent = Spent { usage, cost: Some(NanoDollars::ZERO) };
    let reported = Claim { input_tokens: input, output_tokens: output, cost: NanoDollars::ZERO };
    let failure = |kind: ErrorKind, status| Failure::new(kind, "as told").with_status(status);
    match rng.u8(..10) {
        0 => {
            drop(admission);
            claim
        }
        1 => {
            admission.settle(Err(&failure(ErrorKind::RateLimited, 429)), &Spent::default(), now);
            Claim::default()
        }
        2 => {
            admission.settle(Err(&failure(ErrorKind::Server, 500)), &Spent::default(), now);
            Claim::default()
        }
        3 => {
            admission.settle(Err(&failure(ErrorKind::Interrupted, 200)), &Spent::default(), now);
            claim
        }
        4 => {
            admission.settle(Ok(()), &Spent::default(), now);
            claim
        }
        _ => {
            admission.settle(Ok(()), &spent, now);
            reported
        }
    }
}

/// The most that any window of this kind ever held.
fn fullest(kept: &[Kept], kind: LimitKind) -> u64 {
    let window = kind.window().expect("has one");
    let mut kept: Vec<_> = kept.iter().map(|kept| (kept.at, share(kind, &kept.took))).collect();
    kept.sort_unstable();
    let (mut sum, mut first, mut most) = (0, 0, 0);
    for (at, amount) in &kept {
        sum += amount;
        while kept[first].0 + window <= *at {
            sum -= kept[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

fn share(kind: LimitKind, took: &Claim) -> u64 {
    match kind {
        LimitKind::RequestsPerMinute | LimitKind::RequestsPerDay | LimitKind::Concurrency => 1,
        LimitKind::TokensPerMinute => took.input_tokens + took.output_tokens,
        LimitKind::InputTokensPerMinute => took.input_tokens,
        LimitKind::OutputTokensPerMinute => took.output_tokens,
        LimitKind::SpendPerDay => took.cost.get(),
    }
}

fn run(seed: u64) {
    let shared = Shared { clock: AtomicU64::new(2_000_000_000), ..Shared::default() };
    let nosy = Arc::new(Nosy(Mutex::new(None), AtomicU64::new(0)));
    let key = KeyGuard::new(KEY).expect("valid").with_watcher(Arc::clone(&nosy) as Arc<dyn Watcher>);
    let key = Arc::new(key);
    let gates: Vec<_> = (0..2)
        .map(|nth| {
            let config = BreakerConfig {
                open_for: Duration::from_millis(300),
                // A thread that holds the probe may not get to run for long,
                // while the others push the time on.
                probe_lease: Duration::from_millis(500),
                ..BreakerConfig::default()
            };
            let breaker = Breaker::new(config, seed + nth).expect("valid");
            // One that learns from its 429s, and one whose limits stay.
            let limits = Limits { adaptive: nth == 0, ..ROUTE };
            Arc::new(Gate::new(breaker, Arc::clone(&key), limits).expect("valid"))
        })
        .collect();
    *lock(&nosy.0) = gates.first().cloned();

    let kept: Vec<Kept> = std::thread::scope(|scope| {
        let (shared, gates) = (&shared, &gates);
        let threads: Vec<_> = (0..THREADS)
            .map(|nth| {
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed * THREADS + nth);
                    let steps = (0..STEPS).filter_map(|_| request(gates, shared, &mut rng));
                    steps.collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    });
    *lock(&nosy.0) = None;

    // Between 750 and 1700, as the threads are scheduled.
    assert!(kept.len() > 100, "only {} were admitted", kept.len());
    assert!(shared.refused.load(Ordering::Relaxed) > 0, "nothing was ever used up");
    assert!(nosy.1.load(Ordering::Relaxed) > 0);
    assert!(shared.most_out.load(Ordering::Relaxed) <= 40);

    let now = Timestamp::from_unix_nanos(START + shared.clock.load(Ordering::Relaxed));
    for (nth, gate) in gates.iter().enumerate() {
        let of_route: Vec<_> = kept.iter().copied().filter(|kept| kept.route == nth).collect();
        let status = gate.status(now);
        assert_eq!((status.in_flight, status.key_in_flight), (0, 0));
        assert_eq!(status.limits.len(), 9);
        for limit in status.limits {
            assert_eq!(limit.reserved, 0, "{limit:?}");
            let log = if limit.scope == Scope::Key { &kept } else { &of_route };
            let Some(window) = limit.kind.window() else {
                assert_eq!(limit.used, 0, "{limit:?}");
                continue;
            };
            let configured = limit.configured.expect("all are");
            assert!(fullest(log, limit.kind) <= configured, "{limit:?}: {}", fullest(log, limit.kind));
            // Refusals and refunds left no trace: what counts is what was kept,
            // some of it a 256th of the window longer.
            let counts = |longer: Duration| -> u64 {
                let live = log.iter().filter(|kept| kept.at + window + longer > now);
                live.map(|kept| share(limit.kind, &kept.took)).sum()
            };
            let bounds = counts(Duration::ZERO)..=counts(window / 256);
            assert!(bounds.contains(&limit.used), "{limit:?} is not in {bounds:?}");
        }
    }
}

#[test]
fn many_threads_never_exceed_a_limit_and_leave_no_trace() {
    for seed in 0..4 {
        run(seed);
    }
}
