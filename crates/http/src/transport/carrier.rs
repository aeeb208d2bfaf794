//! Another way to carry an exchange than the network.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// What a body breaks with.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of an answer that was carried. It need be neither `Sync` nor `Unpin`.
pub type CarriedBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// An exchange under way, up to the answer's headers.
pub type Carriage = Pin<Box<dyn Future<Output = Result<http::Response<CarriedBody>, CarrierError>> + Send>>;

/// Carries requests to whoever answers them, instead of the network: a
/// provider that is simulated, or traffic that was recorded.
///
/// Everything the transport promises holds over it as well. The clocks run and
/// bodies are bounded; dropping the future or the body is how a carrier learns
/// that nobody waits any longer. Only the connect clock is the carrier's own,
/// for it alone knows what connecting is: see [`CarrierError::ConnectTimeout`].
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Begins an exchange. Must not block: what takes time belongs into the future.
    fn carry(&self, request: http::Request<Bytes>) -> Carriage;
}

/// Why there are no headers.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// No connection was made.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// No connection was made in the time that connecting may take.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The connection broke before an answer came.
    #[error("the connection broke")]
    Send(#[source] BoxError),
}

/// A carried body that may be shared, as one from the network may.
///
/// The mutex is never locked: it is only ever reached through `&mut`.
pub(super) struct Carried(Mutex<CarriedBody>);

impl Carried {
    pub(super) fn new(body: CarriedBody) -> Self {
        Self(Mutex::new(body))
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.body().as_mut().poll_frame(cx)
    }

    pub(super) fn size_hint(&mut self) -> SizeHint {
        self.body().size_hint()
    }

    fn body(&mut self) -> &mut CarriedBody {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
