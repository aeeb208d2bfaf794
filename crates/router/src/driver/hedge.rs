//! A second route at the same time, when the first one is late.
//!
//! Only before the first content, only streams that are handed over as they
//! come: a whole answer that is late may be nearly there, and would be paid for
//! twice.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use leverframe_core::{
    lifecycle::{Fork, Lifecycle, On, Requesting, SendRequest, Sent},
    model::Request,
};

use super::{Drive, attempt::Trial, broken::Broken, exchange::Came, usage};
use crate::plan::claim;

type Outcome = Result<Came, Broken>;

/// A second try that is out.
struct Second {
    sent: Lifecycle<Requesting<Sent>>,
    trial: Trial,
}

impl Drive<'_> {
    /// Waits for the answer of a request that is out, and tries a second route
    /// if it is late. `trial` is the one an error is from.
    pub(super) async fn race(&mut self, sent: Lifecycle<Requesting<Sent>>, trial: &mut Trial) -> Outcome {
        match self.late_after(trial) {
            None => self.exchange(trial).run(sent, trial.request.clone()).await,
            // Boxed: it is two exchanges large, and most requests are one.
            Some(delay) => Box::pin(self.hedged(sent, trial, delay)).await,
        }
    }

    async fn hedged(
        &mut self,
        mut sent: Lifecycle<Requesting<Sent>>,
        trial: &mut Trial,
        delay: Duration,
    ) -> Outcome {
        let exchange = self.exchange(trial);
        let fork = sent.fork();
        let request = sent.request();
        let mut first = pin!(exchange.run(sent, trial.request.clone()));
        if let Some(outcome) = within(delay, first.as_mut()).await {
            return outcome;
        }
        let Some(Second { sent, trial: second_trial }) = self.second(fork, &request, trial) else {
            return first.await;
        };
        let exchange = self.exchange(&second_trial);
        let second = pin!(exchange.run(sent, second_trial.request.clone()));
        // Whoever is dropped here is cancelled: its connection is closed.
        // One that fails while the other is out leaves its attempts to the other's record.
        let fail = |outcome: Outcome| drop(outcome.map_err(|broken| broken.fail(self.inner.now())));
        match either(first, second, fail).await {
            (outcome, Finished::Second { outran }) => {
                if outran {
                    // When it would have begun is not known. Left out of the figures, what is late
                    // would look ever faster, and be hedged ever more; put down with the time of
                    // the second route, ever slower. So it counts as late, and as no more.
                    trial.state.latency(true).record(delay.mul_f64(0.999), self.inner.now());
                }
                *trial = second_trial;
                outcome
            }
            (outcome, Finished::First) => outcome,
        }
    }

    /// How long the route may take before it counts as late. `None` if there is
    /// to be no hedge.
    fn late_after(&self, trial: &Trial) -> Option<Duration> {
        let hedging = self.inner.settings.hedging.filter(|_| self.streamed && !self.buffered)?;
        self.plan.remaining().next()?;
        let late = trial.state.latency(true).quantile(hedging.quantile, self.inner.now())?;
        Some(late.max(hedging.at_least))
    }

    /// Sends the request on the next route as well, if that is healthy and may
    /// be asked at once.
    fn second(&mut self, fork: Fork, request: &Request, first: &Trial) -> Option<Second> {
        let now = self.inner.now();
        // A route that refuses is left in the plan: it may do so for a moment only.
        let next = Arc::clone(self.plan.remaining().next()?);
        let claim = claim(self.inner, request, &next, now);
        let admission = self.inner.gate(&next).admit(&claim, now).ok()?;
        // A share of the traffic that may be late. The next provider may have none of
        // its own, and sees no more of this than of what falls back to it.
        let token = self.inner.provider_of(&first.route).retries.try_retry(now)?;
        let route = self.plan.next()?;
        let given_up = usage::given_up(&first.route, request);
        let validating = fork.hedge(route, given_up);
        // What does not get out leaves its attempt to the first try's record.
        let (ready, written) = self.validate(validating).ok()?;
        self.inner.observers.tell(|observer| {
            observer.hedged(&first.route, &next);
            observer.attempt_started(&next);
        });
        token.spend();
        let state = self.inner.route_state(&next);
        // It draws on the budget as a hedge, and does not feed it as a first attempt.
        let trial = Trial { route: next, state, request: written, claim, sent: true };
        Some(Second { sent: ready.on(SendRequest { admission, at: now }), trial })
    }
}

/// The outcome of `future` if it comes within `delay`.
async fn within<F: Future>(delay: Duration, future: Pin<&mut F>) -> Option<F::Output> {
    tokio::time::timeout(delay, future).await.ok()
}

enum Finished {
    First,
    Second {
        /// Whether the first one is still out.
        outran: bool,
    },
}

/// The first good outcome of two, or the last bad one.
async fn either<A, B>(
    mut first: Pin<&mut A>,
    mut second: Pin<&mut B>,
    fail: impl Fn(Outcome),
) -> (Outcome, Finished)
where
    A: Future<Output = Outcome>,
    B: Future<Output = Outcome>,
{
    let (mut first_over, mut second_over) = (false, false);
    poll_fn(|cx| {
        if !first_over && let Poll::Ready(outcome) = first.as_mut().poll(cx) {
            first_over = true;
            if outcome.is_ok() || second_over {
                return Poll::Ready((outcome, Finished::First));
            }
            fail(outcome);
        }
        if !second_over && let Poll::Ready(outcome) = second.as_mut().poll(cx) {
            second_over = true;
            if outcome.is_ok() || first_over {
                return Poll::Ready((outcome, Finished::Second { outran: !first_over }));
            }
            fail(outcome);
        }
        Poll::Pending
    })
    .await
}
