//! The kinds of failure and the stable codes they are stored under.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it was. Decides everything that follows: see
/// [`ErrorKind::decision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The connection could not be made or broke before an answer began.
    Network,
    /// The provider failed (HTTP 500, 502 and their like).
    Server,
    /// The provider has too much to do (Anthropic 529, HTTP 503).
    Overloaded,
    /// One of the clocks ran out.
    Timeout(Clock),
    /// Too many requests or tokens in a short time; goes away by waiting.
    RateLimited,
    /// Credit, spend or daily quota is used up; waiting does not help soon.
    QuotaExhausted,
    /// The key is missing, wrong or revoked.
    Authentication,
    /// The key may not do this.
    Permission,
    /// The provider does not know the model.
    ModelNotFound,
    /// The conversation is larger than the model's context window.
    ContextLength,
    /// The answer makes no sense in the provider's dialect, or is larger than
    /// a limit allows.
    Unreadable,
    /// The answer ended before the provider said it was complete.
    Interrupted,
    /// The provider's content policy refused.
    Refused,
    /// This route cannot do what is asked; another may.
    Unsupported,
    /// The request is wrong wherever it is sent.
    InvalidRequest,
    /// Our own breaker for the route is open: nothing was sent.
    CircuitOpen,
    /// The request could not be written down first, as was asked for: nothing was sent.
    NotRecorded,
    /// The caller went away.
    Cancelled,
    /// The request's own time is up.
    DeadlineExceeded,
}

/// The five clocks that run while a request is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Name look-up, connection and TLS handshake.
    Connect,
    /// From sending to the answer's headers.
    Headers,
    /// From the headers to the first token.
    FirstToken,
    /// Between two pieces of the answer.
    Idle,
    /// The whole attempt.
    Total,
}

/// The ten stable codes under which failures are stored and counted.
///
/// Kinds may be added and split; these do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// `authentication_error`
    AuthenticationError,
    /// `invalid_request`
    InvalidRequest,
    /// `rate_limit_exceeded`
    RateLimitExceeded,
    /// `server_error`
    ServerError,
    /// `timeout`
    Timeout,
    /// `network_error`
    NetworkError,
    /// `content_filter`
    ContentFilter,
    /// `model_not_found`
    ModelNotFound,
    /// `quota_exceeded`
    QuotaExceeded,
    /// `unknown_error`
    UnknownError,
}

impl Code {
    /// The code as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationError => "authentication_error",
            Self::InvalidRequest => "invalid_request",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::NetworkError => "network_error",
            Self::ContentFilter => "content_filter",
            Self::ModelNotFound => "model_not_found",
            Self::QuotaExceeded => "quota_exceeded",
            Self::UnknownError => "unknown_error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ErrorKind {
    /// Every kind, each clock of [`ErrorKind::Timeout`] by itself.
    pub const ALL: [Self; 23] = [
        Self::Network,
        Self::Server,
        Self::Overloaded,
        Self::Timeout(Clock::Connect),
        Self::Timeout(Clock::Headers),
        Self::Timeout(Clock::FirstToken),
        Self::Timeout(Clock::Idle),
        Self::Timeout(Clock::Total),
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Authentication,
        Self::Permission,
        Self::ModelNotFound,
        Self::ContextLength,
        Self::Unreadable,
        Self::Interrupted,
        Self::Refused,
        Self::Unsupported,
        Self::InvalidRequest,
        Self::CircuitOpen,
        Self::NotRecorded,
        Self::Cancelled,
        Self::DeadlineExceeded,
    ];

    /// The stable code this kind is stored under.
    pub fn code(self) -> Code {
        match self {
            Self::Network => Code::NetworkError,
            Self::Server | Self::Overloaded | Self::CircuitOpen | Self::NotRecorded => Code::ServerError,
            Self::Timeout(_) | Self::DeadlineExceeded => Code::Timeout,
            Self::RateLimited => Code::RateLimitExceeded,
            Self::QuotaExhausted => Code::QuotaExceeded,
            Self::Authentication | Self::Permission => Code::AuthenticationError,
            Self::ModelNotFound => Code::ModelNotFound,
            Self::ContextLength | Self::Unsupported | Self::InvalidRequest => Code::InvalidRequest,
            Self::Interrupted => Code::NetworkError,
            Self::Refused => Code::ContentFilter,
            Self::Unreadable | Self::Cancelled => Code::UnknownError,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network failure",
            Self::Server => "provider failure",
            Self::Overloaded => "provider overloaded",
            Self::Timeout(Clock::Connect) => "timed out connecting",
            Self::Timeout(Clock::Headers) => "timed out waiting for an answer",
            Self::Timeout(Clock::FirstToken) => "timed out waiting for the first token",
            Self::Timeout(Clock::Idle) => "answer stalled",
            Self::Timeout(Clock::Total) => "attempt took too long",
            Self::RateLimited => "rate limited",
            Self::QuotaExhausted => "quota exhausted",
            Self::Authentication => "not authenticated",
            Self::Permission => "not permitted",
            Self::ModelNotFound => "model not found",
            Self::ContextLength => "conversation too long for the model",
            Self::Unreadable => "unreadable answer",
            Self::Interrupted => "answer interrupted",
            Self::Refused => "refused by content policy",
            Self::Unsupported => "not supported by this route",
            Self::InvalidRequest => "invalid request",
            Self::CircuitOpen => "circuit open",
            Self::NotRecorded => "not recorded",
            Self::Cancelled => "cancelled",
            Self::DeadlineExceeded => "deadline exceeded",
        })
    }
}
