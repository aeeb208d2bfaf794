//! The one clock.

use std::time::Duration;

use leverframe_core::time::{Clock, Timestamp};
use tokio::time::Instant;

/// Tells the time of day without ever going backwards: the wall clock is read
/// once, and tokio's clock, which tests can pause, counts from there.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started_at: Timestamp,
    started: Instant,
}

impl SystemClock {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place the wall clock is read")]
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started_at: Timestamp::EPOCH + since_epoch, started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.started_at + self.started.elapsed()
    }
}
