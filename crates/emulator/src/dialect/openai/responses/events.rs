//! The events of a stream. Each has a type, which its `event` line repeats,
//! and a number, counted from zero. Each is a frame of its own.

use serde_json::{Value, json};

use super::{
    super::{
        super::{Frames, Speech, halves, set},
        padding,
    },
    items::{Said, begun, ended, failed, incomplete, part, reasoning, reasoning_id, said, summary},
};

/// Writes events and numbers them.
struct Events {
    next: usize,
    /// Whether deltas are padded.
    obfuscated: bool,
}

impl Events {
    fn write(&mut self, kind: &str, mut fields: Value) -> String {
        set(&mut fields, "type", kind);
        set(&mut fields, "sequence_number", self.next);
        self.next += 1;
        format!("event: {kind}\ndata: {fields}\n\n")
    }

    fn delta(&mut self, kind: &str, mut fields: Value, delta: &str) -> String {
        set(&mut fields, "delta", delta);
        if self.obfuscated {
            set(&mut fields, "obfuscation", padding(delta.chars().count()));
        }
        self.write(kind, fields)
    }
}

pub(super) fn frames(speech: &Speech<'_>) -> Frames {
    let obfuscation = speech.asked.body.pointer("/stream_options/include_obfuscation");
    let mut events = Events { next: 0, obfuscated: obfuscation != Some(&Value::Bool(false)) };
    let mut frames = Frames::default();
    for kind in ["response.created", "response.in_progress"] {
        frames.opening.push(events.write(kind, json!({"response": begun(speech)})));
    }
    if speech.thinking.is_some() {
        // The first item opens with the stream, a later one when it comes.
        let item = reasoning(speech, false);
        let added = json!({"output_index": 0, "item": item});
        frames.opening.push(events.write("response.output_item.added", added));
        frames.thinking = think(speech, &mut events);
    }
    say(speech, &mut events, &mut frames);
    let last = if incomplete(speech).is_some() { "response.incomplete" } else { "response.completed" };
    frames.terminal.push(events.write(last, json!({"response": ended(speech)})));
    frames
}

/// The events of the reasoning item, but for its beginning.
fn think(speech: &Speech<'_>, events: &mut Events) -> Vec<String> {
    let mut written = Vec::new();
    for (nth, text) in summary(speech).enumerate() {
        let fields = json!({"item_id": reasoning_id(speech), "output_index": 0, "summary_index": nth});
        let with = |name: &str, value: Value| {
            let mut fields = fields.clone();
            set(&mut fields, name, value);
            fields
        };
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        written.push(events.write("response.reasoning_summary_part.added", with("part", part(""))));
        for word in text.split_inclusive(' ') {
            written.push(events.delta("response.reasoning_summary_text.delta", fields.clone(), word));
        }
        written.push(events.write("response.reasoning_summary_text.done", with("text", json!(text))));
        written.push(events.write("response.reasoning_summary_part.done", with("part", part(text))));
    }
    let item = reasoning(speech, true);
    written.push(events.write("response.output_item.done", json!({"output_index": 0, "item": item})));
    written
}

/// The events of the items that are said.
fn say(speech: &Speech<'_>, events: &mut Events, frames: &mut Frames) {
    let first = usize::from(speech.thinking.is_some());
    for (place, said) in said(speech).into_iter().enumerate() {
        let index = first + place;
        let begins = begin(speech, events, said, index);
        match (place, index) {
            // The first item opens with the stream, a later one when it comes.
            (0, 0) => frames.opening.extend(begins),
            (0, _) => frames.thinking.extend(begins),
            // What ends the item before comes before what begins this one.
            _ => frames.closing.extend(begins),
        }
        for token in tokens(speech, events, said, index) {
            let mut before = if place == 0 { Vec::new() } else { std::mem::take(&mut frames.closing) };
            before.push(token);
            frames.tokens.push(before);
        }
        frames.closing.extend(end(speech, events, said, index));
    }
}

/// Where an item's events happen.
fn place(speech: &Speech<'_>, said: Said<'_>, index: usize) -> Value {
    let mut place = json!({"item_id": said.id(speech), "output_index": index});
    if said.call.is_none() {
        set(&mut place, "content_index", 0);
    }
    place
}

/// What an item's deltas are called, and the field that is whole in the end.
fn names(speech: &Speech<'_>, said: Said<'_>) -> (&'static str, &'static str) {
    match (said.call, &speech.refusal) {
        (Some(_), _) => ("response.function_call_arguments", "arguments"),
        (None, Some(_)) => ("response.refusal", "refusal"),
        (None, None) => ("response.output_text", "text"),
    }
}

fn begin(speech: &Speech<'_>, events: &mut Events, said: Said<'_>, index: usize) -> Vec<String> {
    let item = json!({"output_index": index, "item": said.item(speech, false)});
    let mut written = vec![events.write("response.output_item.added", item)];
    if said.call.is_none() {
        let mut fields = place(speech, said, index);
        set(&mut fields, "part", part(speech, false));
        written.push(events.write("response.content_part.added", fields));
    }
    written
}

fn tokens(speech: &Speech<'_>, events: &mut Events, said: Said<'_>, index: usize) -> Vec<String> {
    let (kind, field) = names(speech, said);
    let mut fields = place(speech, said, index);
    if field == "text" {
        set(&mut fields, "logprobs", json!([]));
    }
    let mut delta = |token: &str| events.delta(&format!("{kind}.delta"), fields.clone(), token);
    match said.call {
        Some((_, call)) => halves(&call.arguments).map(delta).into(),
        None => speech.tokens.iter().map(|token| delta(token)).collect(),
    }
}

fn end(speech: &Speech<'_>, events: &mut Events, said: Said<'_>, index: usize) -> Vec<String> {
    let (kind, field) = names(speech, said);
    let mut done = place(speech, said, index);
    let whole = said.call.map_or_else(|| speech.text(), |(_, call)| call.arguments.clone());
    set(&mut done, field, whole);
    if field == "text" {
        set(&mut done, "logprobs", json!([]));
    }
    let mut written = vec![events.write(&format!("{kind}.done"), done)];
    if said.call.is_none() {
        let mut fields = place(speech, said, index);
        set(&mut fields, "part", part(speech, true));
        written.push(events.write("response.content_part.done", fields));
    }
    let item = json!({"output_index": index, "item": said.item(speech, true)});
    written.push(events.write("response.output_item.done", item));
    written
}

/// The events of an error that comes after so many others.
pub(super) fn error(speech: &Speech<'_>, error: &Value, sent: usize) -> Vec<String> {
    let mut events = Events { next: sent, obfuscated: false };
    let inner = error.get("error").cloned().unwrap_or_default();
    vec![
        events.write("error", json!({ "error": inner })),
        events.write("response.failed", json!({"response": failed(speech, error)})),
    ]
}
