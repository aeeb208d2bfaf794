//! What came of it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use leverframe_router::ErrorKind;

use super::Counts;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a whole answer.
    Answered,
    /// With an error.
    Failed(ErrorKind),
    /// The caller left.
    Left,
}

/// Most providers in a world: calls keep a count for each.
pub(super) const MAX_PROVIDERS: usize = 6;

/// One call, as its caller saw it. Times are virtual.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its number: no two calls of a world have the same, and later ones have higher ones.
    pub number: u64,
    /// When, since the world's beginning.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// To the first content of a stream.
    pub first_token: Option<Duration>,
    /// How it ended.
    pub ended: Ended,
    /// How many requests were sent for it, by provider, as its record says.
    pub attempts: [u8; MAX_PROVIDERS],
    /// Whose answer it was: a place among the world's providers.
    pub answered_by: Option<usize>,
}

/// Half are below, nine of ten, 99 of a hundred, all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Percentiles {
    /// Of these durations, by the nearest rank; zeros for none.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<_> = durations.into_iter().collect();
        sorted.sort_unstable();
        let Some(max) = sorted.last().copied() else { return Self::default() };
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Self { p50: at(50), p90: at(90), p99: at(99), max }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, max } = self;
        [p50, p90, p99, max].into_iter().try_for_each(|time| write!(f, "{:>10}", time.as_millis()))
    }
}

/// What came of a run. Its `Display` is a table.
#[derive(Clone, Debug)]
pub struct Report {
    /// The calls of this run, oldest first.
    pub calls: Vec<Call>,
    /// What each provider has seen since the world's beginning.
    pub providers: Vec<(String, Counts)>,
    /// The world's age at its end.
    pub virtual_time: Duration,
    /// How long the run took on this machine.
    pub real_time: Duration,
}

impl Report {
    /// How many calls were answered.
    pub fn answered(&self) -> usize {
        self.calls.iter().filter(|call| call.ended == Ended::Answered).count()
    }

    /// How many callers left.
    pub fn left(&self) -> usize {
        self.calls.iter().filter(|call| call.ended == Ended::Left).count()
    }

    /// How many calls failed in which way.
    pub fn failures(&self) -> BTreeMap<String, usize> {
        let mut failures = BTreeMap::new();
        for call in &self.calls {
            if let Ended::Failed(kind) = call.ended {
                *failures.entry(kind.to_string()).or_default() += 1;
            }
        }
        failures
    }

    /// Answered calls among those whose callers stayed, from 0 to 1.
    pub fn success_rate(&self) -> f64 {
        self.answered() as f64 / ((self.calls.len() - self.left()) as f64).max(1.0)
    }

    /// Requests sent for one call on average.
    pub fn attempts_per_call(&self) -> f64 {
        let attempts: u64 = self.calls.iter().flat_map(|call| call.attempts).map(u64::from).sum();
        attempts as f64 / (self.calls.len() as f64).max(1.0)
    }

    /// How long answers took.
    pub fn totals(&self) -> Percentiles {
        Percentiles::of(self.calls.iter().filter(|call| call.ended == Ended::Answered).map(|call| call.took))
    }

    /// How long the first tokens of streams took.
    pub fn first_tokens(&self) -> Percentiles {
        Percentiles::of(self.calls.iter().filter_map(|call| call.first_token))
    }

    /// The longest that any call took.
    pub fn longest(&self) -> Duration {
        self.calls.iter().map(|call| call.took).max().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, answered, left) = (self.calls.len(), self.answered(), self.left());
        writeln!(
            f,
            "{calls} calls in {:.0} s (virtual; {:.1} s real): {answered} answered, {left} left, {} failed; \
             success {:.3} %, {:.3} attempts per call",
            self.virtual_time.as_secs_f64(),
            self.real_time.as_secs_f64(),
            calls - answered - left,
            100.0 * self.success_rate(),
            self.attempts_per_call(),
        )?;
        for (kind, count) in self.failures() {
            writeln!(f, "  {count} x {kind}")?;
        }
        writeln!(f, "{:<14}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p90", "p99", "max")?;
        writeln!(f, "{:<14}{}", "first token", self.first_tokens())?;
        writeln!(f, "{:<14}{}", "answer", self.totals())?;
        let mut heads = String::new();
        for head in
            ["seen", "answered", "refused", "failed", "cancelled", "abandoned", "most open", "peak/min"]
        {
            write!(heads, "{head:>10}")?;
        }
        writeln!(f, "{:<14}{heads}", "provider")?;
        for (name, counts) in &self.providers {
            let Counts { arrivals, answered, refused, failed, cancelled, abandoned, most_open, .. } = counts;
            let abandoned = abandoned.len();
            let busiest = counts.by_minute().into_iter().max().unwrap_or_default();
            writeln!(
                f,
                "{name:<14}{:>10}{answered:>10}{refused:>10}{failed:>10}{cancelled:>10}{abandoned:>10}\
                 {most_open:>10}{busiest:>10}",
                arrivals.len(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |count: u64| Percentiles::of((1..=count).rev().map(Duration::from_secs));
        let seconds = |p: Percentiles| [p.p50, p.p90, p.p99, p.max].map(|time| time.as_secs());
        assert_eq!(seconds(of(0)), [0, 0, 0, 0]);
        assert_eq!(seconds(of(1)), [1, 1, 1, 1]);
        assert_eq!(seconds(of(10)), [5, 9, 10, 10]);
        assert_eq!(seconds(of(1000)), [500, 900, 990, 1000]);
    }
}
