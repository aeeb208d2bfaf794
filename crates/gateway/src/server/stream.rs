//! An answer that goes back as it arrives.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use leverframe_router::{ResponseStream, dialect::StreamEncoder};

/// Bytes that are gathered before they are sent, where more is ready at once.
const GATHERED: usize = 16 << 10;

/// A stream on its way to the client. Dropped with the client's connection,
/// and what is asked of the provider with it.
pub(super) struct Streamed {
    /// `None` when it is over.
    stream: Option<ResponseStream>,
    encoder: StreamEncoder,
    gathered: Vec<u8>,
}

impl Streamed {
    pub(super) fn new(stream: ResponseStream, encoder: StreamEncoder) -> Self {
        Self { stream: Some(stream), encoder, gathered: Vec::new() }
    }

    /// All that is ready, in one piece.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while let Some(stream) = &mut self.stream {
            match Pin::new(stream).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => {
                    self.encoder.push(&event, &mut self.gathered);
                    if self.gathered.len() >= GATHERED {
                        break;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.encoder.fail(error.failure(), &mut self.gathered);
                    self.stream = None;
                }
                Poll::Ready(None) => self.stream = None,
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let piece = mem::take(&mut self.gathered);
        Poll::Ready((!piece.is_empty()).then(|| Bytes::from(piece)))
    }
}
