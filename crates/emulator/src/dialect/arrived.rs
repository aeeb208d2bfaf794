//! A call that has come in, and the answers that need no script.

use http::{Method, request::Parts};
use serde_json::Value;

use super::{Dialect, Problem, Query, Route, Written, answer, input, models, of, word};
use crate::{Fault, Provider};

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) streamed: bool,
    pub(crate) body: Value,
    /// See [`Route::Generate`].
    pub(super) array: bool,
}

/// A call that has come in.
pub(crate) struct Arrived<'a> {
    pub(crate) asked: Asked,
    pub(super) provider: Provider,
    pub(super) dialect: &'static dyn Dialect,
    /// Numbers the answers of this emulator.
    pub(super) nth: usize,
    head: &'a Parts,
    route: Route<'a>,
    too_large: bool,
}

impl<'a> Arrived<'a> {
    /// `body` is `None` if it was too large.
    pub(crate) fn read(provider: Provider, head: &'a Parts, body: Option<&[u8]>, nth: usize) -> Self {
        let dialect = of(provider, head);
        let route = dialect.route(head.uri.path(), query(head));
        let json = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
        let said = || word(&json, "model").unwrap_or_default();
        let stream = || json.get("stream") == Some(&Value::Bool(true));
        let (model, streamed, array) = match route {
            Route::Generate { model, streamed, array } => {
                (model.unwrap_or_else(said), streamed.unwrap_or_else(stream), array)
            }
            Route::Count { model } => (model.unwrap_or_else(said), false, false),
            Route::Models | Route::Nowhere => ("", false, false),
        };
        let asked = Asked { model: model.to_owned(), streamed, array, body: json };
        Self { asked, provider, dialect, nth, head, route, too_large: body.is_none() }
    }

    /// The answer to a call that takes no step: a refusal, a list of models
    /// or a count of tokens. `known` are the only models there are, if not
    /// all are.
    pub(crate) fn without_script(&self, known: Option<&[String]>) -> Option<Written> {
        let answered = match (self.problem(known), self.route) {
            (Some(problem), _) => Err(problem),
            (None, Route::Models) => {
                self.dialect.models(&models::listed(self.provider, known), query(self.head))
            }
            (None, Route::Count { .. }) => Ok(self.dialect.count(input::tokens(&self.asked.body))),
            (None, Route::Generate { .. } | Route::Nowhere) => return None,
        };
        let (status, body, fault) = match answered {
            Ok(body) => (200, body, None),
            Err(problem) => {
                let (status, body) = self.dialect.refuse(&problem, self.head, self.nth);
                let fault = match problem {
                    Problem::UnknownModel(_) => Fault::ModelNotFound,
                    _ => Fault::InvalidRequest,
                };
                (status, body, Some(fault))
            }
        };
        let headers = self.dialect.headers(fault, self.nth);
        Some(answer::json(status, headers, self.dialect.error_body(&body)))
    }

    /// What the provider would refuse, in the order of its checks.
    fn problem(&self, known: Option<&[String]>) -> Option<Problem> {
        let method = match self.route {
            Route::Generate { .. } | Route::Count { .. } => Method::POST,
            Route::Models => Method::GET,
            Route::Nowhere => self.head.method.clone(),
        };
        if !self.dialect.has_key(self.head) {
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
            let counts = matches!(self.route, Route::Count { .. });
            let lacking = match counts {
                true => self.dialect.lacks_to_count(&self.asked, self.head),
                false => self.dialect.lacks(&self.asked, self.head),
            };
            // Some count for no model in particular.
            let named = !(counts && self.asked.model.is_empty());
            let is_known = |known: &[String]| known.contains(&self.asked.model);
            let unknown = named && !known.is_none_or(is_known);
            lacking.or_else(|| unknown.then(|| Problem::UnknownModel(self.asked.model.clone())))
        }
    }
}

fn query(head: &Parts) -> Query<'_> {
    Query(head.uri.query().unwrap_or_default())
}
