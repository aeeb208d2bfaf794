//! What the providers write: raw JSON, made once.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use leverframe_router::{BoxError, CarriedBody, Dialect};
use serde_json::{Value, json};

use super::{limiter::Standing, script::Hint};

/// The date of every answer: resets are read relative to it.
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// The headers of the limit on requests.
struct Names {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

/// The pieces of a good answer, in this order.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Before the first token; may be empty.
    pub(super) opening: Bytes,
    /// One token; those of a whole answer are blanks before it.
    pub(super) token: Bytes,
    /// The rest, with the terminal frame.
    pub(super) closing: Bytes,
}

/// One provider's answers.
#[derive(Debug)]
pub(super) struct Wire {
    dialect: Dialect,
    pub(super) whole: Pieces,
    pub(super) streamed: Pieces,
}

impl Wire {
    /// # Panics
    /// For a dialect that nobody has scripted yet.
    pub(super) fn new(dialect: Dialect, model: &str) -> Self {
        let (whole, streamed) = match dialect {
            Dialect::Anthropic => anthropic(model),
            Dialect::Gemini => gemini(model),
            Dialect::OpenAiChat => openai(model),
            other => panic!("no simulated provider speaks {other:?}"),
        };
        let whole = Pieces {
            opening: Bytes::new(),
            token: Bytes::from_static(b" "),
            closing: whole.to_string().into(),
        };
        let [opening, token, closing] = streamed.map(Bytes::from);
        Self { dialect, whole, streamed: Pieces { opening, token, closing } }
    }

    /// Whether a request asks for a stream.
    pub(super) fn is_streamed(&self, request: &http::Request<Bytes>) -> bool {
        match self.dialect {
            Dialect::Gemini => request.uri().path().ends_with(":streamGenerateContent"),
            // A text that says so has its quotes escaped.
            _ => find(request.body(), b"\"stream\":true").is_some(),
        }
    }

    /// A good answer's head, with where a limit stands.
    pub(super) fn head(&self, streamed: bool, report: Option<Standing>) -> http::response::Builder {
        let content_type = if streamed { "text/event-stream" } else { "application/json" };
        let mut head = Response::builder().status(StatusCode::OK).header("content-type", content_type);
        if let (Some(Standing { requests, remaining, full_in }), Some(names)) = (report, self.names()) {
            if let Some(requests) = requests {
                head = head.header(names.limit, requests);
            }
            head = head.header("date", DATE).header(names.remaining, remaining);
            head = head.header(names.reset, self.reset(whole_seconds(full_in)));
        }
        head
    }

    /// An answer that says no.
    pub(super) fn refusal(&self, status: u16, wait: Option<(Duration, Hint)>) -> Response<CarriedBody> {
        let seconds = wait.map(|(wait, hint)| (whole_seconds(wait), hint));
        let mut head = Response::builder().status(status).header("content-type", "application/json");
        match (seconds, self.names()) {
            (Some((seconds, Hint::RetryAfter)), Some(_)) => head = head.header("retry-after", seconds),
            (Some((seconds, Hint::ResetHeaders)), Some(names)) => {
                head = head.header("date", DATE).header(names.remaining, 0);
                head = head.header(names.reset, self.reset(seconds));
            }
            _ => {}
        }
        let body = self.problem(status, seconds.filter(|(_, hint)| *hint != Hint::Silent).map(|(s, _)| s));
        // Status and headers are literals or numbers.
        head.body(whole(body.to_string())).expect("a valid head")
    }

    /// The headers of the limit on requests.
    fn names(&self) -> Option<Names> {
        match self.dialect {
            Dialect::Anthropic => Some(Names {
                limit: "anthropic-ratelimit-requests-limit",
                remaining: "anthropic-ratelimit-requests-remaining",
                reset: "anthropic-ratelimit-requests-reset",
            }),
            Dialect::Gemini => None, // says it in the body
            _ => Some(Names {
                limit: "x-ratelimit-limit-requests",
                remaining: "x-ratelimit-remaining-requests",
                reset: "x-ratelimit-reset-requests",
            }),
        }
    }

    fn reset(&self, seconds: u64) -> String {
        if self.dialect != Dialect::Anthropic {
            return format!("{seconds}s");
        }
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
        // January is long enough for what anybody is asked to wait.
        format!("2026-01-{:02}T{hours:02}:{minutes:02}:{seconds:02}Z", days + 1)
    }

    fn problem(&self, status: u16, wait: Option<u64>) -> Value {
        match (self.dialect, status) {
            (Dialect::Anthropic, _) => {
                let (kind, message) = match status {
                    429 => ("rate_limit_error", "This request would exceed your organization's rate limit"),
                    529 => ("overloaded_error", "Overloaded"),
                    _ => ("api_error", "Internal server error"),
                };
                json!({"type": "error", "error": {"type": kind, "message": message}})
            }
            (Dialect::Gemini, _) => {
                let (kind, message) = match status {
                    429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota"),
                    503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
                    _ => ("INTERNAL", "An internal error has occurred."),
                };
                let retry = wait.map(|wait| {
                    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{wait}s")})
                });
                let details: Vec<_> = retry.into_iter().collect();
                json!({"error": {"code": status, "message": message, "status": kind, "details": details}})
            }
            _ => {
                let (kind, code, message) = match status {
                    429 => {
                        ("requests", "rate_limit_exceeded", "Rate limit reached on requests per min (RPM)")
                    }
                    503 => ("service_unavailable_error", "server_is_overloaded", "The server is overloaded."),
                    _ => ("server_error", "server_error", "The server had an error."),
                };
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
        }
    }

    /// The status by which it says that it is overloaded.
    pub(super) fn overloaded(&self) -> u16 {
        if self.dialect == Dialect::Anthropic { 529 } else { 503 }
    }
}

/// Rounded up: who comes back then is not too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_nanos().div_ceil(1_000_000_000) as u64
}

/// The place of the first `needle`.
pub(super) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn whole(text: String) -> CarriedBody {
    use http_body_util::{BodyExt, Full};
    Box::pin(Full::new(Bytes::from(text)).map_err(|never| -> BoxError { match never {} }))
}

const TEXT: &str = "All is well with the world.";

fn anthropic(model: &str) -> (Value, [String; 3]) {
    let event =
        |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    let usage = |output: u64| {
        json!({"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
               "output_tokens": output, "service_tier": "standard"})
    };
    let message = |content: Value, stop: Value, output: u64| {
        json!({"id": "msg_simulated", "type": "message", "role": "assistant", "model": model, "content": content,
               "stop_reason": stop, "stop_sequence": null, "usage": usage(output)})
    };
    let opening = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null, 1)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    let token =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "well "}});
    let closing = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
               "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop"}),
    ];
    let whole = message(json!([{"type": "text", "text": TEXT}]), json!("end_turn"), 8);
    (whole, [opening.map(event).concat(), event(token), closing.map(event).concat()])
}

fn gemini(model: &str) -> (Value, [String; 3]) {
    let answer = |text: &str, finish: Option<&str>| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        json!({"candidates": [candidate], "modelVersion": model, "responseId": "simulated",
               "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 8, "totalTokenCount": 20}})
    };
    let event = |data: Value| format!("data: {data}\r\n\r\n");
    let streamed = [String::new(), event(answer("well ", None)), event(answer(".", Some("STOP")))];
    (answer(TEXT, Some("STOP")), streamed)
}

fn openai(model: &str) -> (Value, [String; 3]) {
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20});
    let whole = json!({"id": "chatcmpl-simulated", "object": "chat.completion", "created": 1_767_225_600,
        "model": model, "usage": usage, "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
        "message": {"role": "assistant", "content": TEXT, "refusal": null, "annotations": []}}]});
    let chunk = |choices: Value, usage: &Value| {
        let chunk = json!({"id": "chatcmpl-simulated", "object": "chat.completion.chunk",
            "created": 1_767_225_600, "model": model, "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), &Value::Null)
    };
    let opening = delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    let token = delta(json!({"content": "well "}), Value::Null);
    let closing = [delta(json!({}), json!("stop")), chunk(json!([]), &usage), "data: [DONE]\n\n".to_owned()];
    (whole, [opening, token, closing.concat()])
}
