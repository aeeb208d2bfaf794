//! The APIs. Each has a file or a directory with one [`Dialect`]: what its
//! requests look like, its headers, its answers whole and in frames, its
//! lists, its errors. What is alike in all of them is here and in the files
//! beside: a call that came in, the answer of a step, the texts of a request.

mod answer;
mod anthropic;
mod arrived;
mod gemini;
mod input;
mod models;
mod openai;
mod query;

use std::borrow::Cow;

use http::{HeaderMap, StatusCode, request::Parts};
use serde_json::Value;

use crate::{Fault, Provider, body::Piece};

pub(crate) use answer::write;
use answer::{Frames, Speech};
pub(crate) use arrived::Arrived;
use arrived::Asked;
use models::Model;
use query::Query;

/// One API's reading of the wire.
trait Dialect: Sync {
    /// What a path and its query ask for.
    fn route<'a>(&self, path: &'a str, query: Query<'_>) -> Route<'a>;

    /// Whether there is a key. Any key will do.
    fn has_key(&self, head: &Parts) -> bool;

    /// What a request for an answer lacks. `asked.body` is an object.
    fn lacks(&self, asked: &Asked, head: &Parts) -> Option<Problem>;

    /// What a request to count tokens lacks. `asked.body` is an object.
    fn lacks_to_count(&self, _asked: &Asked, _head: &Parts) -> Option<Problem> {
        None
    }

    /// Status and body for what the provider refuses.
    fn refuse(&self, problem: &Problem, head: &Parts, nth: usize) -> (u16, Value);

    /// Status and body of a scripted error.
    fn fault(&self, fault: Fault, model: &str, nth: usize) -> (u16, Value);

    /// Headers of every answer. `fault` is the error it reports, if any.
    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)>;

    /// The part of the list of these models that the query asks for.
    fn models(&self, models: &[Model<'_>], query: Query<'_>) -> Result<Value, Problem>;

    /// So many tokens were counted. Not asked where no route leads to it.
    fn count(&self, _tokens: u64) -> Value {
        Value::Null
    }

    /// The answer as one body.
    fn whole(&self, speech: &Speech<'_>) -> Value;

    /// One body, under status 200, that says no more than this error.
    fn failed(&self, _speech: &Speech<'_>, error: Value) -> Value {
        error
    }

    /// The answer as a stream.
    fn frames(&self, speech: &Speech<'_>) -> Frames;

    /// Data that stands for a token in the stream, in the dialect's framing.
    fn data(&self, json: &str) -> String;

    /// An error inside the stream, after so many frames.
    fn error_frames(&self, _speech: &Speech<'_>, error: &Value, _sent: usize) -> Vec<String> {
        vec![self.data(&error.to_string())]
    }

    /// Errors as they are written: Google indents them.
    fn error_body(&self, error: &Value) -> String {
        error.to_string()
    }
}

/// The API that a call belongs to: of a provider that has several the path
/// says which.
fn of(provider: Provider, head: &Parts) -> &'static dyn Dialect {
    let path = head.uri.path();
    match provider {
        Provider::Gemini => &gemini::GenerateContent,
        // Two providers list their models at one path. Clients of Anthropic's
        // say that they are.
        Provider::Anthropic | Provider::OpenAi if path == "/v1/models" => {
            let said = |name| header(&head.headers, name).is_some();
            match said("x-api-key") || said("anthropic-version") {
                true => &anthropic::Messages,
                false => &openai::ChatCompletions,
            }
        }
        Provider::Anthropic => &anthropic::Messages,
        Provider::OpenAi => openai::at(path),
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    /// An answer. What the path leaves open is in the body.
    Generate {
        model: Option<&'a str>,
        streamed: Option<bool>,
        /// Gemini without `alt=sse`: one JSON array instead of events.
        array: bool,
    },
    /// How many tokens a request would have.
    Count {
        model: Option<&'a str>,
    },
    Models,
    Nowhere,
}

/// Why a call is answered with an error whatever the script says.
#[derive(Debug)]
enum Problem {
    NoKey,
    NoSuchPath,
    WrongMethod,
    TooLarge,
    NotJson,
    UnknownModel(String),
    /// A field is missing, of the wrong kind, or not known.
    Invalid {
        message: String,
        field: Cow<'static, str>,
        /// OpenAI's name for the mistake, where it gives one.
        code: Option<&'static str>,
    },
}

impl Problem {
    fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), field: field.into(), code: None }
    }

    fn coded(code: &'static str, field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), field: field.into(), code: Some(code) }
    }
}

/// A response, but for its scripted headers.
pub(crate) struct Written {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.trim().is_empty())
}

/// The key of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ").filter(|key| !key.trim().is_empty())
}

fn word<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body.get(field)?.as_str()
}

/// Adds a field to an object.
fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}

fn is_empty_array(body: &Value, field: &str) -> bool {
    body.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// Two halves of the JSON text of a tool's arguments, as two tokens.
fn halves(arguments: &str) -> [&str; 2] {
    arguments.split_at(arguments.floor_char_boundary(arguments.len() / 2)).into()
}
