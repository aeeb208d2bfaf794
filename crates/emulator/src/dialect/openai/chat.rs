//! Chat Completions, after the API reference: the chat object, the chunk
//! object. `POST /v1/chat/completions`, `GET /v1/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    super::{Asked, Dialect, Frames, Model, Problem, Query, Route, Speech, halves, is_empty_array, set},
    CREATED,
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
        let content = (speech.refusal.is_none() && speech.has_text()).then(|| speech.text());
        let refusal = speech.refusal.as_deref();
        let mut message =
            json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
        if !speech.calls.is_empty() {
            let calls = speech.calls.iter().enumerate();
            let calls: Vec<_> =
                calls.map(|(place, of)| call(speech, place, &of.name, &of.arguments)).collect();
            set(&mut message, "tool_calls", calls);
        }
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
        let field = if speech.refusal.is_some() { "refusal" } else { "content" };
        let mut opening = json!({"role": "assistant", "content": null, "refusal": null});
        if speech.has_text() {
            set(&mut opening, field, "");
        }
        let mut tokens: Vec<Vec<String>> =
            speech.tokens.iter().map(|text| vec![delta(json!({ field: text }), None)]).collect();
        for (place, of) in speech.calls.iter().enumerate() {
            let mut begun = call(speech, place, &of.name, "");
            set(&mut begun, "index", place);
            let mut begins = Vec::new();
            match place == 0 && tokens.is_empty() {
                // The first opens with the stream, a later one when it comes.
                true => set(&mut opening, "tool_calls", json!([begun])),
                false => begins.push(delta(json!({"tool_calls": [begun]}), None)),
            }
            for json in halves(&of.arguments) {
                let fragment = json!({"index": place, "function": {"arguments": json}});
                begins.push(delta(json!({"tool_calls": [fragment]}), None));
                tokens.push(std::mem::take(&mut begins));
            }
        }
        let mut closing = vec![delta(json!({}), Some(finish_reason(speech)))];
        if with_usage {
            closing.push(chunk(json!([]), usage(speech)));
        }
        Frames {
            opening: vec![delta(opening, None)],
            tokens,
            closing,
            terminal: vec![self.data("[DONE]")],
            ..Frames::default()
        }
    }

    fn data(&self, json: &str) -> String {
        format!("data: {json}\n\n")
    }
}

/// A call with these of its arguments.
fn call(speech: &Speech<'_>, place: usize, name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": speech.call_id("call", place), "type": "function", "function": function})
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
    match (speech.calls.is_empty(), speech.finish) {
        (_, Finish::Length) => "length",
        (_, Finish::ContentFilter) => "content_filter",
        (false, Finish::Stop) => "tool_calls",
        (true, Finish::Stop) => "stop",
    }
}
