//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use tokio::sync::watch;

use super::{
    Shared,
    places::{Asked, Place},
    reply::Reply,
    socket::Socket,
    spoken::{Builders, Spoken},
    streams::Progress,
    tls::Stream,
};

/// Serves a connection until it ends, has to give way, or the server stops and
/// what is under way has ended.
pub(super) async fn serve(
    shared: Arc<Shared>,
    builders: Arc<Builders>,
    stream: Stream,
    place: Place,
    mut stopped: watch::Receiver<bool>,
) {
    let settings = shared.settings;
    let socket = Socket::new(stream, place.clone(), &settings);
    let asked_on = place.clone();
    let service = service_fn(move |request| {
        let (shared, asked) = (Arc::clone(&shared), asked_on.ask());
        let place = asked_on.clone();
        // Boxed: it is large, and a connection is kept for longer than it takes.
        Box::pin(async move { Ok::<_, Infallible>(answer(shared, request, &place, asked).await) })
    });
    let mut connection = Spoken::new(socket, service, builders);
    tokio::select! {
        // In this order, for nearly always it is the connection.
        biased;
        () = &mut connection => return,
        () = place.wanted() => return,
        () = told(&mut stopped) => {}
        () = place.idle(settings.idle_within) => {
            connection.graceful_shutdown();
            // What was said last may still be on its way; and a request may have been,
            // which has the time it takes.
            let unused = async {
                tokio::time::sleep(settings.write_within).await;
                place.idle(settings.write_within).await;
            };
            tokio::select! {
                () = connection => {}
                () = place.wanted() => {}
                () = unused => {}
            }
            return;
        }
    }
    connection.graceful_shutdown();
    connection.await;
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
