//! Responses, after the API reference: the response object, the streaming
//! events, counting input tokens. `POST /v1/responses`,
//! `POST /v1/responses/input_tokens`.

mod checks;
mod events;
mod input;
mod items;

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    super::{Asked, Dialect, Frames, Model, Problem, Query, Route, Speech},
    ChatCompletions, errors, has_key, headers, path,
};
use crate::Fault;

pub(super) struct Responses;

impl Dialect for Responses {
    fn route<'a>(&self, at: &'a str, _query: Query<'_>) -> Route<'a> {
        match path(at) {
            "/v1/responses" => Route::Generate { model: None, streamed: None, array: false },
            "/v1/responses/input_tokens" => Route::Count { model: None },
            _ => Route::Nowhere,
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        has_key(head)
    }

    fn lacks(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        checks::to_answer(asked).err()
    }

    fn lacks_to_count(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        checks::to_count(asked).err()
    }

    fn refuse(&self, problem: &Problem, head: &Parts, nth: usize) -> (u16, Value) {
        match problem {
            Problem::UnknownModel(model) => self.fault(Fault::ModelNotFound, model, nth),
            problem => errors::refused(problem, head),
        }
    }

    /// As in Chat Completions, but for a model that is not found (400) and
    /// input that is too long.
    fn fault(&self, fault: Fault, model: &str, _nth: usize) -> (u16, Value) {
        match fault {
            Fault::ModelNotFound => {
                let message = format!("The requested model '{model}' does not exist.");
                (400, errors::about("model", &message, Some("model_not_found")))
            }
            Fault::ContextLength => {
                let message = "Your input exceeds the context window of this model. Please adjust your input \
                               and try again.";
                (400, errors::about("input", message, Some("context_length_exceeded")))
            }
            fault => errors::fault(fault, model),
        }
    }

    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
        headers(fault, nth)
    }

    fn models(&self, models: &[Model<'_>], query: Query<'_>) -> Result<Value, Problem> {
        ChatCompletions.models(models, query)
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"object": "response.input_tokens", "input_tokens": tokens})
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        items::ended(speech)
    }

    /// A response that fails on its way is a response all the same.
    fn failed(&self, speech: &Speech<'_>, error: Value) -> Value {
        items::failed(speech, &error)
    }

    fn frames(&self, speech: &Speech<'_>) -> Frames {
        events::frames(speech)
    }

    fn data(&self, json: &str) -> String {
        format!("event: response.output_text.delta\ndata: {json}\n\n")
    }

    /// Says it twice: in an event of its own, and in how the response ended.
    fn error_frames(&self, speech: &Speech<'_>, error: &Value, sent: usize) -> Vec<String> {
        events::error(speech, error, sent)
    }
}
