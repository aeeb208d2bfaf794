//! One budget of attempts for a whole request.
//!
//! Retries, other keys, fallbacks and hedges all draw from it, so layers of
//! retrying cannot multiply. A draw that did not lead to a send is given back.

use super::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// How often a request may be sent, in all.
///
/// Clones share the same budget.
#[derive(Clone, Debug)]
pub struct AttemptBudget {
    left: Arc<AtomicU32>,
}

impl AttemptBudget {
    /// A budget of this many attempts.
    pub fn new(attempts: u32) -> Self {
        Self { left: Arc::new(AtomicU32::new(attempts)) }
    }

    /// Takes one attempt out, if there is one.
    pub fn draw(&self) -> Option<Draw> {
        // One atomic decides and counts, so two threads cannot both take the last one.
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).ok()?;
        Some(Draw { budget: Some(self.clone()) })
    }

    /// How many attempts are left.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Acquire)
    }
}

/// One attempt out of an [`AttemptBudget`]. Goes back when dropped unspent.
#[derive(Debug)]
#[must_use = "a dropped draw goes back into the budget"]
pub struct Draw {
    budget: Option<AttemptBudget>,
}

impl Draw {
    /// The attempt is made: it does not come back.
    pub(crate) fn spend(mut self) {
        self.budget = None;
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.left.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Every interleaving of the atomic that decides:
/// `RUSTFLAGS="--cfg loom" cargo test -p leverframe-core --lib interleavings`.
#[cfg(all(test, loom))]
mod interleavings {
    use loom::thread;

    use super::*;

    #[test]
    fn the_last_attempt_goes_to_one_and_comes_back_once() {
        loom::model(|| {
            let budget = AttemptBudget::new(1);
            let taker = {
                let budget = budget.clone();
                thread::spawn(move || budget.draw().map(Draw::spend).is_some())
            };
            let dropper = {
                let budget = budget.clone();
                thread::spawn(move || drop(budget.draw()))
            };
            let taken_here = budget.draw().map(Draw::spend).is_some();
            let taken_there = taker.join().expect("no panic");
            dropper.join().expect("no panic");
            assert!(!(taken_here && taken_there), "spent twice");
            let spent = u32::from(taken_here || taken_there);
            assert_eq!(budget.left() + spent, 1);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_draw_comes_back_and_a_spent_one_does_not() {
        let budget = AttemptBudget::new(2);
        let first = budget.draw().expect("two left");
        let second = budget.draw().expect("one left");
        assert!(budget.draw().is_none());
        drop(first);
        second.spend();
        assert_eq!(budget.left(), 1);
    }

    #[test]
    fn threads_never_overdraw_it() {
        let budget = AttemptBudget::new(100);
        let taken: usize = std::thread::scope(|scope| {
            let work = || std::iter::from_fn(|| budget.draw()).map(Draw::spend).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!((taken, budget.left()), (100, 0));
    }
}
