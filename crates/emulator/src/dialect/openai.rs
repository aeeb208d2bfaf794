//! OpenAI Chat Completions, after the API reference: the chat object, the
//! chunk object, error codes, rate limits. `POST /v1/chat/completions`,
//! `GET /v1/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{Asked, Dialect, Frames, Problem, Route, Speech, bearer, is_empty_array, set};
use crate::{Fault, Finish};

pub(super) struct ChatCompletions;

impl Dialect for ChatCompletions {
    fn route<'a>(&self, path: &'a str, _query: &str) -> Route<'a> {
        match path {
            "/v1/chat/completions" => Route::Generate { model: None, streamed: None, array: false },
            "/v1/models" => Route::Models,
            _ => Route::Nowhere,
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        bearer(&head.headers).is_some()
    }

    fn lacks(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        if asked.model.is_empty() {
            return Some(Problem::invalid("model", "you must provide a model parameter"));
        }
        if !asked.body.get("messages").is_some_and(Value::is_array) {
            return Some(Problem::invalid("messages", "Missing required parameter: 'messages'."));
        }
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
                       empty array instead.";
        is_empty_array(&asked.body, "messages").then(|| Problem::invalid("messages", message))
    }

    fn refuse(&self, problem: &Problem, head: &Parts, nth: usize) -> (u16, Value) {
        let (status, message, param) = match problem {
            Problem::NoKey => {
                let message = "You didn't provide an API key. You need to provide your API key in an \
                               Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
                (401, message.to_owned(), "")
            }
            Problem::NoSuchPath => (404, format!("Invalid URL ({} {})", head.method, head.uri.path()), ""),
            Problem::WrongMethod => {
                (405, format!("Not allowed to {} on {}.", head.method, head.uri.path()), "")
            }
            Problem::TooLarge => (413, "Request exceeds the maximum size".to_owned(), ""),
            Problem::NotJson => (400, "We could not parse the JSON body of your request.".to_owned(), ""),
            Problem::UnknownModel(model) => return self.fault(Fault::ModelNotFound, model, nth),
            Problem::Invalid { message, field } => (400, message.clone(), *field),
        };
        let mut body = error(&message, INVALID, None);
        if let (false, Some(error)) = (param.is_empty(), body.get_mut("error")) {
            set(error, "param", param);
        }
        (status, body)
    }

    fn fault(&self, fault: Fault, model: &str, _nth: usize) -> (u16, Value) {
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
        (status, error(&fault_message(fault, model), kind, Some(code)))
    }

    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-request-id", format!("req_emulated{nth:06}")),
            ("openai-processing-ms", "42".to_owned()),
            ("openai-version", "2020-10-01".to_owned()),
            ("x-ratelimit-limit-requests", "10000".to_owned()),
            ("x-ratelimit-remaining-requests", "9999".to_owned()),
            ("x-ratelimit-reset-requests", "6ms".to_owned()),
            ("x-ratelimit-limit-tokens", "2000000".to_owned()),
            ("x-ratelimit-remaining-tokens", "1999000".to_owned()),
            ("x-ratelimit-reset-tokens", "30ms".to_owned()),
        ];
        if let Some(Fault::RateLimited { retry_after_seconds: Some(seconds) }) = fault {
            headers.push(("retry-after", seconds.to_string()));
        }
        headers
    }

    fn models(&self, names: &[String]) -> Value {
        let model =
            |id: &String| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "emulator"});
        json!({"object": "list", "data": names.iter().map(model).collect::<Vec<_>>()})
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        let message = match speech.tool {
            Some((name, arguments)) => json!({
                "role": "assistant",
                "content": null,
                "refusal": null,
                "annotations": [],
                "tool_calls": [{
                    "id": call_id(speech),
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }],
            }),
            None => {
                json!({"role": "assistant", "content": speech.text(), "refusal": null, "annotations": []})
            }
        };
        json!({
            "id": format!("chatcmpl-emulated{:06}", speech.nth),
            "object": "chat.completion",
            "created": CREATED,
            "model": speech.asked.model,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": finish_reason(speech),
            }],
            "usage": usage(speech),
            "service_tier": "default",
            "system_fingerprint": "fp_emulated",
        })
    }

    fn frames(&self, speech: &Speech<'_>) -> Frames {
        let option = |name: &str| speech.asked.body.pointer(name).and_then(Value::as_bool);
        let with_usage = option("/stream_options/include_usage") == Some(true);
        let obfuscated = option("/stream_options/include_obfuscation") != Some(false);
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": format!("chatcmpl-emulated{:06}", speech.nth),
                "object": "chat.completion.chunk",
                "created": CREATED,
                "model": speech.asked.model,
                "service_tier": "default",
                "system_fingerprint": "fp_emulated",
                "choices": choices,
            });
            if with_usage {
                set(&mut chunk, "usage", usage);
            }
            if obfuscated {
                let length = choices.to_string().len() % 13;
                let padding: String = "aB3xYzK9mQwEr".chars().take(length).collect();
                set(&mut chunk, "obfuscation", padding);
            }
            self.data(&chunk.to_string())
        };
        let delta = |delta: Value, finish: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
            chunk(json!([choice]), Value::Null)
        };
        let (opening, deltas): (Value, Vec<Value>) = match speech.tool {
            Some((name, arguments)) => {
                let function = json!({"name": name, "arguments": ""});
                let call =
                    json!({"index": 0, "id": call_id(speech), "type": "function", "function": function});
                let opening =
                    json!({"role": "assistant", "content": null, "tool_calls": [call], "refusal": null});
                let (first, second) = arguments.split_at(arguments.floor_char_boundary(arguments.len() / 2));
                let fragment =
                    |json: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": json}}]});
                (opening, [first, second].map(fragment).into())
            }
            None => {
                let opening = json!({"role": "assistant", "content": "", "refusal": null});
                (opening, speech.tokens.iter().map(|text| json!({"content": text})).collect())
            }
        };
        let mut closing = vec![delta(json!({}), Some(finish_reason(speech)))];
        if with_usage {
            closing.push(chunk(json!([]), usage(speech)));
        }
        Frames {
            opening: vec![delta(opening, None)],
            tokens: deltas.into_iter().map(|token| delta(token, None)).collect(),
            closing,
            terminal: vec![self.data("[DONE]")],
            ..Frames::default()
        }
    }

    fn data(&self, json: &str) -> String {
        format!("data: {json}\n\n")
    }
}

/// A fixed time of creation keeps answers repeatable.
const CREATED: u64 = 1_790_000_000;

const INVALID: &str = "invalid_request_error";

fn error(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn fault_message(fault: Fault, model: &str) -> String {
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

fn usage(speech: &Speech<'_>) -> Value {
    json!({
        "prompt_tokens": speech.input_tokens,
        "completion_tokens": speech.output_tokens,
        "total_tokens": speech.input_tokens + speech.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": speech.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn finish_reason(speech: &Speech<'_>) -> &'static str {
    match (speech.tool, speech.finish) {
        (_, Finish::Length) => "length",
        (_, Finish::ContentFilter) => "content_filter",
        (Some(_), Finish::Stop) => "tool_calls",
        (None, Finish::Stop) => "stop",
    }
}

fn call_id(speech: &Speech<'_>) -> String {
    format!("call_emulated{:06}", speech.nth)
}
