//! Errors as OpenAI words them.

use http::request::Parts;
use serde_json::{Value, json};

use super::super::{Problem, set};
use crate::Fault;

const INVALID: &str = "invalid_request_error";

fn error(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// An error and the parameter it is about.
pub(super) fn about(param: &str, message: &str, code: Option<&str>) -> Value {
    let mut body = error(message, INVALID, code);
    if let (false, Some(error)) = (param.is_empty(), body.get_mut("error")) {
        set(error, "param", param);
    }
    body
}

/// Status and body for what the API refuses. Unknown models are faults.
pub(super) fn refused(problem: &Problem, head: &Parts) -> (u16, Value) {
    let at = || format!("{} on {}.", head.method, head.uri.path());
    let (status, message) = match problem {
        Problem::NoKey => {
            let message = "You didn't provide an API key. You need to provide your API key in an \
                           Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
            (401, message.to_owned())
        }
        Problem::NoSuchPath => (404, format!("Invalid URL ({} {})", head.method, head.uri.path())),
        Problem::WrongMethod => (405, format!("Not allowed to {}", at())),
        Problem::TooLarge => (413, "Request exceeds the maximum size".to_owned()),
        Problem::NotJson => (400, "We could not parse the JSON body of your request.".to_owned()),
        Problem::UnknownModel(model) => return fault(Fault::ModelNotFound, model),
        Problem::Invalid { message, field, code } => return (400, about(field, message, *code)),
    };
    (status, error(&message, INVALID, None))
}

/// Status and body of a scripted error, as Chat Completions puts it.
pub(super) fn fault(fault: Fault, model: &str) -> (u16, Value) {
    let (status, kind, code) = match fault {
        Fault::Overloaded => (503, "service_unavailable_error", "server_is_overloaded"),
        Fault::RateLimited { .. } => (429, "requests", "rate_limit_exceeded"),
        Fault::QuotaExhausted => (429, "insufficient_quota", "insufficient_quota"),
        Fault::Server => (500, "server_error", "server_error"),
        Fault::Authentication => (401, INVALID, "invalid_api_key"),
        Fault::Permission => (403, INVALID, "insufficient_permissions"),
        Fault::ModelNotFound => (404, INVALID, "model_not_found"),
        Fault::ContextLength => (400, INVALID, "context_length_exceeded"),
        Fault::InvalidRequest => (400, INVALID, "invalid_type"),
        Fault::ContentFilter => (400, INVALID, "content_filter"),
    };
    (status, error(&message(fault, model), kind, Some(code)))
}

fn message(fault: Fault, model: &str) -> String {
    let message = match fault {
        Fault::Overloaded => "The server is overloaded. Please try again later.",
        Fault::RateLimited { retry_after_seconds } => {
            let wait = retry_after_seconds.map(|seconds| format!(" Please try again in {seconds}s."));
            return format!(
                "Rate limit reached for {model} on requests per min (RPM): Limit 10000, Used 10000, Requested 1.{}",
                wait.unwrap_or_default()
            );
        }
        Fault::QuotaExhausted => {
            "You exceeded your current quota, please check your plan and billing details."
        }
        Fault::Server => "The server had an error while processing your request.",
        Fault::Authentication => {
            "Incorrect API key provided: sk-emul*****ated. You can find your API key at \
             https://platform.openai.com/account/api-keys."
        }
        Fault::Permission => "You have insufficient permissions for this operation.",
        Fault::ModelNotFound => {
            return format!("The model `{model}` does not exist or you do not have access to it.");
        }
        Fault::ContextLength => {
            "This model's maximum context length is 128000 tokens. However, your messages resulted in \
             130000 tokens."
        }
        Fault::InvalidRequest => "Invalid type for 'temperature': expected a decimal.",
        Fault::ContentFilter => {
            "The response was filtered due to the prompt triggering the content management policy."
        }
    };
    message.to_owned()
}
