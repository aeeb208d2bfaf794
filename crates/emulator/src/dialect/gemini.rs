//! Gemini, after the Gemini API reference: generateContent,
//! streamGenerateContent, countTokens, models, errors. `POST /v1beta/models/{model}:{operation}`,
//! `GET /v1beta/models`.

use http::request::Parts;
use serde_json::{Value, json};

use super::{Asked, Dialect, Frames, Model, Problem, Query, Route, Speech, header, set, word};
use crate::{Fault, Finish, script::ToolCall};

pub(super) struct GenerateContent;

impl Dialect for GenerateContent {
    fn route<'a>(&self, path: &'a str, query: Query<'_>) -> Route<'a> {
        let Some(rest) = path.strip_prefix("/v1beta/models").or_else(|| path.strip_prefix("/v1/models"))
        else {
            return Route::Nowhere;
        };
        if rest.is_empty() {
            return Route::Models;
        }
        let Some((model, operation)) = rest.rsplit_once(':') else { return Route::Nowhere };
        let model = Some(model.strip_prefix('/').unwrap_or(""));
        let generate = |streamed, array| Route::Generate { model, streamed: Some(streamed), array };
        match operation {
            "generateContent" => generate(false, false),
            "streamGenerateContent" => generate(true, query.get("alt").as_deref() != Some("sse")),
            "countTokens" => Route::Count { model },
            _ => Route::Nowhere,
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        let query = Query(head.uri.query().unwrap_or_default());
        query.get("key").is_some() || header(&head.headers, "x-goog-api-key").is_some()
    }

    fn lacks(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        let message = "* GenerateContentRequest.contents: contents is not specified\n";
        lacks_contents(&asked.body).then(|| Problem::invalid("contents", message))
    }

    /// The request to count is inside the request, or else only its contents
    /// are counted.
    fn lacks_to_count(&self, asked: &Asked, _head: &Parts) -> Option<Problem> {
        let whole = "generateContentRequest";
        let unknown =
            asked.body.as_object()?.keys().find(|field| !["contents", whole].contains(&field.as_str()));
        if let Some(field) = unknown {
            let message =
                format!("Invalid JSON payload received. Unknown name \"{field}\": Cannot find field.");
            return Some(Problem::invalid(field.clone(), message));
        }
        let Some(inner) = asked.body.get(whole) else {
            let message = "* CountTokensRequest.contents: contents is not specified\n";
            return lacks_contents(&asked.body).then(|| Problem::invalid("contents", message));
        };
        let named = word(inner, "model").unwrap_or_default();
        let message = if asked.body.get("contents").is_some() {
            "Only one of contents and generate_content_request may be set.".to_owned()
        } else if named.strip_prefix("models/").unwrap_or(named) != asked.model {
            format!("* CountTokensRequest.generate_content_request.model: expected models/{}\n", asked.model)
        } else if lacks_contents(inner) {
            "* CountTokensRequest.generate_content_request.contents: contents is not specified\n".to_owned()
        } else {
            return None;
        };
        Some(Problem::invalid(whole, message))
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

    /// A page's token is the number of the first model on it.
    fn models(&self, models: &[Model<'_>], query: Query<'_>) -> Result<Value, Problem> {
        let number = |field: &'static str, default: usize| match query.get(field).map(|text| text.parse()) {
            None => Ok(default),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(Problem::invalid(field, format!("Invalid value at '{field}'."))),
        };
        let size = match number("pageSize", 50)? {
            // None asked for, as in any of Google's lists.
            0 => 50,
            size => size.min(1000),
        };
        let first = number("pageToken", 0)?;
        let page: Vec<Value> = models.iter().skip(first).take(size).map(listed).collect();
        let next = first.saturating_add(page.len());
        let mut list = json!({ "models": page });
        if next < models.len() {
            set(&mut list, "nextPageToken", next.to_string());
        }
        Ok(list)
    }

    fn count(&self, tokens: u64) -> Value {
        let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
        json!({"totalTokens": tokens, "promptTokensDetails": details})
    }

    fn whole(&self, speech: &Speech<'_>) -> Value {
        if speech.is_blocked() {
            return blocked(speech);
        }
        if speech.refusal.is_some() {
            return stopped(speech);
        }
        let thought = speech.thinking.map(|text| json!({"text": text, "thought": true}));
        let mut text = json!({"text": speech.text()});
        if speech.calls.is_empty() {
            sign(speech, &mut text);
        }
        let text = speech.has_text().then_some(text);
        let parts: Vec<Value> = thought.into_iter().chain(text).chain(calls(speech)).collect();
        answer(speech, parts, Some(finish_reason(speech)), Some(said_tokens(speech)))
    }

    /// Every chunk is a whole answer. Without `alt=sse` they are the elements
    /// of one array, written as they come.
    fn frames(&self, speech: &Speech<'_>) -> Frames {
        let thought = |text: &str| answer(speech, vec![json!({"text": text, "thought": true})], None, None);
        let token = |(nth, part): (u64, Value)| {
            // The first chunk of a real stream has no count of candidates yet.
            answer(speech, vec![part], None, (nth > 0).then_some(nth + 1))
        };
        let said = speech.tokens.iter().map(|text| json!({"text": text})).chain(calls(speech));
        let last = if speech.is_blocked() {
            blocked(speech)
        } else if speech.refusal.is_some() {
            stopped(speech)
        } else {
            let mut part = json!({"text": ""});
            if speech.calls.is_empty() {
                sign(speech, &mut part);
            }
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
            tokens: (0..).zip(said).map(token).map(|chunk| vec![frame(chunk)]).collect(),
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

fn lacks_contents(body: &Value) -> bool {
    body.get("contents").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn listed(model: &Model<'_>) -> Value {
    json!({
        "name": format!("models/{}", model.name),
        "version": "001",
        "displayName": model.title,
        "description": model.title,
        "inputTokenLimit": model.input,
        "outputTokenLimit": model.output,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "topP": 0.95,
        "topK": 64,
        "thinking": true,
    })
}

const SIGNATURE: &str = "ZW11bGF0ZWQgdGhvdWdodA==";

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

/// An answer that is stopped for safety has a candidate that says nothing.
fn stopped(speech: &Speech<'_>) -> Value {
    let mut answer = answer(speech, Vec::new(), Some(finish_reason(speech)), None);
    if let Some(candidate) = answer.pointer_mut("/candidates/0") {
        let rating = |category: &str, probability: &str| json!({"category": format!("HARM_CATEGORY_{category}"), "probability": probability});
        let mut worst = rating("DANGEROUS_CONTENT", "HIGH");
        set(&mut worst, "blocked", true);
        let ratings = vec![worst, rating("HARASSMENT", "NEGLIGIBLE"), rating("HATE_SPEECH", "NEGLIGIBLE")];
        set(candidate, "content", json!({}));
        set(candidate, "safetyRatings", ratings);
        set(candidate, "finishMessage", speech.refusal.clone());
    }
    answer
}

/// The calls, each a part. Models before the third generation give them no id.
fn calls(speech: &Speech<'_>) -> Vec<Value> {
    let has_ids = !["gemini-1", "gemini-2"].iter().any(|old| speech.asked.model.starts_with(old));
    let call = |(place, call): (usize, &ToolCall)| {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let mut called = json!({"name": call.name, "args": args});
        if has_ids {
            set(&mut called, "id", speech.call_id("call", place));
        }
        let mut part = json!({"functionCall": called});
        if place == 0 {
            sign(speech, &mut part);
        }
        part
    };
    speech.calls.iter().enumerate().map(call).collect()
}

/// Signs a part, if there were thoughts. Of parallel calls only the first is signed.
fn sign(speech: &Speech<'_>, part: &mut Value) {
    if speech.thinking.is_some() {
        set(part, "thoughtSignature", SIGNATURE);
    }
}

/// A tool call is no reason of its own here.
fn finish_reason(speech: &Speech<'_>) -> &'static str {
    match speech.finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}
