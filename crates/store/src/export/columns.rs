//! What a line of an export says.

use leverframe_core::{
    catalog::Amount,
    model::{Dialect, Tokens, Usage},
    record::{Attempt, Outcome, Record},
    time::Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{State, rollup};

/// What is in one column of one line. What nobody knows is nothing, and not 0.
pub(super) enum Cell {
    Text(String),
    Number(u64),
    Flag(bool),
    Nothing,
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Nothing => serializer.serialize_unit(),
        }
    }
}

impl From<Option<u64>> for Cell {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

impl<'t> From<Option<&'t str>> for Cell {
    fn from(text: Option<&'t str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.to_owned()))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Timestamp> for Cell {
    /// RFC 3339 in UTC.
    fn from(at: Timestamp) -> Self {
        // Nanoseconds in 64 bits are within the range of the calendar.
        match jiff::Timestamp::from_nanosecond(i128::from(at.unix_nanos())) {
            Ok(at) => Self::Text(at.to_string()),
            Err(_) => Self::Nothing,
        }
    }
}

/// A line of an export: names and what they stand for, in order.
pub(super) struct Line<'a>(pub(super) &'a [&'static str], pub(super) &'a [Cell]);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

/// One attempt, and the request it was made for.
#[derive(Clone, Copy)]
pub(super) struct Tried<'a> {
    pub(super) record: &'a Record,
    /// From 1.
    pub(super) number: u64,
    pub(super) attempt: &'a Attempt,
}

type OfRequest = (&'static str, for<'a> fn(&'a Record) -> Cell);
type OfAttempt = (&'static str, for<'a> fn(Tried<'a>) -> Cell);

/// The columns of a request.
pub(super) const OF_REQUESTS: &[OfRequest] = &[
    ("request_id", |record| Cell::Text(record.id.to_string())),
    ("started_at", |record| record.started_at.into()),
    ("ended_at", |record| record.ended_at.into()),
    ("duration_ms", |record| millis(record.started_at, record.ended_at)),
    ("model", |record| record.model.as_str().into()),
    ("conversation", |record| record.conversation.as_deref().into()),
    ("user", |record| record.user.as_deref().into()),
    ("tags", |record| Cell::Text(record.tags.join(" "))),
    ("state", |record| State::of(record).as_str().into()),
    ("code", |record| code(record)),
    ("message", |record| message(record)),
    ("provider", |record| record.answered().map(|attempt| attempt.provider.as_str()).into()),
    ("answered_by", |record| record.answered().map(|attempt| attempt.model.as_str()).into()),
    ("attempts", |record| Cell::Number(sent(record))),
    ("first_token_ms", |record| record.answered().map_or(Cell::Nothing, first_token)),
    ("chunks", |record| Cell::Number(rollup::chunks(record))),
    ("input_tokens", |record| record.usage.input.value().into()),
    ("cache_read_tokens", |record| record.usage.cache_read.value().into()),
    ("cache_write_tokens", |record| cache_write(&record.usage).into()),
    ("output_tokens", |record| record.usage.output.value().into()),
    ("reasoning_tokens", |record| record.usage.reasoning.value().into()),
    ("cost_nanodollars", |record| nanos(record.cost())),
    ("cost_is", |record| known(record.cost())),
];

/// The columns of an attempt.
pub(super) const OF_ATTEMPTS: &[OfAttempt] = &[
    ("request_id", |tried| Cell::Text(tried.record.id.to_string())),
    ("attempt", |tried| Cell::Number(tried.number)),
    ("conversation", |tried| tried.record.conversation.as_deref().into()),
    ("user", |tried| tried.record.user.as_deref().into()),
    ("tags", |tried| Cell::Text(tried.record.tags.join(" "))),
    ("provider", |tried| tried.attempt.provider.as_str().into()),
    ("key", |tried| tried.attempt.key.as_str().into()),
    ("model", |tried| tried.attempt.model.as_str().into()),
    ("dialect", |tried| tried.attempt.dialect.map_or(Cell::Nothing, dialect)),
    ("sent", |tried| Cell::Flag(tried.attempt.sent)),
    ("started_at", |tried| tried.attempt.started_at.into()),
    ("ended_at", |tried| tried.attempt.ended_at.into()),
    ("duration_ms", |tried| millis(tried.attempt.started_at, tried.attempt.ended_at)),
    ("first_token_ms", |tried| first_token(tried.attempt)),
    ("provider_request_id", |tried| tried.attempt.provider_request_id.as_deref().into()),
    ("service_tier", |tried| tried.attempt.service_tier.as_deref().into()),
    ("code", |tried| failed(tried).map(|failure| failure.kind.code().as_str()).into()),
    ("status", |tried| failed(tried).and_then(|failure| failure.status).map(u64::from).into()),
    ("message", |tried| failed(tried).map(|failure| failure.message.as_str()).into()),
    ("input_tokens", |tried| tried.attempt.usage.input.value().into()),
    ("cache_read_tokens", |tried| tried.attempt.usage.cache_read.value().into()),
    ("cache_write_tokens", |tried| cache_write(&tried.attempt.usage).into()),
    ("output_tokens", |tried| tried.attempt.usage.output.value().into()),
    ("reasoning_tokens", |tried| tried.attempt.usage.reasoning.value().into()),
    ("cost_nanodollars", |tried| nanos(tried.attempt.cost.map(|cost| cost.amount))),
    ("cost_is", |tried| known(tried.attempt.cost.map(|cost| cost.amount))),
    ("prices_of", |tried| {
        tried.attempt.cost.map_or(Cell::Nothing, |cost| Cell::Text(cost.as_of.to_string()))
    }),
];

fn dialect(dialect: Dialect) -> Cell {
    Cell::from(match dialect {
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::OpenAiChat => "open_ai_chat",
        Dialect::OpenAiResponses => "open_ai_responses",
    })
}

fn failed(tried: Tried<'_>) -> Option<&leverframe_core::record::AttemptFailure> {
    tried.attempt.failure.as_ref()
}

fn millis(from: Timestamp, to: Timestamp) -> Cell {
    Cell::Number(u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX))
}

fn first_token(attempt: &Attempt) -> Cell {
    attempt.first_chunk_at.map_or(Cell::Nothing, |at| millis(attempt.started_at, at))
}

fn code(record: &Record) -> Cell {
    match &record.outcome {
        Outcome::Failed { code, .. } => code.as_str().into(),
        Outcome::Completed { .. } | Outcome::Abandoned => Cell::Nothing,
    }
}

fn message(record: &Record) -> Cell {
    match &record.outcome {
        Outcome::Failed { message, .. } => message.as_str().into(),
        Outcome::Completed { .. } | Outcome::Abandoned => Cell::Nothing,
    }
}

fn sent(record: &Record) -> u64 {
    record.attempts.iter().map(|attempt| u64::from(attempt.sent)).sum()
}

fn cache_write(usage: &Usage) -> Option<u64> {
    Tokens::plus(usage.cache_write_short, usage.cache_write_long).value()
}

fn nanos(amount: Option<Amount>) -> Cell {
    match amount {
        Some(Amount::Exact(nanos) | Amount::Estimated(nanos)) => Cell::Number(nanos.get()),
        Some(Amount::Unknown(_)) | None => Cell::Nothing,
    }
}

fn known(amount: Option<Amount>) -> Cell {
    amount
        .map(|amount| match amount {
            Amount::Exact(_) => "exact",
            Amount::Estimated(_) => "estimated",
            Amount::Unknown(_) => "unknown",
        })
        .into()
}
