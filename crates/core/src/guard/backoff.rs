//! How long to stay away before trying again.
//!
//! Exponential with full jitter: the delay is drawn evenly from zero up to a
//! bound that doubles with every try. Many callers that failed together then
//! come back spread out, which plain exponential backoff does not achieve
//! (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

use super::ConfigError;

/// Exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// Delays of up to `base` before the first retry, doubling up to `cap`.
    ///
    /// # Errors
    /// [`ConfigError`] when `base` is zero or above `cap`.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        if base.is_zero() {
            return Err(ConfigError::new("retry.base", "is zero; give a delay such as 500ms"));
        }
        if cap < base {
            return Err(ConfigError::new("retry.cap", format!("{cap:?} is below the base delay {base:?}")));
        }
        Ok(Self { base, cap })
    }

    /// The longest delay before retry number `retry`, counted from 0.
    pub fn bound(&self, retry: u32) -> Duration {
        let factor = 1u32.checked_shl(retry).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Draws the delay before retry number `retry`, counted from 0.
    pub fn delay(&self, retry: u32, rng: &mut fastrand::Rng) -> Duration {
        let bound = u64::try_from(self.bound(retry).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rng.u64(0..=bound))
    }
}

impl Default for Backoff {
    /// Half a second, doubling to eight: what the providers' own SDKs use.
    fn default() -> Self {
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(8) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_never_passes_its_bound_nor_a_bound_the_cap(
            seed: u64, retry in 0u32..200, base in 1u64..10_000, more in 0u64..100_000,
        ) {
            let cap = Duration::from_millis(base + more);
            let backoff = Backoff::new(Duration::from_millis(base), cap).expect("valid");
            let delay = backoff.delay(retry, &mut fastrand::Rng::with_seed(seed));
            prop_assert!(delay <= backoff.bound(retry));
            prop_assert!(backoff.bound(retry) <= cap);
            prop_assert!(backoff.bound(retry) <= backoff.bound(retry + 1));
        }
    }

    #[test]
    fn jitter_is_full() {
        // 10 000 draws up to 1 s: the mean is near 0.5 s and both ends occur.
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).expect("valid");
        let mut rng = fastrand::Rng::with_seed(7);
        let draws: Vec<f64> = (0..10_000).map(|_| backoff.delay(0, &mut rng).as_secs_f64()).collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert!(draws.iter().any(|d| *d < 0.01) && draws.iter().any(|d| *d > 0.99));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Backoff::new(Duration::ZERO, Duration::MAX).map_err(|e| e.setting), Err("retry.base"));
        let (base, cap) = (Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(Backoff::new(base, cap).map_err(|e| e.setting), Err("retry.cap"));
    }
}
