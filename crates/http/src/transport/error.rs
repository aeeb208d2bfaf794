//! What can go wrong between two sockets.

use std::{error::Error as StdError, io, sync::Arc};

use leverframe_core::error::{Clock, ErrorKind, Failure};

use super::CarrierError;

/// Why an exchange failed. Holds neither headers nor bodies.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The request's address is not one that HTTP can be sent to.
    #[error("the request cannot be sent: {0}; check the base URL")]
    InvalidRequest(&'static str),
    /// No connection could be made.
    #[error("cannot connect; check the base URL and the network")]
    Connect(#[source] Arc<dyn StdError + Send + Sync>),
    /// TLS could not be set up, or the handshake failed: a certificate that is
    /// not trusted, or a server that does not speak TLS.
    #[error("no secure connection; check the base URL and the server's certificate")]
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
    /// No connection was made.
    pub(super) fn connecting(error: Box<dyn StdError + Send + Sync>) -> Self {
        match has::<rustls::Error>(error.as_ref()) {
            true => Self::Tls(Arc::from(error)),
            false => Self::Connect(Arc::from(error)),
        }
    }

    /// A connection was made, and broke before there was an answer.
    pub(super) fn sending(error: hyper::Error) -> Self {
        Self::Send(Arc::new(error))
    }

    pub(super) fn from_carrier(error: CarrierError) -> Self {
        match error {
            CarrierError::Connect(cause) => Self::Connect(Arc::from(cause)),
            CarrierError::ConnectTimeout => Self::Timeout(Clock::Connect),
            CarrierError::Send(cause) => Self::Send(Arc::from(cause)),
        }
    }

    fn into_cause(self) -> Option<Arc<dyn StdError + Send + Sync>> {
        match self {
            Self::Connect(cause) | Self::Tls(cause) | Self::Send(cause) | Self::Body(cause) => Some(cause),
            Self::InvalidRequest(_) | Self::Timeout(_) | Self::BodyTooLarge { .. } => None,
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidRequest(_) => ErrorKind::InvalidRequest,
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
        match error.into_cause() {
            Some(cause) => failure.with_shared_source(cause),
            None => failure,
        }
    }
}

/// Whether an error of type `T` is among the sources of `error`.
fn has<T: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<T>() {
            return true;
        }
        // The source of an `io::Error` is that of what it wraps: look at the latter first.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped as &(dyn StdError + 'static)));
    }
    false
}
