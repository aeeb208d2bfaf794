//! Server-sent events, from bytes to frames.
//!
//! The format is that of the WHATWG HTML standard, section 9.2.6, read the way
//! the providers write it:
//!
//! - Lines end in LF, CR or CRLF, also across chunks. One leading byte order
//!   mark is skipped. Comments are skipped. `data` lines of one event are
//!   joined by LF.
//! - At the end of the body a pending event is handed out although the
//!   standard would discard it, because some servers leave the last blank line
//!   out; it is marked [`truncated`](Event::truncated).
//! - A line that is none of the standard's fields is handed out as
//!   [`Item::Foreign`] rather than ignored: Gemini is known to write a bare
//!   JSON error into a stream.
//! - `id` and `retry` are skipped: an answer is not resumed by reconnecting.
//! - An `event` without `data` is dropped, as the standard says.
//!
//! Lines and events have a size limit, and text is checked to be UTF-8 once
//! per event. How the bytes are split into chunks makes no difference. Time is
//! linear in the length of the stream: no byte is looked at twice, save those
//! of a line that spans chunks, which are copied once.

mod decoder;

use bytestring::ByteString;

pub use decoder::Decoder;

/// How large lines and events may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest line.
    pub line: usize,
    /// Most data of one event, all its lines together.
    pub event: usize,
}

impl Default for Limits {
    /// 8 MiB a line, 16 MiB an event: inline images and encrypted reasoning
    /// reach hundreds of kilobytes.
    fn default() -> Self {
        Self { line: 8 << 20, event: 16 << 20 }
    }
}

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event with data.
    Event(Event),
    /// A line that is not part of the format.
    Foreign(ByteString),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event` field, if there was one.
    pub event: Option<ByteString>,
    /// The `data` lines, joined by LF. A slice of the chunk it came in, where
    /// it is one line that lies within one chunk.
    pub data: ByteString,
    /// Whether the body ended before the blank line that closes an event. Its
    /// data may be cut short.
    pub truncated: bool,
}

/// Why a stream cannot be read on. Final: nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line is longer than [`Limits::line`].
    #[error("a line is longer than the limit of {limit} bytes")]
    LineTooLong {
        /// The limit.
        limit: usize,
    },
    /// An event has more data than [`Limits::event`].
    #[error("an event is larger than the limit of {limit} bytes")]
    EventTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Text is not UTF-8.
    #[error("an event is not UTF-8")]
    InvalidUtf8,
}
