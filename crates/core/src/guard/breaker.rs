//! A circuit breaker: stop asking a route that keeps failing, find out
//! cheaply when it is back.
//!
//! It trips on a run of hard failures, or on a failure rate over a sliding
//! window with a minimum sample; whichever comes first. While open it refuses.
//! When the open time is over it is half-open and lets one probe through; a
//! good probe closes it, a bad one opens it for twice as long, up to a cap,
//! with jitter so that a fleet does not probe in step.
//!
//! The probe is a lease. It expires, and a probe that is dropped gives it
//! back, so a cancelled probe cannot wedge the breaker half-open. A probe that
//! outlives its lease still counts: a route that answers slowly answers. Every
//! pass carries the generation it was granted in, which changes whenever the
//! breaker opens or closes; what comes back from an earlier one is ignored.
//!
//! What counts as a hard failure is not decided here but in
//! [`ErrorKind::decision`](crate::error::ErrorKind::decision): a 429 or a bad
//! request says nothing about a route's health.

use std::{num::NonZeroU64, time::Duration};

use std::fmt;

use serde::Serialize;

use super::{BreakerMemory, ConfigError, memory::at_most, window::Window};
use crate::time::Timestamp;

/// When a breaker trips and how long it stays open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// Failures in a row that trip it.
    pub consecutive_failures: u32,
    /// Share of failures in the window that trips it, above 0 and up to 1.
    pub failure_rate: f64,
    /// Outcomes the window must hold before its rate counts.
    pub minimum_sample: u32,
    /// Length of the sliding window.
    pub window: Duration,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// How long it stays open at most, without the jitter.
    pub open_cap: Duration,
    /// How much longer than that it may stay open by chance, as a share of it
    /// from 0 to 1. Never shorter.
    pub jitter: f64,
    /// How long a probe may take before another is let through.
    pub probe_lease: Duration,
}

impl Default for BreakerConfig {
    /// Trips at 5 in a row, or half of at least 20 in 30 s; open for 5 s,
    /// doubling to 5 minutes, and up to a fifth longer; a probe has a minute.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_rate: 0.5,
            minimum_sample: 20,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(5),
            open_cap: Duration::from_secs(300),
            jitter: 0.2,
            probe_lease: Duration::from_secs(60),
        }
    }
}

impl BreakerConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let positive = |setting, duration: Duration| match duration.is_zero() {
            true => Err(ConfigError::new(setting, "is zero; give a duration such as 5s")),
            false => Ok(()),
        };
        if self.consecutive_failures == 0 {
            return Err(ConfigError::new("breaker.consecutive_failures", "is 0; it must be at least 1"));
        }
        if !(self.failure_rate > 0.0 && self.failure_rate <= 1.0) {
            let problem = format!("{} is not above 0 and up to 1", self.failure_rate);
            return Err(ConfigError::new("breaker.failure_rate", problem));
        }
        if self.minimum_sample == 0 {
            return Err(ConfigError::new("breaker.minimum_sample", "is 0; it must be at least 1"));
        }
        positive("breaker.window", self.window)?;
        positive("breaker.open_for", self.open_for)?;
        positive("breaker.probe_lease", self.probe_lease)?;
        if self.open_cap < self.open_for {
            return Err(ConfigError::new("breaker.open_cap", "is below breaker.open_for"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError::new(
                "breaker.jitter",
                format!("{} is not between 0 and 1", self.jitter),
            ));
        }
        Ok(())
    }
}

/// What a breaker does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Lets everything through.
    Closed,
    /// Refuses until this instant.
    Open(Timestamp),
    /// Lets one probe through at a time.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// Permission to try a route once. Comes back as a success, a failure, or unused.
#[derive(Debug)]
#[must_use = "a pass must be given back"]
pub struct Pass {
    generation: NonZeroU64,
    /// Which probe it is, if it is one.
    probe: Option<NonZeroU64>,
}

/// A circuit breaker for one route.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Counts openings and closings, so that late outcomes are told apart.
    generation: NonZeroU64,
    /// Counts probes.
    probes: u64,
    /// How often it has opened since it was last closed.
    openings: u32,
    rng: fastrand::Rng,
}

#[derive(Clone, Debug)]
enum State {
    Closed { run: u32, window: Window },
    Open { until: Timestamp },
    HalfOpen { probe_expires: Option<Timestamp> },
}

impl Breaker {
    /// A closed breaker. `seed` is its source of jitter.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting that makes no sense.
    pub fn new(config: BreakerConfig, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            state: State::closed(&config),
            config,
            generation: NonZeroU64::MIN,
            probes: 0,
            openings: 0,
            rng: fastrand::Rng::with_seed(seed),
        })
    }

    /// Where it stands at `now`.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > now => BreakerState::Open(until),
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Where its last transition left it: still open when the open time is
    /// over, until somebody asks for the probe.
    pub(super) fn phase(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } => BreakerState::Open(until),
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether it is closed and has seen no failure lately.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        matches!(&self.state, State::Closed { run: 0, window } if window.totals(now).0 == 0)
    }

    /// When it will let a request through, if not now.
    pub fn refuses_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(until),
            State::HalfOpen { probe_expires } => probe_expires,
        }
        .filter(|until| *until > now)
    }

    /// Lets a request through, or says until when it does not.
    ///
    /// # Errors
    /// The instant from which it is worth asking again.
    pub fn pass(&mut self, now: Timestamp) -> Result<Pass, Timestamp> {
        if let Some(until) = self.refuses_until(now) {
            return Err(until);
        }
        let probe = match self.state {
            State::Closed { .. } => None,
            State::Open { .. } | State::HalfOpen { .. } => {
                self.probes += 1;
                self.state = State::HalfOpen { probe_expires: Some(now + self.config.probe_lease) };
                NonZeroU64::new(self.probes)
            }
        };
        Ok(Pass { generation: self.generation, probe })
    }

    /// The route did what it should.
    pub fn succeeded(&mut self, pass: Pass, now: Timestamp) {
        if pass.generation != self.generation {
            return;
        }
        match &mut self.state {
            State::Closed { run, window } => {
                *run = 0;
                window.count(false, now);
            }
            State::HalfOpen { .. } => {
                self.generation = self.generation.saturating_add(1);
                self.openings = 0;
                self.state = State::closed(&self.config);
            }
            State::Open { .. } => {}
        }
    }

    /// The route failed in a way that speaks against its health.
    pub fn failed(&mut self, pass: Pass, now: Timestamp) {
        if pass.generation != self.generation {
            return;
        }
        let trips = match &mut self.state {
            State::Closed { run, window } => {
                *run = run.saturating_add(1);
                window.count(true, now);
                let (failures, all) = window.totals(now);
                let rate = f64::from(failures) / f64::from(all.max(1));
                *run >= self.config.consecutive_failures
                    || (all >= self.config.minimum_sample && rate >= self.config.failure_rate)
            }
            State::HalfOpen { .. } => true,
            State::Open { .. } => false,
        };
        if trips {
            self.open(now);
        }
    }

    /// The pass was not used, or what came of it says nothing. Whether another
    /// request may have its place at once: it was the probe that was out.
    pub fn released(&mut self, pass: Pass) -> bool {
        if pass.generation == self.generation
            && pass.probe.is_some_and(|probe| probe.get() == self.probes)
            && let State::HalfOpen { probe_expires } = &mut self.state
        {
            return probe_expires.take().is_some();
        }
        false
    }

    /// What the next process must know. `None`: nothing is against the route.
    pub fn memory(&self) -> Option<BreakerMemory> {
        let (failures_in_a_row, open_until) = match self.state {
            State::Closed { run: 0, .. } => return None,
            State::Closed { run, .. } => (run, None),
            State::Open { until } => (0, Some(until)),
            // A probe that is out ends with the process; the next one may go at once.
            State::HalfOpen { .. } => (0, Some(Timestamp::EPOCH)),
        };
        Some(BreakerMemory { failures_in_a_row, open_until, openings: self.openings })
    }

    /// Takes up where a breaker left off.
    pub fn restore(&mut self, memory: &BreakerMemory, now: Timestamp) {
        self.generation = self.generation.saturating_add(1);
        self.openings = memory.openings;
        self.state = match memory.open_until {
            Some(until) => {
                // The jitter is a share of the cap, and at most all of it.
                let longest = self.config.open_cap.saturating_mul(2);
                State::Open { until: at_most(until, now, longest) }
            }
            None => {
                let run = memory.failures_in_a_row.min(self.config.consecutive_failures - 1);
                State::Closed { run, window: Window::new(self.config.window) }
            }
        };
    }

    fn open(&mut self, now: Timestamp) {
        let factor = 1u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let time = self.config.open_for.saturating_mul(factor).min(self.config.open_cap);
        // In whole nanoseconds: a share of the longest duration must not overflow.
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos((nanos as f64 * self.config.jitter * self.rng.f64()) as u64);
        self.openings = self.openings.saturating_add(1);
        self.generation = self.generation.saturating_add(1);
        self.state = State::Open { until: now + time + jitter };
    }
}

impl State {
    fn closed(config: &BreakerConfig) -> Self {
        Self::Closed { run: 0, window: Window::new(config.window) }
    }
}

#[cfg(test)]
mod tests;
