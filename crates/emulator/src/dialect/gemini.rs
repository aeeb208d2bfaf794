//! Gemini, after the Gemini API reference: generateContent,
//! streamGenerateContent, errors. `POST /v1beta/models/{model}:{operation}`,
//! `GET /v1beta/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{Asked, Dialect, Frames, Problem, Route, Speech, header, set};
use crate::{Fault, Finish};

pub(super) struct GenerateContent;

impl Dialect for GenerateContent {
    fn route<'a>(&self, path: &'a str, query: &str) -> Route<'a> {
        let Some(rest) = path.strip_prefix("/v1beta/models").or_else(|| path.strip_prefix("/v1/models"))
        else {
            return Route::Nowhere;
        };
        if rest.is_empty() {
            return Route::Models;
        }
        let streamed = match rest.rsplit_once(':') {
            Some((_, "generateContent")) => false,
            Some((_, "streamGenerateContent")) => true,
            _ => return Route::Nowhere,
        };
        let model = rest.strip_prefix('/').and_then(|rest| rest.rsplit_once(':')).map(|(model, _)| model);
        let array = streamed && !query.split('&').any(|pair| pair == "alt=sse");
        Route::Generate { model: model.or(Some("")), streamed: Some(streamed), array }
    }

    fn has_key(&self, head: &Parts) -> bool {
        let key = |pair: &str| pair.strip_prefix("key=").is_some_and(|key| !key.is_empty());
        let in_query = head.uri.query().is_some_and(|query| query.split('&').any(key));
        in_query || header(&head.headers, "x-goog-api-key").is_some()
    }

    fn lacks(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        let message = "* GenerateContentRequest.contents: contents is not specified\n";
        let empty = asked.body.get("contents").and_then(Value::as_array).is_none_or(Vec::is_empty);
        empty.then(|| Problem::invalid("contents", message))
    }

    fn refuse(&self, problem: &Problem, _head: &Parts, nth: usize) -> (u16, Value) {
        let (code, status, message) = match problem {
            Problem::NoKey => {
                let message = "Method doesn't allow unregistered callers (callers without established \
                               identity). Please use API Key or other form of API consumer identity to \
                               call this API.";
                (403, "PERMISSION_DENIED", message)
            }
            // A path is only known together with its method.
            Problem::NoSuchPath | Problem::WrongMethod => {
                (404, "NOT_FOUND", "Requested entity was not found.")
            }
            Problem::TooLarge => {
                (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 33554432 bytes.")
            }
            Problem::NotJson => {
                (400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected end of string.")
            }
            Problem::UnknownModel(model) => return self.fault(Fault::ModelNotFound, model, nth),
            Problem::Invalid { message, .. } => (400, "INVALID_ARGUMENT", message.as_str()),
        };
        (code, error(code, status, message, &[]))
    }

    fn fault(&self, fault: Fault, model: &str, _nth: usize) -> (u16, Value) {
        let (code, status, message, details) = match fault {
            Fault::Overloaded => {
                (503, "UNAVAILABLE", "The model is overloaded. Please try again later.".to_owned(), vec![])
            }
            Fault::RateLimited { retry_after_seconds } => {
                let mut details = vec![quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", model)];
                let mut message = EXCEEDED.to_owned();
                if let Some(seconds) = retry_after_seconds {
                    details.push(detail("RetryInfo", json!({"retryDelay": format!("{seconds}s")})));
                    message.push_str(&format!("\nPlease retry in {seconds}s."));
                }
                (429, "RESOURCE_EXHAUSTED", message, details)
            }
            Fault::QuotaExhausted => {
                let details = vec![quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", model)];
                (429, "RESOURCE_EXHAUSTED", EXCEEDED.to_owned(), details)
            }
            Fault::Server => (500, "INTERNAL", "An internal error has occurred.".to_owned(), vec![]),
            Fault::Authentication => {
                let message = "API key not valid. Please pass a valid API key.";
                let info = json!({
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                });
                let localized = json!({"locale": "en-US", "message": message});
                let details = vec![detail("ErrorInfo", info), detail("LocalizedMessage", localized)];
                (400, "INVALID_ARGUMENT", message.to_owned(), details)
            }
            Fault::Permission => {
                (403, "PERMISSION_DENIED", "The caller does not have permission".to_owned(), vec![])
            }
            Fault::ModelNotFound => {
                let message = format!(
                    "models/{model} is not found for API version v1beta, or is not supported for \
                     generateContent. Call ListModels to see the list of available models and their \
                     supported methods."
                );
                (404, "NOT_FOUND", message, vec![])
            }
            Fault::ContextLength => {
                let message =
                    "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).";
                (400, "INVALID_ARGUMENT", message.to_owned(), vec![])
            }
            Fault::InvalidRequest | Fault::ContentFilter => {
                (400, "INVALID_ARGUMENT", "Request contains an invalid argument.".to_owned(), vec![])
            }
        };
        (code, error(code, status, &message, &details))
    }

    /// Google sends neither rate-limit headers nor a request id.
    fn headers(&self, _fault: Option<Fault>, _nth: usize) -> Vec<(&'static str, String)> {
        vec![
            ("server-timing", "gfet4t7; dur=42".to_owned()),
            ("x-gemini-service-tier", "standard".to_owned()),
        ]
    }

    fn models(&self, names: &[String]) -> Value {
        let model = |name: &String| {
            json!({
                "name": format!("models/{name}"),
                "displayName": name,
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            })
        };
        json!({"models": names.iter().map(model).collect::<Vec<_>>()})
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        if speech.is_refusal() {
            return blocked(speech);
        }
        let thought = speech.thinking.map(|text| json!({"text": text, "thought": true}));
        let said = call(speech).unwrap_or_else(|| json!({"text": speech.text()}));
        let parts: Vec<Value> = thought.into_iter().chain([said]).collect();
        answer(speech, parts, Some(finish_reason(speech)), Some(said_tokens(speech)))
    }

    /// Every chunk is a whole answer. Without `alt=sse` they are the elements
    /// of one array, written as they come.
    fn frames(&self, speech: &Speech<'_>) -> Frames {
        let thought = |text: &str| answer(speech, vec![json!({"text": text, "thought": true})], None, None);
        let token = |(nth, text): (u64, &String)| {
            // The first chunk of a real stream has no count of candidates yet.
            answer(speech, vec![json!({"text": text})], None, (nth > 0).then_some(nth + 1))
        };
        let last = if speech.is_refusal() {
            blocked(speech)
        } else {
            let part = call(speech).unwrap_or_else(|| json!({"text": ""}));
            answer(speech, vec![part], Some(finish_reason(speech)), Some(said_tokens(speech)))
        };
        let mut first = true;
        let mut frame = |chunk: Value| {
            let separator = if std::mem::take(&mut first) { "" } else { "\n,\r\n" };
            match speech.asked.array {
                true => format!("{separator}{chunk}"),
                false => self.data(&chunk.to_string()),
            }
        };
        let mut frames = Frames {
            thinking: speech.thinking.map(thought).map(&mut frame).into_iter().collect(),
            tokens: (0..).zip(speech.tokens.iter()).map(token).map(&mut frame).collect(),
            terminal: vec![frame(last)],
            ..Frames::default()
        };
        if speech.asked.array {
            frames.opening.push("[".to_owned());
            frames.terminal.push("\n]".to_owned());
        }
        frames
    }

    /// An event as Google frames it: with CRLF.
    fn data(&self, json: &str) -> String {
        format!("data: {json}\r\n\r\n")
    }

    fn error_body(&self, error: &Value) -> String {
        format!("{error:#}\n")
    }
}

const EXCEEDED: &str = "You exceeded your current quota, please check your plan and billing details.";

fn error(code: u16, status: &str, message: &str, details: &[Value]) -> Value {
    let mut error = json!({"code": code, "message": message, "status": status});
    if !details.is_empty() {
        set(&mut error, "details", details);
    }
    json!({ "error": error })
}

fn detail(kind: &str, mut fields: Value) -> Value {
    set(&mut fields, "@type", format!("type.googleapis.com/google.rpc.{kind}"));
    fields
}

fn quota(id: &str, model: &str) -> Value {
    let violation = json!({
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": id,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "10",
    });
    detail("QuotaFailure", json!({"violations": [violation]}))
}

/// Google counts thoughts apart from what is said.
fn said_tokens(speech: &Speech<'_>) -> u64 {
    speech.output_tokens - speech.thinking_tokens
}

fn answer(speech: &Speech<'_>, parts: Vec<Value>, finish: Option<&str>, said: Option<u64>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        set(&mut candidate, "finishReason", finish);
    }
    let mut usage = json!({
        "promptTokenCount": speech.input_tokens,
        "totalTokenCount": speech.input_tokens + speech.thinking_tokens + said.unwrap_or(0),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": speech.input_tokens}],
    });
    if let Some(said) = said {
        set(&mut usage, "candidatesTokenCount", said);
    }
    if speech.thinking_tokens > 0 {
        set(&mut usage, "thoughtsTokenCount", speech.thinking_tokens);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": speech.asked.model,
        "responseId": format!("emulated{:06}", speech.nth),
    })
}

/// A prompt that is blocked has no candidates.
fn blocked(speech: &Speech<'_>) -> Value {
    json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": speech.input_tokens, "totalTokenCount": speech.input_tokens},
        "modelVersion": speech.asked.model,
        "responseId": format!("emulated{:06}", speech.nth),
    })
}

fn call(speech: &Speech<'_>) -> Option<Value> {
    let (name, arguments) = speech.tool?;
    let args: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
    Some(json!({"functionCall": {"name": name, "args": args}}))
}

/// A tool call is no reason of its own here.
fn finish_reason(speech: &Speech<'_>) -> &'static str {
    match speech.finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}
