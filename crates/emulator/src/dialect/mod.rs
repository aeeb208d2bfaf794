//! The three APIs. Each has a file of the same shape, one [`Dialect`]: what
//! its requests look like, its headers, its answers whole and in frames, its
//! errors. What is alike in all of them is here and in [`answer`].

mod answer;
mod anthropic;
mod gemini;
mod openai;

use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde_json::Value;

use crate::{Fault, Provider, body::Piece};

pub(crate) use answer::write;
use answer::{Frames, Speech};

/// One provider's reading of the wire.
trait Dialect: Sync {
    /// What a path and its query ask for.
    fn route<'a>(&self, path: &'a str, query: &str) -> Route<'a>;

    /// Whether there is a key. Any key will do.
    fn has_key(&self, head: &Parts) -> bool;

    /// What a request for an answer lacks. `asked.body` is an object.
    fn lacks(&self, asked: &Asked, head: &Parts) -> Option<Problem>;

    /// Status and body for what the provider refuses.
    fn refuse(&self, problem: &Problem, head: &Parts, nth: usize) -> (u16, Value);

    /// Status and body of a scripted error.
    fn fault(&self, fault: Fault, model: &str, nth: usize) -> (u16, Value);

    /// Headers of every answer. `fault` is the error it reports, if any.
    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)>;

    /// The list of these models.
    fn models(&self, names: &[String]) -> Value;

    /// The answer as one body.
    fn whole(&self, speech: &Speech<'_>) -> Value;

    /// The answer as a stream.
    fn frames(&self, speech: &Speech<'_>) -> Frames;

    /// Data that stands for a token in the stream, in the dialect's framing.
    fn data(&self, json: &str) -> String;

    /// An error inside the stream.
    fn error_frame(&self, error: &Value) -> String {
        self.data(&error.to_string())
    }

    /// Errors as they are written: Google indents them.
    fn error_body(&self, error: &Value) -> String {
        error.to_string()
    }
}

fn of(provider: Provider) -> &'static dyn Dialect {
    match provider {
        Provider::Anthropic => &anthropic::Messages,
        Provider::Gemini => &gemini::GenerateContent,
        Provider::OpenAi => &openai::ChatCompletions,
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    /// An answer. What the path leaves open is in the body.
    Generate {
        model: Option<&'a str>,
        streamed: Option<bool>,
        /// Gemini without `alt=sse`: one JSON array instead of events.
        array: bool,
    },
    Models,
    Nowhere,
}

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) streamed: bool,
    pub(crate) body: Value,
    /// See [`Route::Generate`].
    array: bool,
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
    /// A required field is missing or of the wrong kind.
    Invalid {
        message: String,
        field: &'static str,
    },
}

impl Problem {
    fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), field }
    }
}

/// A response, but for its scripted headers.
pub(crate) struct Written {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
}

/// A call that has come in.
pub(crate) struct Arrived<'a> {
    pub(crate) asked: Asked,
    provider: Provider,
    /// Numbers the answers of this emulator.
    nth: usize,
    head: &'a Parts,
    route: Route<'a>,
    too_large: bool,
}

impl<'a> Arrived<'a> {
    /// `body` is `None` if it was too large.
    pub(crate) fn read(provider: Provider, head: &'a Parts, body: Option<&[u8]>, nth: usize) -> Self {
        let route = of(provider).route(head.uri.path(), head.uri.query().unwrap_or_default());
        let json = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
        let said = || word(&json, "model").unwrap_or_default();
        let stream = || json.get("stream") == Some(&Value::Bool(true));
        let (model, streamed, array) = match route {
            Route::Generate { model, streamed, array } => {
                (model.unwrap_or_else(said), streamed.unwrap_or_else(stream), array)
            }
            Route::Models | Route::Nowhere => ("", false, false),
        };
        let asked = Asked { model: model.to_owned(), streamed, array, body: json };
        Self { asked, provider, nth, head, route, too_large: body.is_none() }
    }

    /// The answer to a call that takes no step: a refusal, or the list of
    /// models. `models` are the only ones known, if not all are.
    pub(crate) fn without_script(&self, models: Option<&[String]>) -> Option<Written> {
        let dialect = of(self.provider);
        let (status, body, headers) = match self.problem(models) {
            Some(Problem::UnknownModel(model)) => {
                let (status, body) = dialect.fault(Fault::ModelNotFound, &model, self.nth);
                (status, body, dialect.headers(Some(Fault::ModelNotFound), self.nth))
            }
            Some(problem) => {
                let (status, body) = dialect.refuse(&problem, self.head, self.nth);
                (status, body, dialect.headers(Some(Fault::InvalidRequest), self.nth))
            }
            None if self.route == Route::Models => {
                let any = ["emulated".to_owned()];
                let body = dialect.models(models.unwrap_or(&any));
                (200, body, dialect.headers(None, self.nth))
            }
            None => return None,
        };
        Some(answer::json(status, headers, dialect.error_body(&body)))
    }

    /// What the provider would refuse, in the order of its checks.
    fn problem(&self, models: Option<&[String]>) -> Option<Problem> {
        let dialect = of(self.provider);
        let method = match self.route {
            Route::Generate { .. } => Method::POST,
            Route::Models => Method::GET,
            Route::Nowhere => self.head.method.clone(),
        };
        if !dialect.has_key(self.head) {
            Some(Problem::NoKey)
        } else if self.route == Route::Nowhere {
            Some(Problem::NoSuchPath)
        } else if self.head.method != method {
            Some(Problem::WrongMethod)
        } else if self.route == Route::Models {
            None
        } else if self.too_large {
            Some(Problem::TooLarge)
        } else if !self.asked.body.is_object() {
            Some(Problem::NotJson)
        } else {
            let known = |models: &[String]| models.contains(&self.asked.model);
            dialect.lacks(&self.asked, self.head).or_else(|| {
                (!models.is_none_or(known)).then(|| Problem::UnknownModel(self.asked.model.clone()))
            })
        }
    }
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
