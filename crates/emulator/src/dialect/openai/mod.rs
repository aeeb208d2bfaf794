//! OpenAI: Chat Completions, as itself and as Azure offers it, and Responses.
//! What they have in common is here: addresses, keys, headers.

mod azure;
mod chat;
mod errors;
mod responses;

use http::request::Parts;

use super::{Dialect, bearer, header};
use crate::Fault;

pub(super) use chat::ChatCompletions;

/// The API at this path.
pub(super) fn at(at: &str) -> &'static dyn Dialect {
    let responses = path(at).strip_prefix("/v1/responses");
    if at.starts_with(azure::DEPLOYMENTS) {
        &azure::Deployment
    } else if responses.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        &responses::Responses
    } else {
        &ChatCompletions
    }
}

/// What Azure serves under `/openai/v1` is the same API.
fn path(at: &str) -> &str {
    at.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/")).unwrap_or(at)
}

/// Azure's keys have a header of their own.
fn has_key(head: &Parts) -> bool {
    let azure = head.uri.path().starts_with("/openai/");
    bearer(&head.headers).is_some() || (azure && header(&head.headers, "api-key").is_some())
}

/// A fixed time of creation keeps answers repeatable.
const CREATED: u64 = 1_790_000_000;

fn headers(fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
    let used_up = matches!(fault, Some(Fault::RateLimited { .. } | Fault::QuotaExhausted));
    let remaining = |usually: &str| if used_up { "0" } else { usually }.to_owned();
    let wait = match fault {
        Some(Fault::RateLimited { retry_after_seconds }) => retry_after_seconds,
        _ => None,
    };
    let reset = |usually: &str| wait.map_or_else(|| usually.to_owned(), |seconds| format!("{seconds}s"));
    let mut headers = vec![
        ("x-request-id", format!("req_emulated{nth:06}")),
        ("openai-processing-ms", "42".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", remaining("9999")),
        ("x-ratelimit-reset-requests", reset("6ms")),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-tokens", remaining("1999000")),
        ("x-ratelimit-reset-tokens", reset("30ms")),
    ];
    headers.extend(wait.map(|seconds| ("retry-after", seconds.to_string())));
    headers
}

/// Hides how long what it stands beside is: together they fill up sixteens.
fn padding(length: usize) -> String {
    "aB3xYzK9mQwErT5u".chars().take(16 - length % 16).collect()
}
