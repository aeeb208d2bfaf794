//! Listeners, connections, and one call from its head to its body.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use crate::{
    Call, CallEnd, Provider,
    body::{Broken, Piece, Scripted},
    calls::Calls,
    dialect::{self, Asked, Refused},
    script::{Answer, Script},
};

/// Most bytes of a request's body.
const MAX_BODY: usize = 64 << 20;

/// What listeners and the [`Emulator`](crate::Emulator) share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    script: Mutex<Script>,
    calls: Mutex<Calls>,
    connections: AtomicUsize,
    answers: AtomicUsize,
}

impl Shared {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

/// Notes how a call ends: answered when told so, else the client went away.
#[derive(Debug)]
pub(crate) struct CallGuard {
    shared: Arc<Shared>,
    number: usize,
}

impl CallGuard {
    pub(crate) fn answered(&self) {
        self.shared.calls().end(self.number, CallEnd::Answered);
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.shared.calls().end(self.number, CallEnd::ClientWentAway);
    }
}

/// Counts a connection for as long as it lives.
struct Connected(Arc<Shared>);

impl Connected {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Accepts connections for ever. Dropping the future closes them all.
pub(crate) async fn listen(provider: Provider, listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let connected = Connected::new(&shared);
                    connections.spawn(serve(provider, stream, connected));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(provider: Provider, stream: TcpStream, connected: Connected) {
    let _ = stream.set_nodelay(true); // only a matter of speed
    let shared = Arc::clone(&connected.0);
    let service = service_fn(move |request| answer(provider, request, Arc::clone(&shared)));
    let server = auto::Builder::new(TokioExecutor::new());
    // A connection that breaks is what this program is for.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
    drop(connected);
}

async fn answer(
    provider: Provider,
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Scripted>, Broken> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes());
    let json = body.as_ref().ok().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    let asked = Asked::read(provider, &head, json.unwrap_or(Value::Null));
    let number = shared.calls().begin(Call {
        provider,
        path: head.uri.path().to_owned(),
        model: asked.model.clone(),
        streamed: asked.streamed,
        headers: readable(&head.headers),
        body: asked.body.clone(),
        at: Instant::now(),
        end: None,
    });
    let call = CallGuard { shared: Arc::clone(&shared), number };
    let nth = shared.answers.fetch_add(1, Ordering::Relaxed);
    if body.is_err() {
        return Ok(refuse(provider, &Refused::too_large(), nth, call));
    }
    if let Err(refused) = asked.check(provider, &head) {
        return Ok(refuse(provider, &refused, nth, call));
    }
    let step = shared.script().next(provider, &asked.model);
    if !step.before_headers.is_zero() {
        tokio::time::sleep(step.before_headers).await;
    }
    match &step.answer {
        Answer::CloseBeforeHeaders => {
            call.answered();
            return Err(Broken);
        }
        Answer::StallBeforeHeaders => std::future::pending().await,
        _ => {}
    }
    let written = dialect::write(provider, &asked, &step, nth);
    let mut response = Response::new(Scripted::new(written.pieces, call));
    *response.status_mut() = written.status;
    for (name, value) in written.headers.iter().chain(&step.headers) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn refuse(provider: Provider, refused: &Refused, nth: usize, call: CallGuard) -> Response<Scripted> {
    let body = dialect::refusal(provider, refused, nth).to_string();
    let mut response = Response::new(Scripted::new([Piece::Bytes(Bytes::from(body))], call));
    *response.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn readable(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
}
