//! The record in the making, which every lifecycle carries along.

use std::sync::Arc;

use super::{
    EventKind, Journal, Lifecycle, Route, State, StateKind, Terminal, Visibility,
    race::{Fork, Race},
};
use crate::{
    choice::Choice,
    error::{ErrorKind, Failure},
    guard::Spent,
    loss::Loss,
    model::{Request, RequestId, Response, Usage},
    record::{Attempt, Desk, Outcome, Record},
    start::{Hold, Start},
    time::Timestamp,
    validate::MAX_MODEL_NAME,
};

/// Most labels of a request that are recorded.
const MAX_TAGS: usize = 32;

/// Proof that a request's terminal record was handed over. Only
/// [`Lifecycle::hand_over`] makes one, and only once each time a request ends.
#[derive(Debug)]
pub struct Receipt {
    record: Arc<Record>,
}

impl Receipt {
    /// The record that was handed over.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

impl<S: Terminal, V: Visibility> Lifecycle<S, V> {
    /// Hands the record in. `None` when that was done before.
    ///
    /// A request that falls back after this hands its record in again, under
    /// the same id; the later one replaces the earlier.
    pub fn hand_over(&mut self, at: Timestamp) -> Option<Receipt> {
        let first_time = self.book.closed.is_none();
        let record = self.book.close(at);
        first_time.then_some(Receipt { record })
    }
}

/// The record in the making. Dropped with something in it that was not handed
/// in, it hands that in as cancelled.
#[derive(Debug)]
pub(super) struct Book {
    desk: Arc<Desk>,
    id: RequestId,
    /// The model that was asked for.
    model: String,
    conversation: Option<String>,
    user: Option<String>,
    tags: Vec<String>,
    /// Whether it was told that the request is sent.
    told: bool,
    /// What to wait for before it may be.
    holds: Vec<Hold>,
    position: State,
    journal: Journal,
    /// The routes that were considered.
    choice: Choice,
    attempts: Vec<Attempt>,
    /// Whether the last attempt is still going on.
    attempt_open: bool,
    /// What the dialect of the route at hand could not say.
    losses: Vec<Loss>,
    /// The first failure of something that was sent.
    first_failure: Option<(Timestamp, Failure)>,
    /// The first failure of something that was not.
    first_refusal: Option<(Timestamp, Failure)>,
    /// What broke an answer that someone was reading.
    broke: Option<Failure>,
    /// The other tries that are out at the same time, if there were any.
    race: Option<Arc<Race>>,
    /// Set in terminal states.
    outcome: Option<Outcome>,
    /// Set once the record was handed in.
    closed: Option<Arc<Record>>,
}

impl Book {
    pub(super) fn new(id: RequestId, desk: Arc<Desk>) -> Self {
        Self {
            desk,
            id,
            model: String::new(),
            conversation: None,
            user: None,
            tags: Vec::new(),
            told: false,
            holds: Vec::new(),
            position: State::IDLE,
            journal: Journal::new(),
            choice: Choice::default(),
            attempts: Vec::new(),
            attempt_open: false,
            losses: Vec::new(),
            first_failure: None,
            first_refusal: None,
            broke: None,
            race: None,
            outcome: None,
            closed: None,
        }
    }

    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn journal(&self) -> &Journal {
        self.closed.as_ref().map_or(&self.journal, |record| &record.journal)
    }

    /// The failure to tell of when the request ends with `last`: what was sent
    /// and failed first, so that a fallback that fails in its turn does not
    /// hide why it was needed; else what was refused first. What broke an
    /// answer someone was reading comes before that, whatever became of the
    /// tries to go on with it, and so does what ends a request by itself: its
    /// deadline or its caller.
    pub(super) fn headline<'a>(&'a self, last: &'a Failure) -> &'a Failure {
        match last.kind {
            _ if self.position.seen => self.broke.as_ref().unwrap_or(last),
            ErrorKind::DeadlineExceeded | ErrorKind::Cancelled => last,
            _ => {
                let first = self.first_failure.as_ref().or(self.first_refusal.as_ref());
                first.map_or(last, |(_, failure)| failure)
            }
        }
    }

    pub(super) fn note(&mut self, event: EventKind, to: State, at: Timestamp) {
        self.position = to;
        self.journal.append(event, to, at);
    }

    pub(super) fn initiated(&mut self, request: &Request) {
        self.model = short(&request.model);
        self.conversation = request.conversation.as_deref().map(short);
        self.user = request.user.as_deref().map(short);
        self.tags = request.tags.iter().take(MAX_TAGS).map(|tag| short(tag)).collect();
    }

    /// These routes were considered.
    pub(super) fn chose(&mut self, choice: Choice) {
        self.choice = choice;
    }

    /// An attempt is out.
    pub(super) fn sent(&mut self, route: &Route, at: Timestamp) {
        // Most requests have one, and a stream keeps it for long.
        if self.attempts.is_empty() {
            self.attempts.reserve_exact(1);
        }
        self.attempts.push(Attempt { losses: self.losses.clone(), ..attempt(route, true, at) });
        self.attempt_open = true;
        if !std::mem::replace(&mut self.told, true) {
            let on_its_way = State { kind: StateKind::Requesting, sent: true, seen: self.position.seen };
            self.holds = self.desk.start(|| Start {
                id: self.id,
                model: self.model.clone(),
                conversation: self.conversation.clone(),
                user: self.user.clone(),
                tags: self.tags.clone(),
                provider: route.provider.clone(),
                key: route.key.clone(),
                route_model: route.model.clone(),
                dialect: route.dialect,
                sent_at: at,
                journal: {
                    let mut journal = self.journal.clone();
                    journal.append(EventKind::SendRequest, on_its_way, at);
                    journal
                },
            });
        }
    }

    /// What to wait for before the first byte may leave.
    pub(super) fn holds(&mut self) -> Vec<Hold> {
        std::mem::take(&mut self.holds)
    }

    /// The request was written down for a route, and this could not be said.
    pub(super) fn lost(&mut self, losses: Vec<Loss>) {
        self.losses = losses;
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// When the last attempt began.
    pub(super) fn attempt_began(&self) -> Option<Timestamp> {
        self.attempts.last().map(|attempt| attempt.started_at)
    }

    /// The provider has named the call.
    pub(super) fn named(&mut self, provider_request_id: Option<String>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.provider_request_id = provider_request_id.or_else(|| attempt.provider_request_id.take());
        }
    }

    /// The first piece of an answer has come.
    pub(super) fn first_chunk(&mut self, at: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.first_chunk_at = Some(at);
        }
    }

    /// The attempt that is out has consumed this so far.
    pub(super) fn used(&mut self, usage: Usage) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.usage = usage;
        }
    }

    /// The attempt that is out, or one that never got out, has failed.
    pub(super) fn attempt_failed(&mut self, route: &Route, failure: &Failure, at: Timestamp) {
        let first = if self.attempt_open { &mut self.first_failure } else { &mut self.first_refusal };
        first.get_or_insert_with(|| (at, failure.clone()));
        if !self.attempt_open {
            self.attempts.push(attempt(route, false, at));
        }
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_at = at;
            attempt.failure = Some(failure.into());
            if attempt.provider_request_id.is_none() {
                attempt.provider_request_id = failure.provider_request_id.clone();
            }
        }
        self.attempt_open = false;
    }

    /// The request has failed, for now: a fallback may follow.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.catch_up();
        if self.position.seen {
            self.broke.get_or_insert_with(|| failure.clone());
        }
        self.outcome = Some(Outcome::failed(self.headline(failure)));
    }

    /// The first content is handed over.
    pub(super) fn committed(&mut self) {
        self.position.seen = true;
    }

    /// A fallback follows. If the record was handed in already, it is taken up
    /// again and will be handed in anew, under the same id.
    pub(super) fn reopened(&mut self) {
        self.outcome = None;
        if let Some(record) = self.closed.take() {
            self.choice.clone_from(&record.choice);
            self.attempts.clone_from(&record.attempts);
            self.journal.clone_from(&record.journal);
            self.model.clone_from(&record.model);
            self.conversation.clone_from(&record.conversation);
            self.user.clone_from(&record.user);
            self.tags.clone_from(&record.tags);
        }
    }

    pub(super) fn completed(&mut self, response: &Response, at: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_at = at;
            attempt.usage = response.usage;
            attempt.service_tier = service_tier(response);
        }
        self.attempt_open = false;
        self.outcome = Some(Outcome::Completed { finish: response.finish.clone() });
    }

    /// The request is about to be tried on a second route as well.
    pub(super) fn fork(&mut self, request: Arc<Request>) -> Fork {
        let race = Arc::clone(self.race.get_or_insert_with(Arc::default));
        {
            let mut shared = race.lock();
            shared.running = shared.running.max(1);
            shared.choice.get_or_insert_with(|| std::mem::take(&mut self.choice));
        }
        let started_at = self.journal.entries().first().map_or_else(|| self.desk.now(), |entry| entry.at);
        Fork { id: self.id, desk: Arc::clone(&self.desk), request, started_at, race }
    }

    /// It is one of the tries of a race.
    pub(super) fn joins(&mut self, race: Arc<Race>) {
        self.race = Some(race);
        self.told = true; // the first try has
    }

    /// Takes over what tries that have ended left behind.
    fn catch_up(&mut self) {
        let Some(race) = self.race.clone() else { return };
        let mut shared = race.lock();
        if !shared.attempts.is_empty() {
            // The attempt that is out stays the last one.
            let open = self.attempt_open.then(|| self.attempts.pop()).flatten();
            self.attempts.append(&mut shared.attempts);
            self.attempts.sort_by_key(|attempt| attempt.started_at);
            self.attempts.extend(open);
        }
        earlier(&mut self.first_failure, &mut shared.first_failure);
        earlier(&mut self.first_refusal, &mut shared.first_refusal);
    }

    /// Leaves what it has to the tries that go on. Whether there are any.
    fn leave(&mut self, at: Timestamp) -> bool {
        let Some(race) = self.race.take() else { return false };
        let mut shared = race.lock();
        shared.running = shared.running.saturating_sub(1);
        if shared.running == 0 {
            drop(shared);
            self.race = Some(race);
            return false;
        }
        if self.attempt_open
            && let Some(attempt) = self.attempts.last_mut()
        {
            attempt.ended_at = at;
            attempt.failure = Some((&outrun()).into());
            // Its stream may have begun and reported its input.
            attempt.usage = attempt.usage.or(shared.given_up);
        }
        shared.attempts.append(&mut self.attempts);
        earlier(&mut shared.first_failure, &mut self.first_failure);
        earlier(&mut shared.first_refusal, &mut self.first_refusal);
        true
    }

    /// What the attempt that has just ended took, as far as it is known. Puts
    /// its cost down as well.
    pub(super) fn spent(&mut self) -> Spent {
        let Some(attempt) = self.attempts.last_mut() else { return Spent::default() };
        attempt.cost = self.desk.cost(attempt);
        Spent { usage: attempt.usage, cost: attempt.cost.and_then(|cost| cost.amount.value()) }
    }

    /// Hands the record in, once, and returns it.
    pub(super) fn close(&mut self, at: Timestamp) -> Arc<Record> {
        if let Some(record) = &self.closed {
            return Arc::clone(record);
        }
        self.catch_up();
        if let Some(race) = &self.race
            && let Some(choice) = race.lock().choice.take()
        {
            self.choice = choice;
        }
        self.journal.append(EventKind::Complete, self.position, at);
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.cost.is_none()) {
            attempt.cost = self.desk.cost(attempt);
        }
        let started_at = self.journal.entries().first().map_or(at, |entry| entry.at);
        let record = Arc::new(Record {
            id: self.id,
            model: std::mem::take(&mut self.model),
            conversation: self.conversation.take(),
            user: self.user.take(),
            tags: std::mem::take(&mut self.tags),
            started_at,
            ended_at: at.max(started_at),
            outcome: self.outcome.take().unwrap_or_else(|| Outcome::failed(&cancelled())),
            usage: self.attempts.iter().map(|attempt| attempt.usage).fold(Usage::default(), Usage::plus),
            choice: std::mem::take(&mut self.choice),
            attempts: std::mem::take(&mut self.attempts),
            journal: std::mem::take(&mut self.journal),
        });
        self.closed = Some(Arc::clone(&record));
        self.desk.take(&record);
        record
    }

    /// Ready for another request, at the same desk.
    pub(super) fn reopen_for(&mut self, id: RequestId) {
        let fresh = Self::new(id, Arc::clone(&self.desk));
        drop(std::mem::replace(self, fresh)); // hands in what was not
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        if self.closed.is_some() || self.position.kind == StateKind::Idle {
            return;
        }
        let at = self.desk.now();
        if self.leave(at) {
            return;
        }
        if !self.position.is_terminal() {
            let failure = cancelled();
            if self.attempt_open
                && let Some(attempt) = self.attempts.last_mut()
            {
                attempt.ended_at = at;
                attempt.failure = Some((&failure).into());
            }
            self.outcome = Some(Outcome::failed(&failure));
            let failed = State { kind: StateKind::Failed, sent: false, seen: self.position.seen };
            self.note(EventKind::RequestFailed, failed, at);
        }
        self.close(at);
    }
}

/// The beginning of a caller's word: it was not checked yet, and a record is
/// kept for long.
fn short(word: &str) -> String {
    let end = word.floor_char_boundary(MAX_MODEL_NAME);
    word.get(..end).unwrap_or_default().to_owned()
}

/// The tier an answer says that it was made in. Providers put it in one of
/// these places.
fn service_tier(response: &Response) -> Option<String> {
    const NAMES: [&str; 4] =
        ["service_tier", "usage.service_tier", "serviceTier", "usageMetadata.serviceTier"];
    let field = response.extra.iter().find(|field| NAMES.contains(&field.name.as_str()))?;
    let word = field.value.as_str().trim_matches('"');
    (!word.is_empty() && word != "null").then(|| word.to_owned())
}

/// Keeps the earlier of two failures in the first place.
fn earlier(first: &mut Option<(Timestamp, Failure)>, other: &mut Option<(Timestamp, Failure)>) {
    if let Some((at, _)) = other
        && first.as_ref().is_none_or(|(first, _)| *at < *first)
    {
        *first = other.take();
    }
}

fn outrun() -> Failure {
    Failure::new(ErrorKind::Cancelled, "another route answered first")
}

fn cancelled() -> Failure {
    Failure::new(ErrorKind::Cancelled, "the caller went away")
}

fn attempt(route: &Route, sent: bool, at: Timestamp) -> Attempt {
    Attempt {
        provider: route.provider.clone(),
        key: route.key.clone(),
        model: route.model.clone(),
        dialect: Some(route.dialect),
        sent,
        started_at: at,
        first_chunk_at: None,
        ended_at: at,
        provider_request_id: None,
        usage: Usage::default(),
        service_tier: None,
        cost: None,
        losses: Vec::new(),
        failure: None,
    }
}
