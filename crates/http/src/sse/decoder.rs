//! The decoder: finds lines in chunks and feeds them to the open event.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memchr2;

use super::line::{Line, Partial};
use super::pending::{Pending, text};
use super::{Item, Limits, SseError};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Up to here a chunk without a line end is copied at once, in bytes.
const CRUMB: usize = 8;

/// Decodes one event stream.
///
/// ```
/// use bytes::Bytes;
/// use leverframe_http::sse::{Decoder, Item, Limits};
///
/// let mut decoder = Decoder::new(Limits::default());
/// let mut seen = Vec::new();
/// for chunk in ["data: Hel", "lo\n\nda", "ta: cut of"] {
///     decoder.push(Bytes::from(chunk));
///     while let Some(Item::Event(event)) = decoder.next_item()? {
///         seen.push((event.data, event.truncated));
///     }
/// }
/// while let Some(Item::Event(event)) = decoder.finish()? {
///     seen.push((event.data, event.truncated));
/// }
/// assert_eq!(seen, [("Hello".into(), false), ("cut of".into(), true)]);
/// # Ok::<(), leverframe_http::sse::SseError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The chunk being read; empty once it is used up, so as not to pin it.
    chunk: Bytes,
    /// Where reading goes on in `chunk`.
    at: usize,
    /// Chunks pushed before the one in hand was used up.
    waiting: VecDeque<Bytes>,
    partial: Partial,
    pending: Pending,
    /// The last byte was a CR: an LF that comes next belongs to it.
    after_cr: bool,
    /// No line has ended yet, so the line may begin with a byte order mark.
    first_line: bool,
    ended: bool,
    failed: Option<SseError>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk: Bytes::new(),
            at: 0,
            waiting: VecDeque::new(),
            partial: Partial::default(),
            pending: Pending::default(),
            after_cr: false,
            first_line: true,
            ended: false,
            failed: None,
        }
    }

    /// Hands over the next chunk, of any length.
    ///
    /// Pull items until there are none before pushing again: chunks pushed
    /// earlier than that wait in a queue without a bound. After an error or
    /// [`finish`](Self::finish) a chunk is dropped.
    #[inline]
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_some() || self.ended {
            return;
        }
        if self.at < self.chunk.len() || !self.waiting.is_empty() {
            self.waiting.push_back(chunk);
        } else if chunk.len() <= CRUMB && !self.after_cr && line_end(&chunk).is_none() {
            // A crumb of a line is not worth holding on to its chunk.
            if let Err(error) = self.partial.extend(&chunk, self.limits.line) {
                self.fail(error);
            }
        } else {
            self.chunk = chunk;
            self.at = 0;
        }
    }

    /// The next item, or `None` when more input is needed.
    ///
    /// # Errors
    /// See [`SseError`]; from then on every call returns the same error.
    #[inline]
    pub fn next_item(&mut self) -> Result<Option<Item>, SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.read().map_err(|error| self.fail(error))
    }

    /// Whether no event is open: what was read so far ends with one, or with
    /// something that belongs to none.
    pub fn is_between_events(&self) -> bool {
        self.failed.is_none() && self.partial.is_empty() && self.pending.is_empty()
    }

    /// Bytes that were pushed and not looked at yet.
    pub fn unread(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Bytes::len).sum();
        self.chunk.len().saturating_sub(self.at).saturating_add(waiting)
    }

    /// Says that the input has ended, and takes out what is left, item by item,
    /// until `None`: items not pulled yet, then an unfinished line, then the
    /// open event, marked as truncated.
    ///
    /// # Errors
    /// As [`next_item`](Self::next_item).
    pub fn finish(&mut self) -> Result<Option<Item>, SseError> {
        if let Some(item) = self.next_item()? {
            return Ok(Some(item));
        }
        self.ended = true;
        self.flush().map_err(|error| self.fail(error))
    }

    /// Remembers the error and lets go of everything held.
    #[cold]
    fn fail(&mut self, error: SseError) -> SseError {
        *self = Self { failed: Some(error), ..Self::new(self.limits) };
        error
    }

    fn flush(&mut self) -> Result<Option<Item>, SseError> {
        if !self.partial.is_empty()
            && let Some(item) = self.end_partial(true)?
        {
            return Ok(Some(item));
        }
        Ok(self.pending.dispatch(true)?.map(Item::Event))
    }

    /// Reads lines until one yields an item or the input is used up.
    #[inline]
    fn read(&mut self) -> Result<Option<Item>, SseError> {
        loop {
            let rest = self.chunk.get(self.at..).unwrap_or_default();
            let Some(&first) = rest.first() else {
                if !self.next_chunk() {
                    return Ok(None);
                }
                continue;
            };
            // Without its first byte there is no byte order mark, and the first
            // line needs no looking at.
            if self.first_line && self.partial.is_empty() && Some(&first) != BOM.first() {
                self.first_line = false;
            }
            if self.after_cr {
                self.after_cr = false;
                if first == b'\n' {
                    self.at += 1;
                    continue;
                }
            }
            let length = if first == b'\n' { Some(0) } else { line_end(rest) };
            let Some(length) = length else {
                self.partial.extend(rest, self.limits.line)?;
                self.at = self.chunk.len();
                continue;
            };
            let (line, end) = rest.split_at_checked(length).unwrap_or_default();
            let item = if self.partial.is_empty() && !self.first_line {
                let start = self.at;
                self.at += length + end_length(end, &mut self.after_cr);
                self.whole_line(start, length)?
            } else {
                self.partial.extend(line, self.limits.line)?;
                self.at += length + end_length(end, &mut self.after_cr);
                self.end_partial(false)?
            };
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Lets go of the chunk that is used up. Whether there is another one.
    #[inline]
    fn next_chunk(&mut self) -> bool {
        if !self.chunk.is_empty() {
            self.chunk = Bytes::new();
        }
        self.at = 0;
        match self.waiting.pop_front() {
            Some(chunk) => {
                self.chunk = chunk;
                true
            }
            None => false,
        }
    }

    /// A line that lies in the chunk from end to end.
    #[inline]
    fn whole_line(&mut self, start: usize, length: usize) -> Result<Option<Item>, SseError> {
        if length > self.limits.line {
            return Err(SseError::LineTooLong { limit: self.limits.line });
        }
        let end = start + length;
        let line = Line::read(self.chunk.get(start..end).unwrap_or_default());
        let kept = line.kept_from().map_or_else(Bytes::new, |from| self.chunk.slice(start + from..end));
        self.accept(line, kept)
    }

    /// A line that was put together, now complete, or cut off by the end of input.
    fn end_partial(&mut self, cut_off: bool) -> Result<Option<Item>, SseError> {
        let mut whole = self.partial.as_slice();
        let mut skip = 0;
        if std::mem::take(&mut self.first_line)
            && let Some(rest) = whole.strip_prefix(BOM)
        {
            whole = rest;
            skip = BOM.len();
        }
        let line = Line::read(whole);
        if cut_off && line == Line::Blank {
            // A byte order mark and nothing else.
            self.partial.clear();
            return Ok(None);
        }
        let kept = match line.kept_from() {
            Some(from) => self.partial.take().slice(skip + from..),
            None => {
                self.partial.clear();
                Bytes::new()
            }
        };
        self.accept(line, kept)
    }

    #[inline]
    fn accept(&mut self, line: Line, kept: Bytes) -> Result<Option<Item>, SseError> {
        match line {
            Line::Data(_) => self.pending.data(kept, self.limits.event).map(|()| None),
            Line::Blank => Ok(self.pending.dispatch(false)?.map(Item::Event)),
            Line::Event(_) => self.pending.name(kept).map(|()| None),
            Line::Foreign => Ok(Some(Item::Foreign(text(kept)?))),
            Line::Skipped => Ok(None),
        }
    }
}

/// Where the line ends that `bytes` begin with.
#[inline]
fn line_end(bytes: &[u8]) -> Option<usize> {
    // Setting up a vector search does not pay for a handful of bytes.
    if bytes.len() < 16 {
        return bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    }
    memchr2(b'\n', b'\r', bytes)
}

/// The length of the line end at the start of `bytes`. A CR at the end of the
/// chunk ends its line at once, and is remembered.
#[inline]
fn end_length(bytes: &[u8], after_cr: &mut bool) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] => {
            *after_cr = true;
            1
        }
        _ => 1,
    }
}
