//! Gemini, after the Gemini API reference: generateContent,
//! streamGenerateContent, errors. `POST /v1beta/models/{model}:{operation}`.

use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{Asked, Finish, Frames, Operation, Refused, Speech, header};
use crate::script::Fault;

pub(super) fn asked(head: &Parts, body: Value) -> Asked {
    let path = head.uri.path();
    let call = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"));
    let (model, operation) = call.and_then(|call| call.rsplit_once(':')).unwrap_or_default();
    let known =
        head.method == Method::POST && matches!(operation, "generateContent" | "streamGenerateContent");
    let streamed = operation == "streamGenerateContent";
    let query = head.uri.query().unwrap_or_default();
    Asked {
        model: model.to_owned(),
        streamed,
        body,
        array: streamed && !query.split('&').any(|pair| pair == "alt=sse"),
        operation: if known { Operation::Generate } else { Operation::Unknown },
    }
}

pub(super) fn check(asked: &Asked, head: &Parts) -> Result<(), Refused> {
    let query = head.uri.query().unwrap_or_default();
    let in_query = query.split('&').any(|pair| pair.strip_prefix("key=").is_some_and(|key| !key.is_empty()));
    if header(&head.headers, "x-goog-api-key").is_none() && !in_query {
        let message = "Method doesn't allow unregistered callers (callers without established identity). \
                       Please use API Key or other form of API consumer identity to call this API.";
        return Err(Refused::new(403, "PERMISSION_DENIED", message));
    }
    if asked.operation == Operation::Unknown {
        return Err(Refused::new(404, "NOT_FOUND", "Requested entity was not found."));
    }
    if !asked.body.is_object() {
        let message = "Invalid JSON payload received. Unexpected end of string.";
        return Err(Refused::new(400, "INVALID_ARGUMENT", message));
    }
    match asked.body.get("contents").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        true => {
            let message = "* GenerateContentRequest.contents: contents is not specified\n";
            Err(Refused::new(400, "INVALID_ARGUMENT", message))
        }
        false => Ok(()),
    }
}

pub(super) fn headers() -> Vec<(&'static str, String)> {
    vec![("server-timing", "gfet4t7; dur=42".to_owned()), ("x-gemini-service-tier", "standard".to_owned())]
}

fn answer(speech: &Speech<'_>, candidate: &Value, output: Option<usize>) -> Value {
    let mut usage = json!({
        "promptTokenCount": speech.input_tokens,
        "totalTokenCount": speech.input_tokens + output.unwrap_or(0),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": speech.input_tokens}],
    });
    if let (Some(output), Some(fields)) = (output, usage.as_object_mut()) {
        fields.insert("candidatesTokenCount".to_owned(), output.into());
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

fn is_blocked(speech: &Speech<'_>) -> bool {
    speech.tokens.is_empty() && speech.tool.is_none() && speech.finish == Finish::ContentFilter
}

fn parts(speech: &Speech<'_>) -> Value {
    match speech.tool {
        Some((name, arguments)) => {
            let args: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
            json!([{"functionCall": {"name": name, "args": args}}])
        }
        None => json!([{"text": speech.text()}]),
    }
}

fn finish_reason(speech: &Speech<'_>) -> &'static str {
    match speech.finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

pub(super) fn whole(speech: &Speech<'_>) -> Value {
    if is_blocked(speech) {
        return blocked(speech);
    }
    let candidate = json!({
        "content": {"role": "model", "parts": parts(speech)},
        "finishReason": finish_reason(speech),
        "index": 0,
    });
    answer(speech, &candidate, Some(speech.output_tokens()))
}

/// An event as Google frames it: with CRLF.
pub(super) fn frame(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

/// Every chunk is a whole answer. Without `alt=sse` they are the elements of
/// one array, written as they come.
pub(super) fn frames(speech: &Speech<'_>) -> Frames {
    let mut frames = chunks(speech);
    if !speech.asked.array {
        frames
            .tokens
            .iter_mut()
            .chain(&mut frames.closing)
            .for_each(|chunk| *chunk = format!("data: {chunk}\r\n\r\n"));
        return frames;
    }
    frames.opening.push("[".to_owned());
    frames.tokens.iter_mut().for_each(|chunk| chunk.push_str("\n,\r\n"));
    frames.closing.push("\n]".to_owned());
    frames
}

fn chunks(speech: &Speech<'_>) -> Frames {
    let closing = if is_blocked(speech) {
        blocked(speech)
    } else {
        let parts = if speech.tool.is_some() { parts(speech) } else { json!([{"text": ""}]) };
        let candidate = json!({
            "content": {"role": "model", "parts": parts},
            "finishReason": finish_reason(speech),
            "index": 0,
        });
        answer(speech, &candidate, Some(speech.output_tokens()))
    };
    let token = |(nth, text): (usize, &String)| {
        let candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
        // The first chunk of a real stream has no count of candidates yet.
        answer(speech, &candidate, (nth > 0).then_some(nth + 1)).to_string()
    };
    Frames {
        opening: Vec::new(),
        tokens: speech.tokens.iter().enumerate().map(token).collect(),
        closing: vec![closing.to_string()],
    }
}

pub(super) fn error(code: u16, status: &str, message: &str, details: Value) -> Value {
    let mut error = json!({"code": code, "message": message, "status": status});
    if let (false, Some(fields)) = (details.is_null(), error.as_object_mut()) {
        fields.insert("details".to_owned(), details);
    }
    json!({ "error": error })
}

pub(super) fn fault(fault: Fault, model: &str) -> (u16, Value) {
    let quota = |id: &str| {
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                "quotaId": id,
                "quotaDimensions": {"location": "global", "model": model},
                "quotaValue": "10",
            }],
        })
    };
    let exceeded = "You exceeded your current quota, please check your plan and billing details.";
    let (code, status, message, details) = match fault {
        Fault::Overloaded => {
            (503, "UNAVAILABLE", "The model is overloaded. Please try again later.".to_owned(), Value::Null)
        }
        Fault::RateLimited { retry_after_seconds } => {
            let mut details = vec![quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")];
            details.extend(retry_after_seconds.map(|seconds| {
                json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")})
            }));
            (429, "RESOURCE_EXHAUSTED", exceeded.to_owned(), Value::Array(details))
        }
        Fault::QuotaExhausted => {
            let details = json!([quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")]);
            (429, "RESOURCE_EXHAUSTED", exceeded.to_owned(), details)
        }
        Fault::Server => (500, "INTERNAL", "An internal error has occurred.".to_owned(), Value::Null),
        Fault::Authentication => {
            let details = json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }]);
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.".to_owned(), details)
        }
        Fault::Permission => {
            (403, "PERMISSION_DENIED", "The caller does not have permission".to_owned(), Value::Null)
        }
        Fault::ModelNotFound => {
            let message = format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent."
            );
            (404, "NOT_FOUND", message, Value::Null)
        }
        Fault::ContextLength => {
            let message =
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).";
            (400, "INVALID_ARGUMENT", message.to_owned(), Value::Null)
        }
        Fault::InvalidRequest | Fault::ContentFilter => {
            (400, "INVALID_ARGUMENT", "Request contains an invalid argument.".to_owned(), Value::Null)
        }
    };
    (code, error(code, status, &message, details))
}
