//! Drives one request through its lifecycle.
//!
//! One future owns the request. Each step takes a state and returns the next;
//! there is no other loop that sends, and no other place that sleeps. The
//! order of steps is the order of the files: `route` finds the next route,
//! `attempt` sends and waits on one route, `exchange` is one HTTP exchange.

mod attempt;
mod exchange;
mod route;
mod usage;

use std::sync::Arc;

use leverframe_core::{
    error::{Clock, ErrorKind, Failure},
    guard::{AttemptBudget, Deadline},
    lifecycle::{Completed, Failed, Lifecycle, Plan, Unseen, Visibility},
    model::{Request, RequestId, StreamEvent},
    time::Timestamp,
};
use leverframe_http::transport::TransportError;

use crate::{
    Answer, Error, ResponseStream,
    plan::{Planned, plan},
    router::Inner,
    stream::Live,
};

pub(crate) use exchange::inside;
pub(crate) use usage::settle;

/// Where a request stands when the driver hands it over.
#[expect(clippy::large_enum_variant, reason = "moved once per request, into a box where it is kept")]
enum Reached {
    /// The answer is whole. Where a stream was asked for and the answer was not
    /// streamed, or had no content, it comes with its events.
    Whole(Lifecycle<Completed>, Vec<StreamEvent>),
    /// The answer has begun and its first content is about to be handed over.
    Begun(Live),
}

/// One request on its way.
struct Drive<'a> {
    inner: &'a Arc<Inner>,
    plan: Plan,
    deadline: Deadline,
    streamed: bool,
    rng: fastrand::Rng,
}

pub(crate) async fn send(inner: &Arc<Inner>, request: Request) -> Result<Answer, Error> {
    match drive(inner, request, false).await? {
        Reached::Whole(completed, _) => Ok(answer(inner, completed)),
        // Only streams begin; should that change, their end is what was asked for.
        Reached::Begun(live) => ResponseStream::begun(Arc::clone(inner), live).collect().await,
    }
}

pub(crate) async fn stream(inner: &Arc<Inner>, request: Request) -> Result<ResponseStream, Error> {
    match drive(inner, request, true).await? {
        Reached::Whole(completed, events) => Ok(ResponseStream::whole(answer(inner, completed), events)),
        Reached::Begun(live) => Ok(ResponseStream::begun(Arc::clone(inner), live)),
    }
}

async fn drive(inner: &Arc<Inner>, request: Request, streamed: bool) -> Result<Reached, Error> {
    let mut rng = inner.fork_rng();
    let now = inner.now();
    let Planned { routes, choice } = plan(inner, &request, now, &mut rng).map_err(Error::unplanned)?;
    let id = RequestId::new(now, std::array::from_fn(|_| rng.u8(..)));
    let drive = Drive {
        inner,
        plan: Plan::new(routes, AttemptBudget::new(inner.settings.attempts)),
        deadline: Deadline::after(now, request.timeout.unwrap_or(inner.settings.timeout)),
        streamed,
        rng,
    };
    let mut idle = Lifecycle::new(id, Arc::clone(&inner.desk));
    idle.chose(choice);
    // Boxed: the state machine of a whole request does not belong on its caller's stack.
    Box::pin(drive.run(idle, Arc::new(request))).await.map_err(|failed| error(inner, failed))
}

pub(crate) fn answer<V: Visibility>(inner: &Inner, completed: Lifecycle<Completed, V>) -> Answer {
    let (response, record) = completed.finish(inner.now());
    Answer::new(response, record)
}

pub(crate) fn error<V: Visibility>(inner: &Inner, failed: Lifecycle<Failed, V>) -> Error {
    let (failure, partial, record) = failed.finish(inner.now());
    Error::new(failure, partial, record)
}

/// The request's own time is up.
pub(crate) fn too_late() -> Failure {
    Failure::new(ErrorKind::DeadlineExceeded, "the request's time is up; allow more with Request::timeout")
}

/// The transport's failure; an attempt's total time is the request's own when
/// that is what ran out.
pub(crate) fn transport_failure(error: TransportError, deadline: Deadline, now: Timestamp) -> Failure {
    match error {
        TransportError::Timeout(Clock::Total) if deadline.has_passed(now) => too_late(),
        error => error.into(),
    }
}

/// A failed request that nobody has seen anything of.
type Unanswered = Lifecycle<Failed, Unseen>;
