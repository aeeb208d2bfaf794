//! The eight states, each owning exactly what is true in it.

use std::{fmt, sync::Arc};

use super::{EventKind, Journal, NextRoute, Route, Seen, State, StateKind, Unseen, Visibility, book::Book};
use crate::{
    choice::Choice,
    error::Failure,
    guard::{Admission, Draw, RetryPermit, Spent},
    loss::Loss,
    model::{Partial, Request, RequestId, Response, TerminalFrame},
    record::{Attempt, Desk, Record},
    start::Hold,
    time::Timestamp,
    validate::Valid,
};

/// A request in state `S`, of whose answer the caller has seen nothing
/// ([`Unseen`]) or something ([`Seen`]).
///
/// Moves by [`On::on`](super::On::on), which consumes it. Dropped unfinished,
/// it hands its record in as cancelled and gives its permissions back.
#[must_use = "dropping a lifecycle cancels its request"]
#[derive(Debug)]
pub struct Lifecycle<S, V: Visibility = Unseen> {
    pub(super) book: Box<Book>,
    pub(super) state: S,
    pub(super) visibility: V,
}

mod sealed {
    pub trait Sealed {}
}

/// A type that is one of the eight states. Sealed.
pub trait StateType: sealed::Sealed + fmt::Debug {
    /// Which of the eight.
    const KIND: StateKind;
    /// Whether it is the half of `Requesting` that was sent.
    const SENT: bool = false;
}

/// `Requesting` and `Streaming`: a provider may be at work.
pub trait InFlight: StateType {}
/// `RateLimited` and `Retrying`: nothing is out, something may go out again.
pub trait Waiting: StateType {}
/// `Completed` and `Failed`: a terminal record is due.
pub trait Terminal: StateType {}

macro_rules! states {
    ($($type:ty = $kind:ident $(, $marker:ident)?;)*) => {$(
        impl sealed::Sealed for $type {}
        impl StateType for $type {
            const KIND: StateKind = StateKind::$kind;
        }
        $(impl $marker for $type {})?
    )*};
}

states! {
    Idle = Idle;
    Validating = Validating;
    Streaming = Streaming, InFlight;
    RateLimited = RateLimited, Waiting;
    Retrying = Retrying, Waiting;
    Completed = Completed, Terminal;
    Failed = Failed, Terminal;
}

impl<P: Phase> sealed::Sealed for Requesting<P> {}
impl<P: Phase> InFlight for Requesting<P> {}
impl<P: Phase> StateType for Requesting<P> {
    const KIND: StateKind = StateKind::Requesting;
    const SENT: bool = P::SENT;
}

/// Nothing is asked for.
#[derive(Debug)]
pub struct Idle(pub(super) ());

/// A route was chosen; the request is being checked for it.
#[derive(Debug)]
pub struct Validating {
    pub(super) request: Arc<Request>,
    pub(super) route: NextRoute,
}

/// The request is valid: about to be sent ([`Ready`]) or out ([`Sent`]).
#[derive(Debug)]
pub struct Requesting<P> {
    pub(super) request: Valid<Request>,
    pub(super) route: Arc<Route>,
    pub(super) phase: P,
}

/// The two halves of [`Requesting`]. Sealed.
pub trait Phase: sealed::Sealed + fmt::Debug {
    /// Whether it was sent.
    const SENT: bool;
    #[doc(hidden)]
    fn give_up(self, failure: &Failure, spent: &Spent, at: Timestamp);
}

/// Not sent yet. Owns the attempt it may make.
#[derive(Debug)]
pub struct Ready {
    pub(super) draw: Draw,
}

/// Sent and unanswered. Owns the permission it was sent under.
#[derive(Debug)]
pub struct Sent {
    pub(super) admission: Admission,
}

impl sealed::Sealed for Ready {}
impl Phase for Ready {
    const SENT: bool = false;

    fn give_up(self, _failure: &Failure, _spent: &Spent, _at: Timestamp) {
        drop(self.draw); // never sent: the attempt goes back
    }
}

impl sealed::Sealed for Sent {}
impl Phase for Sent {
    const SENT: bool = true;

    fn give_up(self, failure: &Failure, spent: &Spent, at: Timestamp) {
        self.admission.settle(Err(failure), spent, at);
    }
}

/// The answer is arriving. Owns what has arrived.
#[derive(Debug)]
pub struct Streaming {
    pub(super) request: Valid<Request>,
    pub(super) route: Arc<Route>,
    pub(super) admission: Admission,
    /// Boxed, as a stream is moved with every chunk.
    pub(super) partial: Box<Partial>,
}

/// A limit was hit. Owns the instant from which it may go on.
#[derive(Debug)]
pub struct RateLimited {
    pub(super) request: Valid<Request>,
    pub(super) route: Arc<Route>,
    pub(super) until: Timestamp,
}

/// It may be sent again on the same route. Owns the permission to.
#[derive(Debug)]
pub struct Retrying {
    pub(super) request: Valid<Request>,
    pub(super) route: Arc<Route>,
    pub(super) permit: RetryPermit,
}

/// The answer is whole.
#[derive(Debug)]
pub struct Completed {
    pub(super) response: Response,
}

/// It failed.
#[derive(Debug)]
pub struct Failed {
    pub(super) request: Arc<Request>,
    pub(super) failure: Box<Failure>,
    pub(super) partial: Option<Box<Partial>>,
}

impl Failed {
    /// What went wrong last.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// What had arrived of an answer that broke off.
    pub fn partial(&self) -> Option<&Partial> {
        self.partial.as_deref()
    }
}

impl Lifecycle<Idle> {
    /// A machine at rest, which will hand its record in at `desk`.
    pub fn new(id: RequestId, desk: Arc<Desk>) -> Self {
        Self { book: Box::new(Book::new(id, desk)), state: Idle(()), visibility: Unseen }
    }

    /// Keeps which routes were considered, for the record.
    pub fn chose(&mut self, choice: Choice) {
        self.book.chose(choice);
    }
}

impl<S, V: Visibility> Lifecycle<S, V> {
    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.book.id()
    }

    /// The attempts so far. One that is going on is not filled in yet.
    pub fn attempts(&self) -> &[Attempt] {
        self.book.attempts()
    }

    /// Every state it went through so far.
    pub fn journal(&self) -> &Journal {
        self.book.journal()
    }

    /// What is true in this state.
    pub fn state(&self) -> &S {
        &self.state
    }

    pub(super) fn visibility(&self) -> &V {
        &self.visibility
    }
}

impl<S: StateType, V: Visibility> Lifecycle<S, V> {
    /// This state as a value.
    pub fn position(&self) -> State {
        State { kind: S::KIND, sent: S::SENT, seen: V::SEEN }
    }

    /// Moves on to `next`, noting it in the journal.
    pub(super) fn advance<N: StateType>(
        self,
        event: EventKind,
        at: Timestamp,
        next: impl FnOnce(S) -> N,
    ) -> Lifecycle<N, V> {
        let Self { mut book, state, visibility } = self;
        let state = next(state);
        book.note(event, State { kind: N::KIND, sent: N::SENT, seen: V::SEEN }, at);
        Lifecycle { book, state, visibility }
    }
}

impl<V: Visibility> Lifecycle<Validating, V> {
    /// The request to be checked.
    pub fn request(&self) -> Arc<Request> {
        Arc::clone(&self.state.request)
    }

    /// The request as it will go out: with the text the caller already has as
    /// the beginning of the answer, if there is any.
    pub fn outgoing(&self) -> Arc<Request> {
        match prefill(&self.visibility) {
            None => Arc::clone(&self.state.request),
            Some(text) => Arc::new(self.state.request.continuing(text)),
        }
    }

    /// The route it is checked for.
    pub fn route(&self) -> &Arc<Route> {
        self.state.route.route()
    }
}

impl<P: Phase, V: Visibility> Lifecycle<Requesting<P>, V> {
    /// The request as it goes out: with the text the caller already has as the
    /// beginning of the answer, if there is any.
    pub fn request(&self) -> Arc<Request> {
        outgoing(&self.state.request, &self.visibility)
    }

    /// The route it takes.
    pub fn route(&self) -> &Arc<Route> {
        &self.state.route
    }
}

impl<V: Visibility> Lifecycle<Requesting<Ready>, V> {
    /// Keeps what the route's dialect could not say of the request, for the
    /// record of every attempt on it.
    pub fn lost(&mut self, losses: Vec<Loss>) {
        self.book.lost(losses);
    }
}

impl<V: Visibility> Lifecycle<Requesting<Sent>, V> {
    /// What has to be waited for before the first byte leaves: those who keep a
    /// durable record want to have written it first. Empty when asked again.
    pub fn holds(&mut self) -> Vec<Hold> {
        self.book.holds()
    }

    /// When the attempt that is out began.
    pub fn attempt_began(&self) -> Option<Timestamp> {
        self.book.attempt_began()
    }

    /// The provider has named the call.
    pub fn named(&mut self, provider_request_id: Option<String>) {
        self.book.named(provider_request_id);
    }
}

impl<V: Visibility> Lifecycle<Streaming, V> {
    /// What has arrived.
    pub fn partial(&self) -> &Partial {
        &self.state.partial
    }

    /// The request that is being answered.
    pub fn request(&self) -> &Request {
        &self.state.request
    }

    /// The route it comes from.
    pub fn route(&self) -> &Arc<Route> {
        &self.state.route
    }

    /// The evidence that completes the stream, once the provider has given it.
    pub fn terminal_frame(&self) -> Option<TerminalFrame> {
        self.state.partial.terminal_frame()
    }
}

impl Lifecycle<Streaming, Unseen> {
    /// The first content is handed to the caller: from here on nothing can be
    /// sent again without a [`ResumePlan`](super::ResumePlan).
    pub fn commit(self) -> Lifecycle<Streaming, Seen> {
        let Self { mut book, state, visibility: Unseen } = self;
        book.committed();
        Lifecycle { book, state, visibility: Seen { continues: String::new() } }
    }
}

impl<V: Visibility> Lifecycle<RateLimited, V> {
    /// The instant from which it may go on.
    pub fn until(&self) -> Timestamp {
        self.state.until
    }
}

impl<V: Visibility> Lifecycle<Retrying, V> {
    /// The request as it goes out again.
    pub fn request(&self) -> Arc<Request> {
        outgoing(&self.state.request, &self.visibility)
    }

    /// The route it takes.
    pub fn route(&self) -> &Arc<Route> {
        &self.state.route
    }

    /// The instant before which it must not be sent.
    pub fn not_before(&self) -> Timestamp {
        self.state.permit.not_before()
    }
}

impl<V: Visibility> Lifecycle<Failed, V> {
    /// The failure to tell the caller of: the first one of something that was
    /// sent, unless the deadline, the caller or a broken stream ended it.
    pub fn headline(&self) -> &Failure {
        self.book.headline(&self.state.failure)
    }

    /// Hands the record in, if that was not done, and takes the machine apart:
    /// the failure to tell the caller of, what the caller had seen arrive, the
    /// record.
    pub fn finish(mut self, at: Timestamp) -> (Failure, Option<Box<Partial>>, Arc<Record>) {
        let headline = self.headline().clone();
        let record = self.book.close(at);
        let seen = match self.state.partial {
            // The last try to go on did not get far enough to add anything.
            None if V::SEEN => Some(Box::new(Partial::continuing(self.visibility.shown()))),
            partial => partial.filter(|_| V::SEEN),
        };
        (headline, seen, record)
    }
}

impl<V: Visibility> Lifecycle<Completed, V> {
    /// The whole answer.
    pub fn response(&self) -> &Response {
        &self.state.response
    }

    /// Hands the record in, if that was not done, and takes the machine apart:
    /// the answer and the record.
    pub fn finish(mut self, at: Timestamp) -> (Response, Arc<Record>) {
        let record = self.book.close(at);
        (self.state.response, record)
    }
}

/// A valid request stays valid with what a model wrote appended.
fn outgoing<V: Visibility>(request: &Valid<Request>, visibility: &V) -> Arc<Request> {
    match prefill(visibility) {
        None => request.share(),
        Some(text) => Arc::new(request.continuing(text)),
    }
}

/// The beginning of the answer, if the caller has one.
fn prefill<V: Visibility>(visibility: &V) -> Option<&str> {
    // Anthropic refuses a prefilled answer that ends in white space.
    let text = visibility.shown().trim_end();
    (!text.is_empty()).then_some(text)
}
