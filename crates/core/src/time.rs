//! Points in time as values.
//!
//! Core has no clock of its own. Whoever drives it passes `now`, taken from one
//! [`Clock`] that does not run backwards; a test passes whatever it likes.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// What tells the time. Core asks only when a request is dropped; everywhere
/// else `now` is a parameter.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time. Never earlier than what it told before.
    fn now(&self) -> Timestamp;
}

/// A point in time: nanoseconds since the Unix epoch (range: until the year 2554).
///
/// Arithmetic saturates, so no sum of hints and delays can overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch; handy as the origin of virtual time.
    pub const EPOCH: Self = Self(0);
    /// The far future: later than any real instant.
    pub const MAX: Self = Self(u64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for Timestamp {
    /// Seconds since the epoch with milliseconds, for diagnostics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000)
    }
}
