//! Outcomes of the recent past, counted in slices of time.

use std::{cmp::Ordering, time::Duration};

use crate::time::Timestamp;

const SLICES: usize = 10;

/// Outcomes of the recent past in ten slices; the oldest slice is dropped whole.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Length of a slice in nanoseconds, at least 1.
    slice: u64,
    /// (number of the slice since the epoch, failures, all).
    slices: [(u64, u32, u32); SLICES],
}

impl Window {
    /// A window of this length, empty.
    pub(super) fn new(length: Duration) -> Self {
        let slice = length.as_nanos() / SLICES as u128;
        Self { slice: u64::try_from(slice).unwrap_or(u64::MAX).max(1), slices: [(0, 0, 0); SLICES] }
    }

    /// Counts an outcome.
    pub(super) fn count(&mut self, failure: bool, now: Timestamp) {
        let number = now.unix_nanos() / self.slice;
        let place = number as usize % SLICES;
        // The remainder of a division by SLICES is always a place.
        let Some(slot) = self.slices.get_mut(place) else { return };
        match slot.0.cmp(&number) {
            Ordering::Less => *slot = (number, 0, 0),
            Ordering::Equal => {}
            Ordering::Greater => return, // told too late to count
        }
        slot.1 = slot.1.saturating_add(u32::from(failure));
        slot.2 = slot.2.saturating_add(1);
    }

    /// Failures and all outcomes in the window that ends at `now`.
    pub(super) fn totals(&self, now: Timestamp) -> (u32, u32) {
        let number = now.unix_nanos() / self.slice;
        self.slices
            .iter()
            .filter(|(at, ..)| number.abs_diff(*at) < SLICES as u64)
            .fold((0, 0), |(failures, all), (_, f, n)| (failures + f, all + n))
    }
}
