//! How a log is kept.

use std::time::Duration;

use leverframe_core::time::{Clock, Timestamp};

use crate::Retention;

/// When what was handed over is safe on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before a request is sent, it is on disk that it was. A request that
    /// cannot be written down is not sent. Costs each request a flush of the
    /// disk, shared with those that come at the same time.
    Strict,
    /// Within milliseconds, unless the disk is slower than that: a crash may
    /// take what was handed over since the last commit. Requests never wait.
    #[default]
    Group,
    /// Within a second, in large groups, and when the log is flushed or closed.
    /// A crash of the process may take as much; the file stays whole.
    Off,
}

/// What happens to a record when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped, and counted: see [`Health::shed`](crate::Health::shed).
    #[default]
    Shed,
    /// Whoever hands it over waits, on its thread, until there is room; unless
    /// the disk fails, for then it is dropped and counted. For batch work.
    Block,
}

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When what was handed over is safe on disk.
    pub durability: Durability,
    /// What happens to a record when the queue is full.
    pub when_full: WhenFull,
    /// Starts and records that may wait to be written; at least 1.
    pub queue: usize,
    /// Keeps this many bytes of what is sent and of what comes, of each, in
    /// every attempt. `None`: keeps no content.
    pub bodies: Option<usize>,
    /// How long what is written is kept.
    pub retention: Retention,
    /// Bytes of the file's pages that are kept in memory.
    pub cache_bytes: usize,
    /// How long closing waits for the disk. What is not written by then is lost.
    pub close_within: Duration,
}

impl Default for Settings {
    /// In groups, shedding, 16 384 in the queue, no content, 16 MiB of pages, ten
    /// seconds for closing.
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            when_full: WhenFull::default(),
            queue: 16_384,
            bodies: None,
            retention: Retention::default(),
            cache_bytes: crate::file::CACHE_BYTES,
            close_within: Duration::from_secs(10),
        }
    }
}

/// The time of day.
#[derive(Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "what is kept is kept by the calendar")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::EPOCH + since_epoch.unwrap_or_default()
    }
}

/// How a log is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the last commit failed. Records are kept and tried again, as
    /// many as the queue holds.
    pub failing: bool,
    /// Why the last commit failed that did, if one did since the log was opened.
    pub problem: Option<String>,
    /// Starts and records that wait to be written.
    pub waiting: u64,
    /// Records that were written since the log was opened.
    pub written: u64,
    /// Records and starts that were dropped because the queue was full.
    pub shed: u64,
    /// Attempts whose bodies were dropped because the queue was full, or more
    /// than 32 MiB of them waited.
    pub shed_bodies: u64,
    /// Records that could not be written by the time the log was closed.
    pub failed: u64,
    /// Requests, bodies and other entries that were taken away since the log
    /// was opened, as they were old or too many.
    pub retired: u64,
    /// Records that were no JSON, and were left out for the rest's sake.
    pub set_aside: u64,
}
