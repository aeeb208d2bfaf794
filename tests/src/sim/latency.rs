//! How long things take.

use std::{f64::consts::TAU, time::Duration};

/// A distribution of durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Log-normal: what measured latencies mostly look like.
    LogNormal {
        /// Half of the draws are below.
        median: Duration,
        /// 99 of 100 draws are below.
        p99: Duration,
    },
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_9;

impl Latency {
    /// No time at all.
    pub const ZERO: Self = Self::Constant(Duration::ZERO);

    /// Always so many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self::Constant(Duration::from_millis(millis))
    }

    /// Log-normal with this median and 99th percentile, in milliseconds.
    pub const fn lognormal(median: u64, p99: u64) -> Self {
        Self::LogNormal { median: Duration::from_millis(median), p99: Duration::from_millis(p99) }
    }

    /// Draws one.
    pub fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Constant(always) => always,
            Self::LogNormal { median, p99 } => {
                let sigma = (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99;
                median.mul_f64((sigma * normal(rng)).exp())
            }
        }
    }
}

/// A draw of the standard normal distribution, after Box and Muller.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lognormal_has_the_percentiles_it_was_given() {
        let mut rng = fastrand::Rng::with_seed(11);
        let latency = Latency::lognormal(100, 900);
        let mut draws: Vec<_> = (0..100_000).map(|_| latency.draw(&mut rng).as_secs_f64()).collect();
        draws.sort_by(f64::total_cmp);
        // The standard errors of both are below one and three per cent.
        assert!((0.097..0.103).contains(&draws[50_000]), "{}", draws[50_000]);
        assert!((0.82..0.98).contains(&draws[99_000]), "{}", draws[99_000]);
    }

    #[test]
    fn a_lognormal_without_spread_is_constant() {
        let mut rng = fastrand::Rng::with_seed(11);
        let drawn = Latency::lognormal(100, 100).draw(&mut rng);
        assert!(drawn.abs_diff(Duration::from_millis(100)) < Duration::from_micros(1), "{drawn:?}");
    }
}
