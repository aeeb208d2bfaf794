//! Two tries of one request at the same time (a hedge).
//!
//! A hedge is a lifecycle of its own under the same id. Whichever lifecycle is
//! the last to end hands the one record in; those that end before it leave
//! their attempts for that record. So the driver drops the loser first, and
//! what the loser cost is not forgotten.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Idle, InitiateRequest, Lifecycle, NextRoute, On, Requesting, Sent, Unseen, Validating, book::Book,
};
use crate::{
    choice::Choice,
    error::Failure,
    model::{Request, RequestId, Usage},
    record::{Attempt, Desk},
    time::Timestamp,
};

/// What the tries of one request share.
#[derive(Debug, Default)]
pub(super) struct Race {
    state: Mutex<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Tries that have not ended.
    pub(super) running: u32,
    /// Attempts of the tries that have.
    pub(super) attempts: Vec<Attempt>,
    pub(super) choice: Option<Choice>,
    pub(super) first_failure: Option<(Timestamp, Failure)>,
    pub(super) first_refusal: Option<(Timestamp, Failure)>,
    /// What an attempt that is given up is taken to have consumed.
    pub(super) given_up: Usage,
}

impl Race {
    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        // Plain values: a panic in between leaves nothing half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it takes to try a request that is out on a second route as well. Made
/// before the first try is waited for, used while it is.
#[derive(Debug)]
pub struct Fork {
    pub(super) id: RequestId,
    pub(super) desk: Arc<Desk>,
    pub(super) request: Arc<Request>,
    /// When the request was started.
    pub(super) started_at: Timestamp,
    pub(super) race: Arc<Race>,
}

impl Lifecycle<Requesting<Sent>, Unseen> {
    /// What it takes to try the request on a second route as well.
    pub fn fork(&mut self) -> Fork {
        let request = self.state.request.share();
        self.book.fork(request)
    }
}

impl Fork {
    /// The same request on a second route, while the first is still out.
    ///
    /// `given_up` is what the loser is taken to have consumed. Its attempt, and
    /// everything the request tried before, stand in the record of the try that
    /// ends last; that record's journal is that try's own, from the beginning of
    /// the request.
    pub fn hedge(self, route: NextRoute, given_up: Usage) -> Lifecycle<Validating> {
        let Self { id, desk, request, started_at, race } = self;
        {
            let mut shared = race.lock();
            shared.running = shared.running.saturating_add(1);
            shared.given_up = given_up;
        }
        let mut idle: Lifecycle<Idle> =
            Lifecycle { book: Box::new(Book::new(id, desk)), state: Idle(()), visibility: Unseen };
        idle.book.joins(race);
        idle.on(InitiateRequest { request, route, at: started_at })
    }
}
