//! What happened in a minute, an hour and a day, by provider and model.
//!
//! A request counts where it was answered, or where it failed last; its
//! attempts, tokens and money count where they were spent.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use leverframe_core::{
    catalog::Amount,
    error::Code,
    lifecycle::EventKind,
    record::{Attempt, Outcome, Record},
    time::Timestamp,
};
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::{Histogram, schema};

/// A length of time that is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours, from midnight UTC.
    Day,
}

impl Period {
    /// All periods.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length.
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// The beginning of the one that `at` is in.
    pub fn start(self, at: Timestamp) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(self.start_seconds(at))
    }

    pub(crate) fn start_seconds(self, at: Timestamp) -> u64 {
        let seconds = at.unix_nanos() / 1_000_000_000;
        seconds - seconds % self.length().as_secs()
    }

    /// Part of the file's format.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Minute => 0,
            Self::Hour => 1,
            Self::Day => 2,
        }
    }
}

/// What happened in one period at one provider's model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Requests that were answered here, or failed here last.
    pub requests: u64,
    /// Those of them that were answered.
    pub completed: u64,
    /// Those of which nobody knows.
    pub abandoned: u64,
    /// Why the others failed.
    pub failures: BTreeMap<Code, u64>,
    /// Requests that went on here after another provider or model had failed.
    pub fallbacks: u64,
    /// Attempts that were sent.
    pub attempts: u64,
    /// Attempts that were sent again to the same provider and model.
    pub retries: u64,
    /// Attempts that were sent and failed.
    pub failed_attempts: u64,
    /// Pieces of streamed answers.
    pub chunks: u64,
    /// Tokens read, whatever of them came from a cache.
    pub input_tokens: u64,
    /// Tokens read from a cache.
    pub cached_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Reasoning.
    pub reasoning_tokens: u64,
    /// Money, in nano-dollars, by counts the provider reported.
    pub cost_nanos: u64,
    /// Money, in nano-dollars, by counts some of which were estimated.
    pub estimated_cost_nanos: u64,
    /// Attempts that cost nobody knows how much.
    pub unpriced: u64,
    /// How long the requests took that were answered.
    pub duration: Histogram,
    /// How long streamed answers took to begin.
    pub first_token: Histogram,
}

impl Rollup {
    /// What one request adds up to, wherever it went.
    pub fn of(record: &Record) -> Self {
        let mut minutes = ByMinute::new();
        count(&mut minutes, record);
        let mut total = Self::default();
        minutes.values().flat_map(BTreeMap::values).for_each(|rollup| total.merge(rollup));
        total
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.counts_mut().into_iter().zip(other.clone().counts_mut()) {
            *ours = ours.saturating_add(*theirs);
        }
        for (code, more) in &other.failures {
            let count = self.failures.entry(*code).or_default();
            *count = count.saturating_add(*more);
        }
        self.duration.merge(&other.duration);
        self.first_token.merge(&other.first_token);
    }

    /// Takes away all of another one that was added before.
    fn take_back(&mut self, other: &Self) {
        for (ours, theirs) in self.counts_mut().into_iter().zip(other.clone().counts_mut()) {
            *ours = ours.saturating_sub(*theirs);
        }
        for (code, less) in &other.failures {
            let count = self.failures.entry(*code).or_default();
            *count = count.saturating_sub(*less);
        }
        self.failures.retain(|_, count| *count > 0);
        self.duration.take_back(&other.duration);
        self.first_token.take_back(&other.first_token);
    }

    /// The share of requests that were answered, of those whose end is known.
    /// `None` of none.
    pub fn success_rate(&self) -> Option<f64> {
        let known = self.requests.saturating_sub(self.abandoned);
        (known > 0).then(|| self.completed as f64 / known as f64)
    }

    fn counts_mut(&mut self) -> [&mut u64; 15] {
        [
            &mut self.requests,
            &mut self.completed,
            &mut self.abandoned,
            &mut self.fallbacks,
            &mut self.attempts,
            &mut self.retries,
            &mut self.failed_attempts,
            &mut self.chunks,
            &mut self.input_tokens,
            &mut self.cached_tokens,
            &mut self.output_tokens,
            &mut self.reasoning_tokens,
            &mut self.cost_nanos,
            &mut self.estimated_cost_nanos,
            &mut self.unpriced,
        ]
    }
}

/// What one request adds up to at each provider and model.
pub(crate) fn by_place(record: &Record) -> impl Iterator<Item = ((String, String), Rollup)> {
    let mut minutes = ByMinute::new();
    count(&mut minutes, record);
    minutes.into_iter().map(|(place, minutes)| {
        let mut total = Rollup::default();
        minutes.values().for_each(|rollup| total.merge(rollup));
        (place, total)
    })
}

/// What the records of a batch add to rollups, and what those they replace
/// take away, by minute.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    more: ByMinute,
    less: ByMinute,
}

/// Rollups by place, and of each place by minute (Unix seconds). The names are
/// empty for requests that were not sent.
type ByMinute = HashMap<(String, String), BTreeMap<u64, Rollup>>;

impl Deltas {
    pub(crate) fn add(&mut self, record: &Record) {
        count(&mut self.more, record);
    }

    pub(crate) fn take_back(&mut self, record: &Record) {
        count(&mut self.less, record);
    }

    /// Writes the rollups that changed.
    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(schema::ROLLUPS)?;
        for period in Period::ALL {
            let less = at_length(&self.less, period).into_iter().map(|(key, rollup)| (key, rollup, true));
            let more = at_length(&self.more, period).into_iter().map(|(key, rollup)| (key, rollup, false));
            for ((provider, model, start), rollup, back) in less.chain(more) {
                let key = (period.number(), start, provider, model);
                // One that is not readable is begun anew: it can be made from the rows again.
                let stored = table.get(key)?.and_then(|json| serde_json::from_slice(json.value()).ok());
                let mut stored: Rollup = stored.unwrap_or_default();
                match back {
                    true => stored.take_back(&rollup),
                    false => stored.merge(&rollup),
                }
                let Ok(json) = serde_json::to_vec(&stored) else { continue };
                table.insert(key, json.as_slice())?;
            }
        }
        Ok(())
    }
}

/// The minutes put together to longer periods.
fn at_length(minutes: &ByMinute, period: Period) -> BTreeMap<(&str, &str, u64), Rollup> {
    let mut longer: BTreeMap<(&str, &str, u64), Rollup> = BTreeMap::new();
    for ((provider, model), minutes) in minutes {
        for (minute, rollup) in minutes {
            let start = minute - minute % period.length().as_secs();
            longer.entry((provider, model, start)).or_default().merge(rollup);
        }
    }
    longer
}

/// Counts everything in `record`, in the minute in which it ended.
fn count(minutes: &mut ByMinute, record: &Record) {
    let minute = Period::Minute.start_seconds(record.ended_at);
    let last = record.answered().or_else(|| record.attempts.iter().rev().find(|attempt| attempt.sent));
    let end = last.map_or(("", record.model.as_str()), place);
    let rollup = at(minutes, end, minute);
    rollup.requests += 1;
    match &record.outcome {
        Outcome::Completed { .. } => {
            rollup.completed += 1;
            rollup.duration.record(record.duration());
        }
        Outcome::Failed { code, .. } => *rollup.failures.entry(*code).or_default() += 1,
        Outcome::Abandoned => rollup.abandoned += 1,
    }
    let began = record.attempts.first().map(place);
    rollup.fallbacks += u64::from(last.is_some() && began.is_some_and(|began| began != end));
    rollup.chunks = rollup.chunks.saturating_add(chunks(record));
    let mut before = None;
    for attempt in record.attempts.iter().filter(|attempt| attempt.sent) {
        let place = place(attempt);
        let rollup = at(minutes, place, minute);
        rollup.retries += u64::from(before.replace(place) == Some(place));
        count_attempt(rollup, attempt);
    }
}

fn at<'m>(minutes: &'m mut ByMinute, (provider, model): (&str, &str), minute: u64) -> &'m mut Rollup {
    minutes.entry((provider.to_owned(), model.to_owned())).or_default().entry(minute).or_default()
}

fn count_attempt(rollup: &mut Rollup, attempt: &Attempt) {
    let usage = &attempt.usage;
    rollup.attempts += 1;
    rollup.failed_attempts += u64::from(attempt.failure.is_some());
    let add = |count: &mut u64, more: Option<u64>| *count = count.saturating_add(more.unwrap_or(0));
    add(&mut rollup.input_tokens, usage.input_total());
    add(&mut rollup.cached_tokens, usage.cache_read.value());
    add(&mut rollup.output_tokens, usage.output_total());
    add(&mut rollup.reasoning_tokens, usage.reasoning.value());
    match attempt.cost.map(|cost| cost.amount) {
        Some(Amount::Exact(nanos)) => add(&mut rollup.cost_nanos, Some(nanos.get())),
        Some(Amount::Estimated(nanos)) => add(&mut rollup.estimated_cost_nanos, Some(nanos.get())),
        Some(Amount::Unknown(_)) => rollup.unpriced += 1,
        None => {}
    }
    if let Some(first) = attempt.first_chunk_at {
        rollup.first_token.record(first.since(attempt.started_at));
    }
}

fn place(attempt: &Attempt) -> (&str, &str) {
    (attempt.provider.as_str(), attempt.model.as_str())
}

/// Pieces of streamed answers, over all attempts.
pub(crate) fn chunks(record: &Record) -> u64 {
    let entries = record.journal.entries().iter();
    entries
        .filter(|entry| entry.event == EventKind::ReceiveStreamChunk)
        .map(|entry| u64::from(entry.times))
        .sum()
}
