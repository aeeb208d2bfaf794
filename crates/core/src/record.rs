//! What is remembered of a request when it is over.
//!
//! A lifecycle writes its [`Record`] as it goes and hands it over exactly
//! once: when it is settled, or when it is dropped unfinished. What takes the
//! record is a [`Recorder`]; what stands between is a [`Desk`].

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    bodies::Bodies,
    catalog::{Amount, Catalog, Cost},
    choice::Choice,
    error::{Code, ErrorKind, Failure},
    lifecycle::Journal,
    loss::Loss,
    model::{Dialect, FinishReason, KeyLabel, ProviderName, RequestId, Usage},
    start::{Hold, Start},
    time::{Clock, Timestamp},
};

/// Everything that is remembered of one request. Holds no content and no key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Identifies the request.
    pub id: RequestId,
    /// The model that was asked for.
    pub model: String,
    /// Which conversation it belongs to, as the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Who the caller asked for, as the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The request's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What all attempts consumed together, as far as it is known.
    pub usage: Usage,
    /// Which routes were considered, and in which order they were to be tried.
    #[serde(default)]
    pub choice: Choice,
    /// Every attempt in the order in which they began, those that were never
    /// sent included. The one that [answered](Self::answered) need not be the last.
    pub attempts: Vec<Attempt>,
    /// Every state it went through.
    pub journal: Journal,
}

impl Record {
    /// How long the request took.
    pub fn duration(&self) -> Duration {
        self.ended_at.since(self.started_at)
    }

    /// The attempt that answered. `None` if none did. It may have begun before
    /// another one that it outran.
    pub fn answered(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.failure.is_none())
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Outcome {
    /// With a whole answer.
    Completed {
        /// Why the model stopped.
        finish: FinishReason,
    },
    /// Without one.
    Failed {
        /// What kind of failure.
        kind: ErrorKind,
        /// Its stable code.
        code: Code,
        /// What happened, for a person.
        message: String,
    },
    /// Nobody knows: the process ended while it was out. It may have been
    /// answered and billed.
    Abandoned,
}

impl Outcome {
    pub(crate) fn failed(failure: &Failure) -> Self {
        Self::Failed { kind: failure.kind, code: failure.kind.code(), message: failure.message.clone() }
    }
}

/// One attempt at one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider.
    pub provider: ProviderName,
    /// Which of the provider's API keys, by its label.
    #[serde(default)]
    pub key: KeyLabel,
    /// The model as the provider names it.
    pub model: String,
    /// How the provider was spoken to. Records from before this was kept do
    /// not say.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// Whether anything was sent. A route refused by its guards, or for which
    /// the request was not valid, has an attempt that was not.
    pub sent: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When the first piece of a streamed answer arrived.
    pub first_chunk_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Timestamp,
    /// The provider's id of the call.
    pub provider_request_id: Option<String>,
    /// What it consumed, as far as the provider said. An attempt that broke
    /// off may have been billed for more.
    pub usage: Usage,
    /// The service tier it was answered in, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// What it cost by the prices at hand; `None` where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What of the request the provider's dialect could not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// What went wrong, if something did.
    pub failure: Option<AttemptFailure>,
}

impl Record {
    /// What all attempts together cost. `None` where there were no prices, or
    /// nothing was sent.
    pub fn cost(&self) -> Option<Amount> {
        self.attempts.iter().filter_map(|attempt| attempt.cost).map(|cost| cost.amount).reduce(Amount::plus)
    }
}

impl Attempt {
    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.ended_at.since(self.started_at)
    }
}

/// What went wrong in one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptFailure {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What happened, for a person.
    pub message: String,
    /// How long the provider asked us to stay away.
    pub retry_after: Option<Duration>,
}

impl From<&Failure> for AttemptFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind,
            status: failure.status,
            message: failure.message.clone(),
            retry_after: failure.retry_after,
        }
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// Takes records.
///
/// Called on the request's own path, and [`record`](Self::record) also from
/// `drop`: it must not block and must not panic.
pub trait Recorder: Send + Sync + fmt::Debug {
    /// Takes the record of a request that is over. Called once each time a
    /// request ends. A record under an id that was recorded before replaces the
    /// earlier one.
    fn record(&self, record: &Arc<Record>);

    /// Whether it wants to hear of requests before they are sent.
    fn wants_starts(&self) -> bool {
        false
    }

    /// Takes note that a request is about to be sent for the first time. Called
    /// before its first byte leaves, and never again for the same request.
    ///
    /// Whoever sends waits for the [`Hold`] that comes back.
    fn start(&self, start: &Arc<Start>) -> Option<Hold> {
        let _ = start;
        None
    }

    /// How many bytes of each body it wants of what goes over the wire. `None`:
    /// nothing. Asked once, when the router is built.
    fn wants_bodies(&self) -> Option<usize> {
        None
    }

    /// Takes what went over the wire in one attempt. Called when nothing more
    /// of the answer is read, which may be before its request is over or after.
    fn bodies(&self, bodies: &Arc<Bodies>) {
        let _ = bodies;
    }
}

/// Most bytes of a body that one of the recorders wants. `None`: none does.
fn most_wanted(recorders: &[Arc<dyn Recorder>]) -> Option<usize> {
    recorders.iter().filter_map(|recorder| recorder.wants_bodies()).max()
}

/// Where lifecycles hand their records in: a clock, for those that are
/// dropped, and the recorders.
#[derive(Debug)]
pub struct Desk {
    clock: Arc<dyn Clock>,
    recorders: Vec<Arc<dyn Recorder>>,
    /// Most bytes of a body that one of them wants.
    bodies: Option<usize>,
    catalog: Option<Arc<Catalog>>,
}

impl Desk {
    /// A desk that passes every record on to all `recorders`.
    pub fn new(clock: Arc<dyn Clock>, recorders: Vec<Arc<dyn Recorder>>) -> Self {
        let bodies = most_wanted(&recorders);
        Self { clock, recorders, bodies, catalog: None }
    }

    /// Puts a cost to every attempt by the prices of `catalog`.
    #[must_use]
    pub fn with_prices(mut self, catalog: Arc<Catalog>) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// What an attempt cost. `None` for one that was not sent, or that the
    /// provider turned down: no provider bills those.
    pub(crate) fn cost(&self, attempt: &Attempt) -> Option<Cost> {
        let turned_down =
            attempt.failure.as_ref().and_then(|failure| failure.status).is_some_and(|status| status >= 400);
        if turned_down && attempt.usage == Usage::default() {
            return None;
        }
        let prices = self.catalog.as_ref()?.prices();
        let family = attempt.dialect.filter(|_| attempt.sent)?.family();
        let tier = attempt.service_tier.as_deref();
        Some(prices.cost(family, &attempt.model, tier, attempt.started_at, &attempt.usage))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells who wants to hear of it that a request is about to be sent. What
    /// comes back is what to wait for.
    pub(crate) fn start(&self, start: impl FnOnce() -> Start) -> Vec<Hold> {
        let mut wanting = self.recorders.iter().filter(|recorder| recorder.wants_starts()).peekable();
        if wanting.peek().is_none() {
            return Vec::new();
        }
        let start = Arc::new(start());
        wanting.filter_map(|recorder| recorder.start(&start)).collect()
    }

    /// How many bytes of each body are wanted. `None`: nobody wants any.
    pub fn wants_bodies(&self) -> Option<usize> {
        self.bodies
    }

    /// Hands in what went over the wire in one attempt.
    pub fn bodies(&self, bodies: Bodies) {
        let bodies = Arc::new(bodies);
        self.recorders.iter().filter(|recorder| recorder.wants_bodies().is_some()).for_each(|recorder| {
            recorder.bodies(&bodies);
        });
    }

    pub(crate) fn take(&self, record: &Arc<Record>) {
        for recorder in &self.recorders {
            recorder.record(record);
        }
    }
}
