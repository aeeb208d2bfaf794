//! Chat Completions, after the API reference: the chat object, the chunk
//! object. `POST /v1/chat/completions`, `GET /v1/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    super::{Asked, Dialect, Frames, Model, Problem, Query, Route, Speech, halves, is_empty_array, set},
    CREATED, call_id,
    errors::{self, refused},
    has_key, headers, padding, path,
};
use crate::{Fault, Finish};

pub(in crate::dialect) struct ChatCompletions;

impl Dialect for ChatCompletions {
    fn route<'a>(&self, at: &'a str, _query: Query<'_>) -> Route<'a> {
        match path(at) {
            "/v1/chat/completions" => Route::Generate { model: None, streamed: None, array: false },
            "/v1/models" => Route::Models,
            _ => Route::Nowhere,
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        has_key(head)
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
        match problem {
            Problem::UnknownModel(model) => self.fault(Fault::ModelNotFound, model, nth),
            problem => refused(problem, head),
        }
    }

    fn fault(&self, fault: Fault, model: &str, _nth: usize) -> (u16, Value) {
        errors::fault(fault, model)
    }

    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
        headers(fault, nth)
    }

    /// OpenAI names no limits and has no pages.
    fn models(&self, models: &[Model<'_>], _query: Query<'_>) -> Result<Value, Problem> {
        let listed = |model: &Model<'_>| json!({"id": model.name, "object": "model", "created": CREATED, "owned_by": "emulator"});
        Ok(json!({"object": "list", "data": models.iter().map(listed).collect::<Vec<_>>()}))
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        let call = |(nth, (name, arguments)): (usize, &(&str, &str))| {
            json!({
                "id": call_id(speech, nth),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            })
        };
        let calls: Vec<Value> = speech.calls.iter().enumerate().map(call).collect();
        let message = match calls.is_empty() {
            false => json!({
                "role": "assistant",
                "content": null,
                "refusal": null,
                "annotations": [],
                "tool_calls": calls,
            }),
            true => {
                let content = speech.refusal.is_none().then(|| speech.text());
                let refusal = speech.refusal.as_deref();
                json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []})
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
                set(&mut chunk, "obfuscation", padding(choices.to_string().len()));
            }
            self.data(&chunk.to_string())
        };
        let delta = |delta: Value, finish: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
            chunk(json!([choice]), Value::Null)
        };
        let begun = |nth: usize, name: &str| {
            let function = json!({"name": name, "arguments": ""});
            json!({"index": nth, "id": call_id(speech, nth), "type": "function", "function": function})
        };
        let (opening, deltas): (Value, Vec<Value>) = match speech.calls.first() {
            Some((name, _)) => {
                let first = begun(0, name);
                let opening =
                    json!({"role": "assistant", "content": null, "tool_calls": [first], "refusal": null});
                let mut deltas = Vec::new();
                for (nth, (name, arguments)) in speech.calls.iter().enumerate() {
                    if nth > 0 {
                        deltas.push(json!({"tool_calls": [begun(nth, name)]}));
                    }
                    let fragment =
                        |json: &str| json!({"tool_calls": [{"index": nth, "function": {"arguments": json}}]});
                    deltas.extend(halves(arguments).map(fragment));
                }
                (opening, deltas)
            }
            None if speech.refusal.is_some() => {
                let opening = json!({"role": "assistant", "content": null, "refusal": ""});
                (opening, speech.tokens.iter().map(|text| json!({"refusal": text})).collect())
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
    match (speech.calls.first(), speech.finish) {
        (_, Finish::Length) => "length",
        (_, Finish::ContentFilter) => "content_filter",
        (Some(_), Finish::Stop) => "tool_calls",
        (None, Finish::Stop) => "stop",
    }
}
