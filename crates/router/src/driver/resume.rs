//! Going on with an answer that broke off after the caller had begun to read.
//!
//! The next route is given the text so far as the beginning of its answer. Only
//! plain text can be gone on with, and only by a model that is known to accept
//! that: another one would start over, or refuse.

use std::sync::Arc;

use leverframe_core::{
    catalog::Feature,
    error::{ErrorKind, Exposure, NextRoute as MayMoveOn},
    guard::Deadline,
    lifecycle::{
        Failed, FallbackToProvider, Lifecycle, NextRoute, On, Plan, ResumePlan, Route, Seen, SendRequest,
        Validating,
    },
    model::{OnBreak, OutputFormat, Request},
};

use super::{
    Drive,
    broken::{Broken, Stuck},
    exchange::Came,
};
use crate::router::Inner;

/// The routes that are left for an answer that someone has begun to read.
pub(crate) struct Onward {
    plan: Plan,
    deadline: Deadline,
    rng: fastrand::Rng,
    /// Whether the request asks the model to reason.
    reasons: bool,
}

/// What became of an answer that broke off.
pub(crate) type Resumed = Result<(Arc<Route>, Came<Seen>, Option<Box<Onward>>), Lifecycle<Failed, Seen>>;

impl Drive<'_> {
    /// What is needed to go on should the answer break off. `None` where that
    /// is not wanted or not possible.
    pub(super) fn onward(self, request: &Request) -> Option<Box<Onward>> {
        let Self { inner, plan, deadline, rng, .. } = self;
        let wanted = request.on_break.unwrap_or(inner.settings.on_break) == OnBreak::Resume;
        let plain = matches!(request.output, None | Some(OutputFormat::Text));
        if !wanted || !plain || plan.remaining().next().is_none() {
            return None;
        }
        Some(Box::new(Onward { plan, deadline, rng, reasons: request.reasoning.is_some() }))
    }
}

/// Whether it is worth asking [`resume`].
pub(crate) fn may_resume(failed: &Lifecycle<Failed, Seen>) -> bool {
    let decision = failed.state().failure().kind.decision(Exposure::Seen);
    decision.next_route == MayMoveOn::Resume && failed.resume_plan().is_ok()
}

/// Tries the routes that are left until one goes on with the text so far.
pub(crate) async fn resume(
    inner: Arc<Inner>,
    onward: Box<Onward>,
    mut failed: Lifecycle<Failed, Seen>,
) -> Resumed {
    let Onward { plan, deadline, rng, reasons } = *onward;
    let mut drive = Drive { inner: &inner, plan, deadline, streamed: true, buffered: false, rng };
    loop {
        let Some((route, resend)) = drive.next_to_go_on(&failed, reasons) else { return Err(failed) };
        let taken = Arc::clone(route.route());
        let at = inner.now();
        match drive.go_on(failed.on(FallbackToProvider { route, resend, at })).await {
            Ok(came) => {
                let Drive { plan, rng, .. } = drive;
                let left = plan.remaining().next().is_some();
                let onward = left.then(|| Box::new(Onward { plan, deadline, rng, reasons }));
                return Ok((taken, came, onward));
            }
            Err(again) => failed = again,
        }
    }
}

impl Drive<'_> {
    /// The next route that is known to go on with a text, and the text.
    fn next_to_go_on(
        &mut self,
        failed: &Lifecycle<Failed, Seen>,
        reasons: bool,
    ) -> Option<(NextRoute, ResumePlan)> {
        if matches!(failed.state().failure().kind, ErrorKind::DeadlineExceeded | ErrorKind::Cancelled) {
            return None;
        }
        let resend = failed.resume_plan().ok()?;
        loop {
            let route = self.plan.next()?;
            let known = self.inner.capabilities(route.route());
            let goes_on = known.is_some_and(|model| {
                model.says(Feature::Prefill).is_some() && !model.refuses(Feature::Prefill, reasons)
            });
            if goes_on {
                return Some((route, resend));
            }
        }
    }

    async fn go_on(
        &mut self,
        validating: Lifecycle<Validating, Seen>,
    ) -> Result<Came<Seen>, Lifecycle<Failed, Seen>> {
        let (ready, request) = self.validate(validating)?;
        let route = Arc::clone(ready.route());
        let at = self.inner.now();
        let mut trial = self.trial(&route, &ready.request(), request);
        let admission = trial.state.gate().admit(&trial.claim, at);
        self.admitted(&mut trial, &admission, at);
        let admission = match admission {
            Ok(admission) => admission,
            Err(refusal) => return Err(Broken::new(Stuck::Ready(ready), refusal.into_failure(at)).fail(at)),
        };
        let sent = ready.on(SendRequest { admission, at });
        let came = self.exchange(&trial).run(sent, trial.request).await;
        came.map_err(|broken| broken.fail(self.inner.now()))
    }
}
