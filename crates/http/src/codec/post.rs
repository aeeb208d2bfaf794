//! The HTTP request around a body.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use leverframe_core::error::{ErrorKind, Failure};
use serde::Serialize;

/// A POST of `body` as JSON, with the dialect's own headers.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] when the body or the address cannot be written.
pub(super) fn json(
    url: String,
    headers: HeaderMap,
    stream: bool,
    body: &impl Serialize,
) -> Result<http::Request<Bytes>, Failure> {
    let invalid = |message| Failure::new(ErrorKind::InvalidRequest, message);
    let body = serde_json::to_vec(body)
        .map_err(|source| invalid("the request cannot be written as JSON").with_source(source))?;
    bytes(url, headers, stream, body.into())
}

/// The same of a body that is JSON already.
pub(super) fn bytes(
    url: String,
    headers: HeaderMap,
    stream: bool,
    body: Bytes,
) -> Result<http::Request<Bytes>, Failure> {
    let invalid = |message| Failure::new(ErrorKind::InvalidRequest, message);
    let accept = if stream { "text/event-stream" } else { "application/json" };
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(url)
        .body(body)
        .map_err(|source| invalid("the provider's address cannot be requested").with_source(source))?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
    Ok(request)
}
