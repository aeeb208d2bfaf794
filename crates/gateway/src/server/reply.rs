//! What goes back to a client.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use leverframe_router::{
    Attempt, Dialect, Failure, RequestId,
    dialect::{EncodedError, encode_error},
};

use super::stream::Streamed;

/// The body of an answer.
pub(super) enum Reply {
    Whole(Option<Bytes>),
    Stream(Box<Streamed>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Stream(stream) => stream.poll(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(
                body.as_ref().map_or(0, |body| u64::try_from(body.len()).unwrap_or(u64::MAX)),
            ),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-leverframe-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-leverframe-provider");
const MODEL: HeaderName = HeaderName::from_static("x-leverframe-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-leverframe-attempts");
const LOSSES: HeaderName = HeaderName::from_static("x-leverframe-losses");

/// Most bytes of the header that lists losses.
const MOST_LOSSES: usize = 2_048;

/// Says in the headers who answered, after how many attempts, and what the
/// provider could not be told.
pub(super) fn tell(headers: &mut HeaderMap, dialect: Dialect, id: Option<RequestId>, attempts: &[Attempt]) {
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if let Some(id) = id {
        let id = id.to_string();
        // Where the dialect's SDK looks for what is to be quoted.
        put(
            HeaderName::from_static(if dialect == Dialect::Anthropic {
                "request-id"
            } else {
                "x-request-id"
            }),
            &id,
        );
        put(REQUEST_ID, &id);
    }
    if let Some(last) = attempts.last() {
        put(PROVIDER, last.provider.as_str());
        put(MODEL, &last.model);
        let mut losses = String::new();
        for loss in &last.losses {
            let more = format!("{}{}", if losses.is_empty() { "" } else { ", " }, loss.field);
            if losses.len() + more.len() > MOST_LOSSES {
                losses.push_str(", ...");
                break;
            }
            losses.push_str(&more);
        }
        if !losses.is_empty() {
            put(LOSSES, &losses);
        }
    }
    put(ATTEMPTS, &attempts.len().to_string());
}

pub(super) fn text(text: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(Bytes::from_static(text.as_bytes()))));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What Prometheus scrapes.
pub(super) fn metrics(text: String) -> Response<Reply> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut response = Response::new(Reply::Whole(Some(text.into())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}

pub(super) fn json(body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A failure in the caller's dialect.
pub(super) fn error(dialect: Dialect, failure: &Failure, id: Option<RequestId>) -> Response<Reply> {
    let id = id.map(|id| id.to_string());
    let EncodedError { status, body } = encode_error(dialect, failure, id.as_deref());
    let mut response = json(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(wait) = failure.retry_after {
        // Never shortened.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The same with a status of its own.
pub(super) fn error_with_status(dialect: Dialect, failure: &Failure, status: StatusCode) -> Response<Reply> {
    let mut response = error(dialect, failure, None);
    *response.status_mut() = status;
    response
}
