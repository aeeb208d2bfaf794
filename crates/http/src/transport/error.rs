//! What can go wrong between two sockets.

use std::{error::Error as StdError, sync::Arc};

use leverframe_core::error::{Clock, ErrorKind, Failure};

use super::connect::ConnectTimeout;

/// Why an exchange failed. Holds neither headers nor bodies.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection could be made.
    #[error("cannot connect; check the base URL and the network")]
    Connect(#[source] Arc<dyn StdError + Send + Sync>),
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] Arc<dyn StdError + Send + Sync>),
    /// The connection broke before the answer's headers.
    #[error("the connection broke before an answer came")]
    Send(#[source] Arc<dyn StdError + Send + Sync>),
    /// The connection broke inside the answer's body.
    #[error("the connection broke while the answer was arriving")]
    Body(#[source] Arc<dyn StdError + Send + Sync>),
    /// One of the clocks ran out.
    #[error("the time limit for this step ran out")]
    Timeout(Clock),
    /// The body is larger than allowed.
    #[error("the answer is larger than the limit of {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl TransportError {
    pub(super) fn from_client(error: hyper_util::client::legacy::Error) -> Self {
        if error.is_connect() {
            if has_connect_timeout(&error) {
                return Self::Timeout(Clock::Connect);
            }
            return Self::Connect(Arc::new(error));
        }
        Self::Send(Arc::new(error))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(_) | Self::Tls(_) | Self::Send(_) => ErrorKind::Network,
            Self::Body(_) => ErrorKind::Interrupted,
            Self::Timeout(clock) => ErrorKind::Timeout(*clock),
            Self::BodyTooLarge { .. } => ErrorKind::Unreadable,
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let failure = Self::new(error.kind(), error.to_string());
        match StdError::source(&error) {
            Some(_) => failure.with_source(error),
            None => failure,
        }
    }
}

fn has_connect_timeout(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<ConnectTimeout>() {
            return true;
        }
        next = error.source();
    }
    false
}
