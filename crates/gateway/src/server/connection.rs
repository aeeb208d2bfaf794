//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::sync::watch;

use super::{
    Settings, Shared,
    places::{Asked, Place},
    reply::Reply,
    socket::Socket,
    streams::{Progress, Streams},
    tls::Stream,
};

/// Serves a connection until it ends, has to give way, or the server stops and
/// what is under way has ended.
pub(super) async fn serve(
    shared: Arc<Shared>,
    builder: Arc<auto::Builder<Streams>>,
    stream: Stream,
    place: Place,
    mut stopped: watch::Receiver<bool>,
) {
    let settings = shared.settings;
    let socket = TokioIo::new(Socket::new(stream, place.clone(), &settings));
    let asked_on = place.clone();
    let service = service_fn(move |request| {
        let (shared, asked) = (Arc::clone(&shared), asked_on.ask());
        let place = asked_on.clone();
        // Boxed: it is large, and a connection is kept for longer than it takes.
        Box::pin(async move { Ok::<_, Infallible>(answer(shared, request, &place, asked).await) })
    });
    let mut connection = pin!(builder.serve_connection(socket, service));
    tokio::select! {
        // In this order, for nearly always it is the connection.
        biased;
        // What went wrong with a connection was its client's to hear.
        _ = connection.as_mut() => return,
        () = place.wanted() => return,
        () = told(&mut stopped) => {}
        () = place.idle(settings.idle_within) => {
            connection.as_mut().graceful_shutdown();
            // What was said last may still be on its way.
            let ended = tokio::time::timeout(settings.write_within, connection);
            tokio::select! {
                _ = ended => {}
                () = place.wanted() => {}
            }
            return;
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Ready when the server stops. Nobody left to say it is as good as said.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    place: &Place,
    asked: Asked,
) -> Response<Answered> {
    let has_body = !request.body().is_end_stream();
    place.set_unread(false);
    let response = super::answer(shared, request).await;
    place.set_unread(has_body && !response.status().is_success());
    let progress = Progress::current();
    if let Some(progress) = &progress {
        progress.begins();
    }
    response.map(|reply| Answered { reply, progress, _asked: asked })
}

/// What is sent to a client. The request is under way for as long as it lives.
pub(super) struct Answered {
    reply: Reply,
    /// Of its stream, on HTTP/2.
    progress: Option<Arc<Progress>>,
    _asked: Asked,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = Pin::new(&mut self.reply).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.asked(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

/// How connections are served.
pub(super) fn builder(settings: &Settings) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams { within: settings.write_within });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_within)
        .max_headers(MOST_FIELDS)
        .max_buf_size(settings.max_head.max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(settings.max_head).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        // As they come by default: said here because they are relied on.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        .keep_alive_interval(Some(std::time::Duration::from_secs(30)));
    builder
}

/// The least hyper takes.
const MIN_BUFFER: usize = 8_192;

/// Most fields of a request's head.
const MOST_FIELDS: usize = 100;

/// Most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 250;

/// Most bytes that are held of one answer for a client of HTTP/2 to take.
const SEND_BUFFER: usize = 64 << 10;
