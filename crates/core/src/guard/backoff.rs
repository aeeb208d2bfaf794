//! How long to stay away before trying again.
//!
//! With full jitter the delay is drawn evenly from zero up to a bound that
//! grows with every try. Many callers that failed together then come back
//! spread out, which a fixed delay does not achieve
//! (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

use super::ConfigError;

/// Delays before retries: how their bound grows, and how much of it is random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    growth: Growth,
    base: Duration,
    cap: Duration,
    jitter: f64,
}

/// How the bound of the delays grows from one retry to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It doubles.
    Exponential,
    /// It grows by the base.
    Linear,
    /// Not at all.
    Constant,
}

impl Backoff {
    /// Delays of up to `base` before the first retry, doubling up to `cap`.
    ///
    /// # Errors
    /// [`ConfigError`] when `base` is zero or above `cap`.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        Self::growing(Growth::Exponential, base, cap)
    }

    /// Delays of up to `base` before the first retry, growing up to `cap`. With
    /// full jitter.
    ///
    /// # Errors
    /// [`ConfigError`] when `base` is zero or above `cap`.
    pub fn growing(growth: Growth, base: Duration, cap: Duration) -> Result<Self, ConfigError> {
        if base.is_zero() {
            return Err(ConfigError::new("retry.base", "is zero; give a delay such as 500ms"));
        }
        if cap < base {
            return Err(ConfigError::new("retry.cap", format!("{cap:?} is below the base delay {base:?}")));
        }
        Ok(Self { growth, base, cap, jitter: 1.0 })
    }

    /// Draws only this share of every delay; the rest is always waited. 1 is
    /// full jitter, 0 none.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not between 0 and 1.
    pub fn with_jitter(mut self, jitter: f64) -> Result<Self, ConfigError> {
        if !(0.0..=1.0).contains(&jitter) {
            let problem = format!("{jitter} is not between 0 and 1; 1 spreads callers out best");
            return Err(ConfigError::new("retry.jitter", problem));
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// The longest delay before retry number `retry`, counted from 0.
    pub fn bound(&self, retry: u32) -> Duration {
        let factor = match self.growth {
            Growth::Exponential => 1_u32.checked_shl(retry).unwrap_or(u32::MAX),
            Growth::Linear => retry.saturating_add(1),
            Growth::Constant => 1,
        };
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Draws the delay before retry number `retry`, counted from 0.
    pub fn delay(&self, retry: u32, rng: &mut fastrand::Rng) -> Duration {
        let bound = u64::try_from(self.bound(retry).as_nanos()).unwrap_or(u64::MAX);
        let random = ((bound as f64 * self.jitter) as u64).min(bound);
        Duration::from_nanos(bound - random + rng.u64(0..=random))
    }
}

impl Default for Backoff {
    /// Half a second, doubling to eight: what the providers' own SDKs use.
    fn default() -> Self {
        let (base, cap) = (Duration::from_millis(500), Duration::from_secs(8));
        Self { growth: Growth::Exponential, base, cap, jitter: 1.0 }
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
            jitter in 0.0..=1.0_f64, growth in 0..3_usize,
        ) {
            let growth = [Growth::Exponential, Growth::Linear, Growth::Constant][growth];
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(base + more));
            let backoff = Backoff::growing(growth, base, cap).expect("valid").with_jitter(jitter).expect("valid");
            let delay = backoff.delay(retry, &mut fastrand::Rng::with_seed(seed));
            prop_assert!(delay <= backoff.bound(retry));
            let fixed = backoff.bound(retry).mul_f64(1.0 - jitter);
            prop_assert!(delay + Duration::from_micros(1) >= fixed, "{:?} is below the fixed part {:?}", delay, fixed);
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
        for jitter in [7.0, -0.1, f64::NAN] {
            assert_eq!(Backoff::default().with_jitter(jitter).map_err(|e| e.setting), Err("retry.jitter"));
        }
    }

    #[test]
    fn bounds_grow_as_they_are_told_to() {
        let seconds = |growth| {
            let backoff =
                Backoff::growing(growth, Duration::from_secs(2), Duration::from_secs(9)).expect("valid");
            [0, 1, 2, 3, 90].map(|retry| backoff.bound(retry).as_secs())
        };
        assert_eq!(seconds(Growth::Exponential), [2, 4, 8, 9, 9]);
        assert_eq!(seconds(Growth::Linear), [2, 4, 6, 8, 9]);
        assert_eq!(seconds(Growth::Constant), [2, 2, 2, 2, 2]);
    }
}
