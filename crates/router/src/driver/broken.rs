//! What went wrong, and the state it went wrong in.

use std::sync::Arc;

use leverframe_core::{
    error::Failure,
    guard::RetryPermit,
    lifecycle::{
        Failed, Lifecycle, On, RateLimitHit, RateLimited, Ready, RequestFailed, Requesting, RetryRequest,
        Retrying, Route, Sent, Streaming, Unseen, Visibility,
    },
    time::Timestamp,
};

/// What went wrong and where the request stood.
pub(super) struct Broken<V: Visibility = Unseen> {
    pub(super) at: Stuck<V>,
    pub(super) failure: Box<Failure>,
    /// Whether it has waited its turn already, and is not to wait again.
    pub(super) waited: bool,
}

impl<V: Visibility> Broken<V> {
    pub(super) fn new(at: Stuck<V>, failure: Failure) -> Self {
        Self { at, failure: Box::new(failure), waited: false }
    }

    /// Gives up.
    pub(super) fn fail(self, at: Timestamp) -> Lifecycle<Failed, V> {
        self.at.fail(*self.failure, at)
    }
}

/// A request that cannot go on as it is.
pub(super) enum Stuck<V: Visibility = Unseen> {
    Ready(Lifecycle<Requesting<Ready>, V>),
    Retrying(Lifecycle<Retrying, V>),
    Sent(Lifecycle<Requesting<Sent>, V>),
    Streaming(Lifecycle<Streaming, V>),
}

impl<V: Visibility> Stuck<V> {
    /// The route it is stuck on.
    pub(super) fn route(&self) -> &Arc<Route> {
        match self {
            Self::Ready(ready) => ready.route(),
            Self::Retrying(retrying) => retrying.route(),
            Self::Sent(sent) => sent.route(),
            Self::Streaming(stream) => stream.route(),
        }
    }

    pub(super) fn fail(self, failure: Failure, at: Timestamp) -> Lifecycle<Failed, V> {
        let event = RequestFailed { failure, at };
        match self {
            Self::Ready(ready) => ready.on(event),
            Self::Retrying(retrying) => retrying.on(event),
            Self::Sent(sent) => sent.on(event),
            Self::Streaming(stream) => stream.on(event),
        }
    }
}

impl Stuck {
    pub(super) fn retry(
        self,
        permit: RetryPermit,
        failure: Failure,
        at: Timestamp,
    ) -> Result<Lifecycle<Retrying>, Lifecycle<Failed>> {
        match self {
            Self::Sent(sent) => Ok(sent.on(RetryRequest { permit, resend: (), at })),
            Self::Streaming(stream) => Ok(stream.on(RetryRequest { permit, resend: (), at })),
            // What was refused before it was sent is waited for in `RateLimited` or not at all.
            Self::Ready(_) | Self::Retrying(_) => Err(self.fail(failure, at)),
        }
    }

    pub(super) fn limit(self, failure: Failure, until: Timestamp, at: Timestamp) -> Lifecycle<RateLimited> {
        let event = RateLimitHit { failure, until, at };
        match self {
            Self::Ready(ready) => ready.on(event),
            Self::Retrying(retrying) => retrying.on(event),
            Self::Sent(sent) => sent.on(event),
            Self::Streaming(stream) => stream.on(event),
        }
    }
}
