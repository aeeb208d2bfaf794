//! The streams of HTTP/2 connections, each given up when its client does not
//! take it.
//!
//! On HTTP/1.1 a client that does not read makes a write wait, and the socket
//! sees that. A client of HTTP/2 may read its connection and leave one stream
//! without room: then no write waits, nobody asks the router for more, no clock
//! of an answer runs, and the provider's connection would be held for ever.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::{task::futures::TaskLocalFuture, time::Sleep};

tokio::task_local! {
    /// The progress of the stream whose task runs.
    static CURRENT: Arc<Progress>;
}

/// What a stream's answer did while its task ran.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The answer has begun.
    begun: AtomicBool,
    /// It has no more for now: it waits for the provider, not for its client.
    waits: AtomicBool,
    /// A piece of it was taken.
    moved: AtomicBool,
}

impl Progress {
    /// That of the stream whose task runs. `None` on HTTP/1.1.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    pub(super) fn begins(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// The answer was asked for more.
    pub(super) fn asked(&self, ready: bool) {
        let which = if ready { &self.moved } else { &self.waits };
        which.store(true, Ordering::Relaxed);
    }
}

/// Runs streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// How long a client may leave one without room.
    pub(super) within: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let progress = Arc::new(Progress::default());
        let stream = Box::pin(CURRENT.scope(Arc::clone(&progress), stream));
        TokioExecutor::new().execute(Watched { stream, progress, within: self.within, alarm: None });
    }
}

struct Watched<F: Future> {
    stream: Pin<Box<TaskLocalFuture<Arc<Progress>, F>>>,
    progress: Arc<Progress>,
    within: Duration,
    /// Runs while the client is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let progress = Arc::clone(&self.progress);
        progress.waits.store(false, Ordering::Relaxed);
        progress.moved.store(false, Ordering::Relaxed);
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !progress.begun.load(Ordering::Relaxed) || progress.waits.load(Ordering::Relaxed) {
            self.alarm = None;
            return Poll::Pending;
        }
        if progress.moved.load(Ordering::Relaxed) {
            self.alarm = None;
        }
        let within = self.within;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        // Ending here drops the stream, which resets it.
        alarm.as_mut().poll(cx)
    }
}
