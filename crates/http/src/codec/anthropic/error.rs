//! What an Anthropic error means.
//!
//! `{"type": "error", "error": {"type", "message", "details"}, "request_id"}`.
//! The error's type decides, then the status. Two cases hide behind another
//! type: an empty balance and a spend limit are no passing rate limit, and a
//! prompt that is too long is no ordinary bad request.
//!
//! A body of more bytes than the API takes (413) counts as a conversation that
//! is too long: another provider may take more, the same one will not.
//!
//! Hints on when to come back are read where coming back helps: on 429 and from
//! 500 on. Anthropic sends `retry-after` on good answers too.
//!
//! `x-should-retry` is not read: what may be tried again is decided in one
//! place for all providers.
//!
//! Source: Anthropic API reference, errors and rate limits.

use http::HeaderMap;
use leverframe_core::error::{ErrorKind, Failure};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    codec::{failure::bare_status, text::Text},
    hints, redact,
};

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: ErrorBody<'a>,
    #[serde(borrow)]
    request_id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct ErrorBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    error_code: Option<Text<'a>>,
}

/// Reads an answer whose status says it failed, or an error under a good one.
pub(in crate::codec) fn read(status: u16, headers: &HeaderMap, text: &str) -> Failure {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        let message = bare_status(status, text);
        return dressed(Failure::new(by_status(status), message), status, headers, None);
    };
    let kind = classify(&envelope.error, status, headers);
    let id = envelope.request_id.map(Text::into_string);
    dressed(Failure::new(kind, message(envelope.error)), status, headers, id)
}

/// Whether a body is an error, whatever its status.
pub(super) fn is_error(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<Text<'a>>,
    }
    serde_json::from_str::<Probe<'_>>(text)
        .is_ok_and(|probe| probe.kind.is_some_and(|kind| kind.as_str() == "error"))
}

/// Reads an `error` event of a stream.
pub(super) fn read_inside(text: &str) -> Failure {
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => {
            let kind = classify(&envelope.error, 0, &HeaderMap::new());
            let id = envelope.request_id.map(Text::into_string);
            Failure::new(kind, message(envelope.error)).with_provider_request_id(id)
        }
        Err(_) => Failure::new(ErrorKind::Server, redact::excerpt(text)),
    }
}

/// The provider's id of the call.
pub(in crate::codec) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("request-id")?.to_str().ok().map(str::to_owned)
}

fn dressed(failure: Failure, status: u16, headers: &HeaderMap, id: Option<String>) -> Failure {
    let waiting_helps = status == 429 || status >= 500;
    failure
        .with_status(status)
        .with_provider_request_id(request_id(headers).or(id))
        .with_retry_after(waiting_helps.then(|| hints::read(headers)).flatten())
}

fn message(error: ErrorBody<'_>) -> String {
    let (kind, message) = (error.kind.unwrap_or_default(), error.message.unwrap_or_default());
    match message.as_str().trim() {
        "" if kind.is_empty() => "the provider reports an error and does not say which".to_owned(),
        "" => format!("the provider reports {}", kind.as_str()),
        message => redact::message(message),
    }
}

fn classify(error: &ErrorBody<'_>, status: u16, headers: &HeaderMap) -> ErrorKind {
    let details = error.details.and_then(|raw| serde_json::from_str::<Details<'_>>(raw.get()).ok());
    let code = details.as_ref().and_then(|details| details.error_code.as_ref()).map_or("", Text::as_str);
    let message = error.message.as_ref().map_or("", Text::as_str);
    if matches!(
        code,
        "contract_spend_limit_reached"
            | "enforced_spend_limit_reached"
            | "linked_organization_spend_limit_reached"
            | "organization_on_hold"
    ) {
        return ErrorKind::QuotaExhausted;
    }
    match error.kind.as_ref().map_or("", Text::as_str) {
        "invalid_request_error" if message.contains("credit balance is too low") => ErrorKind::QuotaExhausted,
        "invalid_request_error" if message.contains("specified API usage limits") => {
            ErrorKind::QuotaExhausted
        }
        "invalid_request_error" if message.starts_with("prompt is too long") => ErrorKind::ContextLength,
        "invalid_request_error" if message.contains("exceed context limit") => ErrorKind::ContextLength,
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "request_too_large" => ErrorKind::ContextLength,
        "authentication_error" => ErrorKind::Authentication,
        "billing_error" => ErrorKind::QuotaExhausted,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::ModelNotFound,
        // A tier's spend cap is a 429 that does not say when to come back.
        "rate_limit_error"
            if status == 429 && message.contains("spend") && hints::read(headers).is_none() =>
        {
            ErrorKind::QuotaExhausted
        }
        "rate_limit_error" => ErrorKind::RateLimited,
        "overloaded_error" => ErrorKind::Overloaded,
        "api_error" | "timeout_error" | "conflict_error" => ErrorKind::Server,
        _ => by_status(status),
    }
}

fn by_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::QuotaExhausted,
        403 => ErrorKind::Permission,
        404 => ErrorKind::ModelNotFound,
        408 | 409 => ErrorKind::Server,
        413 => ErrorKind::ContextLength,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_row_of_the_error_table() {
        use ErrorKind as K;
        let cases = [
            (400, "invalid_request_error", "messages: Field required", K::InvalidRequest),
            (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", K::ContextLength),
            (400, "invalid_request_error", "Your credit balance is too low to access", K::QuotaExhausted),
            (401, "authentication_error", "invalid x-api-key", K::Authentication),
            (402, "billing_error", "pay", K::QuotaExhausted),
            (403, "permission_error", "no", K::Permission),
            (404, "not_found_error", "model: x", K::ModelNotFound),
            (408, "timeout_error", "slow", K::Server),
            (409, "conflict_error", "busy", K::Server),
            (413, "request_too_large", "large", K::ContextLength),
            (429, "rate_limit_error", "too fast", K::RateLimited),
            (500, "api_error", "oops", K::Server),
            (504, "timeout_error", "slow", K::Server),
            (529, "overloaded_error", "Overloaded", K::Overloaded),
            (418, "new_error", "?", K::InvalidRequest),
            (599, "new_error", "?", K::Server),
        ];
        for (status, kind, message, expected) in cases {
            let body = format!(
                r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}","details":null}},"request_id":"req_1"}}"#
            );
            let failure = read(status, &HeaderMap::new(), &body);
            assert_eq!((failure.kind, failure.message.as_str()), (expected, message));
            assert_eq!(
                (failure.status, failure.provider_request_id.as_deref()),
                (Some(status), Some("req_1"))
            );
        }
    }

    #[test]
    fn a_spend_limit_is_no_passing_limit() {
        for code in ["enforced_spend_limit_reached", "organization_on_hold"] {
            let body = format!(
                r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"m","details":{{"error_code":"{code}"}}}}}}"#
            );
            assert_eq!(read(429, &HeaderMap::new(), &body).kind, ErrorKind::QuotaExhausted, "{code}");
        }
        let ramp = r#"{"error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#;
        let headers =
            HeaderMap::from_iter([("retry-after".parse().expect("name"), HeaderValue::from_static("3"))]);
        let failure = read(429, &headers, ramp);
        assert_eq!(
            (failure.kind, failure.retry_after),
            (ErrorKind::RateLimited, Some(Duration::from_secs(3)))
        );
    }

    #[test]
    fn a_hint_counts_only_where_waiting_helps() {
        let headers =
            HeaderMap::from_iter([("retry-after".parse().expect("name"), HeaderValue::from_static("3"))]);
        for (status, hint) in [(200, None), (400, None), (429, Some(3)), (529, Some(3))] {
            let failure = read(status, &headers, r#"{"error":{"type":"x","message":"m","details":"text"}}"#);
            assert_eq!(failure.retry_after, hint.map(Duration::from_secs), "{status}");
            assert_eq!(failure.message, "m");
        }
    }

    #[test]
    fn any_body_gives_a_failure_without_secrets() {
        for (status, body) in
            [(500, ""), (502, "<html>sk-ant-1234</html>"), (400, "{}"), (429, "[]"), (401, "{\"error\":1}")]
        {
            let failure = read(status, &HeaderMap::new(), body);
            assert_eq!(failure.kind, by_status(status));
            assert!(!failure.message.contains("1234") && !failure.message.is_empty());
        }
    }
}
