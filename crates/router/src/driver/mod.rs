//! Drives one request through its lifecycle.
//!
//! One future owns the request. Each step takes a state and returns the next;
//! there is no other loop that sends, and no other place that sleeps. The
//! order of steps is the order of the files: `route` finds the next route,
//! `attempt` sends and waits on one route, `hedge` tries a second one when it is
//! late, `exchange` is one HTTP exchange. `resume` goes on with an answer that
//! broke off.

mod attempt;
mod broken;
mod exchange;
mod hedge;
mod renumber;
mod resume;
mod route;
mod usage;
mod wiretap;

use std::{sync::Arc, time::Duration};

use leverframe_core::{
    error::{Clock, ErrorKind, Failure},
    guard::{AttemptBudget, Deadline},
    lifecycle::{Completed, Failed, Lifecycle, Plan, Unseen, Visibility},
    model::{OnBreak, Request, RequestId},
    time::Timestamp,
};
use leverframe_http::transport::{Clocks, TransportError};

use tracing::Instrument;

use crate::{
    Answer, Error, ResponseStream,
    plan::{Planned, plan},
    router::Inner,
    stream::Live,
    telemetry,
};

use attempt::Trial;
use exchange::Exchange;

pub(crate) use exchange::{Begun, Came, Whole, inside};
pub(crate) use renumber::Renumber;
pub(crate) use resume::{Onward, Resumed, may_resume, resume};
pub(crate) use usage::settle;

/// One request on its way.
struct Drive<'a> {
    inner: &'a Arc<Inner>,
    plan: Plan,
    deadline: Deadline,
    streamed: bool,
    /// Whether the whole answer is held back.
    buffered: bool,
    rng: fastrand::Rng,
}

/// What a request came to, and what is left to try should it break off.
struct Reached {
    came: Came,
    deadline: Deadline,
    onward: Option<Box<Onward>>,
}

pub(crate) async fn send(inner: &Arc<Inner>, request: Request) -> Result<Answer, Error> {
    let span = telemetry::span(&request, false);
    let answering = async {
        let Reached { came, deadline, onward } = drive(inner, request, false).await?;
        match came {
            Came::Whole(Whole { completed, original, .. }) => {
                Ok(answer(inner, completed).with_original(original))
            }
            // Only streams begin; should that change, their end is what was asked for.
            Came::Begun(begun) => {
                let live = Live::new(begun.commit(), deadline, onward, &inner.settings.streams.limits);
                ResponseStream::begun(Arc::clone(inner), live).collect().await
            }
        }
    };
    // Boxed: the state machine of a whole request does not belong on its caller's stack.
    Box::pin(answering.instrument(span)).await
}

pub(crate) async fn stream(inner: &Arc<Inner>, request: Request) -> Result<ResponseStream, Error> {
    let span = telemetry::span(&request, true);
    let beginning = async {
        let Reached { came, deadline, onward } = drive(inner, request, true).await?;
        match came {
            Came::Whole(Whole { completed, events, .. }) => {
                Ok(ResponseStream::whole(answer(inner, completed), events))
            }
            Came::Begun(begun) => {
                let live = Live::new(begun.commit(), deadline, onward, &inner.settings.streams.limits);
                Ok(ResponseStream::begun(Arc::clone(inner), live))
            }
        }
    };
    Box::pin(beginning.instrument(span)).await
}

async fn drive(inner: &Arc<Inner>, request: Request, streamed: bool) -> Result<Reached, Error> {
    let mut rng = inner.fork_rng();
    let now = inner.now();
    let Planned { routes, choice } =
        plan(inner, &request, streamed, now, &mut rng).map_err(Error::unplanned)?;
    let id = RequestId::new(now, std::array::from_fn(|_| rng.u8(..)));
    let deadline = Deadline::after(now, request.timeout.unwrap_or(inner.settings.timeout));
    let on_break = request.on_break.unwrap_or(inner.settings.on_break);
    let mut drive = Drive {
        inner,
        plan: Plan::new(routes, AttemptBudget::new(inner.settings.attempts)),
        deadline,
        streamed,
        buffered: streamed && on_break == OnBreak::Buffer,
        rng,
    };
    let mut idle = Lifecycle::new(id, Arc::clone(&inner.desk));
    idle.chose(choice);
    let request = Arc::new(request);
    match drive.run(idle, Arc::clone(&request)).await {
        Ok(came) => Ok(Reached { came, deadline, onward: drive.onward(&request) }),
        Err(failed) => Err(error(inner, failed)),
    }
}

impl<'a> Drive<'a> {
    /// How an exchange is to go: the configured clocks, clipped by
    /// the deadline. While other routes are left, a provider that does not begin
    /// to answer gets no more than its share of the time, so that they can still
    /// be tried.
    fn exchange(&self, trial: &Trial) -> Exchange<'a> {
        let now = self.inner.now();
        let left = self.deadline.remaining(now);
        let routes_left = u32::try_from(self.plan.remaining().count()).unwrap_or(u32::MAX);
        let share = left / routes_left.saturating_add(1);
        let mut clocks = self.inner.clocks_of(&trial.route);
        clocks.total = Some(self.deadline.clip(clocks.total.unwrap_or(Duration::MAX), now));
        if routes_left > 0 {
            clocks = Clocks {
                headers: clocks.headers.min(share),
                first_token: clocks.first_token.min(share),
                ..clocks
            };
        }
        let Self { inner, deadline, streamed, buffered, .. } = *self;
        Exchange { inner, state: Arc::clone(&trial.state), deadline, clocks, streamed, buffered }
    }
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
