//! Server-sent events: from chunks of bytes to events, without I/O.
//!
//! **Problem.** A provider's stream arrives in pieces cut anywhere: in the
//! middle of a line, of a CRLF, of a character. The event that matters most may
//! be the one that was cut off, and an error may come as bytes that are not an
//! event at all.
//!
//! **Rule.** Framing follows the WHATWG HTML standard, section 9.2.6
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>),
//! and the items that come out do not depend on how the bytes were cut.
//! Every byte is looked at once, so that time is linear in the length of the
//! stream, also in chunks of one byte.
//!
//! | input | output |
//! |---|---|
//! | LF, CR, CRLF, mixed, CRLF cut in two | a line end |
//! | one byte order mark at the start | skipped |
//! | `: comment` | skipped |
//! | `data: a`, `data:a`, `data` | a line of data: `a`, `a`, empty; only one space is removed |
//! | several `data` lines | joined by LF |
//! | `event: name` | the event's name; the last one counts; empty means none |
//! | `id`, `retry` | skipped: no provider resumes a generation by them |
//! | a blank line | ends the event |
//!
//! **Where we differ from the standard, and why.**
//! - A line with any other field name is not ignored but handed out as
//!   [`Item::Foreign`]: Gemini writes a bare JSON error between events under
//!   HTTP 200. It comes out when its own line ends, so before an event that is
//!   still open; the open event is not disturbed.
//! - At the end of input the standard discards an open event. We hand it out,
//!   marked [`Event::truncated`], with its unfinished last line: proxies drop
//!   the last blank line, and official clients read on regardless. The codec
//!   decides.
//! - Invalid UTF-8 is an error, not U+FFFD: a codec must not read repaired JSON.
//!   It is looked for in what is handed out, once, and not in what is skipped.
//!
//! **What is lost, knowingly.** As in the standard, an event without a `data`
//! line is dropped, even if it has a name: it carries nothing to decode. An
//! event whose `data` line is empty is handed out.
//!
//! **Memory.** The data of an event that lies in one chunk, on one line, is a
//! slice of that chunk: no copy, no allocation, and the chunk lives as long as
//! the event does. What spans chunks or lines is assembled in a buffer which is
//! reused. [`Limits`] bound both.

mod decoder;
mod line;
mod pending;

use bytestring::ByteString;

pub use decoder::Decoder;

/// What the decoder hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event with at least one `data` line.
    Event(Event),
    /// A line that is not part of the event stream format, without its line end.
    Foreign(ByteString),
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The last `event` field, if there was one that was not empty.
    pub event: Option<ByteString>,
    /// The `data` lines joined by LF; valid UTF-8.
    pub data: ByteString,
    /// The input ended before the blank line that ends an event. The data may
    /// be cut off anywhere.
    pub truncated: bool,
}

/// How much the decoder is ready to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes, without its line end. Comments count too.
    pub line: usize,
    /// The largest event, in bytes of data, with the LFs that join its lines.
    pub event: usize,
}

impl Default for Limits {
    /// Lines of 8 MiB and events of 16 MiB: data lines of hundreds of
    /// kilobytes (images, whole responses) are normal.
    fn default() -> Self {
        Self { line: 8 << 20, event: 16 << 20 }
    }
}

/// Why a stream cannot be decoded any further.
///
/// Once returned, the decoder returns the same error for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// A line is longer than [`Limits::line`].
    #[error("a line of the event stream is longer than `Limits::line` allows ({limit} bytes)")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An event's data is larger than [`Limits::event`].
    #[error("an event of the stream is larger than `Limits::event` allows ({limit} bytes)")]
    EventTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Data, an event's name or a foreign line is not UTF-8.
    #[error("the event stream is not valid UTF-8")]
    InvalidUtf8,
}
