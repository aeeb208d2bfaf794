//! Amounts by the time at which they expire.

use std::{collections::VecDeque, time::Duration};

use crate::time::Timestamp;

/// Parts of a window that are told apart.
const CELLS: u128 = 256;

/// Amounts that expire. Those that expire within the same 256th of the window
/// are one entry, which expires with the last of them.
#[derive(Clone, Debug)]
pub(super) struct SlidingLog {
    /// Nanoseconds per cell, at least 1.
    width: u64,
    /// In the order of their numbers, and so of their expiry.
    cells: VecDeque<Cell>,
    /// Of all cells.
    sum: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    number: u64,
    /// The latest of its parts.
    pub(super) expires: Timestamp,
    pub(super) amount: u64,
}

impl SlidingLog {
    /// An empty log for amounts that are kept this long. Allocates nothing.
    pub(super) fn new(window: Duration) -> Self {
        let width = u64::try_from(window.as_nanos() / CELLS).unwrap_or(u64::MAX).max(1);
        Self { width, cells: VecDeque::new(), sum: 0 }
    }

    /// Counts `amount` until `expires`. An amount of zero makes an entry too:
    /// it may be replaced by more.
    pub(super) fn add(&mut self, expires: Timestamp, amount: u64) {
        let number = self.number(expires);
        // Nearly always the newest cell or the one after it.
        let after = self.cells.iter().rev().take_while(|cell| cell.number > number).count();
        let place = self.cells.len() - after;
        match place.checked_sub(1).and_then(|newest| self.cells.get_mut(newest)) {
            Some(cell) if cell.number == number => {
                cell.expires = cell.expires.max(expires);
                cell.amount = cell.amount.saturating_add(amount);
            }
            _ => self.cells.insert(place, Cell { number, expires, amount }),
        }
        self.sum = self.sum.saturating_add(amount);
    }

    /// Corrects what was counted until `expires`. Changes nothing once that
    /// has been pruned: it no longer counts.
    pub(super) fn replace(&mut self, expires: Timestamp, was: u64, is: u64) {
        let number = self.number(expires);
        let Ok(place) = self.cells.binary_search_by_key(&number, |cell| cell.number) else { return };
        let Some(cell) = self.cells.get_mut(place) else { return };
        cell.amount = cell.amount.saturating_sub(was).saturating_add(is);
        self.sum = self.sum.saturating_sub(was).saturating_add(is);
    }

    /// Forgets what has expired at `edge`. Nothing may be added afterwards
    /// that was admitted before it.
    pub(super) fn prune(&mut self, edge: Timestamp) {
        while let Some(cell) = self.cells.front().filter(|cell| cell.expires <= edge) {
            self.sum = self.sum.saturating_sub(cell.amount);
            self.cells.pop_front();
        }
    }

    /// What counts at `at`.
    pub(super) fn used(&self, at: Timestamp) -> u64 {
        let expired = self.cells.iter().take_while(|cell| cell.expires <= at).map(|cell| cell.amount);
        self.sum.saturating_sub(expired.fold(0, u64::saturating_add))
    }

    /// What counts at `at`, by the time at which it expires, soonest first.
    pub(super) fn live(&self, at: Timestamp) -> impl Iterator<Item = Cell> {
        self.cells.iter().copied().skip_while(move |cell| cell.expires <= at)
    }

    fn number(&self, expires: Timestamp) -> u64 {
        expires.unix_nanos() / self.width
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }
}
