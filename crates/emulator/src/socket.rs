//! A TCP connection that can be reset, whatever is spoken over it.
//!
//! Dropping a socket says goodbye (FIN). A peer that crashes does not: its
//! kernel answers with RST. To be reset a socket is dropped with a linger
//! time of zero, and since the HTTP library owns it by then, its owner is
//! told to drop the whole connection.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Notify};

/// Asks for a connection to be reset.
#[derive(Debug, Default)]
pub(crate) struct Reset {
    asked: AtomicBool,
    told: Notify,
}

impl Reset {
    pub(crate) fn now(&self) {
        self.asked.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Returns when the connection is to be dropped.
    pub(crate) async fn asked(&self) {
        self.told.notified().await;
    }
}

/// The emulator's end of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    io: TokioIo<TcpStream>,
    reset: Arc<Reset>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, reset: Arc<Reset>) -> Self {
        let _ = stream.set_nodelay(true); // only a matter of speed
        Self { io: TokioIo::new(stream), reset }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.asked.load(Ordering::Acquire) {
            // Failing, the connection still closes.
            let _ = self.io.inner().set_zero_linger();
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
