//! What is known of a request when it is sent.
//!
//! Written down before the first byte leaves, it is what remains of a request
//! whose process ends before the request does.

use std::{fmt, future::Future, pin::Pin};

use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Amount, Cost, Date, Unpriced},
    choice::Choice,
    error::ErrorKind,
    lifecycle::{Journal, Route},
    model::{Dialect, KeyLabel, ProviderName, RequestId, Usage},
    record::{Attempt, AttemptFailure, Outcome, Record},
    time::Timestamp,
};

/// What is known of a request when it is sent for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Identifies the request.
    pub id: RequestId,
    /// The model that was asked for.
    pub model: String,
    /// Which conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Who the caller asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The request's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where it is sent.
    pub provider: ProviderName,
    /// With which of the provider's keys.
    pub key: KeyLabel,
    /// To which model, as the provider names it.
    pub route_model: String,
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// When it is sent.
    pub sent_at: Timestamp,
    /// The states it went through until then.
    pub journal: Journal,
}

impl Start {
    /// When the request was started.
    pub fn started_at(&self) -> Timestamp {
        self.journal.entries().first().map_or(self.sent_at, |entry| entry.at)
    }

    /// Where it is sent.
    pub fn route(&self) -> Route {
        Route {
            provider: self.provider.clone(),
            key: self.key.clone(),
            dialect: self.dialect,
            model: self.route_model.clone(),
        }
    }

    /// The record of a request of which nothing more will be known. It ends when
    /// it was sent: later than that nobody saw it. What it cost is unknown.
    pub fn abandoned(self) -> Record {
        let started_at = self.started_at();
        let unknown = Cost { amount: Amount::Unknown(Unpriced::Abandoned), as_of: Date::of(self.sent_at) };
        let attempt = Attempt {
            provider: self.provider,
            key: self.key,
            model: self.route_model,
            dialect: Some(self.dialect),
            sent: true,
            started_at: self.sent_at,
            first_chunk_at: None,
            ended_at: self.sent_at,
            provider_request_id: None,
            usage: Usage::default(),
            service_tier: None,
            cost: Some(unknown),
            losses: Vec::new(),
            failure: Some(AttemptFailure {
                kind: ErrorKind::Interrupted,
                status: None,
                message: "the process ended while it was out".to_owned(),
                retry_after: None,
            }),
        };
        Record {
            id: self.id,
            model: self.model,
            conversation: self.conversation,
            user: self.user,
            tags: self.tags,
            started_at,
            ended_at: self.sent_at.max(started_at),
            outcome: Outcome::Abandoned,
            usage: Usage::default(),
            choice: Choice::default(),
            attempts: vec![attempt],
            journal: self.journal,
        }
    }
}

/// What to wait for before a request may be sent. A dropped one is no longer
/// waited for.
#[must_use = "the request may be sent only when this is ready"]
pub struct Hold(Pin<Box<dyn Future<Output = Result<(), NotRecorded>> + Send>>);

impl Hold {
    /// Waits for `ready`.
    pub fn new(ready: impl Future<Output = Result<(), NotRecorded>> + Send + 'static) -> Self {
        Self(Box::pin(ready))
    }
}

impl Future for Hold {
    type Output = Result<(), NotRecorded>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// A request could not be written down, so it was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was not sent, for it could not be recorded: {0}")]
pub struct NotRecorded(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{EventKind, State, StateKind, step};

    #[test]
    fn an_abandoned_request_is_a_record_that_can_have_happened() {
        let moves = [EventKind::InitiateRequest, EventKind::ValidationPassed, EventKind::SendRequest];
        let mut state = State::IDLE;
        let entries: Vec<_> = moves
            .into_iter()
            .zip(1_u64..)
            .map(|(event, at)| {
                state = step(state, event).expect("legal");
                serde_json::json!({"event": event, "to": state, "at": at, "times": 1, "last_at": at})
            })
            .collect();
        let start = Start {
            id: RequestId::new(Timestamp::EPOCH, [7; 10]),
            model: "fast".to_owned(),
            conversation: Some("c".to_owned()),
            user: None,
            tags: vec!["t".to_owned()],
            provider: ProviderName::new("claude").expect("a name"),
            key: KeyLabel::new("default").expect("a name"),
            route_model: "m".to_owned(),
            dialect: Dialect::Anthropic,
            sent_at: Timestamp::from_unix_nanos(3),
            journal: serde_json::from_value(entries.into()).expect("a journal"),
        };
        let record = start.clone().abandoned();
        assert_eq!(record.journal.replay().map(|state| state.kind), Ok(StateKind::Requesting));
        assert_eq!(record.started_at, Timestamp::from_unix_nanos(1));
        assert_eq!(record.cost(), Some(Amount::Unknown(Unpriced::Abandoned)), "unknown is not nothing");
        assert_eq!(record.attempts.first().map(|attempt| attempt.sent), Some(true));
        assert_eq!(record.answered(), None);
        assert!(
            record.explain().to_string().contains("abandoned: the process ended"),
            "{}",
            record.explain()
        );
        assert_eq!(start.route().model, "m");
    }
}
