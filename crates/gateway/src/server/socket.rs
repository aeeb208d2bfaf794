//! A client's connection, given up when it does not say what it wants, when it
//! does not take what is sent, and gently when it was refused.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{Settings, places::Place, tls::Stream};

/// What a client of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Most bytes that a client which was refused may still send.
const LINGERING: usize = 64 << 20;

/// A connection on which nothing may wait for longer than it is given.
pub(super) struct Socket {
    stream: Stream,
    place: Place,
    write_within: Duration,
    linger_within: Duration,
    /// `None` once its bytes have been read again.
    opening: Option<Box<Opening>>,
    /// Runs while a write waits.
    alarm: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

/// What was read to know which HTTP is spoken.
struct Opening {
    bytes: [u8; PREFACE.len()],
    held: usize,
    alarm: Pin<Box<Sleep>>,
}

/// After the last answer, which is not lost only while its reader's bytes are
/// taken: a connection closed over unread ones is reset, and what was sent on
/// it is gone.
struct Lingering {
    left: usize,
    alarm: Pin<Box<Sleep>>,
}

fn alarm(within: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(Instant::now() + within))
}

impl Socket {
    pub(super) fn new(stream: Stream, place: Place, settings: &Settings) -> Self {
        let opening = Some(Box::new(Opening {
            bytes: [0; PREFACE.len()],
            held: 0,
            alarm: alarm(settings.head_within),
        }));
        let Settings { write_within, linger_within, .. } = *settings;
        Self { stream, place, write_within, linger_within, opening, alarm: None, lingering: None }
    }

    /// Which HTTP the client speaks: known with the whole preface, or the first
    /// byte that differs from it. What was read for that is read again.
    ///
    /// # Errors
    /// When the connection breaks, or the client takes longer than it may for its
    /// head.
    pub(super) fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        let Some(opening) = &mut self.opening else { return Poll::Ready(Ok(Version::Http1)) };
        loop {
            let mut rest = ReadBuf::new(opening.bytes.get_mut(opening.held..).unwrap_or_default());
            match Pin::new(&mut self.stream).poll_read(cx, &mut rest) {
                Poll::Pending => {
                    ready!(opening.alarm.as_mut().poll(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(read) => read?,
            }
            let read = rest.filled().len();
            opening.held += read;
            if read == 0 || !PREFACE.starts_with(opening.seen()) {
                return Poll::Ready(Ok(Version::Http1));
            }
            if opening.held == PREFACE.len() {
                return Poll::Ready(Ok(Version::Http2));
            }
        }
    }

    /// Passes on what came of a write, and watches over one that waits.
    fn watched<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.alarm = None;
            return written;
        }
        let within = self.write_within;
        match self.alarm.get_or_insert_with(|| alarm(within)).as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes what the client still sends, for a while. Ready when it is done.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (first, within) = (self.lingering.is_none(), self.linger_within);
        let lingering =
            self.lingering.get_or_insert_with(|| Lingering { left: LINGERING, alarm: alarm(within) });
        let mut bytes = [0; 8 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(buffer.filled().len());
                    if lingering.left == 0 {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if first && lingering.left == LINGERING && !self.place.unread() => {
                    return Poll::Ready(());
                }
                Poll::Pending => return lingering.alarm.as_mut().poll(cx),
            }
        }
    }
}

impl Opening {
    fn seen(&self) -> &[u8] {
        self.bytes.get(..self.held).unwrap_or_default()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(opening) = self.opening.take_if(|opening| opening.held <= buf.remaining()) else {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        };
        buf.put_slice(opening.seen());
        // With what comes after it, so that one reading does for a whole request.
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending if opening.held > 0 => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watched(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            if ready!(self.watched(cx, shut)).is_err() {
                return Poll::Ready(Ok(())); // it is gone already
            }
        }
        self.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::server::places::Places;

    /// What a client is taken to speak that sends these pieces, one after the
    /// other, and what is read then.
    async fn spoken(pieces: &[&[u8]]) -> (Option<Version>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listens");
        client.set_nodelay(true).expect("a socket");
        let (stream, _) = listener.accept().await.expect("connects");
        let place = Places::new(1).take().await;
        let settings = Settings { head_within: Duration::from_secs(9), ..Settings::default() };
        let mut socket = Socket::new(Stream::Plain(stream), place, &settings);
        let send = async {
            for piece in pieces {
                client.write_all(piece).await.expect("is taken");
                // The clock is paused: it goes on when nothing else can happen.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (version, ()) = tokio::join!(poll_fn(|cx| socket.poll_version(cx)), send);
        client.shutdown().await.expect("a socket");
        let mut read = Vec::new();
        socket.read_to_end(&mut read).await.expect("all of it");
        (version.ok(), read)
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_is_known_however_the_preface_is_split() {
        let (http1, http2) = (Some(Version::Http1), Some(Version::Http2));
        for (pieces, expected) in [
            (&[&PREFACE[..]][..], http2),
            (&[&PREFACE[..3], &PREFACE[3..23], &PREFACE[23..], b"more"], http2),
            (&[b"P", b"OST / HTTP/1.1"], http1),
            (&[b"GET"], http1),
            (&[b"PRI * HTTP/1.1"], http1),
        ] {
            assert_eq!(spoken(pieces).await, (expected, pieces.concat()), "{pieces:?}");
        }
        assert_eq!(spoken(&[b"PR"]).await.0, None, "it says no more in time");
    }
}
