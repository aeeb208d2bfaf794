//! Who refused, and until when.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::{ErrorKind, Failure},
    guard::{LimitKind, Scope},
    time::Timestamp,
};

/// The guard that refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The route's breaker is open, or half-open with its probe out.
    Breaker,
    /// A limit is used up.
    Limit {
        /// Whose limit.
        scope: Scope,
        /// Which.
        kind: LimitKind,
    },
    /// As many requests wait for the route's limits as may, or this one has
    /// waited as long as it may.
    Queue,
    /// The provider asked us to stay away.
    Hold,
    /// The key failed in this way a moment ago.
    BenchedKey(ErrorKind),
    /// The route failed in this way a moment ago.
    BenchedRoute(ErrorKind),
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker => f.write_str("the route failed too often"),
            Self::Limit { scope, kind: LimitKind::Concurrency } => {
                write!(f, "the {scope} has as many concurrent requests as it may")
            }
            Self::Limit { scope, kind } => write!(f, "the {kind} of the {scope} are used up"),
            Self::Queue => f.write_str("too many requests wait for the route's limits already"),
            Self::Hold => f.write_str("the provider asked us to wait"),
            Self::BenchedKey(kind) => write!(f, "the API key is set aside after \"{kind}\""),
            Self::BenchedRoute(kind) => write!(f, "the route is set aside after \"{kind}\""),
        }
    }
}

/// A refusal. Nothing was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refused. Of several limits, the one that refuses longest.
    pub by: Guard,
    /// From when it is worth asking again: all limits that refuse now have
    /// room then, unless others come first.
    pub until: Timestamp,
}

impl Refusal {
    /// The refusal as a failure of a request that asked at `now`. What is used
    /// up for the day is a quota; everything else that a limit refuses is a
    /// rate, which goes away by waiting.
    pub fn into_failure(self, now: Timestamp) -> Failure {
        let wait = self.until.since(now);
        let kind = match self.by {
            Guard::Breaker => ErrorKind::CircuitOpen,
            Guard::Limit { kind: LimitKind::RequestsPerDay | LimitKind::SpendPerDay, .. } => {
                ErrorKind::QuotaExhausted
            }
            Guard::Limit { .. } | Guard::Queue | Guard::Hold => ErrorKind::RateLimited,
            Guard::BenchedKey(kind) | Guard::BenchedRoute(kind) => kind,
        };
        let message = format!("not sent: {}; next try in {:.1} s", self.by, wait.as_secs_f64());
        Failure::new(kind, message).with_retry_after(Some(wait))
    }
}
