//! Which connections there are, and which of them nobody would miss.
//!
//! A flood of connections that say nothing must not keep out those that ask.
//! So places are limited, and for a newcomer the connection gives way on which
//! nothing has been asked for longest. One with a request under way never does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// All places there are.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    idle: Mutex<Idle>,
    /// Newcomers for whom there is no place yet.
    waiting: AtomicUsize,
}

/// The connections on which nothing is asked.
#[derive(Debug, Default)]
struct Idle {
    /// Those that may be told to go, the one that has waited longest first.
    by_turn: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, idle: Mutex::default(), waiting: AtomicUsize::new(0) })
    }

    /// A place: a free one, or that of a connection which then has to go.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        let free = Arc::clone(&self.free);
        let held = match Arc::clone(&free).try_acquire_owned() {
            Ok(held) => Some(held),
            Err(_) => {
                // Said first: a connection that becomes idle just now is told, or found.
                let _waiting = Waiting::new(&self.waiting);
                self.free_one();
                free.acquire_owned().await.ok() // it is never closed
            }
        };
        let leave = Arc::new(Notify::new());
        let turn = self.idle().enter(&leave);
        let state = Mutex::new(State { asked: 0, turn: Some(turn), since: Instant::now() });
        Place(Arc::new(Taken {
            places: Arc::clone(self),
            _held: held,
            leave,
            state,
            unread: AtomicBool::new(false),
        }))
    }

    /// Lets the connection go on which nothing has been asked for longest.
    pub(super) fn free_one(&self) {
        if let Some((_, leave)) = self.idle().by_turn.pop_first() {
            leave.notify_one();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn enter(&mut self, leave: &Arc<Notify>) -> u64 {
        self.next += 1;
        self.by_turn.insert(self.next, Arc::clone(leave));
        self.next
    }
}

/// A newcomer who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection's place. Clones are the same place.
#[derive(Clone, Debug)]
pub(super) struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    places: Arc<Places>,
    _held: Option<OwnedSemaphorePermit>,
    leave: Arc<Notify>,
    state: Mutex<State>,
    /// The client may still be sending what nobody reads.
    unread: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Requests under way.
    asked: usize,
    /// Its turn to go, while there are none.
    turn: Option<u64>,
    /// When that last changed.
    since: Instant,
}

impl Place {
    /// A request has begun. It is under way until what is returned is dropped.
    pub(super) fn ask(&self) -> Asked {
        let mut state = self.state();
        state.asked += 1;
        if let Some(turn) = state.turn.take() {
            self.0.places.idle().by_turn.remove(&turn);
        }
        drop(state);
        Asked(self.clone())
    }

    /// Ready when it has to be left for somebody else.
    pub(super) async fn wanted(&self) {
        loop {
            self.0.leave.notified().await;
            if self.state().asked == 0 {
                return;
            }
            // It was asked on just then: somebody else goes.
            self.0.places.free_one();
        }
    }

    /// Ready when nothing has been asked for as long as this.
    pub(super) async fn idle(&self, within: std::time::Duration) {
        // Looked at only when it may be so, not each time that something is asked.
        loop {
            let now = Instant::now();
            let idle_since = {
                let state = self.state();
                (state.asked == 0).then_some(state.since)
            };
            if idle_since.is_some_and(|since| now >= since + within) {
                return;
            }
            tokio::time::sleep_until(idle_since.unwrap_or(now) + within).await;
        }
    }

    /// Says whether the client may still be sending what nobody reads.
    pub(super) fn set_unread(&self, unread: bool) {
        self.0.unread.store(unread, Ordering::Relaxed);
    }

    /// Whether it may.
    pub(super) fn unread(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let turn = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).turn.take();
        if let Some(turn) = turn {
            self.places.idle().by_turn.remove(&turn);
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Asked(Place);

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.asked -= 1;
        if state.asked == 0 {
            state.turn = Some(self.0.0.places.idle().enter(&self.0.0.leave));
            state.since = Instant::now();
            drop(state);
            if self.0.0.places.waiting.load(Ordering::SeqCst) > 0 {
                self.0.0.places.free_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_has_asked_nothing_for_longest_gives_way() {
        let places = Places::new(3);
        let (first, second, third) = (places.take().await, places.take().await, places.take().await);
        let asked = first.ask();
        assert!(places.take().now_or_never().is_none(), "nobody has left yet");
        assert!(second.wanted().now_or_never().is_some(), "the first one is in use");
        assert!(third.wanted().now_or_never().is_none());
        drop(second);
        let fourth = places.take().now_or_never().expect("a place was left");
        drop(asked);
        assert!(places.take().now_or_never().is_none());
        assert!(third.wanted().now_or_never().is_some(), "the first one was asked on later");
        drop((third, fourth));
        assert_eq!(places.idle().by_turn.len(), 1, "those that are gone are not told to go");
    }

    #[tokio::test]
    async fn a_newcomer_gets_the_place_that_becomes_idle_while_it_waits() {
        let places = Places::new(1);
        let only = places.take().await;
        let asked = only.ask();
        let mut newcomer = Box::pin(places.take());
        assert!((&mut newcomer).now_or_never().is_none());
        assert!(only.wanted().now_or_never().is_none(), "it is in use");
        drop(asked);
        assert!(only.wanted().now_or_never().is_some(), "somebody waits for it");
        drop(only);
        assert!(newcomer.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_its_last_request_on() {
        let (places, second) = (Places::new(3), Duration::from_secs(1));
        let place = places.take().await;
        let asked = [place.ask(), place.ask()];
        assert!(tokio::time::timeout(second * 9, place.idle(second)).await.is_err());
        drop(asked);
        let before = Instant::now();
        place.idle(second).await;
        assert_eq!(before.elapsed(), second);
    }
}
