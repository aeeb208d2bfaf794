//! OpenAI Chat Completions, after the API reference: the chat object, the
//! chunk object, error codes, rate limits. `POST /v1/chat/completions`.

use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{Asked, Finish, Frames, Operation, Refused, Speech, event, header, word};
use crate::script::Fault;

/// A fixed time of creation keeps answers repeatable.
const CREATED: u64 = 1_790_000_000;

pub(super) fn asked(head: &Parts, body: Value) -> Asked {
    let known = head.method == Method::POST && head.uri.path() == "/v1/chat/completions";
    Asked {
        model: word(&body, "model").unwrap_or_default().to_owned(),
        streamed: body.get("stream") == Some(&Value::Bool(true)),
        body,
        array: false,
        operation: if known { Operation::Generate } else { Operation::Unknown },
    }
}

pub(super) fn check(asked: &Asked, head: &Parts) -> Result<(), Refused> {
    let bearer = header(&head.headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    if bearer.is_none_or(str::is_empty) {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                       using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return Err(Refused::new(401, "invalid_request_error", message));
    }
    if asked.operation == Operation::Unknown {
        let message = format!("Invalid URL ({} {})", head.method, head.uri.path());
        return Err(Refused::new(404, "invalid_request_error", message));
    }
    let invalid = |message: &str| Err(Refused::new(400, "invalid_request_error", message));
    if !asked.body.is_object() {
        return invalid("We could not parse the JSON body of your request.");
    }
    if asked.model.is_empty() {
        return invalid("you must provide a model parameter");
    }
    match asked.body.get("messages").and_then(Value::as_array) {
        None => invalid("Missing required parameter: 'messages'."),
        Some(messages) if messages.is_empty() => invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        Some(_) => Ok(()),
    }
}

pub(super) fn headers(nth: usize) -> Vec<(&'static str, String)> {
    vec![
        ("x-request-id", format!("req_emulated{nth:06}")),
        ("openai-processing-ms", "42".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", "9999".to_owned()),
        ("x-ratelimit-reset-requests", "6ms".to_owned()),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-tokens", "1999000".to_owned()),
        ("x-ratelimit-reset-tokens", "30ms".to_owned()),
    ]
}

fn usage(speech: &Speech<'_>) -> Value {
    let (input, output) = (speech.input_tokens, speech.output_tokens());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn finish_reason(speech: &Speech<'_>) -> &'static str {
    match (speech.tool, speech.finish) {
        (Some(_), _) => "tool_calls",
        (None, Finish::Stop) => "stop",
        (None, Finish::Length) => "length",
        (None, Finish::ContentFilter) => "content_filter",
    }
}

fn call_id(speech: &Speech<'_>) -> String {
    format!("call_emulated{:06}", speech.nth)
}

pub(super) fn whole(speech: &Speech<'_>) -> Value {
    let message = match speech.tool {
        Some((name, arguments)) => json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "tool_calls": [{"id": call_id(speech), "type": "function", "function": {"name": name, "arguments": arguments}}],
        }),
        None => json!({"role": "assistant", "content": speech.text(), "refusal": null, "annotations": []}),
    };
    json!({
        "id": format!("chatcmpl-emulated{:06}", speech.nth),
        "object": "chat.completion",
        "created": CREATED,
        "model": speech.asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(speech)}],
        "usage": usage(speech),
        "service_tier": "default",
        "system_fingerprint": "fp_emulated",
    })
}

pub(super) fn frame(data: &Value) -> String {
    event(data)
}

pub(super) fn frames(speech: &Speech<'_>) -> Frames {
    let with_usage = speech.asked.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": format!("chatcmpl-emulated{:06}", speech.nth),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": speech.asked.model,
            "service_tier": "default",
            "system_fingerprint": "fp_emulated",
            "choices": choices,
            "obfuscation": "xYz",
        });
        if let (true, Some(fields)) = (with_usage, chunk.as_object_mut()) {
            fields.insert("usage".to_owned(), usage);
        }
        event(&chunk)
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let (opening, tokens) = match speech.tool {
        Some((name, arguments)) => {
            let call = json!({"index": 0, "id": call_id(speech), "type": "function", "function": {"name": name, "arguments": ""}});
            let half = arguments.floor_char_boundary(arguments.len() / 2);
            let (first, second) = arguments.split_at(half);
            let fragment = |json: &str| {
                delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": json}}]}), Value::Null)
            };
            let opening = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            (delta(opening, Value::Null), vec![fragment(first), fragment(second)])
        }
        None => {
            let opening = json!({"role": "assistant", "content": "", "refusal": null});
            let tokens = speech.tokens.iter().map(|text| delta(json!({"content": text}), Value::Null));
            (delta(opening, Value::Null), tokens.collect())
        }
    };
    let mut closing = vec![delta(json!({}), finish_reason(speech).into())];
    if with_usage {
        closing.push(chunk(json!([]), usage(speech)));
    }
    closing.push("data: [DONE]\n\n".to_owned());
    Frames { opening: vec![opening], tokens, closing }
}

pub(super) fn error(message: &str, kind: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

pub(super) fn fault(fault: Fault, model: &str) -> (u16, Value) {
    let invalid = "invalid_request_error";
    let (status, message, kind, code) = match fault {
        Fault::Overloaded => (
            503,
            "The server is overloaded. Please try again later.".to_owned(),
            "service_unavailable_error",
            "server_is_overloaded",
        ),
        Fault::RateLimited { .. } => (
            429,
            format!("Rate limit reached for {model} on requests per min (RPM)."),
            "requests",
            "rate_limit_exceeded",
        ),
        Fault::QuotaExhausted => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            (429, message.to_owned(), "insufficient_quota", "insufficient_quota")
        }
        Fault::Server => (
            500,
            "The server had an error while processing your request.".to_owned(),
            "server_error",
            "server_error",
        ),
        Fault::Authentication => {
            (401, "Incorrect API key provided: sk-emul*****ated.".to_owned(), invalid, "invalid_api_key")
        }
        Fault::Permission => (
            403,
            "You have insufficient permissions for this operation.".to_owned(),
            invalid,
            "insufficient_permissions",
        ),
        Fault::ModelNotFound => (
            404,
            format!("The model `{model}` does not exist or you do not have access to it."),
            invalid,
            "model_not_found",
        ),
        Fault::ContextLength => {
            let message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.";
            (400, message.to_owned(), invalid, "context_length_exceeded")
        }
        Fault::InvalidRequest => {
            (400, "Invalid type for 'temperature': expected a decimal.".to_owned(), invalid, "invalid_type")
        }
        Fault::ContentFilter => (
            400,
            "The response was filtered due to the prompt triggering the content management policy."
                .to_owned(),
            invalid,
            "content_filter",
        ),
    };
    (status, error(&message, kind, code))
}
