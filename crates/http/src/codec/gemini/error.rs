//! What a Gemini error means.
//!
//! Google says `{"error": {"code", "message", "status", "details"}}`, on some
//! paths inside an array of one. `status` decides, for `code` only repeats
//! the HTTP status, which is 200 when an error comes within a stream. The
//! details tell limits that pass from those that do not, and wrong keys from
//! wrong requests; the message is read where nothing else says it.
//!
//! Sources: Gemini API troubleshooting guide and rate limits, googleapis
//! `google/rpc/code.proto` and `error_details.proto`, recordings.

use std::time::Duration;

use http::HeaderMap;
use leverframe_core::error::{ErrorKind, Failure};
use serde_json::Value;

use crate::{codec::failure::bare_status, hints, redact};

/// Reads an answer whose status says it failed.
pub(in crate::codec) fn read(status: u16, headers: &HeaderMap, text: &str) -> Failure {
    let report = Report::parse(text)
        .unwrap_or_else(|| Report { message: bare_status(status, text), ..Report::default() });
    let effective = if (200..300).contains(&status) { report.code } else { Some(status) };
    report.into_failure(effective).with_status(status).with_retry_after(hints::read(headers))
}

/// Reads an error that came inside an answer. `None` when `text` is not one.
pub(super) fn read_inside(text: &str) -> Option<Failure> {
    let report = Report::parse(text)?;
    let code = report.code;
    Some(report.into_failure(code))
}

/// What Google says went wrong.
#[derive(Debug, Default)]
struct Report {
    /// The HTTP status the error has or would have had.
    code: Option<u16>,
    message: String,
    /// A name from `google.rpc.Code`.
    status: String,
    /// `ErrorInfo.reason`.
    reason: String,
    /// `RequestInfo.requestId`.
    request_id: Option<String>,
    retry_after: Option<Duration>,
    /// A violated quota counts by the day.
    daily: bool,
}

impl Report {
    fn parse(text: &str) -> Option<Self> {
        let whole: Value = serde_json::from_str(text).ok()?;
        let error = whole.get(0).unwrap_or(&whole).get("error").filter(|error| !error.is_null())?;
        let word = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let message = error.as_str().map_or_else(|| word(error, "message"), str::to_owned);
        let mut report = Self {
            code: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            retry_after: delay_in(&message),
            message: redact::message(&message),
            status: word(error, "status"),
            ..Self::default()
        };
        let details = error.get("details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            let kind = word(detail, "@type");
            match kind.rsplit('.').next() {
                Some("ErrorInfo") => report.reason = word(detail, "reason"),
                Some("RequestInfo") => report.request_id = Some(word(detail, "requestId")),
                Some("RetryInfo") => {
                    let delay = hints::google_duration(&word(detail, "retryDelay"));
                    report.retry_after = report.retry_after.max(delay);
                }
                Some("QuotaFailure") => {
                    let violations = detail.get("violations").and_then(Value::as_array);
                    let mut quotas =
                        violations.into_iter().flatten().map(|violation| word(violation, "quotaId"));
                    report.daily |= quotas.any(|quota| quota.contains("PerDay"));
                }
                _ => {}
            }
        }
        Some(report)
    }

    fn into_failure(self, status: Option<u16>) -> Failure {
        let kind = self.classify(status);
        let message = match (self.message.trim(), self.status.as_str()) {
            ("", "") => "the provider reports an error and does not say which".to_owned(),
            ("", status) => format!("the provider reports {status}"),
            _ => self.message,
        };
        Failure::new(kind, message)
            .with_provider_request_id(self.request_id.filter(|id| !id.is_empty()))
            .with_retry_after(self.retry_after)
    }

    fn classify(&self, status: Option<u16>) -> ErrorKind {
        match self.reason.as_str() {
            // The status is INVALID_ARGUMENT, as if it were the request.
            "API_KEY_INVALID" | "API_KEY_EXPIRED" => return ErrorKind::Authentication,
            "BILLING_DISABLED" => return ErrorKind::QuotaExhausted,
            _ => {}
        }
        match (self.status.as_str(), status) {
            // RESOURCE_EXHAUSTED as well: prepaid credit is gone.
            (_, Some(402)) => ErrorKind::QuotaExhausted,
            ("RESOURCE_EXHAUSTED", _) | ("", Some(429)) if self.daily => ErrorKind::QuotaExhausted,
            ("RESOURCE_EXHAUSTED", _) => ErrorKind::RateLimited,
            ("INVALID_ARGUMENT", _) => by_message(&self.message),
            ("OUT_OF_RANGE" | "ALREADY_EXISTS", _) => ErrorKind::InvalidRequest,
            ("UNAUTHENTICATED", _) => ErrorKind::Authentication,
            // The precondition is the account's: its location, its billing.
            ("PERMISSION_DENIED" | "FAILED_PRECONDITION", _) => ErrorKind::Permission,
            ("NOT_FOUND", _) => ErrorKind::ModelNotFound,
            ("UNIMPLEMENTED", _) => ErrorKind::Unsupported,
            ("CANCELLED", _) => ErrorKind::Server,
            ("UNAVAILABLE", _) => ErrorKind::Overloaded,
            // DEADLINE_EXCEEDED is their deadline, not one of our clocks: as
            // with any failure of theirs, trying again may help.
            ("INTERNAL" | "UNKNOWN" | "ABORTED" | "DATA_LOSS" | "DEADLINE_EXCEEDED", _) => ErrorKind::Server,
            _ => by_status(status, &self.message),
        }
    }
}

/// The delay that a message ends with, in more digits than `RetryInfo`:
/// "Please retry in 48.939935699s."
fn delay_in(message: &str) -> Option<Duration> {
    let (_, after) = message.split_once("retry in ")?;
    hints::google_duration(after.split_whitespace().next()?.trim_end_matches('.'))
}

/// What INVALID_ARGUMENT is about.
fn by_message(message: &str) -> ErrorKind {
    if message.contains("input token count") && message.contains("exceeds the maximum") {
        ErrorKind::ContextLength
    } else if message.contains("API key not valid") || message.contains("API key expired") {
        ErrorKind::Authentication
    } else {
        ErrorKind::InvalidRequest
    }
}

fn by_status(status: Option<u16>, message: &str) -> ErrorKind {
    match status {
        Some(400) => by_message(message),
        Some(401) => ErrorKind::Authentication,
        Some(402) => ErrorKind::QuotaExhausted,
        Some(403) => ErrorKind::Permission,
        Some(404) => ErrorKind::ModelNotFound,
        Some(408) => ErrorKind::Server,
        Some(429) => ErrorKind::RateLimited,
        Some(499) => ErrorKind::Server,
        Some(400..=499) => ErrorKind::InvalidRequest,
        Some(501) => ErrorKind::Unsupported,
        Some(503) => ErrorKind::Overloaded,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn google(code: u16, status: &str, message: &str, details: &str) -> String {
        format!(
            r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{details}]}}}}"#
        )
    }

    fn quota(id: &str) -> String {
        let kind = "type.googleapis.com/google.rpc.QuotaFailure";
        format!(r#"{{"@type":"{kind}","violations":[{{"quotaId":"{id}"}}]}}"#)
    }

    #[test]
    fn errors_are_classified() {
        use ErrorKind::{
            Authentication, ContextLength, InvalidRequest, ModelNotFound, Overloaded, Permission,
            QuotaExhausted, RateLimited, Server, Unsupported,
        };
        let day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
        let minute = quota("GenerateRequestsPerMinutePerProjectPerModel");
        let bad_key = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}"#;
        let too_long =
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        let cases = [
            (400, "INVALID_ARGUMENT", "the reason", "", InvalidRequest),
            (400, "INVALID_ARGUMENT", "the reason", bad_key, Authentication),
            (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "", Authentication),
            (400, "INVALID_ARGUMENT", too_long, "", ContextLength),
            (400, "", too_long, "", ContextLength),
            (400, "FAILED_PRECONDITION", "User location is not supported", "", Permission),
            (401, "UNAUTHENTICATED", "the reason", "", Authentication),
            (402, "RESOURCE_EXHAUSTED", "the reason", "", QuotaExhausted),
            (403, "PERMISSION_DENIED", "the reason", "", Permission),
            (404, "NOT_FOUND", "the reason", "", ModelNotFound),
            (429, "RESOURCE_EXHAUSTED", "the reason", "", RateLimited),
            (429, "RESOURCE_EXHAUSTED", "the reason", &minute, RateLimited),
            (429, "RESOURCE_EXHAUSTED", "the reason", &day, QuotaExhausted),
            (429, "RESOURCE_EXHAUSTED", "the reason", &format!("{minute},{day}"), QuotaExhausted),
            (429, "", "the reason", "", RateLimited),
            (499, "CANCELLED", "the reason", "", Server),
            (500, "INTERNAL", "the reason", "", Server),
            (501, "UNIMPLEMENTED", "the reason", "", Unsupported),
            (502, "", "the reason", "", Server),
            (503, "UNAVAILABLE", "The model is overloaded.", "", Overloaded),
            (504, "DEADLINE_EXCEEDED", "the reason", "", Server),
            (418, "NEVER_HEARD_OF", "the reason", "", InvalidRequest),
        ];
        for (code, status, message, details, expected) in cases {
            let body = google(code, status, message, details);
            let failure = read(code, &HeaderMap::new(), &body);
            assert_eq!(failure.kind, expected, "{body}");
            assert_eq!((failure.message.as_str(), failure.status), (message, Some(code)));
            // Inside an answer, and in an array, it means the same.
            assert_eq!(read_inside(&body).map(|failure| failure.kind), Some(expected), "{body}");
            assert_eq!(
                read_inside(&format!("[{body}]")).map(|failure| failure.kind),
                Some(expected),
                "{body}"
            );
        }
    }

    #[test]
    fn the_longest_delay_holds() {
        let retry = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48s"},
            {"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"r-1"}"#;
        let cases = [
            ("slow down", Some(Duration::from_secs(48))),
            ("Please retry in 48.5s.", Some(Duration::from_millis(48_500))),
            ("Please retry in 3s.", Some(Duration::from_secs(48))),
        ];
        for (message, expected) in cases {
            let failure = read(429, &HeaderMap::new(), &google(429, "RESOURCE_EXHAUSTED", message, retry));
            assert_eq!(failure.retry_after, expected, "{message}");
            assert_eq!(failure.provider_request_id.as_deref(), Some("r-1"));
        }
        assert_eq!(delay_in("You may retry in "), None);
    }

    #[test]
    fn any_body_gives_a_failure() {
        let cases = [
            (503, "<html>busy</html>", ErrorKind::Overloaded),
            (500, "", ErrorKind::Server),
            (404, "[]", ErrorKind::ModelNotFound),
            (403, "{\"error\":\"no\"}", ErrorKind::Permission),
            (400, "{\"error\":{\"details\":[7,{\"@type\":7}]}}", ErrorKind::InvalidRequest),
        ];
        for (status, body, kind) in cases {
            let failure = read(status, &HeaderMap::new(), body);
            assert_eq!((failure.kind, failure.status), (kind, Some(status)), "{body}");
            assert!(!failure.message.is_empty());
        }
        for text in ["{}", "{\"error\":null}", "[", "{\"candidates\":[]}", "7"] {
            assert!(read_inside(text).is_none(), "{text}");
        }
    }
}
