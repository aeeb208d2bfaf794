//! One route: admit, send, wait, send again.

use std::sync::Arc;

use bytes::Bytes;
use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::{Circumstances, Claim, Gate, NoRetry, RetryPermit},
    lifecycle::{
        Lifecycle, On, RateLimitHit, RateLimited, Ready, RequestFailed, Requesting, RetryRequest, Retrying,
        SendRequest, Sent, Streaming,
    },
    time::Timestamp,
};

use super::{Drive, Reached, Unanswered};

/// A request that may be sent.
enum Sendable {
    First(Lifecycle<Requesting<Ready>>),
    Again(Lifecycle<Retrying>),
}

/// What went wrong and where the request stood.
pub(super) struct Broken {
    pub(super) at: Stuck,
    pub(super) failure: Box<Failure>,
}

impl Broken {
    pub(super) fn new(at: Stuck, failure: Failure) -> Self {
        Self { at, failure: Box::new(failure) }
    }
}

/// A request that cannot go on as it is.
pub(super) enum Stuck {
    Ready(Lifecycle<Requesting<Ready>>),
    Retrying(Lifecycle<Retrying>),
    Sent(Lifecycle<Requesting<Sent>>),
    Streaming(Lifecycle<Streaming>),
}

impl Drive<'_> {
    /// Sends on one route until it answers or has had its tries.
    pub(super) async fn attempts(
        &mut self,
        ready: Lifecycle<Requesting<Ready>>,
        request: http::Request<Bytes>,
    ) -> Result<Reached, Unanswered> {
        let route = Arc::clone(ready.route());
        let gate = self.inner.gate(&route);
        let mut sendable = Sendable::First(ready);
        let mut retries = 0;
        loop {
            let Broken { at, failure } = match self.admit(&gate, sendable) {
                Ok(sent) => match self.exchange(sent, request.clone()).await {
                    Ok(reached) => return Ok(reached),
                    Err(mut broken) => {
                        self.inner.without_key(&route, &mut broken.failure);
                        broken
                    }
                },
                Err(refused) => refused,
            };
            sendable = Sendable::Again(self.recover(at, failure, retries).await?);
            retries += 1;
        }
    }

    fn admit(&self, gate: &Arc<Gate>, sendable: Sendable) -> Result<Lifecycle<Requesting<Sent>>, Broken> {
        let at = self.inner.now();
        match (gate.admit(&Claim::default(), at), sendable) {
            (Ok(admission), Sendable::First(ready)) => Ok(ready.on(SendRequest { admission, at })),
            (Ok(admission), Sendable::Again(retrying)) => Ok(retrying.on(SendRequest { admission, at })),
            (Err(refusal), Sendable::First(ready)) => {
                Err(Broken::new(Stuck::Ready(ready), refusal.into_failure(at)))
            }
            (Err(refusal), Sendable::Again(retrying)) => {
                Err(Broken::new(Stuck::Retrying(retrying), refusal.into_failure(at)))
            }
        }
    }

    /// Waits as long as the failure asks for, if a retry is permitted.
    async fn recover(
        &mut self,
        stuck: Stuck,
        failure: Box<Failure>,
        retries: u32,
    ) -> Result<Lifecycle<Retrying>, Unanswered> {
        let at = self.inner.now();
        if failure.kind == ErrorKind::RateLimited {
            return self.wait_out(stuck, *failure, retries, at).await;
        }
        match self.permit(&failure, retries, at) {
            Ok(permit) => {
                let not_before = permit.not_before();
                let retrying = stuck.retry(permit, *failure, at)?;
                self.sleep_until(not_before).await;
                Ok(retrying)
            }
            Err(_) => Err(stuck.fail(*failure, at)),
        }
    }

    /// Through `RateLimited`, and on if the wait is worth it.
    ///
    /// The permit is asked for there, when an attempt that was not made is
    /// back in the budget.
    async fn wait_out(
        &mut self,
        stuck: Stuck,
        failure: Failure,
        retries: u32,
        at: Timestamp,
    ) -> Result<Lifecycle<Retrying>, Unanswered> {
        let until = at + failure.retry_after.unwrap_or_default();
        let limited = stuck.limit(failure.clone(), until, at);
        let Ok(permit) = self.permit(&failure, retries, at) else {
            return Err(limited.on(RequestFailed { failure, at }));
        };
        self.sleep_until(permit.not_before()).await;
        Ok(limited.on(RetryRequest { permit, resend: (), at: self.inner.now() }))
    }

    fn permit(&mut self, failure: &Failure, retries: u32, now: Timestamp) -> Result<RetryPermit, NoRetry> {
        let routes_left = self.plan.remaining().count();
        let circumstances = Circumstances { retries, routes_left, deadline: self.deadline, now };
        RetryPermit::grant(
            &self.inner.settings.retry,
            failure,
            circumstances,
            self.plan.budget(),
            &mut self.rng,
        )
    }

    async fn sleep_until(&self, instant: Timestamp) {
        tokio::time::sleep(instant.since(self.inner.now())).await;
    }
}

impl Stuck {
    fn retry(
        self,
        permit: RetryPermit,
        failure: Failure,
        at: Timestamp,
    ) -> Result<Lifecycle<Retrying>, Unanswered> {
        match self {
            Self::Sent(sent) => Ok(sent.on(RetryRequest { permit, resend: (), at })),
            Self::Streaming(stream) => Ok(stream.on(RetryRequest { permit, resend: (), at })),
            // What was refused before it was sent is waited for in `RateLimited` or not at all.
            Self::Ready(_) | Self::Retrying(_) => Err(self.fail(failure, at)),
        }
    }

    fn limit(self, failure: Failure, until: Timestamp, at: Timestamp) -> Lifecycle<RateLimited> {
        let event = RateLimitHit { failure, until, at };
        match self {
            Self::Ready(ready) => ready.on(event),
            Self::Retrying(retrying) => retrying.on(event),
            Self::Sent(sent) => sent.on(event),
            Self::Streaming(stream) => stream.on(event),
        }
    }

    fn fail(self, failure: Failure, at: Timestamp) -> Unanswered {
        let event = RequestFailed { failure, at };
        match self {
            Self::Ready(ready) => ready.on(event),
            Self::Retrying(retrying) => retrying.on(event),
            Self::Sent(sent) => sent.on(event),
            Self::Streaming(stream) => stream.on(event),
        }
    }
}
