//! Putting a client's request to the router.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use leverframe_router::{
    Dialect, Error, ErrorKind, Failure, Losses, Request,
    dialect::{Asked, StreamEncoder, StreamForm, Told, encode_answer, read_request, restore},
};

use super::{
    Live, Settings,
    body::{self, Arriving},
    door::{self, VirtualKey},
    paths::Asking,
    reply::{self, Reply},
    stream::Streamed,
    unix_seconds,
};

/// An answer in the caller's dialect, or why there is none.
pub(super) async fn answer(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    asking: Asking,
    incoming: Arriving,
) -> Response<Reply> {
    let dialect = asking.dialect;
    let (asked, form) = match read(live, settings, head, asking, incoming).await {
        Ok(read) => read,
        Err(refused) => return refused.reply(dialect),
    };
    let told = |id: Option<leverframe_router::RequestId>, model: &str| Told {
        id: id.map(|id| id.to_string().replace('-', "")).unwrap_or_default(),
        model: model.to_owned(),
        created: unix_seconds(),
    };
    let model = asked.request.model.clone();
    if !asked.stream {
        return match live.router.send(asked.request).await {
            Ok(answer) => {
                let record = answer.record();
                let body = encode_answer(dialect, &told(Some(record.id), &model), &answer.response);
                let mut response = reply::json(body);
                reply::tell(response.headers_mut(), dialect, Some(record.id), &record.attempts);
                response
            }
            Err(error) => failed(dialect, &error),
        };
    }
    match live.router.stream(asked.request).await {
        Ok(stream) => {
            let encoder = StreamEncoder::new(dialect, told(stream.id(), &model), form);
            let mut headers = HeaderMap::new();
            reply::tell(&mut headers, dialect, stream.id(), stream.attempts());
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoder.content_type()));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            let mut response = Response::new(Reply::Stream(Box::new(Streamed::new(stream, encoder))));
            *response.headers_mut() = headers;
            response
        }
        Err(error) => failed(dialect, &error),
    }
}

/// How many tokens a request has.
pub(super) async fn count(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    dialect: Dialect,
    model: Option<String>,
    incoming: Arriving,
) -> Response<Reply> {
    let asking = Asking { dialect, model, stream: false, array: false };
    let asked = match read_counted(live, settings, head, asking, incoming).await {
        Ok(asked) => asked,
        Err(refused) => return refused.reply(dialect),
    };
    let count = live.router.count_tokens(&asked.request).await;
    let body = match dialect {
        Dialect::Gemini => serde_json::json!({ "totalTokens": count.tokens }),
        Dialect::Anthropic => serde_json::json!({ "input_tokens": count.tokens }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            serde_json::json!({ "object": "response.input_tokens", "input_tokens": count.tokens })
        }
    };
    reply::json(body.to_string().into_bytes())
}

/// A request that goes no further.
struct Refused {
    status: Option<u16>,
    failure: Failure,
}

impl Refused {
    fn reply(self, dialect: Dialect) -> Response<Reply> {
        match self.status.and_then(|status| StatusCode::from_u16(status).ok()) {
            Some(status) => reply::error_with_status(dialect, &self.failure, status),
            None => door::refuse(dialect, &self.failure),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { status: None, failure }
    }
}

async fn read(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    asking: Asking,
    incoming: Arriving,
) -> Result<(Asked, StreamForm), Refused> {
    let key = live.door.enter(head)?;
    let bytes = whole(settings, incoming).await?;
    let mut asked = parsed(&asking, &bytes)?;
    asked.stream |= asking.stream;
    say(&mut asked.request, head, key)?;
    let usage = asking.dialect == Dialect::OpenAiChat && wants_usage(&bytes);
    Ok((asked, StreamForm { usage, array: asking.array }))
}

async fn read_counted(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    asking: Asking,
    incoming: Arriving,
) -> Result<Asked, Refused> {
    let key = live.door.enter(head)?;
    let bytes = whole(settings, incoming).await?;
    // Gemini's request may be one level down, with the settings beside it.
    let inner = (asking.dialect == Dialect::Gemini).then(|| generate_content_request(&bytes)).flatten();
    let mut asked = parsed(&asking, inner.as_deref().unwrap_or(&bytes))?;
    say(&mut asked.request, head, key)?;
    Ok(asked)
}

fn generate_content_request(bytes: &[u8]) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wrapped<'a> {
        #[serde(borrow)]
        generate_content_request: &'a serde_json::value::RawValue,
    }
    let wrapped: Wrapped<'_> = serde_json::from_slice(bytes).ok()?;
    let mut inner: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(wrapped.generate_content_request.get()).ok()?;
    inner.remove("model"); // the path has it
    serde_json::to_vec(&inner).ok()
}

async fn whole(settings: &Settings, incoming: Arriving) -> Result<bytes::Bytes, Refused> {
    let read = body::read(incoming, settings).await;
    read.map_err(|(status, failure)| Refused { status: Some(status), failure })
}

fn parsed(asking: &Asking, bytes: &[u8]) -> Result<Asked, Refused> {
    let mut asked = read_request(asking.dialect, bytes)?;
    if let Some(model) = &asking.model {
        asked.request.model.clone_from(model);
    }
    restore(&mut asked.request);
    Ok(asked)
}

/// What an OpenAI Chat client says of its stream: whether it wants to be told
/// the usage.
fn wants_usage(bytes: &[u8]) -> bool {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Options {
        include_usage: bool,
    }
    #[derive(serde::Deserialize)]
    struct Body {
        stream_options: Option<Options>,
    }
    let body: Option<Body> = serde_json::from_slice(bytes).ok();
    body.and_then(|body| body.stream_options).is_some_and(|options| options.include_usage)
}

/// What the headers and the key say of a request.
fn say(request: &mut Request, head: &Parts, key: Option<&VirtualKey>) -> Result<(), Failure> {
    door::check_model(key, &request.model)?;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    request.losses = match header("x-leverframe-losses-allowed") {
        None | Some("all") => Losses::Allow,
        Some("minor") => Losses::AllowMinor,
        Some("none") => Losses::Refuse,
        Some(other) => {
            let message = format!("x-leverframe-losses-allowed: {other} is none of all, minor and none");
            return Err(Failure::new(ErrorKind::InvalidRequest, message));
        }
    };
    if let Some(conversation) = header("x-leverframe-conversation") {
        request.conversation = Some(conversation.to_owned());
    }
    if let Some(tags) = header("x-leverframe-tags") {
        let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned);
        request.tags = tags.collect::<BTreeSet<_>>();
    }
    if let Some(key) = key {
        request.tags.insert(format!("key:{}", key.name));
    }
    if let Some(timeout) = header("x-leverframe-timeout-ms") {
        let millis = timeout.parse().ok().filter(|millis| *millis > 0);
        let Some(millis) = millis else {
            let message = format!("x-leverframe-timeout-ms: {timeout} is no number of milliseconds");
            return Err(Failure::new(ErrorKind::InvalidRequest, message));
        };
        request.timeout = Some(Duration::from_millis(millis));
    }
    Ok(())
}

fn failed(dialect: Dialect, error: &Error) -> Response<Reply> {
    let id = error.record().map(|record| record.id);
    let mut response = reply::error(dialect, error.failure(), id);
    reply::tell(response.headers_mut(), dialect, id, error.attempts());
    response
}
