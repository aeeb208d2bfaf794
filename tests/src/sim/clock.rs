//! The router's clock: virtual time from a fixed instant on.

use leverframe_core::time::{Clock, Timestamp};
use tokio::time::Instant;

/// Thursday, 1 January 2026: when every world begins. What the providers
/// write carries this date as well.
const BEGINNING: Timestamp = Timestamp::from_unix_nanos(1_767_225_600_000_000_000);

/// Tells the time since a world's beginning. The wall clock would move
/// whatever the router aligns to it, and no two runs would be alike.
#[derive(Debug)]
pub(super) struct WorldClock(pub(super) Instant);

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        BEGINNING + self.0.elapsed()
    }
}
