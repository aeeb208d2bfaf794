//! When a second route is asked at the same time.

use std::time::Duration;

use leverframe_core::guard::ConfigError;

/// When a second route is asked because the first one is late with a stream.
///
/// A route is late when it has taken longer to its first token than a share of
/// its own earlier streams did. Whoever brings content first is kept, the other
/// one is cancelled; what that one cost is in the record. A hedge is an attempt
/// like any other, and draws on the retry budget of the provider that is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// Share of earlier streams that had their first token by then: above 0 and
    /// below 1. At most about the rest of them have a hedge, and are paid twice.
    pub quantile: f64,
    /// The first route is always given this long.
    pub at_least: Duration,
}

impl Default for Hedging {
    /// What 49 of 50 streams do not take, and at least 50 ms.
    ///
    /// That makes two attempts more for a hundred streams. The simulations have
    /// one straggler in a hundred, ten times slower than the rest. Where the rest
    /// take about equally long, waiting for fewer of them costs more attempts
    /// (four in a hundred at 0.95) and gains a few per cent of a straggler's time;
    /// where their times are spread wide, waiting for more leaves stragglers alone.
    fn default() -> Self {
        Self { quantile: 0.98, at_least: Duration::from_millis(50) }
    }
}

impl Hedging {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.quantile > 0.0 && self.quantile < 1.0 {
            return Ok(());
        }
        let problem = format!("{} is not above 0 and below 1; 0.98 is usual", self.quantile);
        Err(ConfigError { setting: "hedging.quantile", problem })
    }
}
