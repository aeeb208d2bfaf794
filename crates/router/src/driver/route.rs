//! From route to route: validate, try, fall back.

use std::sync::Arc;

use bytes::Bytes;
use leverframe_core::{
    catalog::{Capabilities, Feature},
    error::{ErrorKind, Exposure, Failure, NextRoute as MayMoveOn},
    lifecycle::{
        Failed, FallbackToProvider, Idle, InitiateRequest, Lifecycle, NextRoute, On, Ready, RequestFailed,
        Requesting, Route, ValidateRequest, Validating, ValidationFailed, ValidationPassed, Visibility,
    },
    model::{Dialect, Request},
    validate::validate,
};
use leverframe_http::codec::{self, Call, Encoded};

use super::{Drive, Unanswered, exchange::Came, too_late};

/// A request that may be sent, and its words in the route's dialect.
type Written<V> = (Lifecycle<Requesting<Ready>, V>, http::Request<Bytes>);

impl Drive<'_> {
    /// Tries route after route until one answers or none is left.
    pub(super) async fn run(
        &mut self,
        idle: Lifecycle<Idle>,
        request: Arc<Request>,
    ) -> Result<Came, Unanswered> {
        let at = self.inner.now();
        // The plan is not empty and the budget at least one: both were checked when they were made.
        let Some(route) = self.plan.next() else {
            unreachable!("a plan has a route and a budget an attempt")
        };
        let mut tried = Arc::clone(route.route());
        let mut validating = idle.on(InitiateRequest { request, route, at });
        loop {
            let failed = match self.try_route(validating).await {
                Ok(came) => return Ok(came),
                Err(failed) => failed,
            };
            let Some(route) = self.next_route(failed.state().failure(), &tried) else { return Err(failed) };
            tried = Arc::clone(route.route());
            validating = failed.on(FallbackToProvider { route, resend: (), at: self.inner.now() });
        }
    }

    async fn try_route(&mut self, validating: Lifecycle<Validating>) -> Result<Came, Unanswered> {
        let (ready, request) = self.validate(validating)?;
        self.attempts(ready, request).await
    }

    /// Checks the request for the route and writes it down in its dialect.
    pub(super) fn validate<V: Visibility>(
        &self,
        validating: Lifecycle<Validating, V>,
    ) -> Result<Written<V>, Lifecycle<Failed, V>> {
        let validating = validating.on(ValidateRequest { at: self.inner.now() });
        let at = self.inner.now();
        let request = match validate(validating.request()) {
            Ok(request) => request,
            Err(error) => return Err(validating.on(ValidationFailed { error, at })),
        };
        if self.deadline.has_passed(at) {
            return Err(validating.on(RequestFailed { failure: too_late(), at }));
        }
        match self.write(validating.route(), &validating.outgoing()) {
            Ok(Encoded { request: written, losses }) => {
                let mut ready = validating.on(ValidationPassed { request, at });
                ready.lost(losses);
                Ok((ready, written))
            }
            Err(failure) => Err(validating.on(RequestFailed { failure, at })),
        }
    }

    /// The request in the route's dialect, without what its model is known to refuse.
    fn write(&self, route: &Route, request: &Request) -> Result<Encoded, Failure> {
        let endpoint = self.inner.endpoint_of(route);
        let (model, stream) = (route.model.as_str(), self.streamed);
        let Some(capabilities) = self.inner.capabilities(route) else {
            return codec::encode(endpoint, Call { request, model, stream });
        };
        let provider = self.inner.provider_of(route);
        if route.dialect == Dialect::OpenAiChat
            && provider.native
            && capabilities.refuses(Feature::ChatCompletions, false)
        {
            let message = format!(
                "model: {model} is to be had over OpenAI Responses only; use Provider::openai_responses, or OPENAI_API=responses"
            );
            return Err(Failure::new(ErrorKind::Unsupported, message));
        }
        let (fitting, mut losses) = capabilities.fit(request)?;
        let mut encoded = codec::encode(endpoint, Call { request: &fitting, model, stream })?;
        losses.append(&mut encoded.losses);
        Ok(Encoded { losses, ..encoded })
    }

    fn next_route(&mut self, failure: &Failure, tried: &Route) -> Option<NextRoute> {
        let wanted = match failure.kind.decision(Exposure::Unseen).next_route {
            MayMoveOn::Yes => true,
            MayMoveOn::IfAsked => self.inner.settings.fallback_on_refusal,
            MayMoveOn::LargerWindow => return self.larger_window(tried),
            // Resuming needs a seen answer.
            MayMoveOn::Resume | MayMoveOn::Never => false,
        };
        if wanted { self.plan.next() } else { None }
    }

    /// The next route whose model is known to take more than the one that the
    /// conversation was too long for.
    fn larger_window(&mut self, tried: &Route) -> Option<NextRoute> {
        let limit = |route: &Route| self.inner.capabilities(route).and_then(Capabilities::input_limit);
        let too_small = limit(tried)?;
        loop {
            let next = self.plan.next()?;
            if limit(next.route()).is_some_and(|limit| limit > too_small) {
                return Some(next);
            }
        }
    }
}
