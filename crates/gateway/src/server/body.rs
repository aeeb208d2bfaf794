//! Reading what a client sends, within bounds.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use leverframe_router::{ErrorKind, Failure};

use super::Settings;

/// The whole body of a request.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`], with the status to answer with.
pub(super) async fn read(body: Incoming, settings: &Settings) -> Result<Bytes, (u16, Failure)> {
    let too_large = || {
        let message =
            format!("the request's body has more than {} bytes; send less at a time", settings.max_body);
        (413, Failure::new(ErrorKind::InvalidRequest, message))
    };
    // What the head announces need not be read to be refused.
    if body.size_hint().lower() > u64::try_from(settings.max_body).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let whole = tokio::time::timeout(settings.body_within, Limited::new(body, settings.max_body).collect());
    match whole.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            Err((400, Failure::new(ErrorKind::InvalidRequest, "the request's body broke off; send it again")))
        }
        Err(_) => {
            let message = format!("the request's body took longer than {:?}", settings.body_within);
            Err((408, Failure::new(ErrorKind::InvalidRequest, message)))
        }
    }
}
