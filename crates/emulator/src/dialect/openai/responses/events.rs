//! The events of a stream. Each has a type, which its `event` line repeats,
//! and a number, counted from zero. Each is a frame of its own.

use serde_json::{Value, json};

use super::{
    super::{
        super::{Frames, Speech, halves, set},
        padding,
    },
    items::{begun, ended, failed, incomplete, part, reasoning, reasoning_id, said, said_id, summary},
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
    if !speech.is_blocked() {
        say(speech, &mut events, &mut frames);
    }
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

/// The events of the message or of the calls.
fn say(speech: &Speech<'_>, events: &mut Events, frames: &mut Frames) {
    let first = usize::from(speech.thinking.is_some());
    let items = speech.calls.len().max(1);
    for nth in 0..items {
        let (opening, tokens, closing) = item(speech, events, nth, first + nth);
        let opens = match (nth, first) {
            (0, 0) => &mut frames.opening,
            (0, _) => &mut frames.thinking,
            _ => &mut frames.tokens,
        };
        opens.extend(opening);
        frames.tokens.extend(tokens);
        let closes = if nth + 1 == items { &mut frames.closing } else { &mut frames.tokens };
        closes.extend(closing);
    }
}

/// How an item begins, what it says, and how it ends.
fn item(
    speech: &Speech<'_>,
    events: &mut Events,
    nth: usize,
    index: usize,
) -> (Vec<String>, Vec<String>, Vec<String>) {
    let call = speech.calls.get(nth);
    let item = |done| json!({"output_index": index, "item": said(speech, nth, done)});
    let mut place = json!({"item_id": said_id(speech, nth), "output_index": index});
    if call.is_none() {
        set(&mut place, "content_index", 0);
    }
    let with = |name: &str, value: Value| {
        let mut fields = place.clone();
        set(&mut fields, name, value);
        fields
    };
    // What its deltas are called, and the field that is whole in the end.
    let (kind, field) = match (call, &speech.refusal) {
        (Some(_), _) => ("response.function_call_arguments", "arguments"),
        (None, Some(_)) => ("response.refusal", "refusal"),
        (None, None) => ("response.output_text", "text"),
    };
    let mut deltas = place.clone();
    let whole = match call {
        Some((_, arguments)) => (*arguments).to_owned(),
        None => speech.text(),
    };
    let mut done = with(field, json!(whole));
    if field == "text" {
        set(&mut deltas, "logprobs", json!([]));
        set(&mut done, "logprobs", json!([]));
    }

    let mut opening = vec![events.write("response.output_item.added", item(false))];
    if call.is_none() {
        opening.push(events.write("response.content_part.added", with("part", part(speech, false))));
    }
    let mut delta = |token: &str| events.delta(&format!("{kind}.delta"), deltas.clone(), token);
    let tokens = match call {
        Some((_, arguments)) => halves(arguments).map(delta).into(),
        None => speech.tokens.iter().map(|token| delta(token)).collect(),
    };
    let mut closing = vec![events.write(&format!("{kind}.done"), done)];
    if call.is_none() {
        closing.push(events.write("response.content_part.done", with("part", part(speech, true))));
    }
    closing.push(events.write("response.output_item.done", item(true)));
    (opening, tokens, closing)
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
