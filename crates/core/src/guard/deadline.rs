//! The instant by which a request must be over.

use std::time::Duration;

use crate::time::Timestamp;

/// The instant by which a request must be over, retries and fallbacks included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// `timeout` after `start`.
    pub fn after(start: Timestamp, timeout: Duration) -> Self {
        Self(start + timeout)
    }

    /// The instant.
    pub fn at(self) -> Timestamp {
        self.0
    }

    /// The time left; zero when it has passed.
    pub fn remaining(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }

    /// Whether it has passed.
    pub fn has_passed(self, now: Timestamp) -> bool {
        self.0 <= now
    }

    /// Whether waiting until `instant` would still leave time to do something.
    pub fn allows_wait_until(self, instant: Timestamp) -> bool {
        instant < self.0
    }

    /// `duration`, or the time left if that is less.
    pub fn clip(self, duration: Duration, now: Timestamp) -> Duration {
        duration.min(self.remaining(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_clipped_outlives_the_deadline(start: u64, timeout: u64, now: u64, wish: u64) {
            let deadline = Deadline::after(Timestamp::from_unix_nanos(start), Duration::from_nanos(timeout));
            let now = Timestamp::from_unix_nanos(now);
            let clipped = deadline.clip(Duration::from_nanos(wish), now);
            prop_assert!(now + clipped <= deadline.at().max(now));
            prop_assert_eq!(deadline.has_passed(now), deadline.remaining(now).is_zero());
        }
    }
}
