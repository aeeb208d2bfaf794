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

/// What a client of HTTP/2 begins with. The server waits for all of it, or for
/// the first byte that differs, before it knows which HTTP is spoken, and only
/// then runs clocks of its own.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most bytes that a client which was refused may still send.
const LINGERING: usize = 64 << 20;

/// A connection on which nothing may wait for longer than it is given.
pub(super) struct Socket {
    stream: Stream,
    place: Place,
    write_within: Duration,
    linger_within: Duration,
    opening: Option<Opening>,
    /// Runs while a write waits.
    alarm: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

/// Until it is known which HTTP is spoken.
struct Opening {
    /// Bytes that were as in the preface.
    seen: usize,
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
        let opening = Some(Opening { seen: 0, alarm: alarm(settings.head_within) });
        let Settings { write_within, linger_within, .. } = *settings;
        Self { stream, place, write_within, linger_within, opening, alarm: None, lingering: None }
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
    /// Whether it is still open which HTTP is spoken after these bytes.
    fn goes_on(&mut self, read: &[u8]) -> bool {
        let more = PREFACE.get(self.seen..).is_some_and(|rest| !read.is_empty() && rest.starts_with(read));
        self.seen += read.len();
        more && self.seen < PREFACE.len()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(opening) = &mut self.opening else { return read };
        match read {
            Poll::Pending => {
                ready!(opening.alarm.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(read) => {
                if !opening.goes_on(buf.filled().get(before..).unwrap_or_default()) {
                    self.opening = None;
                }
                Poll::Ready(read)
            }
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
    use super::*;

    #[tokio::test]
    async fn the_preface_is_known_however_it_is_split() {
        let open = || Opening { seen: 0, alarm: alarm(Duration::ZERO) };
        for (read, expected) in [
            (&[&PREFACE[..]][..], vec![false]),
            (&[&PREFACE[..3], &PREFACE[3..23], &PREFACE[23..]], vec![true, true, false]),
            (&[b"P", b"O"], vec![true, false]),
            (&[b"GET"], vec![false]),
            (&[b"PRI * HTTP/1.1"], vec![false]),
            (&[b""], vec![false]), // the end
        ] {
            let mut opening = open();
            let found: Vec<_> = read.iter().map(|read| opening.goes_on(read)).collect();
            assert_eq!(found, expected, "{read:?}");
        }
    }
}
