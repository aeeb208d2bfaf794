//! When a second route is asked at the same time.

use std::time::Duration;

use leverframe_core::guard::ConfigError;

/// When a second route is asked because the first one is late with a stream.
///
/// A route is late when it has taken longer to its first token than a share of
/// its own earlier streams did. Whoever brings content first is kept, the other
/// one is cancelled; what that one cost is in the record. A hedge is an attempt
/// like any other, and draws on the retry budget of its provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// Share of earlier streams that had their first token by then: above 0 and
    /// below 1.
    pub quantile: f64,
    /// The first route is always given this long.
    pub at_least: Duration,
}

impl Default for Hedging {
    /// What 19 of 20 streams do not take, and at least 50 ms.
    fn default() -> Self {
        Self { quantile: 0.95, at_least: Duration::from_millis(50) }
    }
}

impl Hedging {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.quantile > 0.0 && self.quantile < 1.0 {
            return Ok(());
        }
        let problem = format!("{} is not above 0 and below 1; 0.95 is usual", self.quantile);
        Err(ConfigError { setting: "hedging.quantile", problem })
    }
}
