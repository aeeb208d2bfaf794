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

use std::time::Duration;

use super::{ConfigError, window::Window};
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
    /// How long it stays open at most.
    pub open_cap: Duration,
    /// How long a probe may take before another is let through.
    pub probe_lease: Duration,
}

impl Default for BreakerConfig {
    /// Trips at 5 in a row, or half of at least 20 in 30 s; open for 5 s,
    /// doubling to 5 minutes; a probe has a minute.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_rate: 0.5,
            minimum_sample: 20,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(5),
            open_cap: Duration::from_secs(300),
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
        Ok(())
    }
}

/// What a breaker does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets everything through.
    Closed,
    /// Refuses until this instant.
    Open(Timestamp),
    /// Lets one probe through at a time.
    HalfOpen,
}

/// Permission to try a route once. Comes back as a success, a failure, or unused.
#[derive(Debug)]
#[must_use = "a pass must be given back"]
pub struct Pass {
    generation: u64,
    /// Which probe it is, if it is one.
    probe: Option<u64>,
}

/// A circuit breaker for one route.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Counts openings and closings, so that late outcomes are told apart.
    generation: u64,
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
            generation: 0,
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
                Some(self.probes)
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
                self.generation += 1;
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

    /// The pass was not used, or what came of it says nothing.
    pub fn released(&mut self, pass: Pass) {
        if pass.generation == self.generation
            && pass.probe == Some(self.probes)
            && let State::HalfOpen { probe_expires } = &mut self.state
        {
            *probe_expires = None;
        }
    }

    fn open(&mut self, now: Timestamp) {
        let factor = 1u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let time = self.config.open_for.saturating_mul(factor).min(self.config.open_cap);
        // Up to a fifth longer, never shorter than configured.
        let jitter = time.mul_f64(self.rng.f64() / 5.0);
        self.openings = self.openings.saturating_add(1);
        self.generation += 1;
        self.state = State::Open { until: now + time + jitter };
    }
}

impl State {
    fn closed(config: &BreakerConfig) -> Self {
        Self::Closed { run: 0, window: Window::new(config.window) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig::default(), 1).expect("the default is valid")
    }

    fn fail(breaker: &mut Breaker, now: Timestamp) {
        let pass = breaker.pass(now).expect("lets through");
        breaker.failed(pass, now);
    }

    /// Trips a breaker and returns the instant from which it probes.
    fn tripped(now: Timestamp) -> (Breaker, Timestamp) {
        let mut breaker = breaker();
        for _ in 0..5 {
            fail(&mut breaker, now);
        }
        let BreakerState::Open(until) = breaker.state(now) else { panic!("not open") };
        (breaker, until)
    }

    #[test]
    fn a_run_of_failures_opens_it_and_a_good_probe_closes_it() {
        let now = Timestamp::EPOCH + SECOND;
        let (mut breaker, until) = tripped(now);
        assert_eq!(breaker.pass(now).map(drop), Err(until));
        let probe = breaker.pass(until).expect("half-open");
        assert!(breaker.pass(until).is_err(), "one probe at a time");
        breaker.succeeded(probe, until);
        assert_eq!(breaker.state(until), BreakerState::Closed);
    }

    #[test]
    fn a_success_in_between_breaks_the_run() {
        let (mut breaker, now) = (breaker(), Timestamp::EPOCH);
        for _ in 0..4 {
            fail(&mut breaker, now);
        }
        let pass = breaker.pass(now).expect("closed");
        breaker.succeeded(pass, now);
        for _ in 0..4 {
            fail(&mut breaker, now);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn a_rate_opens_it_once_the_sample_is_large_enough() {
        let (mut breaker, now) = (breaker(), Timestamp::EPOCH + SECOND);
        for nth in 1..=20 {
            assert_eq!(breaker.state(now), BreakerState::Closed, "after {nth}");
            let pass = breaker.pass(now).expect("closed");
            match nth % 2 {
                0 => breaker.failed(pass, now),
                _ => breaker.succeeded(pass, now),
            }
        }
        assert!(matches!(breaker.state(now), BreakerState::Open(_)));
    }

    #[test]
    fn old_failures_leave_the_window() {
        let (mut breaker, mut now) = (breaker(), Timestamp::EPOCH + SECOND);
        for nth in 0..200 {
            let pass = breaker.pass(now).expect("stays closed");
            match nth % 2 {
                0 => breaker.failed(pass, now),
                _ => breaker.succeeded(pass, now),
            }
            now = now + SECOND * 2; // 15 outcomes in any 30 s: below the sample
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn open_time_doubles_to_the_cap() {
        let (mut breaker, mut until) = tripped(Timestamp::EPOCH);
        let mut expected = SECOND * 5;
        for _ in 0..12 {
            expected = (expected * 2).min(SECOND * 300);
            fail(&mut breaker, until);
            let BreakerState::Open(next) = breaker.state(until) else { panic!("not open") };
            let open = next.since(until);
            assert!(open >= expected && open <= expected.mul_f64(1.2), "{open:?} for {expected:?}");
            until = next;
        }
    }

    #[test]
    fn what_comes_back_late_changes_nothing() {
        let mut breaker = breaker();
        let now = Timestamp::EPOCH;
        let late = breaker.pass(now).expect("closed");
        let later = breaker.pass(now).expect("closed");
        for _ in 0..5 {
            fail(&mut breaker, now);
        }
        let open = breaker.state(now);
        breaker.succeeded(late, now);
        breaker.failed(later, now);
        assert_eq!(breaker.state(now), open);
    }

    /// Told by a reviewer: with leases shorter than the answers, each probe
    /// made the one before it stale, and the breaker never closed.
    #[test]
    fn a_probe_that_outlives_its_lease_still_closes_it() {
        let (mut breaker, start) = tripped(Timestamp::EPOCH);
        let first = breaker.pass(start).expect("half-open");
        let later = start + BreakerConfig::default().probe_lease;
        let second = breaker.pass(later).expect("the lease has expired");
        breaker.succeeded(first, later + SECOND);
        assert_eq!(breaker.state(later + SECOND), BreakerState::Closed);
        breaker.failed(second, later + SECOND);
        assert_eq!(breaker.state(later + SECOND), BreakerState::Closed);
    }

    #[test]
    fn nonsense_is_refused() {
        let good = BreakerConfig::default();
        let cases = [
            BreakerConfig { consecutive_failures: 0, ..good },
            BreakerConfig { failure_rate: 7.0, ..good },
            BreakerConfig { failure_rate: f64::NAN, ..good },
            BreakerConfig { minimum_sample: 0, ..good },
            BreakerConfig { window: Duration::ZERO, ..good },
            BreakerConfig { open_for: Duration::ZERO, ..good },
            BreakerConfig { open_cap: SECOND, ..good },
            BreakerConfig { probe_lease: Duration::ZERO, ..good },
        ];
        for config in cases {
            assert!(Breaker::new(config, 0).is_err(), "{config:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Ask,
        Succeed,
        Fail,
        Drop,
        Wait(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => Just(Act::Ask),
            1 => Just(Act::Succeed),
            3 => Just(Act::Fail),
            1 => Just(Act::Drop),
            2 => (0u64..20_000).prop_map(Act::Wait),
        ]
    }

    proptest! {
        /// Never admits while open, never has two live probes, and always
        /// admits again if one waits as long as it says.
        #[test]
        fn it_keeps_its_promises(seed: u64, acts in prop::collection::vec(act(), 1..400)) {
            let config = BreakerConfig::default();
            let mut breaker = Breaker::new(config, seed).expect("valid");
            let mut now = Timestamp::EPOCH;
            let mut out: Vec<Pass> = Vec::new();
            let mut probe: Option<Timestamp> = None; // when the live probe expires
            for act in acts {
                match act {
                    Act::Ask => {
                        let before = breaker.state(now);
                        match breaker.pass(now) {
                            Ok(pass) => {
                                prop_assert!(!matches!(before, BreakerState::Open(_)));
                                if before == BreakerState::HalfOpen {
                                    prop_assert!(probe.is_none_or(|expires| expires <= now), "two live probes");
                                    probe = Some(now + config.probe_lease);
                                }
                                out.push(pass);
                            }
                            Err(until) => {
                                prop_assert!(until > now);
                                prop_assert!(breaker.clone().pass(until).is_ok(), "asks to wait in vain");
                            }
                        }
                    }
                    // The newest pass is the probe, if there is one.
                    Act::Succeed | Act::Fail | Act::Drop => if let Some(pass) = out.pop() {
                        let current = pass.generation == breaker.generation;
                        let live = match act {
                            Act::Drop => current && pass.probe == Some(breaker.probes),
                            _ => current && pass.probe.is_some(),
                        };
                        match act {
                            Act::Succeed => breaker.succeeded(pass, now),
                            Act::Fail => breaker.failed(pass, now),
                            _ => breaker.released(pass),
                        }
                        if live { probe = None; }
                    },
                    Act::Wait(ms) => now = now + Duration::from_millis(ms),
                }
            }
        }
    }
}
