//! The 26 rules. Each is one implementation of [`On`]; their numbers are those
//! of the table in `docs/lifecycle.md`.

use std::sync::Arc;

use super::{
    Complete, Completed, Event, Failed, FallbackToProvider, Idle, InitiateRequest, Lifecycle, Phase,
    RateLimitHit, RateLimited, Ready, ReceiveResponse, ReceiveStreamChunk, RequestFailed, Requesting, Reset,
    RetryRequest, Retrying, SendRequest, Sent, StateType, StreamComplete, Streaming, Unseen, ValidateRequest,
    Validating, ValidationFailed, ValidationPassed, Visibility, book::Book,
};
use crate::{
    error::Failure,
    model::{Block, Partial, Request, Response, StreamEvent},
};

/// A legal move: in this state, this event leads to that state.
///
/// Consumes the state: whoever holds a lifecycle holds its present, and nobody
/// holds its past.
#[diagnostic::on_unimplemented(
    message = "`{E}` is not a legal event in this state",
    label = "no rule takes this state on by `{E}`",
    note = "the state is `{Self}`",
    note = "docs/lifecycle.md lists the 26 legal moves and the evidence each must carry"
)]
pub trait On<E: Event>: Sized {
    /// The state it leads to.
    type Next;

    /// Makes the move.
    #[must_use = "dropping a lifecycle cancels its request"]
    fn on(self, event: E) -> Self::Next;
}

/// Rule 1.
impl On<InitiateRequest> for Lifecycle<Idle> {
    type Next = Lifecycle<Validating>;

    fn on(mut self, event: InitiateRequest) -> Self::Next {
        let InitiateRequest { request, route, at } = event;
        self.book.initiated(&request);
        self.advance(InitiateRequest::KIND, at, |Idle(())| Validating { request, route })
    }
}

/// Rule 2.
impl<V: Visibility> On<ValidateRequest> for Lifecycle<Validating, V> {
    type Next = Self;

    fn on(self, event: ValidateRequest) -> Self {
        self.advance(ValidateRequest::KIND, event.at, |state| state)
    }
}

/// Rule 3.
impl<V: Visibility> On<ValidationPassed> for Lifecycle<Validating, V> {
    type Next = Lifecycle<Requesting<Ready>, V>;

    fn on(self, event: ValidationPassed) -> Self::Next {
        let ValidationPassed { request, at } = event;
        self.advance(ValidationPassed::KIND, at, |state| {
            let (route, draw) = state.route.into_parts();
            Requesting { request, route, phase: Ready { draw } }
        })
    }
}

/// Rule 4.
impl<V: Visibility> On<ValidationFailed> for Lifecycle<Validating, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(mut self, event: ValidationFailed) -> Self::Next {
        let failure = Failure::from(event.error);
        self.book.attempt_failed(self.state.route.route(), &failure, event.at);
        self.book.failed(&failure);
        self.advance(ValidationFailed::KIND, event.at, |state| Failed {
            failure: Box::new(failure),
            partial: None,
            request: state.request,
        })
    }
}

/// Rule 5.
impl<V: Visibility> On<RequestFailed> for Lifecycle<Validating, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(mut self, event: RequestFailed) -> Self::Next {
        self.book.attempt_failed(self.state.route.route(), &event.failure, event.at);
        fail(self, event, |state| state.request)
    }
}

/// Rule 6.
impl<V: Visibility> On<SendRequest> for Lifecycle<Requesting<Ready>, V> {
    type Next = Lifecycle<Requesting<Sent>, V>;

    fn on(mut self, event: SendRequest) -> Self::Next {
        let SendRequest { mut admission, at } = event;
        admission.mark_sent();
        self.book.sent(&self.state.route, at);
        self.advance(SendRequest::KIND, at, |Requesting { request, route, phase }| {
            phase.draw.spend();
            Requesting { request, route, phase: Sent { admission } }
        })
    }
}

/// Rule 7.
impl<V: Visibility> On<ReceiveResponse> for Lifecycle<Requesting<Sent>, V> {
    type Next = Lifecycle<Completed, V>;

    fn on(mut self, event: ReceiveResponse) -> Self::Next {
        let ReceiveResponse { response, at } = event;
        let response = continued(self.visibility.shown(), response);
        self.book.completed(&response, at);
        let spent = self.book.spent();
        self.advance(ReceiveResponse::KIND, at, |state| {
            state.phase.admission.settle(Ok(()), &spent, at);
            Completed { response }
        })
    }
}

/// Rule 8.
impl<V: Visibility> On<ReceiveStreamChunk> for Lifecycle<Requesting<Sent>, V> {
    type Next = Lifecycle<Streaming, V>;

    fn on(mut self, event: ReceiveStreamChunk) -> Self::Next {
        let mut partial = Box::new(Partial::continuing(self.visibility.shown()));
        self.book.first_chunk(event.at);
        take_in(&mut partial, &mut self.book, event.event);
        self.advance(ReceiveStreamChunk::KIND, event.at, |Requesting { request, route, phase }| Streaming {
            request,
            route,
            admission: phase.admission,
            partial,
        })
    }
}

/// Rule 9.
impl<P: Phase, V: Visibility> On<RateLimitHit> for Lifecycle<Requesting<P>, V> {
    type Next = Lifecycle<RateLimited, V>;

    fn on(mut self, event: RateLimitHit) -> Self::Next {
        let RateLimitHit { failure, until, at } = event;
        self.book.attempt_failed(&self.state.route, &failure, at);
        let spent = self.book.spent();
        self.advance(RateLimitHit::KIND, at, |Requesting { request, route, phase }| {
            phase.give_up(&failure, &spent, at);
            RateLimited { request, route, until }
        })
    }
}

/// Rule 10.
impl<V: Visibility> On<RetryRequest<V>> for Lifecycle<Requesting<Sent>, V> {
    type Next = Lifecycle<Retrying, V>;

    fn on(mut self, event: RetryRequest<V>) -> Self::Next {
        let RetryRequest { permit, resend, at } = event;
        self.book.attempt_failed(&self.state.route, permit.cause(), at);
        let spent = self.book.spent();
        self.visibility = self.visibility.resent(resend);
        self.advance(RetryRequest::<V>::KIND, at, |Requesting { request, route, phase }| {
            phase.give_up(permit.cause(), &spent, at);
            Retrying { request, route, permit }
        })
    }
}

/// Rule 11.
impl<P: Phase, V: Visibility> On<RequestFailed> for Lifecycle<Requesting<P>, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(mut self, event: RequestFailed) -> Self::Next {
        self.book.attempt_failed(&self.state.route, &event.failure, event.at);
        let spent = self.book.spent();
        let RequestFailed { failure, at } = event;
        self.book.failed(&failure);
        self.advance(RequestFailed::KIND, at, |state| {
            state.phase.give_up(&failure, &spent, at);
            Failed { failure: Box::new(failure), partial: None, request: state.request.share() }
        })
    }
}

/// Rule 12.
impl<V: Visibility> On<ReceiveStreamChunk> for Lifecycle<Streaming, V> {
    type Next = Self;

    fn on(mut self, event: ReceiveStreamChunk) -> Self {
        take_in(&mut self.state.partial, &mut self.book, event.event);
        self.advance(ReceiveStreamChunk::KIND, event.at, |state| state)
    }
}

/// Rule 13.
impl<V: Visibility> On<StreamComplete> for Lifecycle<Streaming, V> {
    type Next = Lifecycle<Completed, V>;

    fn on(self, event: StreamComplete) -> Self::Next {
        let StreamComplete { frame, at } = event;
        let Self { mut book, state, visibility } = self;
        let response = state.partial.into_response(frame);
        book.completed(&response, at);
        state.admission.settle(Ok(()), &book.spent(), at);
        Lifecycle { book, state: Completed { response }, visibility }.advance(
            StreamComplete::KIND,
            at,
            |state| state,
        )
    }
}

/// Rule 14.
impl On<RateLimitHit> for Lifecycle<Streaming, Unseen> {
    type Next = Lifecycle<RateLimited, Unseen>;

    fn on(mut self, event: RateLimitHit) -> Self::Next {
        let RateLimitHit { failure, until, at } = event;
        self.book.attempt_failed(&self.state.route, &failure, at);
        let spent = self.book.spent();
        self.advance(RateLimitHit::KIND, at, |Streaming { request, route, admission, .. }| {
            admission.settle(Err(&failure), &spent, at);
            RateLimited { request, route, until }
        })
    }
}

/// Rule 15.
impl On<RetryRequest<Unseen>> for Lifecycle<Streaming, Unseen> {
    type Next = Lifecycle<Retrying, Unseen>;

    fn on(mut self, event: RetryRequest<Unseen>) -> Self::Next {
        let RetryRequest { permit, resend: (), at } = event;
        self.book.attempt_failed(&self.state.route, permit.cause(), at);
        let spent = self.book.spent();
        self.advance(RetryRequest::<Unseen>::KIND, at, |Streaming { request, route, admission, .. }| {
            admission.settle(Err(permit.cause()), &spent, at);
            Retrying { request, route, permit }
        })
    }
}

/// Rule 16.
impl<V: Visibility> On<RequestFailed> for Lifecycle<Streaming, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(mut self, event: RequestFailed) -> Self::Next {
        let RequestFailed { failure, at } = event;
        self.book.attempt_failed(&self.state.route, &failure, at);
        let spent = self.book.spent();
        self.book.failed(&failure);
        self.advance(RequestFailed::KIND, at, |Streaming { request, admission, partial, .. }| {
            admission.settle(Err(&failure), &spent, at);
            Failed { failure: Box::new(failure), partial: Some(partial), request: request.share() }
        })
    }
}

/// Rule 17.
impl<V: Visibility> On<RetryRequest<V>> for Lifecycle<RateLimited, V> {
    type Next = Lifecycle<Retrying, V>;

    fn on(mut self, event: RetryRequest<V>) -> Self::Next {
        let RetryRequest { permit, resend, at } = event;
        self.visibility = self.visibility.resent(resend);
        self.advance(RetryRequest::<V>::KIND, at, |RateLimited { request, route, .. }| Retrying {
            request,
            route,
            permit,
        })
    }
}

/// Rule 18.
impl<V: Visibility> On<RequestFailed> for Lifecycle<RateLimited, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(self, event: RequestFailed) -> Self::Next {
        fail(self, event, |state| state.request.share())
    }
}

/// Rule 19.
impl<V: Visibility> On<SendRequest> for Lifecycle<Retrying, V> {
    type Next = Lifecycle<Requesting<Sent>, V>;

    fn on(mut self, event: SendRequest) -> Self::Next {
        let SendRequest { mut admission, at } = event;
        admission.mark_sent();
        self.book.sent(&self.state.route, at);
        self.advance(SendRequest::KIND, at, |Retrying { request, route, permit }| {
            permit.spend();
            Requesting { request, route, phase: Sent { admission } }
        })
    }
}

/// Rule 20.
impl<V: Visibility> On<RateLimitHit> for Lifecycle<Retrying, V> {
    type Next = Lifecycle<RateLimited, V>;

    fn on(mut self, event: RateLimitHit) -> Self::Next {
        let RateLimitHit { failure, until, at } = event;
        self.book.attempt_failed(&self.state.route, &failure, at);
        self.advance(RateLimitHit::KIND, at, |Retrying { request, route, .. }| RateLimited {
            request,
            route,
            until,
        })
    }
}

/// Rule 21.
impl<V: Visibility> On<RequestFailed> for Lifecycle<Retrying, V> {
    type Next = Lifecycle<Failed, V>;

    fn on(mut self, event: RequestFailed) -> Self::Next {
        self.book.attempt_failed(&self.state.route, &event.failure, event.at);
        fail(self, event, |state| state.request.share())
    }
}

/// Rule 22.
impl<V: Visibility> On<FallbackToProvider<V>> for Lifecycle<Failed, V> {
    type Next = Lifecycle<Validating, V>;

    fn on(mut self, event: FallbackToProvider<V>) -> Self::Next {
        let FallbackToProvider { route, resend, at } = event;
        self.visibility = self.visibility.resent(resend);
        self.book.reopened();
        self.advance(FallbackToProvider::<V>::KIND, at, |state| Validating { request: state.request, route })
    }
}

/// Rule 23. The journal's entry was made when the record was handed over.
impl<V: Visibility> On<Complete> for Lifecycle<Failed, V> {
    type Next = Self;

    fn on(self, _event: Complete) -> Self {
        self
    }
}

/// Rule 24.
impl<V: Visibility> On<Reset> for Lifecycle<Failed, V> {
    type Next = Lifecycle<Idle>;

    fn on(self, event: Reset) -> Self::Next {
        reset(self, event)
    }
}

/// Rule 25. The journal's entry was made when the record was handed over.
impl<V: Visibility> On<Complete> for Lifecycle<Completed, V> {
    type Next = Self;

    fn on(self, _event: Complete) -> Self {
        self
    }
}

/// Rule 26.
impl<V: Visibility> On<Reset> for Lifecycle<Completed, V> {
    type Next = Lifecycle<Idle>;

    fn on(self, event: Reset) -> Self::Next {
        reset(self, event)
    }
}

/// A failure in a state in which no attempt is out.
fn fail<S: StateType, V: Visibility>(
    mut lifecycle: Lifecycle<S, V>,
    event: RequestFailed,
    request: impl FnOnce(S) -> Arc<Request>,
) -> Lifecycle<Failed, V> {
    let RequestFailed { failure, at } = event;
    lifecycle.book.failed(&failure);
    lifecycle.advance(RequestFailed::KIND, at, |state| Failed {
        failure: Box::new(failure),
        partial: None,
        request: request(state),
    })
}

/// A journal begins at `Idle`, so the next request's is a new one.
fn reset<S: StateType, V: Visibility>(mut lifecycle: Lifecycle<S, V>, event: Reset) -> Lifecycle<Idle> {
    lifecycle.book.reopen_for(event.id);
    Lifecycle { book: lifecycle.book, state: Idle(()), visibility: Unseen }
}

fn take_in(partial: &mut Partial, book: &mut Book, event: StreamEvent) {
    if let StreamEvent::Usage(usage) = &event {
        book.used(*usage);
    }
    partial.push(event);
}

/// `response` as the continuation of text the caller already has.
fn continued(shown: &str, mut response: Response) -> Response {
    if shown.is_empty() {
        return response;
    }
    match response.content.first_mut() {
        Some(Block::Text(text)) => text.text.insert_str(0, shown),
        _ => response.content.insert(0, Block::text(shown)),
    }
    response
}
