//! How long the parts of an exchange may take.

use std::time::Duration;

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
    /// Between two pieces of the body, after the first token.
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
