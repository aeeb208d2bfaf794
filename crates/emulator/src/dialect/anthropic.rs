//! Anthropic Messages, after the API reference: Messages, streaming, errors,
//! rate limits, token counting. `POST /v1/messages`,
//! `POST /v1/messages/count_tokens`, `GET /v1/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    Asked, Dialect, Frames, Model, Problem, Query, Route, Speech, bearer, halves, header, is_empty_array,
    set, word,
};
use crate::{Fault, Finish};

pub(super) struct Messages;

impl Dialect for Messages {
    fn route<'a>(&self, path: &'a str, _query: Query<'_>) -> Route<'a> {
        match path {
            "/v1/messages" => Route::Generate { model: None, streamed: None, array: false },
            "/v1/messages/count_tokens" => Route::Count { model: None },
            "/v1/models" => Route::Models,
            _ => Route::Nowhere,
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        header(&head.headers, "x-api-key").or_else(|| bearer(&head.headers)).is_some()
    }

    fn lacks(&self, asked: &Asked, head: &Parts) -> Option<Problem> {
        let limited = asked.body.get("max_tokens").is_some_and(Value::is_u64);
        lacks(asked, head, &[("max_tokens", !limited)])
    }

    fn lacks_to_count(&self, asked: &Asked, head: &Parts) -> Option<Problem> {
        lacks(asked, head, &[]).or_else(|| {
            let extra = ONLY_TO_ANSWER.into_iter().find(|field| asked.body.get(field).is_some())?;
            Some(Problem::invalid(extra, format!("{extra}: Extra inputs are not permitted")))
        })
    }

    fn refuse(&self, problem: &Problem, _head: &Parts, nth: usize) -> (u16, Value) {
        let invalid = "invalid_request_error";
        let (status, kind, message) = match problem {
            Problem::NoKey => (401, "authentication_error", "x-api-key header is required"),
            Problem::NoSuchPath => (404, "not_found_error", "Not found"),
            Problem::WrongMethod => (405, invalid, "Method Not Allowed"),
            Problem::TooLarge => (413, "request_too_large", "Request exceeds the maximum size"),
            Problem::NotJson => (400, invalid, "The request body is not valid JSON"),
            Problem::UnknownModel(model) => return self.fault(Fault::ModelNotFound, model, nth),
            Problem::Invalid { message, .. } => (400, invalid, message.as_str()),
        };
        (status, error(kind, message, nth))
    }

    fn fault(&self, fault: Fault, model: &str, nth: usize) -> (u16, Value) {
        let invalid = "invalid_request_error";
        let (status, kind, message) = match fault {
            Fault::Overloaded => (529, "overloaded_error", "Overloaded"),
            Fault::RateLimited { .. } => {
                (429, "rate_limit_error", "This request would exceed your organization's rate limit")
            }
            Fault::QuotaExhausted => {
                (429, "rate_limit_error", "Your organization has reached its enforced spend limit")
            }
            Fault::Server => (500, "api_error", "Internal server error"),
            Fault::Authentication => (401, "authentication_error", "invalid x-api-key"),
            Fault::Permission => {
                let message = "Your API key does not have permission to use the specified resource";
                (403, "permission_error", message)
            }
            Fault::ModelNotFound => {
                return (404, error("not_found_error", &format!("model: {model}"), nth));
            }
            Fault::ContextLength => (400, invalid, "prompt is too long: 215000 tokens > 200000 maximum"),
            Fault::InvalidRequest | Fault::ContentFilter => {
                (400, invalid, "messages.0.content: Field required")
            }
        };
        let mut body = error(kind, message, nth);
        if let (Fault::QuotaExhausted, Some(error)) = (fault, body.get_mut("error")) {
            set(error, "details", json!({"error_code": "enforced_spend_limit_reached"}));
        }
        (status, body)
    }

    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
        let mut headers =
            vec![("request-id", request_id(nth)), ("anthropic-organization-id", "emulated".to_owned())];
        let used_up = matches!(fault, Some(Fault::RateLimited { .. } | Fault::QuotaExhausted));
        let wait = match fault {
            Some(Fault::RateLimited { retry_after_seconds: Some(seconds) }) => i64::from(seconds),
            _ => 0,
        };
        let now = jiff::Timestamp::now();
        // A wait beyond the calendar's end is none.
        let reset = now.checked_add(jiff::SignedDuration::from_secs(wait)).unwrap_or(now);
        let reset = reset.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (names, limit, remaining) in RATE_LIMITS {
            let [of_limit, of_remaining, of_reset] = names;
            headers.extend([
                (of_limit, limit.to_owned()),
                (of_remaining, if used_up { "0" } else { remaining }.to_owned()),
                (of_reset, reset.clone()),
            ]);
        }
        match fault {
            Some(Fault::RateLimited { retry_after_seconds }) => {
                headers.extend(retry_after_seconds.map(|seconds| ("retry-after", seconds.to_string())));
            }
            Some(Fault::Overloaded | Fault::Server) => {
                headers.push(("x-should-retry", "true".to_owned()));
            }
            Some(_) => headers.push(("x-should-retry", "false".to_owned())),
            None => {}
        }
        headers
    }

    fn models(&self, models: &[Model<'_>], query: Query<'_>) -> Result<Value, Problem> {
        let limit = match query.get("limit").map(|limit| limit.parse()) {
            None => 20,
            Some(Ok(limit @ 1..=1000)) => limit,
            Some(_) => {
                return Err(Problem::invalid("limit", "limit: Input should be a number from 1 to 1000"));
            }
        };
        let place = |field: &'static str| match query.get(field) {
            None => Ok(None),
            Some(id) => match models.iter().position(|model| model.name == id) {
                Some(place) => Ok(Some(place)),
                None => Err(Problem::invalid(field, format!("{field}: no model has the id {id}"))),
            },
        };
        // What comes before a model ends with it, at the limit from there.
        let (page, has_more) = match (place("after_id")?, place("before_id")?) {
            (Some(_), Some(_)) => {
                let message = "before_id: cannot be given together with after_id";
                return Err(Problem::invalid("before_id", message));
            }
            (after, None) => {
                let first = after.map_or(0, |after| after + 1);
                let rest = models.iter().skip(first);
                (rest.take(limit).collect::<Vec<_>>(), models.len() - first > limit)
            }
            (None, Some(before)) => {
                let first = before.saturating_sub(limit);
                (models.iter().take(before).skip(first).collect(), first > 0)
            }
        };
        Ok(json!({
            "data": page.iter().map(|model| listed(model)).collect::<Vec<_>>(),
            "has_more": has_more,
            "first_id": page.first().map(|model| model.name),
            "last_id": page.last().map(|model| model.name),
        }))
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        let mut content = Vec::new();
        if let Some(thinking) = speech.thinking {
            content.push(json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
        }
        if !speech.tokens.is_empty() {
            content.push(json!({"type": "text", "text": speech.text()}));
        }
        for (place, call) in speech.calls.iter().enumerate() {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
            let id = speech.call_id("toolu", place);
            content.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}));
        }
        let mut message = message(speech, content, &usage(speech, speech.output_tokens));
        if let (Some(fields), Some(stop)) = (message.as_object_mut(), stop(speech).as_object()) {
            fields.extend(stop.clone());
        }
        message
    }

    fn frames(&self, speech: &Speech<'_>) -> Frames {
        let mut frames = Frames::default();
        let start = message(speech, Vec::new(), &usage(speech, 1));
        frames.opening.push(event(&json!({"type": "message_start", "message": start})));
        let mut index = 0;
        if let Some(thinking) = speech.thinking {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            frames.opening.push(block_start(index, &block));
            let deltas = [
                json!({"type": "thinking_delta", "thinking": thinking}),
                json!({"type": "signature_delta", "signature": SIGNATURE}),
            ];
            frames.thinking.extend(deltas.map(|delta| block_delta(index, &delta)));
            frames.thinking.push(block_stop(index));
            index += 1;
        }
        // The first block opens with the stream, a later one when it comes.
        let opens_stream = index == 0;
        let mut begins = Vec::new();
        for (block, deltas) in said(speech) {
            let start = block_start(index, &block);
            match (frames.tokens.is_empty(), opens_stream) {
                (true, true) => frames.opening.push(start),
                (true, false) => frames.thinking.push(start),
                (false, _) => begins.extend([block_stop(index - 1), start]),
            }
            for delta in deltas {
                begins.push(block_delta(index, &delta));
                frames.tokens.push(std::mem::take(&mut begins));
            }
            index += 1;
        }
        if !frames.tokens.is_empty() {
            frames.closing.push(block_stop(index - 1));
        }
        frames.opening.push("event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned());
        frames.closing.push(event(&json!({
            "type": "message_delta",
            "delta": stop(speech),
            "usage": {"output_tokens": speech.output_tokens},
        })));
        frames.terminal.push(event(&json!({"type": "message_stop"})));
        frames
    }

    fn data(&self, json: &str) -> String {
        format!("event: content_block_delta\ndata: {json}\n\n")
    }

    fn error_frames(&self, _speech: &Speech<'_>, error: &Value, _sent: usize) -> Vec<String> {
        vec![event(error)]
    }
}

/// Fields that a request to count tokens may not have.
const ONLY_TO_ANSWER: [&str; 6] = ["max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences"];

const SIGNATURE: &str = "ZW11bGF0ZWQgc2lnbmF0dXJl";

/// Names of limit, what remains and when it resets; a limit and what remains.
const RATE_LIMITS: [([&str; 3], &str, &str); 4] = [
    (
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        "4000",
        "3999",
    ),
    (
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
        "4800000",
        "4799000",
    ),
    (
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
        "4000000",
        "3999000",
    ),
    (
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
        "800000",
        "800000",
    ),
];

/// What any request lacks, with `more` fields and whether they are lacking.
fn lacks(asked: &Asked, head: &Parts, more: &[(&'static str, bool)]) -> Option<Problem> {
    if header(&head.headers, "anthropic-version").is_none() {
        return Some(Problem::invalid("", "anthropic-version: header is required"));
    }
    let all = [
        ("model", asked.model.is_empty()),
        ("messages", !asked.body.get("messages").is_some_and(Value::is_array)),
    ];
    if let Some((field, _)) = all.iter().chain(more).find(|(_, lacking)| *lacking) {
        return Some(Problem::invalid(*field, format!("{field}: Field required")));
    }
    let empty = is_empty_array(&asked.body, "messages");
    empty.then(|| Problem::invalid("messages", "messages: at least one message is required"))
}

fn listed(model: &Model<'_>) -> Value {
    let supported = |yes: bool| json!({"supported": yes});
    json!({
        "type": "model",
        "id": model.name,
        "display_name": model.title,
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": model.input,
        "max_tokens": model.output,
        "capabilities": {"image_input": supported(true), "thinking": supported(true)},
    })
}

fn request_id(nth: usize) -> String {
    format!("req_emulated{nth:06}")
}

/// The blocks that are said, as they begin, each with its deltas, of which
/// there are some.
fn said(speech: &Speech<'_>) -> Vec<(Value, Vec<Value>)> {
    let mut blocks = Vec::new();
    if !speech.tokens.is_empty() {
        let delta = |text: &String| json!({"type": "text_delta", "text": text});
        blocks.push((json!({"type": "text", "text": ""}), speech.tokens.iter().map(delta).collect()));
    }
    for (place, call) in speech.calls.iter().enumerate() {
        let [first, second] = halves(&call.arguments);
        let delta = |json: &str| json!({"type": "input_json_delta", "partial_json": json});
        let id = speech.call_id("toolu", place);
        let block = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
        blocks.push((block, ["", first, second].map(delta).into()));
    }
    blocks
}

fn error(kind: &str, message: &str, nth: usize) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id(nth)})
}

fn message(speech: &Speech<'_>, content: Vec<Value>, usage: &Value) -> Value {
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

fn usage(speech: &Speech<'_>, output: u64) -> Value {
    let mut usage = json!({
        "input_tokens": speech.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    });
    if speech.thinking_tokens > 0 && output > 1 {
        set(&mut usage, "output_tokens_details", json!({"thinking_tokens": speech.thinking_tokens}));
    }
    usage
}

/// Why it stopped, as a whole message and the last delta say it.
fn stop(speech: &Speech<'_>) -> Value {
    let reason = match (speech.calls.is_empty(), speech.finish) {
        (_, Finish::ContentFilter) => {
            let category = speech.refusal.as_ref().map(|_| "general_harms");
            let details = json!({"type": "refusal", "category": category, "explanation": speech.refusal});
            return json!({"stop_reason": "refusal", "stop_sequence": null, "stop_details": details});
        }
        (_, Finish::Length) => "max_tokens",
        (false, Finish::Stop) => "tool_use",
        (true, Finish::Stop) => "end_turn",
    };
    json!({"stop_reason": reason, "stop_sequence": null})
}

fn block_start(index: usize, block: &Value) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn block_delta(index: usize, delta: &Value) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn block_stop(index: usize) -> String {
    event(&json!({"type": "content_block_stop", "index": index}))
}

/// An event whose name repeats its type, padded inside as the real ones are,
/// by its length instead of at random.
fn event(data: &Value) -> String {
    let kind = word(data, "type").unwrap_or_default();
    let json = data.to_string();
    let inner = json.strip_suffix('}').unwrap_or(&json);
    format!("event: {kind}\ndata: {inner}{:1$}}}\n\n", "", json.len() % 16)
}
