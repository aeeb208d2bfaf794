//! A body that follows a script.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::{server::CallGuard, socket::Reset};

/// What was written before a connection breaks has so long to leave.
const FLUSH: Duration = Duration::from_millis(1);

/// The next thing a body does.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    Wait(Duration),
    /// Nothing more, and no end.
    Stall,
    /// The body breaks off: over HTTP/1.1 the connection closes, over HTTP/2
    /// the stream is reset and the connection lives on.
    Close,
    /// The connection is reset, over HTTP/2 as well.
    Reset,
}

impl Piece {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(Bytes::from(text.into()))
    }

    /// A body that breaks off after what was written is on its way.
    pub(crate) fn close() -> [Self; 2] {
        [Self::Wait(FLUSH), Self::Close]
    }

    /// A reset after what was written is on its way.
    pub(crate) fn reset() -> [Self; 2] {
        [Self::Wait(FLUSH), Self::Reset]
    }
}

/// The connection was to be broken here.
#[derive(Debug, thiserror::Error)]
#[error("the script closes the connection here")]
pub(crate) struct Broken;

/// Does one piece after the other. Dropped before the last, the client has gone.
pub(crate) struct Scripted {
    pieces: VecDeque<Piece>,
    waiting: Option<Pin<Box<Sleep>>>,
    call: CallGuard,
    connection: Arc<Reset>,
}

impl Scripted {
    pub(crate) fn new(
        pieces: impl IntoIterator<Item = Piece>,
        call: CallGuard,
        connection: Arc<Reset>,
    ) -> Self {
        Self { pieces: pieces.into_iter().collect(), waiting: None, call, connection }
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
                Some(Piece::Reset) => {
                    self.call.answered();
                    self.connection.now();
                    self.pieces.push_front(Piece::Stall);
                    return Poll::Pending;
                }
                None => {
                    self.call.answered();
                    return Poll::Ready(None);
                }
            }
        }
    }
}
