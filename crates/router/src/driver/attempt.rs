//! One route: admit, send, wait, send again.

use std::{mem, sync::Arc};

use bytes::Bytes;
use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::{Admission, Circumstances, Claim, Guard, NoRetry, Refusal, RetryPermit},
    lifecycle::{
        Lifecycle, On, Ready, RequestFailed, Requesting, RetryRequest, Retrying, Route, SendRequest, Sent,
    },
    model::Request,
    time::Timestamp,
};

use super::{
    Drive, Unanswered,
    broken::{Broken, Stuck},
    exchange::Came,
};
use crate::{plan::claim, route_state::RouteState};

/// A request that may be sent.
enum Sendable {
    First(Lifecycle<Requesting<Ready>>),
    Again(Lifecycle<Retrying>),
}

/// A route that is being tried, and the request in its dialect.
pub(super) struct Trial {
    pub(super) route: Arc<Route>,
    pub(super) state: Arc<RouteState>,
    pub(super) request: http::Request<Bytes>,
    /// What it is expected to take of the route's limits.
    pub(super) claim: Claim,
    /// Whether anything was sent.
    pub(super) sent: bool,
}

impl Drive<'_> {
    /// `asked` is what goes out, `request` the same in the route's dialect.
    pub(super) fn trial(&self, route: &Arc<Route>, asked: &Request, request: http::Request<Bytes>) -> Trial {
        let claim = claim(self.inner, asked, route, self.inner.now());
        Trial { route: Arc::clone(route), state: self.inner.route_state(route), request, claim, sent: false }
    }

    /// Sends on one route until it answers or has had its tries.
    ///
    /// A hedge that outlives the route takes its place.
    pub(super) async fn attempts(
        &mut self,
        ready: Lifecycle<Requesting<Ready>>,
        request: http::Request<Bytes>,
    ) -> Result<Came, Unanswered> {
        let mut trial = self.trial(ready.route(), &ready.request(), request);
        let mut sendable = Sendable::First(ready);
        let mut retries = 0;
        loop {
            let Broken { at, failure, waited } = match self.send(&mut trial, sendable).await {
                Ok(sent) => match self.race(sent, &mut trial).await {
                    Ok(came) => return Ok(came),
                    Err(broken) => broken,
                },
                Err(refused) => refused,
            };
            if waited {
                return Err(at.fail(*failure, self.inner.now()));
            }
            sendable = Sendable::Again(self.recover(at, failure, &trial, retries).await?);
            retries += 1;
        }
    }

    /// Sends it, if the guards admit it: at once, or in its turn.
    async fn send(
        &self,
        trial: &mut Trial,
        sendable: Sendable,
    ) -> Result<Lifecycle<Requesting<Sent>>, Broken> {
        let admission = match trial.state.queue() {
            None => trial.state.gate().admit(&trial.claim, self.inner.now()),
            Some(queue) => {
                let admit = || trial.state.gate().admit(&trial.claim, self.inner.now());
                queue.admit(admit, || self.inner.now(), self.deadline.at()).await
            }
        };
        let at = self.inner.now();
        self.admitted(trial, &admission, at);
        let (refusal, stuck) = match (admission, sendable) {
            (Ok(admission), Sendable::First(ready)) => return Ok(ready.on(SendRequest { admission, at })),
            (Ok(admission), Sendable::Again(again)) => return Ok(again.on(SendRequest { admission, at })),
            (Err(refusal), Sendable::First(ready)) => (refusal, Stuck::Ready(ready)),
            (Err(refusal), Sendable::Again(retrying)) => (refusal, Stuck::Retrying(retrying)),
        };
        let limited = matches!(refusal.by, Guard::Limit { .. } | Guard::Queue);
        let waited = limited && trial.state.queue().is_some();
        Err(Broken { waited, ..Broken::new(stuck, refusal.into_failure(at)) })
    }

    /// The guards have decided: who counts is told.
    pub(super) fn admitted(&self, trial: &mut Trial, admission: &Result<Admission, Refusal>, at: Timestamp) {
        self.inner.observers.tell(|observer| match admission {
            Ok(_) => observer.attempt_started(&trial.route),
            Err(refusal) => observer.turned_away(&trial.route, refusal),
        });
        if admission.is_ok() && !mem::replace(&mut trial.sent, true) {
            self.inner.provider_of(&trial.route).retries.first_attempt(at);
        }
    }

    /// Waits as long as the failure asks for, if a retry is permitted.
    async fn recover(
        &mut self,
        stuck: Stuck,
        failure: Box<Failure>,
        trial: &Trial,
        retries: u32,
    ) -> Result<Lifecycle<Retrying>, Unanswered> {
        let at = self.inner.now();
        if failure.kind == ErrorKind::RateLimited {
            return self.wait_out(stuck, *failure, trial, retries, at).await;
        }
        match self.permit(trial, &failure, retries, at) {
            Ok(permit) => {
                let kind = failure.kind;
                let not_before = permit.not_before();
                let retrying = stuck.retry(permit, *failure, at)?;
                self.sleep_until(not_before, &trial.route, kind).await;
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
        trial: &Trial,
        retries: u32,
        at: Timestamp,
    ) -> Result<Lifecycle<Retrying>, Unanswered> {
        let until = at + failure.retry_after.unwrap_or_default();
        let limited = stuck.limit(failure.clone(), until, at);
        let Ok(permit) = self.permit(trial, &failure, retries, at) else {
            return Err(limited.on(RequestFailed { failure, at }));
        };
        self.sleep_until(permit.not_before(), &trial.route, ErrorKind::RateLimited).await;
        Ok(limited.on(RetryRequest { permit, resend: (), at: self.inner.now() }))
    }

    fn permit(
        &mut self,
        trial: &Trial,
        failure: &Failure,
        retries: u32,
        now: Timestamp,
    ) -> Result<RetryPermit, NoRetry> {
        let routes_left = self.plan.remaining().count();
        let circumstances =
            Circumstances { retries, sent: trial.sent, routes_left, deadline: self.deadline, now };
        RetryPermit::grant(
            &self.inner.retry_of(&trial.route),
            failure,
            circumstances,
            self.plan.budget(),
            &self.inner.provider_of(&trial.route).retries,
            &mut self.rng,
        )
    }

    async fn sleep_until(&self, instant: Timestamp, route: &Route, because: ErrorKind) {
        let wait = instant.since(self.inner.now());
        self.inner.observers.tell(|observer| observer.waits(route, because, wait));
        tokio::time::sleep(wait).await;
    }
}
