//! A short fair queue in front of the limits of a route.
//!
//! Without one a request that a limit refuses moves on or fails at once. With
//! one it waits its turn: first come, first served, for a bounded time, in a
//! queue of bounded length. Only limits are waited for, never a breaker.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use leverframe_core::{
    guard::{Admission, ConfigError, Guard, LimitKind, Refusal},
    time::Timestamp,
};
use tokio::sync::{Notify, Semaphore};

/// How long, and how many at a time, may wait for the limits of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queueing {
    /// Most requests that wait for one route. The next one is refused.
    pub length: usize,
    /// Most time one of them waits. Its deadline may be sooner.
    pub patience: Duration,
}

impl Default for Queueing {
    /// 100 requests, 5 seconds.
    fn default() -> Self {
        Self { length: 100, patience: Duration::from_secs(5) }
    }
}

impl Queueing {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, problem: &str| Err(ConfigError { setting, problem: problem.to_owned() });
        if self.length == 0 {
            return wrong("queue.length", "is 0; leave the queue out to refuse at once");
        }
        if self.patience.is_zero() {
            return wrong("queue.patience", "is zero; give a duration such as 5s");
        }
        Ok(())
    }
}

/// The queue of one route.
#[derive(Debug)]
pub(crate) struct Queue {
    settings: Queueing,
    /// Who holds the permit is at the head. Fair: tokio's semaphores are.
    head: Semaphore,
    waiting: AtomicUsize,
    /// Told when something came back to the route or its key.
    released: Arc<Notify>,
}

/// A place in the queue. Given up when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    pub(crate) fn new(settings: Queueing, released: Arc<Notify>) -> Self {
        Self { settings, head: Semaphore::new(1), waiting: AtomicUsize::new(0), released }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Asks `admit` until it admits, in turn with everybody else, but not
    /// beyond `deadline`.
    ///
    /// # Errors
    /// The last refusal: the queue is full, patience has run out, waiting would
    /// not help in time, or what refuses is not a limit.
    pub(crate) async fn admit(
        &self,
        admit: impl Fn() -> Result<Admission, Refusal>,
        now: impl Fn() -> Timestamp,
        deadline: Timestamp,
    ) -> Result<Admission, Refusal> {
        // Who comes while others wait must not overtake them.
        let first = match self.waiting() {
            0 => match admit() {
                Err(refusal) if is_limit(refusal) => refusal,
                decided => return decided,
            },
            _ => Refusal { by: Guard::Queue, until: now() + self.settings.patience },
        };
        let Some(_place) = self.enter() else {
            return Err(Refusal { until: first.until.max(now()), ..first });
        };
        let give_up_at = (now() + self.settings.patience).min(deadline);
        let Some(turn) = until(give_up_at, now(), self.head.acquire()).await else { return Err(first) };
        // The semaphore is never closed; were it, nobody would be at the head.
        let _turn = turn.ok();
        loop {
            // Listened for before asking, so that nothing comes back unheard in between.
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            let refusal = match admit() {
                Err(refusal) if is_limit(refusal) => refusal,
                decided => return decided,
            };
            let now = now();
            // What a request under way may give back has no time.
            let comes_back = !matches!(refusal.by, Guard::Limit { kind: LimitKind::Concurrency, .. });
            if now >= give_up_at || (comes_back && refusal.until > give_up_at) {
                return Err(refusal);
            }
            let wake_at = if comes_back { refusal.until } else { give_up_at };
            until(wake_at, now, released).await;
        }
    }

    fn enter(&self) -> Option<Place<'_>> {
        let length = self.settings.length;
        let more = |waiting: usize| (waiting < length).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Place(&self.waiting))
    }
}

fn is_limit(refusal: Refusal) -> bool {
    matches!(refusal.by, Guard::Limit { .. })
}

/// What `future` gives if it does by `instant`.
async fn until<F: Future>(instant: Timestamp, now: Timestamp, future: F) -> Option<F::Output> {
    tokio::time::timeout(instant.since(now), future).await.ok()
}
