//! Providers that halve their limit, in virtual time: how many requests they
//! answer with 429 once the gate has had a window to learn it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::Duration,
};

use super::*;
use crate::guard::{BreakerConfig, LimitKind};

const MINUTE: Duration = Duration::from_secs(60);
const HALVES_AT: u64 = 5; // minutes
const ENDS_AT: u64 = 30;

/// How a provider counts.
enum Counting {
    /// The requests of any 60 s.
    Sliding(VecDeque<Timestamp>),
    /// A bucket that holds a minute's worth and is refilled continuously.
    Bucket { level: f64, at: Timestamp },
}

struct Provider {
    limit: u64,
    counting: Counting,
    reports: bool,
}

impl Provider {
    /// Counts a request that comes in, and whether it is served.
    fn serves(&mut self, now: Timestamp) -> bool {
        let limit = self.limit as f64;
        match &mut self.counting {
            Counting::Sliding(served) => {
                while served.front().is_some_and(|at| *at + MINUTE <= now) {
                    served.pop_front();
                }
                let fits = (served.len() as u64) < self.limit;
                if fits {
                    served.push_back(now);
                }
                fits
            }
            Counting::Bucket { level, at } => {
                *level = (*level + now.since(*at).as_secs_f64() * limit / 60.0).min(limit);
                *at = now;
                let fits = *level >= 1.0;
                if fits {
                    *level -= 1.0;
                }
                fits
            }
        }
    }

    /// The headers of an answer given at `now`.
    fn report(&self, now: Timestamp) -> Option<Observation> {
        let (remaining, resets_at) = match &self.counting {
            Counting::Sliding(served) => {
                (self.limit.saturating_sub(served.len() as u64), served.back().map(|last| *last + MINUTE))
            }
            Counting::Bucket { level, .. } => {
                let missing = self.limit as f64 - level;
                (*level as u64, Some(now + Duration::from_secs_f64(missing * 60.0 / self.limit as f64)))
            }
        };
        self.reports.then_some(Observation {
            kind: LimitKind::RequestsPerMinute,
            limit: Some(self.limit),
            remaining: Some(remaining),
            resets_at,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asked,
    Reached(u64),
    Answered(u64),
}

/// What was sent and what of that was refused, minute by minute.
type Minutes = BTreeMap<u64, (u64, u64)>;

/// Steady demand of 800 requests a minute, of which the gate lets some
/// through; each takes 30 to 300 ms to the provider and as much back.
fn run(counting: Counting, reports: bool, configured: Option<u64>, seed: u64) -> Minutes {
    let breaker = Breaker::new(BreakerConfig::default(), seed).expect("valid");
    let key = Arc::new(KeyGuard::new(Limits::default()).expect("valid"));
    let limits = Limits { requests_per_minute: configured, ..Limits::default() };
    let gate = Arc::new(Gate::new(breaker, key, limits).expect("valid"));
    let mut provider = Provider { limit: 600, counting, reports };
    let mut rng = fastrand::Rng::with_seed(seed);
    let flight = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(30..300));

    let start = Timestamp::EPOCH + MINUTE * 1000;
    let mut events = BinaryHeap::from([Reverse((start, Event::Asked))]);
    let mut out = BTreeMap::new();
    let mut answers = BTreeMap::new();
    let mut minutes = Minutes::new();
    for number in 0.. {
        let Some(Reverse((now, event))) = events.pop() else { break };
        let minute = now.since(start).as_secs() / 60;
        if minute >= HALVES_AT {
            provider.limit = 300;
        }
        match event {
            Event::Asked => {
                if let Ok(mut admission) = gate.admit(&Claim::default(), now) {
                    admission.mark_sent();
                    out.insert(number, (admission, minute));
                    minutes.entry(minute).or_default().0 += 1;
                    events.push(Reverse((now + flight(&mut rng), Event::Reached(number))));
                }
                if minute < ENDS_AT {
                    let pause = Duration::from_micros(rng.u64(20_000..130_000));
                    events.push(Reverse((now + pause, Event::Asked)));
                }
            }
            Event::Reached(number) => {
                let served = provider.serves(now);
                answers.insert(number, (served, provider.report(now)));
                events.push(Reverse((now + flight(&mut rng), Event::Answered(number))));
            }
            Event::Answered(number) => {
                let (admission, sent_in) = out.remove(&number).expect("sent once");
                let (served, report) = answers.remove(&number).expect("answered once");
                gate.observe(report.as_slice(), now);
                let limited = Failure::new(ErrorKind::RateLimited, "slow down").with_status(429);
                if !served {
                    minutes.entry(sent_in).or_default().1 += 1;
                }
                let outcome = if served { Ok(()) } else { Err(&limited) };
                admission.settle(outcome, &Spent::default(), now);
            }
        }
    }
    assert_eq!(gate.in_flight(), 0);
    minutes
}

fn sliding() -> Counting {
    Counting::Sliding(VecDeque::new())
}

fn bucket() -> Counting {
    Counting::Bucket { level: 600.0, at: Timestamp::EPOCH }
}

#[test]
fn a_window_after_a_provider_halved_its_limit_few_requests_are_refused() {
    type Case = (&'static str, fn() -> Counting, bool, Option<u64>);
    let cases: [Case; 6] = [
        ("sliding window, headers", sliding, true, Some(600)),
        ("sliding window, headers, nothing configured", sliding, true, None),
        ("sliding window, no headers", sliding, false, Some(600)),
        ("sliding window, no headers, nothing configured", sliding, false, None),
        ("token bucket, headers", bucket, true, Some(600)),
        ("token bucket, no headers", bucket, false, Some(600)),
    ];
    for (name, counting, reports, configured) in cases {
        for seed in 0..5 {
            let minutes = run(counting(), reports, configured, seed);
            let share = |minutes: &[(u64, u64)]| {
                let (sent, refused) = minutes.iter().fold((0, 0), |sum, m| (sum.0 + m.0, sum.1 + m.1));
                (100.0 * refused as f64 / sent as f64, sent / minutes.len() as u64)
            };
            let after: Vec<_> = minutes.range(HALVES_AT..ENDS_AT).map(|(_, m)| *m).collect();
            let (first, rest) = after.split_first().expect("minutes");
            let (percent, per_minute) = share(rest);
            let worst = rest.iter().map(|m| share(&[*m]).0).fold(0.0, f64::max);
            println!(
                "{name}, seed {seed}: {:.1} % in the first minute, then {percent:.2} % (worst minute {worst:.2} %) of {per_minute} a minute",
                share(&[*first]).0
            );
            assert!(percent < 1.0, "{name}, seed {seed}: {percent} %\n{minutes:?}");
            assert!(per_minute > 200, "{name}, seed {seed}: {per_minute} a minute\n{minutes:?}");
        }
    }
}
