//! What an OpenAI error means.
//!
//! OpenAI says `{"error": {"message", "type", "param", "code"}}`. Compatible
//! servers say the same with a number for the code (OpenRouter, vLLM), inside
//! an array (Gemini's compatible endpoint), as `{"code", "error": "text"}`
//! (xAI), `{"detail": ...}` (Mistral, anything on FastAPI) or `{"message"}`.
//!
//! The code decides where it is known, for it is more exact than the status:
//! a 429 may be a limit that passes or an account that is empty. The message
//! is read only where servers are known to say it nowhere else.
//!
//! Sources: OpenAI error codes guide, Azure OpenAI content filtering, Groq and
//! OpenRouter errors guides, and recordings of compatible servers.

use http::HeaderMap;
use leverframe_core::error::{ErrorKind, Failure};
use serde_json::Value;

use crate::{codec::failure::bare_status, hints, redact};

/// Where providers put the id of a call: OpenAI, Azure API Management.
const REQUEST_ID: [&str; 2] = ["x-request-id", "apim-request-id"];

/// Reads an answer whose status says it failed.
pub(in crate::codec) fn read(status: u16, headers: &HeaderMap, text: &str) -> Failure {
    let report = Report::parse(text)
        .unwrap_or_else(|| Report { message: bare_status(status, text), ..Report::default() });
    // An error under a successful status has the real one inside, if anywhere.
    let effective = if (200..300).contains(&status) { report.status } else { Some(status) };
    report
        .into_failure(effective)
        .with_status(status)
        .with_provider_request_id(request_id(headers))
        .with_retry_after(hints::read(headers))
}

/// Reads an error that came inside an answer. `None` when `text` is not one.
pub(in crate::codec) fn read_inside(text: &str) -> Option<Failure> {
    let report = Report::parse(text)?;
    let status = report.status;
    Some(report.into_failure(status))
}

/// The provider's id of the call.
pub(in crate::codec) fn request_id(headers: &HeaderMap) -> Option<String> {
    REQUEST_ID.iter().find_map(|name| headers.get(*name)?.to_str().ok()).map(str::to_owned)
}

/// What a provider says went wrong.
#[derive(Debug, Default)]
struct Report {
    message: String,
    code: String,
    kind: String,
    /// The HTTP status the error would have had, where the body says.
    status: Option<u16>,
    /// OpenRouter: moderation flagged the input.
    flagged: bool,
}

impl Report {
    /// Reads a body, or the value of its `error` field. `None` when nothing in
    /// it says that something went wrong.
    fn parse(text: &str) -> Option<Self> {
        let whole: Value = serde_json::from_str(text).ok()?;
        let whole = whole.get(0).unwrap_or(&whole);
        let inner = match whole.get("error") {
            None | Some(Value::Null) => whole,
            Some(error) => error,
        };
        let message = match inner {
            Value::String(message) => Some(message.clone()),
            _ => ["message", "detail", "error"].iter().find_map(|name| sentence(inner.get(name)?)),
        };
        let code = [inner.get("code"), whole.get("code")].into_iter().flatten().find_map(word);
        let kind = [inner.get("type"), whole.get("type")].into_iter().flatten().find_map(word);
        // A completion has none of these; an error has at least one.
        if message.is_none() && code.is_none() && whole.get("error").is_none_or(Value::is_null) {
            return None;
        }
        let status = ["status", "status_code", "code"].iter().find_map(|name| status(inner.get(name)?));
        let metadata = inner.get("metadata");
        let upstream = metadata.and_then(|metadata| sentence(metadata.get("raw")?));
        let message = [message, upstream].into_iter().flatten().collect::<Vec<_>>().join(": ");
        Some(Self {
            message: redact::message(&message),
            code: code.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            status,
            flagged: metadata.is_some_and(|metadata| metadata.get("flagged_input").is_some()),
        })
    }

    fn into_failure(self, status: Option<u16>) -> Failure {
        let kind = self.classify(status);
        let message = match (self.message.trim(), self.code.as_str(), self.kind.as_str()) {
            ("", "", "") => "the provider reports an error and does not say which".to_owned(),
            ("", "", word) | ("", word, _) => format!("the provider reports {word}"),
            _ => self.message,
        };
        Failure::new(kind, message)
    }

    fn classify(&self, status: Option<u16>) -> ErrorKind {
        let known = by_code(&self.code).or_else(|| by_code(&self.kind));
        if self.flagged {
            return ErrorKind::Refused;
        }
        if let Some(kind) = known {
            return kind;
        }
        match status {
            None | Some(400 | 404 | 422 | 500) => {
                by_message(&self.message).unwrap_or_else(|| by_status(status))
            }
            Some(_) => by_status(status),
        }
    }
}

/// Text of a message: a string, or whatever JSON a server puts in its place.
fn sentence(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(redact::excerpt(&other.to_string())),
    }
}

/// A code, which may be a number.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn status(value: &Value) -> Option<u16> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    number.filter(|number| (400..600).contains(number))
}

/// The kind behind an error's `code`, or behind its `type` where the code is
/// missing or unknown. Names that say nothing, such as
/// `invalid_request_error`, are left to the status.
fn by_code(code: &str) -> Option<ErrorKind> {
    let kind = match code {
        "rate_limit_exceeded" | "rate_limit_error" | "slow_down" | "tokens" | "requests" => {
            ErrorKind::RateLimited
        }
        "context_length_exceeded" => ErrorKind::ContextLength,
        "model_not_found" | "DeploymentNotFound" => ErrorKind::ModelNotFound,
        "invalid_api_key" | "authentication_error" => ErrorKind::Authentication,
        "unsupported_country_region_territory" | "permission_error" => ErrorKind::Permission,
        "content_filter" | "content_policy_violation" | "invalid_prompt" => ErrorKind::Refused,
        "unsupported_parameter" | "unsupported_value" => ErrorKind::Unsupported,
        "server_is_overloaded" | "overloaded_error" | "engine_overloaded" | "service_unavailable_error" => {
            ErrorKind::Overloaded
        }
        // Groq: the model wrote a call or JSON that does not fit its schema.
        // The request is sound, so trying again is.
        "server_error" | "api_error" | "internal_error" | "tool_use_failed" | "json_validate_failed" => {
            ErrorKind::Server
        }
        // insufficient_quota, exceeded_current_quota_error, billing_hard_limit_reached,
        // billing_not_active, credit_balance_exhausted and the spend and usage limits.
        _ if ["quota", "billing", "credit_balance", "spend_limit", "usage_limit"]
            .iter()
            .any(|word| code.contains(word)) =>
        {
            ErrorKind::QuotaExhausted
        }
        // Responses: bio_policy, misalignment_policy_violation.
        _ if code.ends_with("policy_violation") || code.ends_with("_policy") => ErrorKind::Refused,
        "data_residency_mismatch" => ErrorKind::Permission,
        // Responses: invalid_image, image_too_large, image_parse_error and others.
        _ if code.contains("image") => ErrorKind::InvalidRequest,
        _ => return None,
    };
    Some(kind)
}

/// What compatible servers say in words only.
fn by_message(message: &str) -> Option<ErrorKind> {
    const WORDS: [(&str, ErrorKind); 7] = [
        // vLLM, OpenRouter, Mistral; xAI.
        ("maximum context length", ErrorKind::ContextLength),
        ("maximum prompt length", ErrorKind::ContextLength),
        // xAI answers 400 to a wrong key.
        ("incorrect api key", ErrorKind::Authentication),
        ("invalid api key", ErrorKind::Authentication),
        ("rate limit", ErrorKind::RateLimited),
        ("overloaded", ErrorKind::Overloaded),
        // OpenAI, where the code is null.
        ("is not supported with this model", ErrorKind::Unsupported),
    ];
    let message = message.to_ascii_lowercase();
    WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, kind)| *kind)
}

fn by_status(status: Option<u16>) -> ErrorKind {
    match status {
        Some(401) => ErrorKind::Authentication,
        Some(402) => ErrorKind::QuotaExhausted,
        Some(403) => ErrorKind::Permission,
        // There is one path and it holds no names but the model's (and, on
        // Azure, the deployment's).
        Some(404) => ErrorKind::ModelNotFound,
        // OpenAI's SDK retries both.
        Some(408 | 409) => ErrorKind::Server,
        // Groq: the request is larger than the model's tokens per minute.
        Some(413) => ErrorKind::ContextLength,
        Some(429) => ErrorKind::RateLimited,
        // Groq: flex capacity exceeded. Anthropic-backed servers: overloaded.
        Some(498 | 503 | 529) => ErrorKind::Overloaded,
        Some(400..=499) => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn openai(kind: &str, code: &str) -> String {
        let code = if code.is_empty() { "null".to_owned() } else { format!("\"{code}\"") };
        format!(r#"{{"error":{{"message":"the reason","type":"{kind}","param":null,"code":{code}}}}}"#)
    }

    #[test]
    fn openai_errors_are_classified_by_code_then_type_then_status() {
        use ErrorKind::{
            Authentication, ContextLength, InvalidRequest, ModelNotFound, Overloaded, Permission,
            QuotaExhausted, RateLimited, Refused, Server, Unsupported,
        };
        let cases = [
            (400, "invalid_request_error", "context_length_exceeded", ContextLength),
            (400, "invalid_request_error", "unsupported_parameter", Unsupported),
            (400, "invalid_request_error", "unsupported_value", Unsupported),
            (400, "invalid_request_error", "invalid_value", InvalidRequest),
            (400, "invalid_request_error", "unknown_parameter", InvalidRequest),
            (400, "invalid_request_error", "invalid_function_parameters", InvalidRequest),
            (400, "invalid_request_error", "", InvalidRequest),
            (400, "", "content_filter", Refused),
            (400, "invalid_request_error", "content_policy_violation", Refused),
            (400, "invalid_request_error", "tool_use_failed", Server),
            (400, "invalid_request_error", "model_not_found", ModelNotFound),
            (401, "invalid_request_error", "invalid_api_key", Authentication),
            (402, "", "", QuotaExhausted),
            (403, "", "unsupported_country_region_territory", Permission),
            (403, "", "", Permission),
            (404, "invalid_request_error", "model_not_found", ModelNotFound),
            (404, "invalid_request_error", "", ModelNotFound),
            (429, "tokens", "rate_limit_exceeded", RateLimited),
            (429, "requests", "", RateLimited),
            (429, "rate_limit_error", "slow_down", RateLimited),
            (429, "insufficient_quota", "insufficient_quota", QuotaExhausted),
            (429, "insufficient_quota", "credit_balance_exhausted", QuotaExhausted),
            (429, "insufficient_quota", "project_spend_limit_reached", QuotaExhausted),
            (429, "billing_error", "billing_hard_limit_reached", QuotaExhausted),
            (429, "exceeded_current_quota_error", "", QuotaExhausted),
            (429, "", "", RateLimited),
            (408, "", "", Server),
            (500, "server_error", "", Server),
            (502, "", "", Server),
            (503, "service_unavailable_error", "server_is_overloaded", Overloaded),
            (503, "", "", Overloaded),
            (504, "", "", Server),
        ];
        for (status, kind, code, expected) in cases {
            let failure = read(status, &HeaderMap::new(), &openai(kind, code));
            assert_eq!(failure.kind, expected, "{status} {kind} {code}");
            assert_eq!((failure.message.as_str(), failure.status), ("the reason", Some(status)));
        }
    }

    #[test]
    fn other_servers_bodies_are_read() {
        let cases = [
            (401, r#"{"detail":"Unauthorized"}"#, ErrorKind::Authentication, "Unauthorized"),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
                ErrorKind::InvalidRequest,
                "field required",
            ),
            (500, r#"{"error":"it broke"}"#, ErrorKind::Server, "it broke"),
            (
                400,
                r#"{"code":"400","error":"Incorrect API key provided"}"#,
                ErrorKind::Authentication,
                "Incorrect",
            ),
            (
                404,
                r#"{"object":"error","message":"no such model","code":404}"#,
                ErrorKind::ModelNotFound,
                "no such",
            ),
            (403, r#"{"message":"no consumer"}"#, ErrorKind::Permission, "no consumer"),
            (
                400,
                r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#,
                ErrorKind::InvalidRequest,
                "bad",
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8 tokens.","code":400}}"#,
                ErrorKind::ContextLength,
                "8 tokens",
            ),
            (
                429,
                r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"try shortly"}}}"#,
                ErrorKind::RateLimited,
                "Provider returned error: try shortly",
            ),
            (
                403,
                r#"{"error":{"message":"flagged","code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}}"#,
                ErrorKind::Refused,
                "flagged",
            ),
            (200, r#"{"error":{"message":"gone","code":502}}"#, ErrorKind::Server, "gone"),
            (200, r#"{"error":{"message":"slow","code":429}}"#, ErrorKind::RateLimited, "slow"),
            (502, "<html>Bad gateway</html>", ErrorKind::Server, "HTTP 502: <html>"),
            (503, "", ErrorKind::Overloaded, "nothing else"),
            (500, r#"{"error":{}}"#, ErrorKind::Server, "does not say"),
            (500, r#"{"error":{"type":"odd_error"}}"#, ErrorKind::Server, "odd_error"),
            (418, "[]", ErrorKind::InvalidRequest, "HTTP 418"),
        ];
        for (status, body, kind, part) in cases {
            let failure = read(status, &HeaderMap::new(), body);
            assert_eq!(failure.kind, kind, "{body}");
            assert!(failure.message.contains(part), "{body}: {}", failure.message);
        }
    }

    #[test]
    fn the_call_and_the_wait_are_kept() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let failure = read(429, &headers, &openai("tokens", "rate_limit_exceeded"));
        assert_eq!(failure.provider_request_id.as_deref(), Some("req_1"));
        assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(7)));
    }

    #[test]
    fn what_is_no_error_is_not_taken_for_one() {
        for text in [r#"{"choices":[]}"#, "{}", "[]", "1", "", r#"{"error":null}"#, "not JSON"] {
            assert_eq!(read_inside(text), None, "{text}");
        }
    }
}
