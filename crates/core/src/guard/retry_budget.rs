//! Retries and hedges as a share of live traffic.
//!
//! Retries are meant for one call that failed by chance. When a provider is
//! down every call fails, and retrying all of them multiplies the load on it
//! just then. So per provider they are a share of the first attempts of the
//! last ten seconds, or a small number where there are few
//! (the idea is Finagle's `RetryBudget`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::ConfigError;
use crate::time::Timestamp;

const SLICES: usize = 10;
const SLICE: Duration = Duration::from_secs(1);

/// How many retries and hedges a provider may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries for each first attempt, 0 to 10.
    pub ratio: f64,
    /// Retries in ten seconds that are always allowed, whatever the traffic.
    pub floor: u32,
}

impl Default for RetryBudgetConfig {
    /// One for ten first attempts, and ten in ten seconds: a dead provider sees
    /// 1.1 times its traffic, and a lone caller has every retry it wants.
    fn default() -> Self {
        Self { ratio: 0.1, floor: 10 }
    }
}

/// The budget of one provider. Shared by all requests to it.
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    window: Mutex<Window>,
}

/// The last ten seconds, in slices. The oldest is dropped whole.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// Number of the newest slice since the epoch.
    newest: u64,
    /// (first attempts, retries), by number modulo the length.
    slices: [(u32, u32); SLICES],
}

/// Permission for one retry. Goes back when dropped unspent.
#[derive(Debug)]
#[must_use = "a dropped token goes back into the budget"]
pub struct RetryToken {
    /// The slice it was taken from.
    slice: u64,
    /// `None` once it is spent.
    budget: Option<Arc<RetryBudget>>,
}

/// Where a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetStatus {
    /// First attempts of the last ten seconds.
    pub first_attempts: u64,
    /// Retries and hedges of the last ten seconds.
    pub retries: u64,
    /// How many there might have been.
    pub allowed: u64,
}

impl RetryBudget {
    /// A budget nothing was taken from.
    ///
    /// # Errors
    /// [`ConfigError`] for a ratio that is no share.
    pub fn new(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        if !(0.0..=10.0).contains(&config.ratio) {
            let problem = format!("{} is not between 0 and 10; 0.1 is usual", config.ratio);
            return Err(ConfigError::new("retry_budget.ratio", problem));
        }
        Ok(Self { config, window: Mutex::default() })
    }

    /// A first attempt is sent.
    pub fn first_attempt(&self, now: Timestamp) {
        let mut window = self.lock();
        let slice = window.turn_to(now);
        if let Some((firsts, _)) = window.at(slice) {
            *firsts = firsts.saturating_add(1);
        }
    }

    /// Permits one more retry, if the budget has one.
    pub fn try_retry(self: &Arc<Self>, now: Timestamp) -> Option<RetryToken> {
        let mut window = self.lock();
        let slice = window.turn_to(now);
        let (firsts, retries) = window.totals();
        if retries >= self.allowed(firsts) {
            return None;
        }
        let (_, count) = window.at(slice)?;
        *count = count.saturating_add(1);
        Some(RetryToken { slice, budget: Some(Arc::clone(self)) })
    }

    /// Where it stands.
    pub fn status(&self, now: Timestamp) -> RetryBudgetStatus {
        let mut window = self.lock();
        window.turn_to(now);
        let (first_attempts, retries) = window.totals();
        RetryBudgetStatus { first_attempts, retries, allowed: self.allowed(first_attempts) }
    }

    fn allowed(&self, first_attempts: u64) -> u64 {
        // At most 10 x 2^32 x 10: exact in a float, and no overflow.
        let share = (first_attempts as f64 * self.config.ratio).floor() as u64;
        share.max(u64::from(self.config.floor))
    }

    fn give_back(&self, slice: u64) {
        if let Some((_, retries)) = self.lock().at(slice) {
            *retries = retries.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        // Plain counters: a panic in between leaves nothing half made.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Forgets what is too old at `now`, and returns the slice to count in. A
    /// thread that read the clock before another one counts in the newest.
    fn turn_to(&mut self, now: Timestamp) -> u64 {
        let number = now.unix_nanos() / SLICE.as_nanos() as u64;
        if number > self.newest {
            let passed = number - self.newest;
            for ahead in 1..=passed.min(SLICES as u64) {
                if let Some(slot) = self.slices.get_mut((self.newest + ahead) as usize % SLICES) {
                    *slot = (0, 0);
                }
            }
            self.newest = number;
        }
        self.newest
    }

    /// The slice of this number, unless it is forgotten.
    fn at(&mut self, number: u64) -> Option<&mut (u32, u32)> {
        let kept = number <= self.newest && self.newest - number < SLICES as u64;
        self.slices.get_mut(number as usize % SLICES).filter(|_| kept)
    }

    fn totals(&self) -> (u64, u64) {
        let add = |(firsts, retries), (f, r): &(u32, u32)| (firsts + u64::from(*f), retries + u64::from(*r));
        self.slices.iter().fold((0, 0), add)
    }
}

impl RetryToken {
    /// The retry is sent: it does not come back.
    pub fn spend(mut self) {
        self.budget = None;
    }
}

impl Drop for RetryToken {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(ratio: f64, floor: u32) -> Arc<RetryBudget> {
        Arc::new(RetryBudget::new(RetryBudgetConfig { ratio, floor }).expect("valid"))
    }

    #[test]
    fn a_ratio_that_is_none_is_refused() {
        for ratio in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
            let error = RetryBudget::new(RetryBudgetConfig { ratio, floor: 1 }).expect_err("no ratio");
            assert_eq!(error.setting, "retry_budget.ratio");
        }
    }

    #[test]
    fn a_lone_caller_has_its_retries_and_gets_back_what_it_did_not_use() {
        let (budget, now) = (budget(0.1, 2), Timestamp::EPOCH);
        budget.first_attempt(now);
        let first = budget.try_retry(now).expect("the floor");
        let second = budget.try_retry(now).expect("the floor");
        assert!(budget.try_retry(now).is_none());
        first.spend();
        drop(second);
        assert!(budget.try_retry(now).is_some());
        assert_eq!(budget.status(now).retries, 1);
        // Ten seconds later it is as new.
        assert_eq!(budget.status(now + SLICE * 10).retries, 0);
    }

    #[test]
    fn a_dead_provider_sees_a_tenth_more() {
        // 1 000 requests a second for a minute, all fail, all want two retries.
        let budget = budget(0.1, 10);
        let (mut firsts, mut retries) = (0_u32, 0_u32);
        for tick in 0..60_000_u64 {
            let now = Timestamp::EPOCH + Duration::from_millis(tick);
            budget.first_attempt(now);
            firsts += 1;
            for _ in 0..2 {
                if let Some(token) = budget.try_retry(now) {
                    token.spend();
                    retries += 1;
                }
            }
        }
        let load = f64::from(firsts + retries) / f64::from(firsts);
        println!("{load:.4} attempts a request");
        assert!((1.09..=1.1).contains(&load), "{load}");
    }

    proptest! {
        /// Whatever comes and goes, and whoever's clock is behind, no window
        /// holds more retries than it allows at the moment one is granted.
        #[test]
        fn never_more_than_allowed(
            ratio in 0.0..1.0_f64,
            floor in 0_u32..5,
            steps in prop::collection::vec((0_u64..1500, 0_u64..3000, 0..4), 1..400),
        ) {
            let budget = budget(ratio, floor);
            let (mut clock, mut held) = (10_000_u64, Vec::new());
            for (advance, behind, action) in steps {
                clock += advance;
                let now = Timestamp::EPOCH + Duration::from_millis(clock - behind);
                match action {
                    0 => budget.first_attempt(now),
                    1 => if let Some(token) = budget.try_retry(now) {
                        let status = budget.status(now);
                        prop_assert!(status.retries <= status.allowed, "{status:?}");
                        held.push(token);
                    },
                    2 => drop(held.pop()),
                    _ => held.drain(..).for_each(RetryToken::spend),
                }
            }
        }
    }
}
