//! A request in some state.
//!
//! The typed machine's shadow, for code that must keep or drive a request
//! without knowing its state at compile time. Every legal move goes through
//! the same rule as in the typed machine; every other is an [`IllegalMove`].

use std::fmt;

use super::{
    Complete, Completed, Event, EventKind, Failed, FallbackToProvider, Idle, IllegalMove, InitiateRequest,
    Lifecycle, NextRoute, On, RateLimitHit, RateLimited, Ready, ReceiveResponse, ReceiveStreamChunk,
    RequestFailed, Requesting, Reset, ResumePlan, RetryRequest, Retrying, Seen, SendRequest, Sent, State,
    StreamComplete, Streaming, Unseen, ValidateRequest, Validating, ValidationFailed, ValidationPassed,
    Visibility, step,
};
use crate::{guard::RetryPermit, time::Timestamp};

/// A request in some state.
#[derive(Debug)]
#[must_use = "dropping a lifecycle cancels its request"]
pub enum AnyLifecycle {
    /// The caller has seen nothing of the answer.
    Unseen(AnyState<Unseen>),
    /// The caller has seen something of it.
    Seen(AnyState<Seen>),
}

/// A lifecycle of one visibility in some state.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant is the state of its name")]
#[must_use = "dropping a lifecycle cancels its request"]
pub enum AnyState<V: Visibility> {
    Idle(Lifecycle<Idle, V>),
    Validating(Lifecycle<Validating, V>),
    Ready(Lifecycle<Requesting<Ready>, V>),
    Sent(Lifecycle<Requesting<Sent>, V>),
    Streaming(Lifecycle<Streaming, V>),
    RateLimited(Lifecycle<RateLimited, V>),
    Retrying(Lifecycle<Retrying, V>),
    Completed(Lifecycle<Completed, V>),
    Failed(Lifecycle<Failed, V>),
}

/// Any of the fourteen events.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant is the event of its name")]
pub enum AnyEvent {
    InitiateRequest(InitiateRequest),
    ValidateRequest(ValidateRequest),
    ValidationPassed(ValidationPassed),
    ValidationFailed(ValidationFailed),
    SendRequest(SendRequest),
    ReceiveResponse(ReceiveResponse),
    ReceiveStreamChunk(ReceiveStreamChunk),
    StreamComplete(StreamComplete),
    RateLimitHit(RateLimitHit),
    RetryRequest { permit: RetryPermit, resume: Option<ResumePlan>, at: Timestamp },
    FallbackToProvider { route: NextRoute, resume: Option<ResumePlan>, at: Timestamp },
    RequestFailed(RequestFailed),
    Complete(Complete),
    Reset(Reset),
}

impl AnyEvent {
    /// The event's name.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::InitiateRequest(_) => InitiateRequest::KIND,
            Self::ValidateRequest(_) => ValidateRequest::KIND,
            Self::ValidationPassed(_) => ValidationPassed::KIND,
            Self::ValidationFailed(_) => ValidationFailed::KIND,
            Self::SendRequest(_) => SendRequest::KIND,
            Self::ReceiveResponse(_) => ReceiveResponse::KIND,
            Self::ReceiveStreamChunk(_) => ReceiveStreamChunk::KIND,
            Self::StreamComplete(_) => StreamComplete::KIND,
            Self::RateLimitHit(_) => RateLimitHit::KIND,
            Self::RetryRequest { .. } => EventKind::RetryRequest,
            Self::FallbackToProvider { .. } => EventKind::FallbackToProvider,
            Self::RequestFailed(_) => RequestFailed::KIND,
            Self::Complete(_) => Complete::KIND,
            Self::Reset(_) => Reset::KIND,
        }
    }
}

/// A move that was not made. Nothing is lost: both sides come back.
#[derive(Debug)]
pub struct Rejected {
    /// The request, where it was.
    pub lifecycle: AnyLifecycle,
    /// The event, with its evidence.
    pub event: AnyEvent,
    /// What was wrong.
    pub illegal: IllegalMove,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IllegalMove { from, event } = self.illegal;
        match step(from, event) {
            Ok(_) => write!(f, "{event} in {from} needs a ResumePlan"),
            Err(illegal) => illegal.fmt(f),
        }
    }
}

impl std::error::Error for Rejected {}

impl AnyLifecycle {
    /// The state as a value.
    pub fn position(&self) -> State {
        match self {
            Self::Unseen(state) => state.position(),
            Self::Seen(state) => state.position(),
        }
    }

    /// Makes a move, if a rule allows it.
    ///
    /// # Errors
    /// [`Rejected`] when none does, or when a seen answer would be sent again
    /// without a [`ResumePlan`].
    pub fn apply(self, event: AnyEvent) -> Result<Self, Box<Rejected>> {
        match self {
            Self::Unseen(state) => apply_unseen(state, event),
            Self::Seen(state) => apply_seen(state, event),
        }
    }

    /// Hands the first content to the caller, if this is a stream of which
    /// nothing was handed over.
    pub fn commit(self) -> Self {
        match self {
            Self::Unseen(AnyState::Streaming(stream)) => Self::Seen(AnyState::Streaming(stream.commit())),
            other => other,
        }
    }
}

impl<V: Visibility> AnyState<V> {
    fn position(&self) -> State {
        match self {
            Self::Idle(_) => State { seen: V::SEEN, ..State::IDLE },
            Self::Validating(at) => at.position(),
            Self::Ready(at) => at.position(),
            Self::Sent(at) => at.position(),
            Self::Streaming(at) => at.position(),
            Self::RateLimited(at) => at.position(),
            Self::Retrying(at) => at.position(),
            Self::Completed(at) => at.position(),
            Self::Failed(at) => at.position(),
        }
    }
}

fn apply_unseen(state: AnyState<Unseen>, event: AnyEvent) -> Result<AnyLifecycle, Box<Rejected>> {
    use AnyEvent as E;
    use AnyState as S;

    let next = match (state, event) {
        (S::Idle(at), E::InitiateRequest(e)) => S::Validating(at.on(e)),
        (S::Streaming(at), E::RateLimitHit(e)) => S::RateLimited(at.on(e)),
        (S::Streaming(at), E::RetryRequest { permit, at: when, .. }) => {
            S::Retrying(at.on(RetryRequest { permit, resend: (), at: when }))
        }
        (S::Sent(at), E::RetryRequest { permit, at: when, .. }) => {
            S::Retrying(at.on(RetryRequest { permit, resend: (), at: when }))
        }
        (S::RateLimited(at), E::RetryRequest { permit, at: when, .. }) => {
            S::Retrying(at.on(RetryRequest { permit, resend: (), at: when }))
        }
        (S::Failed(at), E::FallbackToProvider { route, at: when, .. }) => {
            S::Validating(at.on(FallbackToProvider { route, resend: (), at: when }))
        }
        (state, event) => return apply_either(state, event, AnyLifecycle::Unseen),
    };
    Ok(AnyLifecycle::Unseen(next))
}

fn apply_seen(state: AnyState<Seen>, event: AnyEvent) -> Result<AnyLifecycle, Box<Rejected>> {
    use AnyEvent as E;
    use AnyState as S;

    let next = match (state, event) {
        (S::Sent(at), E::RetryRequest { permit, resume: Some(resend), at: when }) => {
            S::Retrying(at.on(RetryRequest { permit, resend, at: when }))
        }
        (S::RateLimited(at), E::RetryRequest { permit, resume: Some(resend), at: when }) => {
            S::Retrying(at.on(RetryRequest { permit, resend, at: when }))
        }
        (S::Failed(at), E::FallbackToProvider { route, resume: Some(resend), at: when }) => {
            S::Validating(at.on(FallbackToProvider { route, resend, at: when }))
        }
        (state, event) => return apply_either(state, event, AnyLifecycle::Seen),
    };
    Ok(AnyLifecycle::Seen(next))
}

/// The rules that do not depend on whether the answer was seen.
fn apply_either<V: Visibility>(
    state: AnyState<V>,
    event: AnyEvent,
    wrap: fn(AnyState<V>) -> AnyLifecycle,
) -> Result<AnyLifecycle, Box<Rejected>> {
    use AnyEvent as E;
    use AnyState as S;

    let next = match (state, event) {
        (S::Validating(at), E::ValidateRequest(e)) => S::Validating(at.on(e)),
        (S::Validating(at), E::ValidationPassed(e)) => S::Ready(at.on(e)),
        (S::Validating(at), E::ValidationFailed(e)) => S::Failed(at.on(e)),
        (S::Validating(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::Ready(at), E::SendRequest(e)) => S::Sent(at.on(e)),
        (S::Ready(at), E::RateLimitHit(e)) => S::RateLimited(at.on(e)),
        (S::Ready(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::Sent(at), E::ReceiveResponse(e)) => S::Completed(at.on(e)),
        (S::Sent(at), E::ReceiveStreamChunk(e)) => S::Streaming(at.on(e)),
        (S::Sent(at), E::RateLimitHit(e)) => S::RateLimited(at.on(e)),
        (S::Sent(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::Streaming(at), E::ReceiveStreamChunk(e)) => S::Streaming(at.on(e)),
        (S::Streaming(at), E::StreamComplete(e)) => S::Completed(at.on(e)),
        (S::Streaming(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::RateLimited(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::Retrying(at), E::SendRequest(e)) => S::Sent(at.on(e)),
        (S::Retrying(at), E::RateLimitHit(e)) => S::RateLimited(at.on(e)),
        (S::Retrying(at), E::RequestFailed(e)) => S::Failed(at.on(e)),
        (S::Failed(at), E::Complete(e)) => S::Failed(at.on(e)),
        (S::Completed(at), E::Complete(e)) => S::Completed(at.on(e)),
        (S::Failed(at), E::Reset(e)) => return Ok(AnyLifecycle::Unseen(S::Idle(at.on(e)))),
        (S::Completed(at), E::Reset(e)) => return Ok(AnyLifecycle::Unseen(S::Idle(at.on(e)))),
        (state, event) => {
            let illegal = IllegalMove { from: state.position(), event: event.kind() };
            return Err(Box::new(Rejected { lifecycle: wrap(state), event, illegal }));
        }
    };
    Ok(wrap(next))
}
