//! The response object and the items of its output.

use serde_json::{Value, json};

use super::super::{
    super::{Speech, set},
    CREATED,
};
use crate::{Finish, script::ToolCall};

/// The response while it goes on: no output, no usage.
pub(super) fn begun(speech: &Speech<'_>) -> Value {
    let mut response = json!({
        "id": format!("resp_emulated{:06}", speech.nth),
        "object": "response",
        "created_at": CREATED,
        "completed_at": null,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "model": speech.asked.model,
        "output": [],
        "usage": null,
    });
    let settings = settings(&speech.asked.body);
    if let (Some(response), Value::Object(settings)) = (response.as_object_mut(), settings) {
        response.extend(settings);
    }
    response
}

/// The response when all is said.
pub(super) fn ended(speech: &Speech<'_>) -> Value {
    let mut response = begun(speech);
    set(&mut response, "status", status(speech));
    match incomplete(speech) {
        Some(reason) => set(&mut response, "incomplete_details", json!({ "reason": reason })),
        None => set(&mut response, "completed_at", CREATED + 1),
    }
    set(&mut response, "output", output(speech));
    set(&mut response, "usage", usage(speech));
    set(&mut response, "service_tier", "default");
    response
}

/// The response when an error stopped it. `error` is in OpenAI's envelope.
pub(super) fn failed(speech: &Speech<'_>, error: &Value) -> Value {
    let part = |name: &str| error.pointer(&format!("/error/{name}")).cloned().unwrap_or_default();
    let mut response = begun(speech);
    set(&mut response, "status", "failed");
    set(&mut response, "error", json!({"code": part("code"), "message": part("message")}));
    response
}

/// What was asked for, repeated, with the defaults of what was not.
fn settings(body: &Value) -> Value {
    let mut settings = json!({
        "background": false,
        "frequency_penalty": 0.0,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "presence_penalty": 0.0,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "prompt_cache_retention": null,
        "reasoning": {"effort": null, "summary": null},
        "safety_identifier": null,
        "service_tier": "auto",
        "store": true,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": null,
    });
    for (name, setting) in settings.as_object_mut().into_iter().flatten() {
        match (body.get(name), setting) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Object(asked)), Value::Object(setting)) => setting.extend(asked.clone()),
            (Some(asked), setting) => *setting = asked.clone(),
        }
    }
    let tools = settings.get_mut("tools").and_then(Value::as_array_mut);
    for tool in tools.into_iter().flatten() {
        if tool.get("type") == Some(&json!("function")) && tool.get("strict").is_none() {
            set(tool, "strict", true);
        }
    }
    settings
}

fn usage(speech: &Speech<'_>) -> Value {
    json!({
        "input_tokens": speech.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": speech.output_tokens,
        "output_tokens_details": {"reasoning_tokens": speech.thinking_tokens},
        "total_tokens": speech.input_tokens + speech.output_tokens,
    })
}

/// Why the response is not complete, if it is not.
pub(super) fn incomplete(speech: &Speech<'_>) -> Option<&'static str> {
    match speech.finish {
        Finish::Stop => None,
        Finish::Length => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
    }
}

/// How the response ends, and so its last item.
fn status(speech: &Speech<'_>) -> &'static str {
    incomplete(speech).map_or("completed", |_| "incomplete")
}

fn output(speech: &Speech<'_>) -> Vec<Value> {
    let reasoning = speech.thinking.map(|_| reasoning(speech, true));
    let said = said(speech).into_iter().map(|said| said.item(speech, true));
    reasoning.into_iter().chain(said).collect()
}

pub(super) fn reasoning_id(speech: &Speech<'_>) -> String {
    format!("rs_emulated{:06}", speech.nth)
}

/// The paragraphs of what it thought: each is a part of the summary.
pub(super) fn summary<'a>(speech: &Speech<'a>) -> impl Iterator<Item = &'a str> {
    let paragraphs = speech.thinking.into_iter().flat_map(|thinking| thinking.split("\n\n"));
    paragraphs.filter(|paragraph| !paragraph.is_empty())
}

/// The item of what it thought, as it begins or when it is done. What is
/// encrypted differs in the two: only the latter can be sent back.
pub(super) fn reasoning(speech: &Speech<'_>, done: bool) -> Value {
    let part = |text: &str| json!({"type": "summary_text", "text": text});
    let summary: Vec<Value> = summary(speech).filter(|_| done).map(part).collect();
    let mut item = json!({"id": reasoning_id(speech), "type": "reasoning", "summary": summary});
    let include = speech.asked.body.get("include").and_then(Value::as_array);
    if include.is_some_and(|include| include.contains(&json!("reasoning.encrypted_content"))) {
        let encrypted = if done { "gAAAAABlbXVsYXRlZC1hbGw=" } else { "gAAAAABlbXVsYXRlZA==" };
        set(&mut item, "encrypted_content", encrypted);
    }
    item
}

/// An item that is said.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    /// A call and its place among the calls; else the message.
    pub(super) call: Option<(usize, &'a ToolCall)>,
    /// Nothing is said after it.
    is_last: bool,
}

/// The items that are said: the message, and then the calls.
pub(super) fn said<'a>(speech: &Speech<'a>) -> Vec<Said<'a>> {
    let message = (speech.has_text() && !speech.is_blocked()).then_some(None);
    let calls = speech.calls.iter().enumerate().map(Some);
    let mut items: Vec<_> =
        message.into_iter().chain(calls).map(|call| Said { call, is_last: false }).collect();
    if let Some(last) = items.last_mut() {
        last.is_last = true;
    }
    items
}

impl Said<'_> {
    pub(super) fn id(&self, speech: &Speech<'_>) -> String {
        match self.call {
            Some((place, _)) => speech.call_id("fc", place),
            None => format!("msg_emulated{:06}", speech.nth),
        }
    }

    /// The item as it begins or when it is done.
    pub(super) fn item(&self, speech: &Speech<'_>, done: bool) -> Value {
        let status = match (done, self.is_last) {
            (false, _) => "in_progress",
            (true, false) => "completed",
            (true, true) => status(speech),
        };
        match self.call {
            Some((place, call)) => json!({
                "id": self.id(speech),
                "type": "function_call",
                "status": status,
                "call_id": speech.call_id("call", place),
                "name": call.name,
                "arguments": if done { call.arguments.as_str() } else { "" },
            }),
            None => json!({
                "id": self.id(speech),
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": if done { vec![part(speech, true)] } else { Vec::new() },
            }),
        }
    }
}

/// The one part of a message, as it begins or when it is done.
pub(super) fn part(speech: &Speech<'_>, done: bool) -> Value {
    let text = if done { speech.text() } else { String::new() };
    match speech.refusal {
        Some(_) => json!({"type": "refusal", "refusal": text}),
        None => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
    }
}
