//! Listeners, connections, and one call from its head to its body.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::server::conn::auto;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use crate::{
    Call, CallEnd, Provider, Step,
    body::{Broken, Scripted},
    calls::Calls,
    dialect::{self, Arrived, Written},
    script::{Answer, Script},
    socket::{Reset, Socket},
};

/// Most bytes of a request's body: 32 MB, as the Anthropic API errors page says.
const MAX_BODY: usize = 32 << 20;

/// What listeners and the [`Emulator`](crate::Emulator) share.
#[derive(Debug)]
pub(crate) struct Shared {
    models: HashMap<Provider, Vec<String>>,
    script: Mutex<Script>,
    calls: Mutex<Calls>,
    connections: AtomicUsize,
    answers: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(models: HashMap<Provider, Vec<String>>, default: Step) -> Self {
        Self {
            models,
            script: Mutex::new(Script::new(default)),
            calls: Mutex::default(),
            connections: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// The only models a provider knows; `None` if it knows any.
    fn models(&self, provider: Provider) -> Option<&[String]> {
        self.models.get(&provider).map(Vec::as_slice)
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

/// Runs the streams of one HTTP/2 connection and ends them with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}

/// Accepts connections until told to stop, then waits for those there are.
/// Dropping the future breaks them all.
pub(crate) async fn listen(
    provider: Provider,
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let connected = Connected::new(&shared);
                    connections.spawn(serve(provider, stream, connected, stop.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            // Nobody left to say it is as good as said.
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(provider: Provider, stream: TcpStream, connected: Connected, mut stop: watch::Receiver<bool>) {
    let reset = Arc::new(Reset::default());
    let service =
        service_fn(|request| answer(provider, request, Arc::clone(&connected.0), Arc::clone(&reset)));
    let server = auto::Builder::new(Streams::default());
    let connection = server.serve_connection(Socket::new(stream, Arc::clone(&reset)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A connection that breaks is what this program is for.
        _ = &mut connection => return,
        () = reset.asked() => return,
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = &mut connection => {}
        () = reset.asked() => {}
    }
}

async fn answer(
    provider: Provider,
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: Arc<Reset>,
) -> Result<Response<Scripted>, Broken> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let bytes = body.as_ref().map_or(0, Bytes::len);
    let nth = shared.answers.fetch_add(1, Ordering::Relaxed);
    let arrived = Arrived::read(provider, &head, body.as_deref(), nth);
    let number = shared.calls().begin(
        Call {
            provider,
            path: head.uri.path().to_owned(),
            model: arrived.asked.model.clone(),
            streamed: arrived.asked.streamed,
            headers: readable(&head.headers),
            body: arrived.asked.body.clone(),
            at: Instant::now(),
            end: None,
            ended_at: None,
        },
        bytes,
    );
    let call = CallGuard { shared: Arc::clone(&shared), number };
    if let Some(written) = arrived.without_script(shared.models(provider)) {
        return Ok(respond(written, &[], call, connection));
    }
    let step = shared.script().next(provider, &arrived.asked.model, &arrived.asked.body);
    if !step.before_headers.is_zero() {
        tokio::time::sleep(step.before_headers).await;
    }
    match &step.answer {
        Answer::CloseBeforeHeaders => {
            call.answered();
            return Err(Broken);
        }
        Answer::ResetBeforeHeaders => {
            call.answered();
            connection.now();
            std::future::pending().await
        }
        Answer::StallBeforeHeaders => std::future::pending().await,
        _ => {}
    }
    Ok(respond(dialect::write(&arrived, &step), &step.headers, call, connection))
}

/// The body, or `None` if it is too large. Such a one is read to its end
/// without being kept, so that the client comes to hear the answer.
async fn read(mut body: Incoming) -> Result<Option<Bytes>, Broken> {
    let mut kept = Some(BytesMut::new());
    while let Some(frame) = body.frame().await {
        // A client that goes away while it asks is told nothing.
        let Ok(data) = frame.map_err(|_| Broken)?.into_data() else { continue };
        kept = kept.filter(|kept| kept.len() + data.len() <= MAX_BODY);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&data);
        }
    }
    Ok(kept.map(BytesMut::freeze))
}

fn respond(
    written: Written,
    scripted: &[(String, String)],
    call: CallGuard,
    connection: Arc<Reset>,
) -> Response<Scripted> {
    let mut response = Response::new(Scripted::new(written.pieces, call, connection));
    *response.status_mut() = written.status;
    let standard = written.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let scripted = scripted.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in standard.chain(scripted) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
}
