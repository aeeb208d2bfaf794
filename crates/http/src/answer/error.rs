//! Failures in the words of each dialect.
//!
//! The status is the one that makes the dialect's official SDK raise the class
//! its users catch, and retry what is worth retrying.

use leverframe_core::{
    error::{Clock, ErrorKind, Failure},
    model::Dialect,
};
use serde::Serialize;

use super::json;

/// A failure as an HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedError {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// Writes a failure. `request_id` is what the caller can quote.
pub fn encode_error(dialect: Dialect, failure: &Failure, request_id: Option<&str>) -> EncodedError {
    let status = status(dialect, failure.kind);
    let message = failure.message.as_str();
    let body = match dialect {
        Dialect::Anthropic => json(&Anthropic {
            r#type: "error",
            error: AnthropicError { r#type: anthropic_type(failure.kind), message },
            request_id,
        }),
        Dialect::Gemini => json(&Gemini {
            error: GeminiError { code: status, message, status: gemini_status(failure.kind) },
        }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            let (r#type, code) = openai_type(failure.kind);
            json(&OpenAi { error: OpenAiError { message, r#type, param: None, code } })
        }
    };
    EncodedError { status, body }
}

/// The HTTP status of a kind of failure in a dialect.
pub fn status(dialect: Dialect, kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextLength
        | ErrorKind::Refused => 400,
        ErrorKind::Authentication => 401,
        ErrorKind::Permission => 403,
        ErrorKind::ModelNotFound => 404,
        ErrorKind::Cancelled => 499,
        ErrorKind::QuotaExhausted | ErrorKind::RateLimited => 429,
        ErrorKind::Network | ErrorKind::Unreadable | ErrorKind::Interrupted => 502,
        ErrorKind::Server => 500,
        ErrorKind::Overloaded if dialect == Dialect::Anthropic => 529,
        ErrorKind::Overloaded | ErrorKind::CircuitOpen | ErrorKind::NotRecorded => 503,
        ErrorKind::DeadlineExceeded
        | ErrorKind::Timeout(
            Clock::Connect | Clock::Headers | Clock::FirstToken | Clock::Idle | Clock::Total,
        ) => 504,
    }
}

/// `error.type` and `error.code` of OpenAI.
pub(super) fn openai_type(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidRequest => ("invalid_request_error", None),
        ErrorKind::Unsupported => ("invalid_request_error", Some("unsupported_parameter")),
        ErrorKind::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
        ErrorKind::Refused => ("invalid_request_error", Some("content_filter")),
        ErrorKind::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::Permission => ("invalid_request_error", Some("permission_denied")),
        ErrorKind::ModelNotFound => ("invalid_request_error", Some("model_not_found")),
        ErrorKind::QuotaExhausted => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        ErrorKind::Overloaded | ErrorKind::CircuitOpen | ErrorKind::NotRecorded => {
            ("service_unavailable_error", Some("server_is_overloaded"))
        }
        ErrorKind::Timeout(_) | ErrorKind::DeadlineExceeded => ("server_error", Some("timeout")),
        ErrorKind::Cancelled => ("invalid_request_error", Some("cancelled")),
        ErrorKind::Network | ErrorKind::Unreadable | ErrorKind::Interrupted | ErrorKind::Server => {
            ("server_error", Some("server_error"))
        }
    }
}

fn anthropic_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextLength
        | ErrorKind::Cancelled
        | ErrorKind::Refused => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::ModelNotFound => "not_found_error",
        ErrorKind::QuotaExhausted => "billing_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Overloaded | ErrorKind::CircuitOpen => "overloaded_error",
        ErrorKind::Timeout(_) | ErrorKind::DeadlineExceeded => "timeout_error",
        ErrorKind::Network
        | ErrorKind::Unreadable
        | ErrorKind::Interrupted
        | ErrorKind::NotRecorded
        | ErrorKind::Server => "api_error",
    }
}

fn gemini_status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextLength
        | ErrorKind::Refused => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::ModelNotFound => "NOT_FOUND",
        ErrorKind::QuotaExhausted | ErrorKind::RateLimited => "RESOURCE_EXHAUSTED",
        ErrorKind::Overloaded
        | ErrorKind::CircuitOpen
        | ErrorKind::NotRecorded
        | ErrorKind::Network
        | ErrorKind::Interrupted => "UNAVAILABLE",
        ErrorKind::Timeout(_) | ErrorKind::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::Unreadable | ErrorKind::Server => "INTERNAL",
    }
}

#[derive(Serialize)]
struct Anthropic<'a> {
    r#type: &'static str,
    error: AnthropicError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    r#type: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Gemini<'a> {
    error: GeminiError<'a>,
}

#[derive(Serialize)]
struct GeminiError<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct OpenAi<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
}
