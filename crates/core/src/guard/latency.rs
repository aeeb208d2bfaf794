//! How fast a route is: for ordering routes, and for knowing when one is late.
//!
//! Two views of the same samples. The peak EWMA is pessimistic and forgets
//! (Finagle's and linkerd's): a slow sample counts in full at once, a fast one
//! only by and by, and without samples it sinks, so that a route that was slow
//! is tried again. The histogram tells quantiles of the recent past.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::time::Timestamp;

/// How long a sample weighs: after this time it counts for a third.
const DECAY: Duration = Duration::from_secs(30);
/// How often the histogram's counts are halved.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Samples below which there is no quantile.
const MINIMUM_SAMPLE: u32 = 20;
/// Least a failure counts for: one that fails fast must not look fast.
const PENALTY: Duration = Duration::from_secs(1);
/// Most a failure counts for: a route that was down for long is to be tried
/// again some day.
const WORST_PENALTY: Duration = Duration::from_secs(60);
/// Most a sample counts for.
const LONGEST: Duration = Duration::from_secs(600);

/// Upper bounds of the buckets grow by a tenth, so that a bucket's end is at
/// most that much above every sample in it.
const GROWTH: f64 = 1.1;
/// The first bucket ends at 100 µs, and the last begins above [`LONGEST`].
const FIRST: f64 = 1e-4;
const BUCKETS: usize = 165;

/// What is known of a route's time to its first token. Shared by all requests.
#[derive(Debug)]
pub struct Latency {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Seconds, at `updated`. `None`: never measured.
    peak: Option<f64>,
    updated: Timestamp,
    counts: Box<[u32; BUCKETS]>,
    halved: Timestamp,
}

impl Default for Latency {
    fn default() -> Self {
        let counts = Box::new([0; BUCKETS]);
        let (updated, halved) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Self { state: Mutex::new(State { peak: None, updated, counts, halved }) }
    }
}

impl Latency {
    /// The first token came after this long.
    pub fn record(&self, first_token: Duration, now: Timestamp) {
        let seconds = first_token.min(LONGEST).as_secs_f64();
        let mut state = self.lock();
        state.sample(seconds, now);
        state.age(now);
        if let Some(count) = state.counts.get_mut(bucket(seconds)) {
            *count = count.saturating_add(1);
        }
    }

    /// It failed after this long, without a token.
    ///
    /// Counts as a slow sample: twice what was expected, at least a second and at
    /// most a minute.
    /// It is not in the quantiles, which are about answers.
    pub fn failed(&self, after: Duration, now: Timestamp) {
        let mut state = self.lock();
        let expected = state.decayed(now).unwrap_or_default();
        let seconds = after.max(PENALTY).as_secs_f64().max(2.0 * expected);
        state.sample(seconds.min(WORST_PENALTY.as_secs_f64()), now);
    }

    /// The time to expect, sinking while nothing is measured. `None` if nothing
    /// ever was.
    ///
    /// With `w = exp(-elapsed / 30 s)`: a sample above the estimate takes its
    /// place; one below makes it `w * estimate + (1 - w) * sample`; asked in
    /// between it is `w * estimate`.
    pub fn peak_ewma(&self, now: Timestamp) -> Option<Duration> {
        self.lock().decayed(now).map(Duration::from_secs_f64)
    }

    /// When it was last measured. `None` if it never was.
    pub fn measured_at(&self) -> Option<Timestamp> {
        let state = self.lock();
        state.peak.map(|_| state.updated)
    }

    /// By when this share of the answers of about the last minutes had begun:
    /// never too early, and at most a tenth too late. `None` below 20 of them.
    ///
    /// Where answers take equally long, a quantile told a little too early would
    /// be passed by all of them.
    pub fn quantile(&self, share: f64, now: Timestamp) -> Option<Duration> {
        let mut state = self.lock();
        state.age(now);
        let total = state.counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
        if total < MINIMUM_SAMPLE {
            return None;
        }
        let rank = (f64::from(total) * share.clamp(0.0, 1.0)).ceil().max(1.0) as u32;
        let mut below = 0_u32;
        let place = state.counts.iter().position(|count| {
            below = below.saturating_add(*count);
            below >= rank
        })?;
        Some(Duration::from_secs_f64(end(place)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain numbers: a panic in between leaves nothing half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn decayed(&self, now: Timestamp) -> Option<f64> {
        Some(self.peak? * weight(now.since(self.updated)))
    }

    fn sample(&mut self, seconds: f64, now: Timestamp) {
        let weight = weight(now.since(self.updated));
        self.peak = Some(match self.peak {
            Some(peak) if peak > seconds => peak * weight + seconds * (1.0 - weight),
            _ => seconds,
        });
        self.updated = self.updated.max(now);
    }

    /// Halves the counts for every half-life that has passed.
    fn age(&mut self, now: Timestamp) {
        let passed = now.since(self.halved).as_nanos() / HALF_LIFE.as_nanos();
        if passed == 0 {
            return;
        }
        let shift = u32::try_from(passed).unwrap_or(u32::MAX);
        for count in &mut *self.counts {
            *count = count.checked_shr(shift).unwrap_or(0);
        }
        self.halved = now;
    }
}

fn weight(elapsed: Duration) -> f64 {
    (-elapsed.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

/// The bucket of a sample: bucket `n` ends at `FIRST * GROWTH^n`.
fn bucket(seconds: f64) -> usize {
    if seconds <= FIRST {
        return 0;
    }
    let place = ((seconds / FIRST).ln() / GROWTH.ln()).ceil();
    // Positive, and below 2^53: the sample is at most LONGEST.
    (place as usize).min(BUCKETS - 1)
}

/// What stands for the samples of a bucket: its upper bound.
fn end(bucket: usize) -> f64 {
    FIRST * GROWTH.powi(i32::try_from(bucket).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_known_before_something_is_measured() {
        let latency = Latency::default();
        assert_eq!(latency.peak_ewma(Timestamp::EPOCH), None);
        assert_eq!(latency.quantile(0.95, Timestamp::EPOCH), None);
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_by_and_by() {
        let latency = Latency::default();
        let start = Timestamp::EPOCH + SECOND * 100;
        latency.record(SECOND / 10, start);
        latency.record(SECOND * 3, start);
        assert_eq!(latency.peak_ewma(start), Some(SECOND * 3));
        let later = latency.peak_ewma(start + DECAY).expect("measured");
        assert!((1.0..1.2).contains(&later.as_secs_f64()), "{later:?}");
        assert!(latency.peak_ewma(start + DECAY * 10).expect("measured") < SECOND / 1000);
    }

    #[test]
    fn who_fails_fast_is_not_fast() {
        let (fast, failing) = (Latency::default(), Latency::default());
        let mut now = Timestamp::EPOCH;
        for _ in 0..50 {
            now = now + SECOND;
            fast.record(SECOND / 2, now);
            failing.failed(Duration::from_millis(1), now);
            assert!(failing.peak_ewma(now) > fast.peak_ewma(now));
        }
        assert_eq!(failing.quantile(0.5, now), None);
        assert!(failing.peak_ewma(now).expect("measured") <= WORST_PENALTY);
    }

    #[test]
    fn old_answers_leave_the_quantiles() {
        let latency = Latency::default();
        for n in 0..100 {
            latency.record(SECOND, Timestamp::EPOCH + SECOND * n / 10);
        }
        let now = Timestamp::EPOCH + SECOND * 10;
        assert!(latency.quantile(0.5, now).is_some());
        assert_eq!(latency.quantile(0.5, now + HALF_LIFE * 10), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_early_and_at_most_a_tenth_late(
            mut samples in prop::collection::vec(0.001_f64..500.0, 20..400),
            share in 0.01_f64..0.99,
        ) {
            let latency = Latency::default();
            for sample in &samples {
                latency.record(Duration::from_secs_f64(*sample), Timestamp::EPOCH);
            }
            samples.sort_by(f64::total_cmp);
            let rank = ((samples.len() as f64 * share).ceil() as usize).max(1) - 1;
            let (exact, told) = (samples[rank], latency.quantile(share, Timestamp::EPOCH).expect("enough").as_secs_f64());
            // What is lost between float and nanoseconds.
            let slack = 1e-6;
            prop_assert!(told >= exact * (1.0 - slack), "{told} for {exact}");
            prop_assert!(told <= exact * GROWTH * (1.0 + slack), "{told} for {exact}");
        }

        #[test]
        fn the_peak_is_never_below_the_average(
            samples in prop::collection::vec((0_u64..20_000, 0.0_f64..100.0), 1..200),
        ) {
            let latency = Latency::default();
            let (mut now, mut before, mut average) = (Timestamp::EPOCH, Timestamp::EPOCH, None::<f64>);
            for (advance, sample) in samples {
                now = now + Duration::from_millis(advance);
                latency.record(Duration::from_secs_f64(sample), now);
                let weight = weight(now.since(before));
                let plain = average.map_or(sample, |average| average * weight + sample * (1.0 - weight));
                (average, before) = (Some(plain), now);
                let peak = latency.peak_ewma(now).expect("measured").as_secs_f64();
                prop_assert!(peak >= plain - 1e-6, "{peak} {plain}");
                prop_assert!(latency.peak_ewma(now + SECOND).expect("measured").as_secs_f64() <= peak);
            }
        }
    }
}
