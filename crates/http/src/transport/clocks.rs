//! How long the parts of an exchange may take.

use std::time::Duration;

use tokio::time::Instant;

/// The four clocks of one exchange. The fifth, for connecting, is
/// [`TransportConfig::connect_timeout`](super::TransportConfig::connect_timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// From sending to the answer's headers. A model that reasons before it
    /// answers without streaming may take minutes.
    pub headers: Duration,
    /// From the headers to the first token of a streamed answer. Keep-alive
    /// frames do not reset it.
    pub first_token: Duration,
    /// Between two pieces of the body, after the first token, and for every
    /// piece of a body that is collected.
    pub idle: Duration,
    /// The whole exchange. `None` leaves it to the others.
    pub total: Option<Duration>,
}

impl Default for Clocks {
    /// Five minutes, one minute, one minute, no total.
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(300),
            first_token: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: None,
        }
    }
}

/// `start + duration`, or a time nobody will see if that is too far off to say.
pub(super) fn after(start: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    start.checked_add(duration).unwrap_or_else(|| start + FAR)
}
