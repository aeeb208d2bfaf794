//! Anthropic Messages, after the API reference: Messages, streaming, errors,
//! rate limits. `POST /v1/messages`.

use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{Asked, Finish, Frames, Operation, Refused, Speech, header, word};
use crate::script::Fault;

pub(super) fn asked(head: &Parts, body: Value) -> Asked {
    let known = head.method == Method::POST && head.uri.path() == "/v1/messages";
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
    if header(&head.headers, "x-api-key").or(bearer).is_none() {
        return Err(Refused::new(401, "authentication_error", "x-api-key header is required"));
    }
    if asked.operation == Operation::Unknown {
        return Err(Refused::new(404, "not_found_error", "Not found"));
    }
    let invalid = |message: &str| Err(Refused::new(400, "invalid_request_error", message));
    if header(&head.headers, "anthropic-version").is_none() {
        return invalid("anthropic-version: header is required");
    }
    if !asked.body.is_object() {
        return invalid("The request body is not valid JSON");
    }
    for (field, present) in [
        ("model", !asked.model.is_empty()),
        ("max_tokens", asked.body.get("max_tokens").is_some_and(Value::is_u64)),
        ("messages", asked.body.get("messages").is_some_and(Value::is_array)),
    ] {
        if !present {
            return invalid(&format!("{field}: Field required"));
        }
    }
    match asked.body.get("messages").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        true => invalid("messages: at least one message is required"),
        false => Ok(()),
    }
}

fn request_id(nth: usize) -> String {
    format!("req_emulated{nth:06}")
}

pub(super) fn headers(nth: usize) -> Vec<(&'static str, String)> {
    let mut headers =
        vec![("request-id", request_id(nth)), ("anthropic-organization-id", "emulated".to_owned())];
    let reset = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (limit, remaining, when) in [
        (
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ),
        (
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ),
    ] {
        headers.extend([(limit, "4000".to_owned()), (remaining, "3999".to_owned()), (when, reset.clone())]);
    }
    headers
}

fn message(speech: &Speech<'_>, content: &Value, usage: &Value) -> Value {
    json!({
        "id": format!("msg_emulated{:06}", speech.nth),
        "type": "message",
        "role": "assistant",
        "model": speech.asked.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

fn usage(speech: &Speech<'_>, output: usize) -> Value {
    json!({
        "input_tokens": speech.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn stop_reason(speech: &Speech<'_>) -> &'static str {
    match (speech.tool, speech.finish) {
        (Some(_), _) => "tool_use",
        (None, Finish::Stop) => "end_turn",
        (None, Finish::Length) => "max_tokens",
        (None, Finish::ContentFilter) => "refusal",
    }
}

pub(super) fn whole(speech: &Speech<'_>) -> Value {
    let content = match speech.tool {
        Some((name, arguments)) => {
            let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
            json!([{"type": "tool_use", "id": format!("toolu_{:06}", speech.nth), "name": name, "input": input}])
        }
        None if speech.tokens.is_empty() => json!([]),
        None => json!([{"type": "text", "text": speech.text()}]),
    };
    let mut message = message(speech, &content, &usage(speech, speech.output_tokens()));
    if let Some(fields) = message.as_object_mut() {
        fields.insert("stop_reason".to_owned(), stop_reason(speech).into());
    }
    message
}

/// An event whose name repeats its type, padded as the real ones are.
fn event(data: &Value) -> String {
    let kind = word(data, "type").unwrap_or_default();
    let json = data.to_string();
    format!("event: {kind}\ndata: {}   }}\n\n", json.strip_suffix('}').unwrap_or(&json))
}

pub(super) fn frames(speech: &Speech<'_>) -> Frames {
    let (block, deltas): (Value, Vec<Value>) = match speech.tool {
        Some((name, arguments)) => {
            let half = arguments.floor_char_boundary(arguments.len() / 2);
            let (first, second) = arguments.split_at(half);
            let delta = |json: &str| json!({"type": "input_json_delta", "partial_json": json});
            let id = format!("toolu_{:06}", speech.nth);
            (
                json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                ["", first, second].map(delta).into(),
            )
        }
        None => {
            let delta = |text: &String| json!({"type": "text_delta", "text": text});
            (json!({"type": "text", "text": ""}), speech.tokens.iter().map(delta).collect())
        }
    };
    let start = json!({"type": "message_start", "message": message(speech, &json!([]), &usage(speech, 1))});
    let mut opening = vec![event(&start)];
    let mut closing = Vec::new();
    if !deltas.is_empty() {
        opening.push(event(&json!({"type": "content_block_start", "index": 0, "content_block": block})));
        closing.push(event(&json!({"type": "content_block_stop", "index": 0})));
    }
    opening.push(event(&json!({"type": "ping"})));
    closing.push(event(&json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(speech), "stop_sequence": null},
        "usage": {"output_tokens": speech.output_tokens()},
    })));
    closing.push(event(&json!({"type": "message_stop"})));
    let delta = |delta: Value| event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    Frames { opening, tokens: deltas.into_iter().map(delta).collect(), closing }
}

pub(super) fn error(kind: &str, message: &str, nth: usize) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id(nth)})
}

pub(super) fn error_frame(error: &Value) -> String {
    event(error)
}

pub(super) fn fault(fault: Fault, model: &str, nth: usize) -> (u16, Value) {
    let (status, kind, message) = match fault {
        Fault::Overloaded => (529, "overloaded_error", "Overloaded".to_owned()),
        Fault::RateLimited { .. } => {
            (429, "rate_limit_error", "This request would exceed your organization's rate limit".to_owned())
        }
        Fault::QuotaExhausted => {
            let body = json!({
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "Your organization has reached its enforced spend limit",
                    "details": {"error_code": "enforced_spend_limit_reached"},
                },
                "request_id": request_id(nth),
            });
            return (429, body);
        }
        Fault::Server => (500, "api_error", "Internal server error".to_owned()),
        Fault::Authentication => (401, "authentication_error", "invalid x-api-key".to_owned()),
        Fault::Permission => (
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource".to_owned(),
        ),
        Fault::ModelNotFound => (404, "not_found_error", format!("model: {model}")),
        Fault::ContextLength => {
            (400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum".to_owned())
        }
        Fault::InvalidRequest | Fault::ContentFilter => {
            (400, "invalid_request_error", "messages.0.content: Field required".to_owned())
        }
    };
    (status, error(kind, &message, nth))
}
