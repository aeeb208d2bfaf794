//! From route to route: validate, try, fall back.

use std::sync::Arc;

use bytes::Bytes;
use leverframe_core::{
    error::{Exposure, Failure, NextRoute as MayMoveOn},
    lifecycle::{
        FallbackToProvider, Idle, InitiateRequest, Lifecycle, NextRoute, On, Ready, RequestFailed,
        Requesting, ValidateRequest, Validating, ValidationFailed, ValidationPassed,
    },
    model::Request,
    validate::validate,
};
use leverframe_http::codec::{self, Call, Encoded};

use super::{Drive, Reached, Unanswered, too_late};

impl Drive<'_> {
    /// Tries route after route until one answers or none is left.
    pub(super) async fn run(
        mut self,
        idle: Lifecycle<Idle>,
        request: Arc<Request>,
    ) -> Result<Reached, Unanswered> {
        let at = self.inner.now();
        // The plan is not empty and the budget at least one: both were checked when they were made.
        let Some(route) = self.plan.next() else {
            unreachable!("a plan has a route and a budget an attempt")
        };
        let mut validating = idle.on(InitiateRequest { request, route, at });
        loop {
            let failed = match self.try_route(validating).await {
                Ok(reached) => return Ok(reached),
                Err(failed) => failed,
            };
            let Some(route) = self.next_route(failed.state().failure()) else { return Err(failed) };
            validating = failed.on(FallbackToProvider { route, resend: (), at: self.inner.now() });
        }
    }

    async fn try_route(&mut self, validating: Lifecycle<Validating>) -> Result<Reached, Unanswered> {
        let (ready, request) = self.validate(validating)?;
        self.attempts(ready, request).await
    }

    /// Checks the request for the route and writes it down in its dialect.
    fn validate(
        &self,
        validating: Lifecycle<Validating>,
    ) -> Result<(Lifecycle<Requesting<Ready>>, http::Request<Bytes>), Unanswered> {
        let validating = validating.on(ValidateRequest { at: self.inner.now() });
        let at = self.inner.now();
        let route = Arc::clone(validating.route());
        let request = match validate(validating.request()) {
            Ok(request) => request,
            Err(error) => return Err(validating.on(ValidationFailed { error, at })),
        };
        if self.deadline.has_passed(at) {
            return Err(validating.on(RequestFailed { failure: too_late(), at }));
        }
        let call = Call { request: &request, model: &route.model, stream: self.streamed };
        match codec::encode(&self.inner.provider_of(&route).endpoint, call) {
            Ok(Encoded { request: written, losses }) => {
                let mut ready = validating.on(ValidationPassed { request, at });
                ready.lost(losses);
                Ok((ready, written))
            }
            Err(failure) => Err(validating.on(RequestFailed { failure, at })),
        }
    }

    fn next_route(&mut self, failure: &Failure) -> Option<NextRoute> {
        let wanted = match failure.kind.decision(Exposure::Unseen).next_route {
            MayMoveOn::Yes => true,
            MayMoveOn::IfAsked => self.inner.settings.fallback_on_refusal,
            // The sizes of context windows are not known here; resuming needs a seen answer.
            MayMoveOn::LargerWindow | MayMoveOn::Resume | MayMoveOn::Never => false,
        };
        if wanted { self.plan.next() } else { None }
    }
}
