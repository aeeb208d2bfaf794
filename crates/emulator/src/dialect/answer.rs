//! From a step to the pieces of a body, in no dialect and in any.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::{Arrived, Asked, Dialect, Written, input};
use crate::{
    Fault, Finish, Provider, Step,
    body::Piece,
    script::{Answer, How, ToolCall},
};

/// Tokens that a call of a tool takes, whatever its arguments.
const TOOL_CALL: u64 = 12;

/// Words of a question that the default text quotes.
const QUOTED: usize = 32;

/// What is to be said, in no dialect.
pub(super) struct Speech<'a> {
    /// Numbers the answers of this emulator.
    pub(super) nth: usize,
    pub(super) asked: &'a Asked,
    pub(super) thinking: Option<&'a str>,
    pub(super) tokens: Arc<[String]>,
    /// The words of a refusal. Where the model speaks them they are the
    /// tokens; where the provider does there are no tokens.
    pub(super) refusal: Option<String>,
    /// Calls of tools, after the text.
    pub(super) calls: &'a [ToolCall],
    pub(super) finish: Finish,
    pub(super) input_tokens: u64,
    /// Includes `thinking_tokens`.
    pub(super) output_tokens: u64,
    pub(super) thinking_tokens: u64,
}

impl Speech<'_> {
    pub(super) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// An id for a call of this answer, by its place; distinct from those in
    /// other answers.
    pub(super) fn call_id(&self, kind: &str, place: usize) -> String {
        format!("{kind}_emulated{:06}{place:02}", self.nth)
    }

    /// Whether there is text, be it empty, beside or instead of calls.
    pub(super) fn has_text(&self) -> bool {
        !self.tokens.is_empty() || self.calls.is_empty()
    }

    /// Neither text nor a call: the prompt itself was refused.
    pub(super) fn is_blocked(&self) -> bool {
        let silent = self.tokens.is_empty() && self.calls.is_empty() && self.refusal.is_none();
        silent && self.finish == Finish::ContentFilter
    }
}

/// The frames of a streamed answer, in the dialect's own framing.
#[derive(Default)]
pub(super) struct Frames {
    pub(super) opening: Vec<String>,
    /// Between the opening and the first token.
    pub(super) thinking: Vec<String>,
    /// The last of each is the token; before it comes what it makes necessary,
    /// such as the end of one block and the beginning of the next.
    pub(super) tokens: Vec<Vec<String>>,
    /// Says why it stopped.
    pub(super) closing: Vec<String>,
    /// Says that it is over.
    pub(super) terminal: Vec<String>,
}

/// Writes the answer a step asks for.
pub(crate) fn write(arrived: &Arrived<'_>, step: &Step) -> Written {
    let Arrived { asked, provider, nth, .. } = arrived;
    let mut refusal = None;
    let mut calls = step.calls.as_slice();
    let (tokens, finish) = match &step.answer {
        Answer::Raw { status, content_type, body } => return raw(*status, content_type, body),
        Answer::Fault(Fault::ContentFilter) if *provider != Provider::OpenAi => {
            calls = &[];
            (Arc::default(), Finish::ContentFilter)
        }
        Answer::Fault(fault) => return scripted_error(arrived, *fault),
        Answer::Tokens(tokens) => (Arc::clone(tokens), step.finish),
        Answer::Refusal(tokens) => {
            calls = &[];
            refusal = Some(tokens.concat());
            match provider {
                Provider::OpenAi => (Arc::clone(tokens), step.finish),
                Provider::Anthropic | Provider::Gemini => (Arc::default(), Finish::ContentFilter),
            }
        }
        Answer::Default
        | Answer::CloseBeforeHeaders
        | Answer::ResetBeforeHeaders
        | Answer::StallBeforeHeaders => (default_tokens(asked), step.finish),
    };
    let thinking_tokens = step.thinking.as_deref().map_or(0, |text| text.split_whitespace().count() as u64);
    let counted_input = input::tokens(&asked.body);
    let counted_output = tokens.len() as u64 + TOOL_CALL * calls.len() as u64 + thinking_tokens;
    let (input_tokens, output_tokens) = step.usage.unwrap_or((counted_input, counted_output));
    let speech = Speech {
        nth: *nth,
        asked,
        thinking: step.thinking.as_deref(),
        tokens,
        refusal,
        calls,
        finish,
        input_tokens,
        output_tokens,
        thinking_tokens: thinking_tokens.min(output_tokens),
    };
    let dialect = arrived.dialect;
    if asked.streamed { streamed(dialect, &speech, step) } else { whole(dialect, &speech, step) }
}

/// Names the model and quotes the question, so that answers can be told apart.
fn default_tokens(asked: &Asked) -> Arc<[String]> {
    let input = input::texts(&asked.body);
    let question = input.last().map_or("nothing", String::as_str);
    let text = format!("This is {}, emulated. You said: ", asked.model);
    let words = text.split_inclusive(' ').chain(question.split_inclusive(' ').take(QUOTED));
    words.map(str::to_owned).collect()
}

fn raw(status: u16, content_type: &str, body: &str) -> Written {
    Written {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        headers: vec![("content-type", content_type.to_owned())],
        pieces: vec![Piece::text(body)],
    }
}

pub(super) fn json(status: u16, mut headers: Vec<(&'static str, String)>, body: String) -> Written {
    headers.push(("content-type", "application/json".to_owned()));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Written { status, headers, pieces: vec![Piece::text(body)] }
}

fn scripted_error(arrived: &Arrived<'_>, fault: Fault) -> Written {
    let dialect = arrived.dialect;
    let (status, body) = dialect.fault(fault, &arrived.asked.model, arrived.nth);
    // Google puts the error into the array that was asked for.
    let body = if arrived.asked.array { json!([body]) } else { body };
    json(status, dialect.headers(Some(fault), arrived.nth), dialect.error_body(&body))
}

fn whole(dialect: &dyn Dialect, speech: &Speech<'_>, step: &Step) -> Written {
    let mut body = Bytes::from(dialect.whole(speech).to_string());
    let mut pieces = vec![Piece::Wait(step.before_first_token)];
    match step.interruption.as_ref().map(|interruption| &interruption.how) {
        None => pieces.push(Piece::Bytes(body)),
        Some(How::Error(fault)) => {
            let (_, error) = dialect.fault(*fault, &speech.asked.model, speech.nth);
            pieces.push(Piece::text(dialect.error_body(&dialect.failed(speech, error))));
        }
        Some(How::BareError(fault)) => {
            let (_, error) = dialect.fault(*fault, &speech.asked.model, speech.nth);
            pieces.push(Piece::text(dialect.error_body(&error)));
        }
        Some(how) => {
            pieces.push(Piece::Bytes(body.split_to(body.len() / 2)));
            match how {
                How::Close => pieces.extend(Piece::close()),
                How::Reset => pieces.extend(Piece::reset()),
                How::Stall => pieces.push(Piece::Stall),
                How::LongLine(bytes) => pieces.extend(long_line(*bytes)),
                How::End | How::Malformed | How::Error(_) | How::BareError(_) => {}
            }
        }
    }
    let Written { status, headers, .. } = json(200, dialect.headers(None, speech.nth), String::new());
    Written { status, headers, pieces }
}

fn streamed(dialect: &dyn Dialect, speech: &Speech<'_>, step: &Step) -> Written {
    let frames = dialect.frames(speech);
    let mut sent = frames.opening.len() + frames.thinking.len();
    let mut pieces: Vec<Piece> = frames.opening.into_iter().map(Piece::text).collect();
    pieces.push(Piece::Wait(step.before_first_token));
    pieces.extend(frames.thinking.into_iter().map(Piece::text));
    let mut tokens = frames.tokens.into_iter().enumerate().map(|(nth, frames)| {
        let wait = if nth > 0 { step.between_tokens } else { std::time::Duration::ZERO };
        let mut pieces = vec![Piece::Wait(wait)];
        pieces.extend(frames.into_iter().map(Piece::text));
        pieces
    });
    if let Some(interruption) = &step.interruption {
        for token in tokens.by_ref().take(interruption.after) {
            // The wait is none.
            sent += token.len() - 1;
            pieces.extend(token);
        }
        pieces.extend(interrupt(dialect, speech, &interruption.how, sent));
    }
    let goes_on = |how: &How| matches!(how, How::Malformed | How::LongLine(_));
    if step.interruption.as_ref().is_none_or(|interruption| goes_on(&interruption.how)) {
        pieces.extend(tokens.flatten());
        pieces.extend(frames.closing.into_iter().map(Piece::text));
        if step.terminal_frame {
            pieces.extend(frames.terminal.into_iter().map(Piece::text));
        }
    }
    let mut headers = dialect.headers(None, speech.nth);
    let content_type = if speech.asked.array { "application/json" } else { "text/event-stream" };
    headers.push(("content-type", content_type.to_owned()));
    Written { status: StatusCode::OK, headers, pieces }
}

/// What comes after so many frames, if it is `how` the stream is interrupted.
fn interrupt(dialect: &dyn Dialect, speech: &Speech<'_>, how: &How, sent: usize) -> Vec<Piece> {
    let error = |fault| dialect.fault(fault, &speech.asked.model, speech.nth).1;
    match how {
        How::End => Vec::new(),
        How::Close => Piece::close().into(),
        How::Reset => Piece::reset().into(),
        How::Stall => vec![Piece::Stall],
        How::Error(fault) => {
            let frames = dialect.error_frames(speech, &error(*fault), sent);
            frames.into_iter().map(Piece::text).collect()
        }
        How::BareError(fault) => vec![Piece::text(format!("{:#}\n", error(*fault)))],
        How::Malformed => {
            vec![Piece::text(dialect.data("{\"type\": \"content_block_delta\", \"choices\": [{\"del"))]
        }
        How::LongLine(bytes) => {
            // A string, so that the line is well-formed JSON.
            let frame = dialect.data("\"\"");
            let (before, after) = frame.split_at(frame.find("\"\"").map_or(0, |at| at + 1));
            let mut pieces = vec![Piece::text(before)];
            pieces.extend(long_line(*bytes));
            pieces.push(Piece::text(after));
            pieces
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
