//! Setting a key or a route aside after a failure that waiting does not mend.
//!
//! A rejected key or a missing model is not asked for again at once, but it is
//! asked again: keys are mended without a restart. Each time it fails again
//! straight after a bench it is benched for twice as long, up to a cap. A
//! success ends the row. Failures of requests that were out when the bench
//! began tell nothing new and do not lengthen it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BenchMemory, ConfigError, memory::at_most};
use crate::{error::ErrorKind, time::Timestamp};

/// How long a key or a route is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// How long the first time.
    pub bench_for: Duration,
    /// How long at most.
    pub bench_cap: Duration,
}

impl Default for HealthConfig {
    /// 30 s, long enough to stop hammering and short enough that a mended key
    /// is soon used again; doubling to ten minutes.
    fn default() -> Self {
        Self { bench_for: Duration::from_secs(30), bench_cap: Duration::from_secs(600) }
    }
}

impl HealthConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.bench_for.is_zero() {
            return Err(ConfigError::new("health.bench_for", "is zero; give a duration such as 30s"));
        }
        if self.bench_cap < self.bench_for {
            return Err(ConfigError::new(
                "health.bench_cap",
                "is below health.bench_for; make it at least that",
            ));
        }
        Ok(())
    }
}

/// That a key or a route is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benched {
    /// How it failed.
    pub kind: ErrorKind,
    /// Until when it is not used.
    pub until: Timestamp,
}

/// The bench of one key or route.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bench {
    last: Option<Benched>,
    /// Benches in a row, without a success in between.
    row: u32,
}

impl Bench {
    /// Whether it is set aside at `now`.
    pub(super) fn benched(&self, now: Timestamp) -> Option<Benched> {
        self.last.filter(|last| last.until > now)
    }

    /// What the next process must know.
    pub(super) fn memory(&self) -> Option<BenchMemory> {
        self.last.map(|last| BenchMemory { last, row: self.row })
    }

    /// Takes up where a bench left off.
    pub(super) fn restore(&mut self, memory: &BenchMemory, now: Timestamp, config: &HealthConfig) {
        let until = at_most(memory.last.until, now, config.bench_cap);
        *self = Self { last: Some(Benched { until, ..memory.last }), row: memory.row };
    }

    /// A request that was admitted at `admitted` has failed in this way.
    pub(super) fn failed(
        &mut self,
        kind: ErrorKind,
        admitted: Timestamp,
        now: Timestamp,
        config: &HealthConfig,
    ) -> Benched {
        if self.last.is_none_or(|last| last.until <= admitted) {
            self.row = self.row.saturating_add(1);
        }
        let factor = 1u32.checked_shl(self.row.saturating_sub(1)).unwrap_or(u32::MAX);
        let time = config.bench_for.saturating_mul(factor).min(config.bench_cap);
        let until = match self.benched(now) {
            Some(last) => last.until,
            None => now + time,
        };
        *self.last.insert(Benched { kind, until })
    }

    /// A request that was admitted at `admitted` has succeeded. One that was
    /// out when the bench began does not end it.
    pub(super) fn succeeded(&mut self, admitted: Timestamp) {
        if self.last.is_some_and(|last| last.until <= admitted) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed(bench: &mut Bench, admitted: Timestamp, now: Timestamp) -> Duration {
        bench.failed(ErrorKind::Authentication, admitted, now, &HealthConfig::default()).until.since(now)
    }

    #[test]
    fn a_bench_doubles_to_the_cap_and_a_success_ends_the_row() {
        let mut bench = Bench::default();
        let mut now = Timestamp::EPOCH + SECOND;
        for seconds in [30, 60, 120, 240, 480, 600, 600, 600] {
            assert_eq!(failed(&mut bench, now, now), SECOND * seconds);
            now = now + SECOND * seconds;
            assert_eq!(bench.benched(now), None);
        }
        bench.succeeded(now);
        assert_eq!(failed(&mut bench, now, now), SECOND * 30);
    }

    #[test]
    fn what_was_out_before_the_bench_neither_lengthens_nor_ends_it() {
        let mut bench = Bench::default();
        let start = Timestamp::EPOCH + SECOND;
        assert_eq!(failed(&mut bench, start, start), SECOND * 30);
        let later = start + SECOND * 10;
        assert_eq!(failed(&mut bench, start, later), SECOND * 20);
        bench.succeeded(start);
        assert!(bench.benched(later).is_some());
        // So late that the bench is over: set aside again, as long as before.
        let after = start + SECOND * 40;
        assert_eq!(failed(&mut bench, start, after), SECOND * 30);
    }

    #[test]
    fn nonsense_is_refused() {
        let good = HealthConfig::default();
        assert_eq!(good.check(), Ok(()));
        for (config, setting) in [
            (HealthConfig { bench_for: Duration::ZERO, ..good }, "health.bench_for"),
            (HealthConfig { bench_cap: SECOND, ..good }, "health.bench_cap"),
        ] {
            assert_eq!(config.check().expect_err("nonsense").setting, setting);
        }
    }
}
