//! A client that knows nothing of the emulator.

use bytes::Bytes;
use http::{Request, StatusCode, request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, Error},
    rt::TokioExecutor,
};
use leverframe_emulator::{Emulator, Provider};
use serde_json::{Value, json};

/// An answer, read as far as it went.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
    /// Whether the body came to a proper end.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The JSON of each `data` line that has some.
    pub(crate) fn events(&self) -> Vec<Value> {
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// What is spoken: OpenAI has two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Messages,
    GenerateContent,
    Chat,
    Responses,
}

impl Api {
    pub(crate) const ALL: [Self; 4] = [Self::Messages, Self::GenerateContent, Self::Chat, Self::Responses];

    pub(crate) fn provider(self) -> Provider {
        match self {
            Self::Messages => Provider::Anthropic,
            Self::GenerateContent => Provider::Gemini,
            Self::Chat | Self::Responses => Provider::OpenAi,
        }
    }
}

/// The path and the minimal body of a call.
pub(crate) fn call(api: Api, streamed: bool) -> (String, Value) {
    let message = json!([{"role": "user", "content": "Hello"}]);
    match api {
        Api::Messages => (
            "/v1/messages".to_owned(),
            json!({"model": "m", "max_tokens": 9, "stream": streamed, "messages": message}),
        ),
        Api::Responses => {
            ("/v1/responses".to_owned(), json!({"model": "m", "stream": streamed, "input": message}))
        }
        Api::Chat => (
            "/v1/chat/completions".to_owned(),
            json!({"model": "m", "stream": streamed, "messages": message, "stream_options": {"include_usage": true}}),
        ),
        Api::GenerateContent => {
            let operation = if streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
            (format!("/v1beta/models/m:{operation}"), body)
        }
    }
}

pub(crate) fn post(emulator: &Emulator, api: Api, path: &str) -> request::Builder {
    Request::post(format!("{}{path}", emulator.base_url(api.provider())))
        .header("x-api-key", "k")
        .header("anthropic-version", "2023-06-01")
        .header("authorization", "Bearer k")
        .header("x-goog-api-key", "k")
}

pub(crate) async fn try_send(http2: bool, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let (head, mut body) = client.request(request).await?.into_parts();
    let mut read = Vec::new();
    let whole = loop {
        match body.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
        }
    };
    let body = String::from_utf8_lossy(&read).into_owned();
    Ok(Answer { status: head.status, headers: head.headers, body, whole })
}

pub(crate) async fn send(request: request::Builder, body: impl Into<Bytes>) -> Answer {
    let request = request.body(Full::new(body.into())).expect("a valid request");
    try_send(false, request).await.expect("an answer")
}

pub(crate) async fn ask(emulator: &Emulator, api: Api, streamed: bool) -> Answer {
    let (path, body) = call(api, streamed);
    send(post(emulator, api, &path), body.to_string()).await
}
