//! A histogram of durations that can be merged, stored and taken apart again.
//!
//! Log-linear buckets over microseconds: 32 to each doubling, so a bucket is
//! at most 1/32 (3.2 %) wide of its value (as in HdrHistogram). Only buckets
//! with something in them are kept: there are thousands of histograms, and most
//! hold a few neighbouring buckets.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Bits of a value that tell buckets of one doubling apart.
const DETAIL: u32 = 5;

/// How often durations occurred, to within 3.2 %.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        let count = self.buckets.entry(bucket(duration)).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes away all of another one that was added before.
    pub(crate) fn take_back(&mut self, other: &Self) {
        for (bucket, less) in &other.buckets {
            let count = self.buckets.entry(*bucket).or_default();
            *count = count.saturating_sub(*less);
        }
        self.buckets.retain(|_, count| *count > 0);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in &other.buckets {
            let count = self.buckets.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration that a share of all, from 0 to 1, did not exceed: the middle
    /// of its bucket. `None` of nothing.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(**count);
            seen >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

/// The bucket of a duration. The highest is that of 2^63 microseconds.
fn bucket(duration: Duration) -> u16 {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // Below 2^(DETAIL + 1) a bucket for each value.
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(DETAIL + 1);
    let within = (micros >> shift) & ((1 << (DETAIL + 1)) - 1);
    let number = (u64::from(shift) << DETAIL) + within;
    u16::try_from(number).unwrap_or(u16::MAX) // at most 58 * 32 + 63
}

fn middle(bucket: u16) -> Duration {
    let bucket = u64::from(bucket);
    // The first two doublings share a shift of 0.
    let shift = (bucket >> DETAIL).saturating_sub(1).min(58);
    let within = bucket - (shift << DETAIL);
    let low = within.checked_shl(u32::try_from(shift).unwrap_or(0)).unwrap_or(u64::MAX);
    Duration::from_micros(low.saturating_add((1 << shift) >> 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_within_a_bucket_of_the_true_one(
            mut micros in prop::collection::vec(0_u64..10_000_000_000, 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let mut histogram = Histogram::default();
            micros.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
            micros.sort_unstable();
            let rank = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len());
            let (exact, found) = (micros[rank - 1], histogram.quantile(share).expect("not empty"));
            let off = (found.as_micros() as f64 - exact as f64).abs();
            prop_assert!(off <= exact as f64 / 32.0 + 0.5, "{exact} and {found:?}");
        }

        #[test]
        fn merging_is_counting_both_and_taking_back_undoes(
            first in prop::collection::vec(any::<u64>(), 0..50),
            second in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let of = |micros: &[u64]| {
                let mut histogram = Histogram::default();
                micros.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
                histogram
            };
            let mut merged = of(&first);
            merged.merge(&of(&second));
            prop_assert_eq!(&merged, &of(&[first.clone(), second.clone()].concat()));
            merged.take_back(&of(&second));
            prop_assert_eq!(merged, of(&first));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
