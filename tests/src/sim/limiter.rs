//! A provider's own rate limit.

use std::{collections::VecDeque, time::Duration};

/// How many requests a provider takes. May change while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many in any stretch of this length.
    Window {
        /// How many.
        requests: usize,
        /// The length.
        per: Duration,
    },
    /// A bucket that fills steadily.
    Bucket {
        /// Most requests at once, at least 1.
        burst: f64,
        /// How fast it fills, above 0.
        per_second: f64,
    },
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// How many requests it takes in a minute, if it counts by the minute.
    pub(super) requests: Option<usize>,
    /// How many requests would be taken now.
    pub(super) remaining: usize,
    /// How long until all of it is there again.
    pub(super) full_in: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);

/// What has been taken lately. Times count from the world's beginning.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    /// When requests were taken, oldest first; none that no window asks for.
    taken: VecDeque<Duration>,
    /// What the bucket lacks.
    spent: f64,
    /// When `spent` was right.
    at: Duration,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self { taken: VecDeque::new(), spent: 0.0, at: Duration::ZERO }
    }

    /// Takes a request, or says how long to wait for the next one to be taken.
    /// A request that is turned down takes nothing.
    pub(super) fn take(&mut self, limit: Limit, now: Duration) -> Result<(), Duration> {
        match limit {
            Limit::Window { requests, per } => {
                while self.taken.front().is_some_and(|oldest| *oldest + per <= now) {
                    self.taken.pop_front();
                }
                // After the limit has shrunk more than one has to leave the window.
                let leaves = self.taken.len().checked_sub(requests).and_then(|nth| self.taken.get(nth));
                match leaves {
                    Some(leaves) => Err(*leaves + per - now),
                    None => {
                        self.taken.push_back(now);
                        Ok(())
                    }
                }
            }
            Limit::Bucket { burst, per_second } => {
                let filled = (now - self.at).as_secs_f64() * per_second;
                // A bucket that has shrunk is no emptier than empty.
                (self.spent, self.at) = ((self.spent - filled).clamp(0.0, burst), now);
                let over = self.spent + 1.0 - burst;
                if over > 0.0 {
                    // Less than a nanosecond is a wait all the same.
                    return Err(Duration::from_secs_f64(over / per_second).max(Duration::from_nanos(1)));
                }
                self.spent += 1.0;
                Ok(())
            }
        }
    }

    /// What a provider would say of it.
    pub(super) fn report(&self, limit: Limit, now: Duration) -> Standing {
        match limit {
            Limit::Window { requests, per } => Standing {
                requests: (per == MINUTE).then_some(requests),
                remaining: requests.saturating_sub(self.taken.len()),
                full_in: self.taken.back().map_or(Duration::ZERO, |newest| *newest + per - now),
            },
            Limit::Bucket { burst, per_second } => Standing {
                requests: None,
                remaining: (burst - self.spent).max(0.0) as usize,
                full_in: Duration::from_secs_f64(self.spent / per_second),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gaps() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..400, 1..200)
    }

    /// When a limiter takes one of requests that come after these gaps.
    fn taken(limit: impl Fn(usize) -> Limit, gaps: &[u64]) -> Vec<Duration> {
        let (mut limiter, mut now, mut taken) = (Limiter::new(), Duration::ZERO, Vec::new());
        for (nth, gap) in gaps.iter().enumerate() {
            now += Duration::from_millis(*gap);
            if limiter.take(limit(nth), now).is_ok() {
                taken.push(now);
            }
        }
        taken
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_window_holds_more_than_the_limit(gaps in gaps(), requests in 1usize..8) {
            let taken = taken(|_| Limit::Window { requests, per: SECOND }, &gaps);
            for (nth, from) in taken.iter().enumerate() {
                let within = taken[nth..].iter().filter(|at| **at < *from + SECOND).count();
                prop_assert!(within <= requests);
            }
        }

        #[test]
        fn a_bucket_takes_its_burst_and_what_it_fills(gaps in gaps(), burst in 1u32..8, rate in 1u32..20) {
            let (burst, per_second) = (f64::from(burst), f64::from(rate));
            let taken = taken(|_| Limit::Bucket { burst, per_second }, &gaps);
            for (nth, from) in taken.iter().enumerate() {
                for (more, until) in taken[nth..].iter().enumerate() {
                    let filled = (*until - *from).as_secs_f64() * per_second;
                    prop_assert!((more + 1) as f64 <= burst + filled + 1e-6);
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_is_taken(gaps in gaps(), shrinks in 0usize..100, bucket: bool) {
            let limit = |nth: usize| match (bucket, nth < shrinks) {
                (false, generous) => Limit::Window { requests: if generous { 6 } else { 2 }, per: SECOND },
                (true, generous) => Limit::Bucket { burst: if generous { 6.0 } else { 2.0 }, per_second: 3.0 },
            };
            let (mut limiter, mut now) = (Limiter::new(), Duration::ZERO);
            for (nth, gap) in gaps.iter().enumerate() {
                now += Duration::from_millis(*gap);
                if let Err(wait) = limiter.take(limit(nth), now) {
                    prop_assert!(wait > Duration::ZERO);
                    // A nanosecond for what is lost between float and integer.
                    now += wait + Duration::from_nanos(1);
                    prop_assert!(limiter.take(limit(nth), now).is_ok());
                }
            }
        }
    }
}
