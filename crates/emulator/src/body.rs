//! A body that follows a script.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::server::CallGuard;

/// The next thing a body does.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    Wait(Duration),
    /// Lets what was written go out first.
    Flush,
    /// Nothing more, and no end.
    Stall,
    /// The connection breaks.
    Close,
}

impl Piece {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(Bytes::from(text.into()))
    }
}

/// The connection was to be broken here.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script closes the connection here")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Does one piece after the other. Dropped before the last, the client has gone.
pub(crate) struct Scripted {
    pieces: VecDeque<Piece>,
    waiting: Option<Pin<Box<Sleep>>>,
    call: CallGuard,
}

impl Scripted {
    pub(crate) fn new(pieces: impl IntoIterator<Item = Piece>, call: CallGuard) -> Self {
        Self { pieces: pieces.into_iter().collect(), waiting: None, call }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            match self.pieces.pop_front() {
                Some(Piece::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // Even a wait of nothing would take until the clock's next tick.
                Some(Piece::Wait(Duration::ZERO)) => {}
                Some(Piece::Flush) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Piece::Wait(time)) => self.waiting = Some(Box::pin(sleep(time))),
                Some(Piece::Stall) => {
                    // Whoever wakes this body finds it stalled still.
                    self.pieces.push_front(Piece::Stall);
                    return Poll::Pending;
                }
                Some(Piece::Close) => {
                    self.call.answered();
                    return Poll::Ready(Some(Err(Broken)));
                }
                None => {
                    self.call.answered();
                    return Poll::Ready(None);
                }
            }
        }
    }
}
