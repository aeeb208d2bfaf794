//! Who asks what and when.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use leverframe_router::{Attempt, Error, Record, Request, Router};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Call, Ended, Latency,
    ledger::{Departures, Watch},
    provider::MARK,
};

/// How calls arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// At equal distances, whatever becomes of the earlier ones.
    Steady {
        /// How many in a second, above 0.
        per_second: f64,
    },
    /// At random, independently of each other.
    Poisson {
        /// How many in a second on average, above 0.
        per_second: f64,
    },
    /// Callers that ask again once they are answered.
    Closed {
        /// How many.
        callers: usize,
        /// The pause in between.
        think: Latency,
    },
}

impl Arrivals {
    /// The time to the next arrival; none where callers wait for their answers.
    pub(super) fn gap(self, rng: &mut fastrand::Rng) -> Option<Duration> {
        match self {
            Self::Steady { per_second } => Some(Duration::from_secs_f64(1.0 / per_second)),
            Self::Poisson { per_second } => {
                Some(Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / per_second))
            }
            Self::Closed { .. } => None,
        }
    }
}

/// Callers that do not wait for their answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leave {
    /// How many, from 0 to 1.
    pub share: f64,
    /// When, after they asked.
    pub after: Latency,
}

/// A stretch of traffic.
#[derive(Clone, Debug)]
pub struct Load {
    /// How calls arrive.
    pub arrivals: Arrivals,
    /// For how long. What is under way then is waited for.
    pub lasts: Duration,
    /// What is asked for, each model equally often.
    pub models: Vec<String>,
    /// Share of the calls that ask for a stream, from 0 to 1.
    pub streamed: f64,
    /// Who leaves early.
    pub leave: Option<Leave>,
    /// How long a call may take. The router's own, if not set.
    pub timeout: Option<Duration>,
}

impl Load {
    /// Steady traffic for one model, half of it streamed.
    pub fn steady(per_second: f64, lasts: Duration, model: &str) -> Self {
        Self {
            arrivals: Arrivals::Steady { per_second },
            lasts,
            models: vec![model.to_owned()],
            streamed: 0.5,
            leave: None,
            timeout: None,
        }
    }
}

/// One call before it is made.
struct Question {
    number: u64,
    model: String,
    streamed: bool,
    leave_after: Option<Duration>,
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) router: Router,
    pub(super) load: Arc<Load>,
    pub(super) names: Arc<[String]>,
    pub(super) watch: Arc<Watch>,
    pub(super) departures: Arc<Departures>,
    pub(super) numbers: Arc<AtomicU64>,
    pub(super) born: Instant,
}

impl Caller {
    /// Asks once.
    pub(super) async fn once(&self, mut rng: fastrand::Rng) -> Call {
        let load = &*self.load;
        let question = Question {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            model: load.models[rng.usize(..load.models.len())].clone(),
            streamed: rng.f64() < load.streamed,
            leave_after: load.leave.filter(|leave| rng.f64() < leave.share).map(|l| l.after.draw(&mut rng)),
        };
        self.call(question).await
    }

    /// Asks again and again until it is late.
    pub(super) async fn on_and_on(
        &self,
        mut rng: fastrand::Rng,
        think: Latency,
        until: Instant,
    ) -> Vec<Call> {
        let mut calls = Vec::new();
        while Instant::now() < until {
            calls.push(self.once(rng.fork()).await);
            sleep(think.draw(&mut rng)).await;
        }
        calls
    }

    async fn call(&self, question: Question) -> Call {
        let (began, mut first_token) = (Instant::now(), None);
        let (ended, record) = {
            let mut asking = Box::pin(self.ask(&question, &mut first_token));
            let done = match question.leave_after {
                None => Some(asking.as_mut().await),
                Some(after) => timeout(after, asking.as_mut()).await.ok(),
            };
            match done {
                Some(Ok(record)) => (Ended::Answered, record),
                Some(Err(error)) => (Ended::Failed(error.kind()), error.record().cloned()),
                None => {
                    self.departures.leave(question.number);
                    (Ended::Left, self.watch.during(|| drop(asking)))
                }
            }
        };
        let mut call = Call {
            number: question.number,
            at: began - self.born,
            took: began.elapsed(),
            streamed: question.streamed,
            first_token,
            ended,
            attempts: Default::default(),
            answered_by: None,
        };
        if let Some(record) = record {
            let place =
                |attempt: &Attempt| self.names.iter().position(|name| name == attempt.provider.as_str());
            for place in record.attempts.iter().filter(|attempt| attempt.sent).filter_map(place) {
                call.attempts[place] = call.attempts[place].saturating_add(1);
            }
            call.answered_by = record.answered().filter(|_| ended == Ended::Answered).and_then(place);
        }
        call
    }

    async fn ask(
        &self,
        question: &Question,
        first_token: &mut Option<Duration>,
    ) -> Result<Option<Arc<Record>>, Error> {
        let began = Instant::now();
        let text = format!("How is the world? {MARK}{}", question.number);
        let mut request = Request::new(question.model.as_str()).user(text);
        if let Some(timeout) = self.load.timeout {
            request = request.timeout(timeout);
        }
        if !question.streamed {
            return Ok(Some(Arc::clone(self.router.send(request).await?.record())));
        }
        let mut stream = pin!(self.router.stream(request).await?);
        *first_token = Some(began.elapsed());
        while let Some(event) = stream.next().await {
            event?;
        }
        Ok(stream.record().cloned())
    }
}
