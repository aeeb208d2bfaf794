//! Every way a request can fail, and what happens then.
//!
//! A [`Failure`] is one thing that went wrong once, classified by its
//! [`ErrorKind`]. The kind alone decides what may be done about it, in one
//! exhaustive table: [`ErrorKind::decision`].

mod decision;
mod kind;

use std::{error::Error, fmt, sync::Arc, time::Duration};

pub use decision::{Bench, BreakerEffect, Decision, Exposure, NextRoute, SameRoute};
pub use kind::{Clock, Code, ErrorKind};

/// One classified failure of one attempt.
///
/// `Display` prints one level; [`Error::source`] holds what lies beneath.
/// Two failures are equal when everything but their sources is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What kind it is.
    pub kind: ErrorKind,
    /// What went wrong and what to do, for a person. Holds the provider's own
    /// message where there is one; never a credential.
    pub message: String,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The provider's id of the call, to be quoted to its support.
    pub provider_request_id: Option<String>,
    /// How long the provider asks us to stay away, counted from the answer.
    pub retry_after: Option<Duration>,
    /// Whether it speaks against the route, whatever its kind.
    overdue: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
            provider_request_id: None,
            retry_after: None,
            overdue: false,
            source: None,
        }
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds the provider's id of the call.
    #[must_use]
    pub fn with_provider_request_id(mut self, id: Option<String>) -> Self {
        self.provider_request_id = id;
        self
    }

    /// Adds a hint on when to come back. The longest of several holds.
    #[must_use]
    pub fn with_retry_after(mut self, hint: Option<Duration>) -> Self {
        self.retry_after = self.retry_after.max(hint);
        self
    }

    /// Says that the route had been silent for longer than it takes when
    /// something else ended the wait, such as the request's deadline. Without
    /// this, a route that hangs would look healthy to impatient callers.
    #[must_use]
    pub fn with_overdue(mut self) -> Self {
        self.overdue = true;
        self
    }

    /// Whether it speaks against the route's health.
    pub fn breaker_effect(&self) -> BreakerEffect {
        match self.overdue {
            true => BreakerEffect::Counts,
            false => self.kind.decision(Exposure::Unseen).breaker,
        }
    }

    /// Adds what lies beneath.
    #[must_use]
    pub fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        self.with_shared_source(Arc::new(source))
    }

    /// Adds what lies beneath, where it is shared already.
    #[must_use]
    pub fn with_shared_source(mut self, source: Arc<dyn Error + Send + Sync>) -> Self {
        self.source = Some(source);
        self
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        let key = |f: &Self| (f.kind, f.status, f.retry_after);
        key(self) == key(other)
            && self.message == other.message
            && self.provider_request_id == other.provider_request_id
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
