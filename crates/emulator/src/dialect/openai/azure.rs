//! Chat Completions as Azure offers it: the path names a deployment, which
//! stands for the model, and the query an API version.
//! `POST /openai/deployments/{deployment}/chat/completions?api-version=...`
//!
//! It differs in its resets (bare seconds), in some errors (a code and no
//! type), and in what it adds about filtering the prompt: a first chunk with
//! no choices and no id.

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    super::{Asked, Dialect, Frames, Model, Problem, Query, Route, Speech, set},
    ChatCompletions, has_key,
};
use crate::Fault;

/// What the path of every deployment begins with.
pub(super) const DEPLOYMENTS: &str = "/openai/deployments/";

pub(super) struct Deployment;

impl Dialect for Deployment {
    fn route<'a>(&self, path: &'a str, query: Query<'_>) -> Route<'a> {
        let rest = path.strip_prefix(DEPLOYMENTS).filter(|_| query.get("api-version").is_some());
        let Some((model, "chat/completions")) = rest.and_then(|rest| rest.split_once('/')) else {
            return Route::Nowhere;
        };
        Route::Generate { model: Some(model), streamed: None, array: false }
    }

    fn has_key(&self, head: &Parts) -> bool {
        has_key(head)
    }

    fn lacks(&self, asked: &Asked, head: &Parts) -> Option<Problem> {
        ChatCompletions.lacks(asked, head)
    }

    fn refuse(&self, problem: &Problem, head: &Parts, nth: usize) -> (u16, Value) {
        match problem {
            Problem::NoKey => self.fault(Fault::Authentication, "", nth),
            Problem::NoSuchPath | Problem::WrongMethod => (404, error("404", "Resource not found")),
            Problem::UnknownModel(model) => self.fault(Fault::ModelNotFound, model, nth),
            problem => ChatCompletions.refuse(problem, head, nth),
        }
    }

    fn fault(&self, fault: Fault, model: &str, nth: usize) -> (u16, Value) {
        match fault {
            Fault::Authentication => {
                let message = "Access denied due to invalid subscription key or wrong API endpoint. Make \
                               sure to provide a valid key for an active subscription and use a correct \
                               regional API endpoint for your resource.";
                (401, error("401", message))
            }
            Fault::ModelNotFound => {
                let message = "The API deployment for this resource does not exist. If you created the \
                               deployment within the last 5 minutes, please wait a moment and try again.";
                (404, error("DeploymentNotFound", message))
            }
            Fault::RateLimited { retry_after_seconds } => {
                let wait =
                    retry_after_seconds.map(|seconds| format!(" Please retry after {seconds} seconds."));
                let message = "Requests have exceeded the call rate limit of your pricing tier.";
                (429, error("429", &format!("{message}{}", wait.unwrap_or_default())))
            }
            fault => ChatCompletions.fault(fault, model, nth),
        }
    }

    fn headers(&self, fault: Option<Fault>, nth: usize) -> Vec<(&'static str, String)> {
        let mut headers = ChatCompletions.headers(fault, nth);
        for (name, value) in &mut headers {
            if name.starts_with("x-ratelimit-reset-") {
                // Seconds, rounded down.
                *value =
                    value.strip_suffix('s').filter(|value| !value.ends_with('m')).unwrap_or("0").to_owned();
            }
        }
        headers.extend([
            ("apim-request-id", format!("emulated-{nth:06}")),
            ("x-ms-region", "Emulated".to_owned()),
            ("x-ratelimit-renewalperiod-requests", "60".to_owned()),
            ("x-ratelimit-renewalperiod-tokens", "60".to_owned()),
        ]);
        headers
    }

    fn models(&self, models: &[Model<'_>], query: Query<'_>) -> Result<Value, Problem> {
        ChatCompletions.models(models, query)
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        let mut completion = ChatCompletions.whole(speech);
        set(&mut completion, "prompt_filter_results", filtered());
        completion
    }

    fn frames(&self, speech: &Speech<'_>) -> Frames {
        let mut frames = ChatCompletions.frames(speech);
        let first = json!({
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": filtered(),
        });
        frames.opening.insert(0, self.data(&first.to_string()));
        frames
    }

    fn data(&self, json: &str) -> String {
        ChatCompletions.data(json)
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

/// Nothing about the prompt was filtered.
fn filtered() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    let results = json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe});
    json!([{"prompt_index": 0, "content_filter_results": results}])
}
