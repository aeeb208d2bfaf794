//! The three APIs. Each has a file of the same shape: what its requests look
//! like, its answers whole and in frames, its errors.

mod anthropic;
mod gemini;
mod openai;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request::Parts};
use serde_json::Value;

use crate::{
    Provider,
    body::Piece,
    script::{Answer, Fault, Finish, How, Step},
};

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) streamed: bool,
    pub(crate) body: Value,
    /// Gemini without `alt=sse`: one JSON array instead of events.
    array: bool,
    operation: Operation,
}

#[derive(Debug, PartialEq, Eq)]
enum Operation {
    Generate,
    Unknown,
}

/// A call that is answered with an error whatever the script says.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The provider's word for it.
    kind: &'static str,
    message: String,
}

impl Refused {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, "request_too_large", "Request exceeds the maximum size")
    }
}

/// A response, but for its scripted headers.
pub(crate) struct Written {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Piece>,
}

/// What is to be said, in no dialect.
struct Speech<'a> {
    /// Numbers the answers of this emulator.
    nth: usize,
    asked: &'a Asked,
    tokens: Vec<String>,
    tool: Option<(&'a str, &'a str)>,
    finish: Finish,
    input_tokens: usize,
}

impl Speech<'_> {
    fn text(&self) -> String {
        self.tokens.concat()
    }

    fn output_tokens(&self) -> usize {
        self.tokens.len() + if self.tool.is_some() { 12 } else { 0 }
    }
}

impl Asked {
    pub(crate) fn read(provider: Provider, head: &Parts, body: Value) -> Self {
        match provider {
            Provider::Anthropic => anthropic::asked(head, body),
            Provider::Gemini => gemini::asked(head, body),
            Provider::OpenAi => openai::asked(head, body),
        }
    }

    /// What the provider itself would refuse.
    pub(crate) fn check(&self, provider: Provider, head: &Parts) -> Result<(), Refused> {
        match provider {
            Provider::Anthropic => anthropic::check(self, head),
            Provider::Gemini => gemini::check(self, head),
            Provider::OpenAi => openai::check(self, head),
        }
    }
}

/// The body of a refusal.
pub(crate) fn refusal(provider: Provider, refused: &Refused, nth: usize) -> Value {
    match provider {
        Provider::Anthropic => anthropic::error(refused.kind, &refused.message, nth),
        Provider::Gemini => gemini::error(refused.status, refused.kind, &refused.message, Value::Null),
        Provider::OpenAi => openai::error(&refused.message, refused.kind, refused.kind),
    }
}

/// Writes the answer a step asks for.
pub(crate) fn write(provider: Provider, asked: &Asked, step: &Step, nth: usize) -> Written {
    let input = input_text(&asked.body);
    let default = || format!("This is {}, emulated. You said: {}", asked.model, last(&input));
    let (text, tool) = match &step.answer {
        Answer::Raw { status, content_type, body } => return raw(*status, content_type, body),
        Answer::Fault(Fault::ContentFilter) if provider != Provider::OpenAi => (String::new(), None),
        Answer::Fault(fault) => return fault_answer(provider, *fault, asked, nth),
        Answer::Text(text) => (text.clone(), None),
        Answer::ToolCall { name, arguments } => (String::new(), Some((name.as_str(), arguments.as_str()))),
        Answer::Default | Answer::CloseBeforeHeaders | Answer::StallBeforeHeaders => (default(), None),
    };
    let filtered = matches!(step.answer, Answer::Fault(Fault::ContentFilter));
    let speech = Speech {
        nth,
        asked,
        tokens: text.split_inclusive(' ').map(str::to_owned).collect(),
        tool,
        finish: if filtered { Finish::ContentFilter } else { step.finish },
        input_tokens: input.iter().map(|text| text.len().div_ceil(4)).sum::<usize>() + 3,
    };
    let headers = standard_headers(provider, nth);
    if asked.streamed {
        streamed(provider, &speech, step, headers)
    } else {
        whole(provider, &speech, step, headers)
    }
}

fn raw(status: u16, content_type: &str, body: &str) -> Written {
    Written {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        pieces: vec![Piece::text(body)],
    }
}

fn fault_answer(provider: Provider, fault: Fault, asked: &Asked, nth: usize) -> Written {
    let (status, body) = fault_body(provider, fault, &asked.model, nth);
    let mut headers = standard_headers(provider, nth);
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    if let Fault::RateLimited { retry_after_seconds: Some(seconds) } = fault
        && provider != Provider::Gemini
    {
        headers.push(("retry-after".to_owned(), seconds.to_string()));
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Written { status, headers, pieces: vec![Piece::text(body.to_string())] }
}

fn fault_body(provider: Provider, fault: Fault, model: &str, nth: usize) -> (u16, Value) {
    match provider {
        Provider::Anthropic => anthropic::fault(fault, model, nth),
        Provider::Gemini => gemini::fault(fault, model),
        Provider::OpenAi => openai::fault(fault, model),
    }
}

fn standard_headers(provider: Provider, nth: usize) -> Vec<(String, String)> {
    let headers = match provider {
        Provider::Anthropic => anthropic::headers(nth),
        Provider::Gemini => gemini::headers(),
        Provider::OpenAi => openai::headers(nth),
    };
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn whole(
    provider: Provider,
    speech: &Speech<'_>,
    step: &Step,
    mut headers: Vec<(String, String)>,
) -> Written {
    let body = match provider {
        Provider::Anthropic => anthropic::whole(speech),
        Provider::Gemini => gemini::whole(speech),
        Provider::OpenAi => openai::whole(speech),
    };
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    let mut body = Bytes::from(body.to_string());
    let mut pieces = vec![Piece::Wait(step.before_first_token)];
    match step.interruption.as_ref().map(|interruption| &interruption.how) {
        None => pieces.push(Piece::Bytes(body)),
        Some(How::Error(fault) | How::BareError(fault)) => {
            let (_, error) = fault_body(provider, *fault, &speech.asked.model, speech.nth);
            pieces.push(Piece::text(error.to_string()));
        }
        Some(how) => {
            pieces.push(Piece::Bytes(body.split_to(body.len() / 2)));
            match how {
                How::Close => pieces.extend([Piece::Flush, Piece::Close]),
                How::Stall => pieces.push(Piece::Stall),
                How::LongLine(bytes) => pieces.extend(long_line(*bytes)),
                _ => {}
            }
        }
    }
    Written { status: StatusCode::OK, headers, pieces }
}

/// The frames of a streamed answer, in the dialect's own framing.
struct Frames {
    opening: Vec<String>,
    tokens: Vec<String>,
    closing: Vec<String>,
}

fn streamed(
    provider: Provider,
    speech: &Speech<'_>,
    step: &Step,
    mut headers: Vec<(String, String)>,
) -> Written {
    let frames = match provider {
        Provider::Anthropic => anthropic::frames(speech),
        Provider::Gemini => gemini::frames(speech),
        Provider::OpenAi => openai::frames(speech),
    };
    let content_type = match speech.asked.array {
        true => "application/json",
        false => "text/event-stream",
    };
    headers.push(("content-type".to_owned(), content_type.to_owned()));
    let mut pieces: Vec<Piece> = frames.opening.into_iter().map(Piece::text).collect();
    pieces.push(Piece::Wait(step.before_first_token));
    let cut = step.interruption.as_ref().map_or(usize::MAX, |interruption| interruption.after);
    for (nth, frame) in frames.tokens.into_iter().enumerate() {
        if nth == cut {
            break;
        }
        if nth > 0 {
            pieces.push(Piece::Wait(step.between_tokens));
        }
        pieces.push(Piece::text(frame));
    }
    match &step.interruption {
        None => pieces.extend(frames.closing.into_iter().map(Piece::text)),
        Some(interruption) => interrupt(provider, speech, &interruption.how, frames.closing, &mut pieces),
    }
    Written { status: StatusCode::OK, headers, pieces }
}

fn interrupt(
    provider: Provider,
    speech: &Speech<'_>,
    how: &How,
    closing: Vec<String>,
    pieces: &mut Vec<Piece>,
) {
    let fault = |fault| fault_body(provider, fault, &speech.asked.model, speech.nth).1;
    match how {
        How::End => {}
        How::Close => pieces.extend([Piece::Flush, Piece::Close]),
        How::Stall => pieces.push(Piece::Stall),
        How::Error(kind) => pieces.push(Piece::text(match provider {
            Provider::Anthropic => anthropic::error_frame(&fault(*kind)),
            Provider::Gemini => gemini::frame(&fault(*kind)),
            Provider::OpenAi => openai::frame(&fault(*kind)),
        })),
        How::BareError(kind) => pieces.push(Piece::text(format!("{:#}\n", fault(*kind)))),
        How::Malformed => {
            pieces.push(Piece::text("data: {\"type\": \"content_block_delta\", \"choices\": [{\"del\n\n"));
            pieces.extend(closing.into_iter().map(Piece::text));
        }
        How::LongLine(bytes) => {
            pieces.push(Piece::text("data: \""));
            pieces.extend(long_line(*bytes));
            pieces.push(Piece::text("\"\n\n"));
            pieces.extend(closing.into_iter().map(Piece::text));
        }
    }
}

/// So many bytes without a line end, out of one shared buffer.
fn long_line(bytes: usize) -> impl Iterator<Item = Piece> {
    static FILL: [u8; 16 << 10] = [b'x'; 16 << 10];
    let mut left = bytes;
    std::iter::from_fn(move || {
        let length = left.min(FILL.len());
        left -= length;
        (length > 0).then(|| Piece::Bytes(Bytes::from_static(&FILL).slice(..length)))
    })
}

/// Every text of a request, in order, wherever its dialect puts it.
fn input_text(body: &Value) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("text" | "content" | "system", Value::String(text)) => found.push(text.clone()),
                        (_, value) => collect(value, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for field in ["system", "systemInstruction", "messages", "contents"] {
        match body.get(field) {
            Some(Value::String(text)) => found.push(text.clone()),
            Some(value) => collect(value, &mut found),
            None => {}
        }
    }
    found
}

fn last(input: &[String]) -> &str {
    input.last().map_or("nothing", String::as_str)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.trim().is_empty())
}

fn word<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body.get(field)?.as_str()
}

/// An event as server-sent events frame it, with LF.
fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
