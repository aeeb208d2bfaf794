//! Putting a client's request to the router.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use leverframe_router::{
    Answer, Dialect, Error, ErrorKind, Failure, Field, Json, Losses, Original, Request, RequestId,
    ResponseStream,
    dialect::{Asked, StreamEncoder, StreamForm, Told, encode_answer, read_request, restore},
};

use super::{
    Live, Settings,
    allowance::{self, Taken},
    body::{self, Arriving},
    door::{self, OF_KEY, VirtualKey},
    paths::Asking,
    reply::{self, Reply},
    stream::{Form, Streamed, Usage},
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
    let Put { asked, form, taken } = match read(live, settings, head, asking, incoming).await {
        Ok(put) => put,
        Err(refused) => return refused.reply(dialect),
    };
    let model = asked.request.model.clone();
    if asked.stream {
        return match live.router.stream(asked.request).await {
            Ok(stream) => streamed(dialect, stream, &model, form, taken),
            Err(error) => failed(dialect, &error, taken),
        };
    }
    match live.router.send(asked.request).await {
        Ok(answer) => whole(dialect, &answer, &model, taken),
        Err(error) => failed(dialect, &error, taken),
    }
}

/// What an answer says of itself where its provider said nothing.
fn told(id: Option<RequestId>, model: &str) -> Told {
    Told {
        id: id.map(|id| id.to_string().replace('-', "")).unwrap_or_default(),
        model: model.to_owned(),
        created: unix_seconds(),
    }
}

fn whole(dialect: Dialect, answer: &Answer, model: &str, taken: Option<Taken>) -> Response<Reply> {
    let record = answer.record();
    if let Some(taken) = taken {
        taken.settle(record);
    }
    let mut response = reply::json(match answer.original() {
        Some(original) => original.clone(),
        None => encode_answer(dialect, &told(Some(record.id), model), &answer.response).into(),
    });
    reply::tell(response.headers_mut(), dialect, Some(record.id), &record.attempts);
    response
}

fn streamed(
    dialect: Dialect,
    stream: ResponseStream,
    model: &str,
    form: StreamForm,
    taken: Option<Taken>,
) -> Response<Reply> {
    let mut headers = HeaderMap::new();
    reply::tell(&mut headers, dialect, stream.id(), stream.attempts());
    let encoder = StreamEncoder::new(dialect, told(stream.id(), model), form);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoder.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let form = match stream.keeps_original() && !form.array {
        true => Form::Forwarded(dialect, if form.usage { Usage::Told } else { Usage::Hidden }),
        false => Form::Written(Box::new(encoder)),
    };
    let mut response = Response::new(Reply::Stream(Box::new(Streamed::new(stream, form, taken))));
    *response.headers_mut() = headers;
    response
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
    reply::json(body.to_string().into())
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

/// A request that may be put to the router.
struct Put {
    asked: Asked,
    form: StreamForm,
    taken: Option<Taken>,
}

async fn read(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    asking: Asking,
    incoming: Arriving,
) -> Result<Put, Refused> {
    let key = live.door.enter(head)?;
    let bytes = whole_body(settings, incoming).await?;
    let (mut asked, all_its_own) = parsed(&asking, &bytes)?;
    asked.stream |= asking.stream;
    say(&mut asked.request, head, key)?;
    let usage = asking.dialect != Dialect::OpenAiChat || !asked.stream || wants_usage(&bytes);
    let taken = allowance::take(key.and_then(VirtualKey::allowance), bytes.len(), live.router.now())?;
    let body = all_its_own.then_some(bytes);
    asked.request.original = Some(Original { dialect: asking.dialect, body });
    Ok(Put { asked, form: StreamForm { usage, array: asking.array }, taken })
}

async fn read_counted(
    live: &Live,
    settings: &Settings,
    head: &Parts,
    asking: Asking,
    incoming: Arriving,
) -> Result<Asked, Refused> {
    let key = live.door.enter(head)?;
    let bytes = whole_body(settings, incoming).await?;
    // Gemini's request may be one level down, with the settings beside it.
    let inner = (asking.dialect == Dialect::Gemini).then(|| generate_content_request(&bytes)).flatten();
    let (mut asked, _) = parsed(&asking, inner.as_deref().unwrap_or(&bytes))?;
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

async fn whole_body(settings: &Settings, incoming: Arriving) -> Result<bytes::Bytes, Refused> {
    let read = body::read(incoming, settings).await;
    read.map_err(|(status, failure)| Refused { status: Some(status), failure })
}

/// The request, and whether its provider would understand it as it was written.
fn parsed(asking: &Asking, bytes: &[u8]) -> Result<(Asked, bool), Refused> {
    let mut asked = read_request(asking.dialect, bytes)?;
    if let Some(model) = &asking.model {
        asked.request.model.clone_from(model);
    }
    let all_its_own = restore(&mut asked.request);
    Ok((asked, all_its_own))
}

/// What an OpenAI Chat client says of its stream: whether it wants to be told
/// the usage.
fn wants_usage(bytes: &[u8]) -> bool {
    const OPTION: &[u8] = b"include_usage";
    #[derive(serde::Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    #[derive(serde::Deserialize)]
    struct Body {
        stream_options: Option<Options>,
    }
    // Few say it, and a body may be long.
    if memchr::memmem::find(bytes, OPTION).is_none() {
        return false;
    }
    let body: Option<Body> = serde_json::from_slice(bytes).ok();
    body.and_then(|body| body.stream_options).is_some_and(|options| options.include_usage == Some(true))
}

/// Most tags that a client may give. A record keeps one more: that of its key,
/// which must not be crowded out.
const MOST_TAGS: usize = 31;

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
        let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        // Whose request it is, is not for the client to say.
        let tags = tags.filter(|tag| !tag.starts_with(OF_KEY)).map(str::to_owned);
        request.tags = tags.take(MOST_TAGS).collect::<BTreeSet<_>>();
    }
    if let Some(key) = key {
        request.tags.insert(key.tag());
    }
    for betas in head.headers.get_all("anthropic-beta").iter().filter_map(|betas| betas.to_str().ok()) {
        let names: Vec<_> = betas.split(',').map(str::trim).filter(|beta| !beta.is_empty()).collect();
        if let Ok(value) = Json::parse(serde_json::json!(names).to_string()) {
            let name = "betas".to_owned();
            request.extra.append(Field { dialect: Dialect::Anthropic, name, value });
        }
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

fn failed(dialect: Dialect, error: &Error, taken: Option<Taken>) -> Response<Reply> {
    if let (Some(taken), Some(record)) = (taken, error.record()) {
        taken.settle(record);
    }
    let id = error.record().map(|record| record.id);
    let mut response = reply::error(dialect, error.failure(), id);
    reply::tell(response.headers_mut(), dialect, id, error.attempts());
    response
}
