//! What one line means, and the line that is still arriving.

use bytes::{Bytes, BytesMut};

use super::SseError;

/// Above this a buffer is given back after use instead of being kept, in bytes.
pub(super) const KEEP: usize = 64 * 1024;

/// What a buffer grows by at least, in bytes.
const BLOCK: usize = 4096;

/// A line, named by its field. The number is the offset of the value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Blank,
    Data(usize),
    Event(usize),
    /// A comment, or a field that says nothing to us.
    Skipped,
    Foreign,
}

impl Line {
    /// Reads a line without its line end.
    pub(super) fn read(line: &[u8]) -> Self {
        match line {
            [] => Self::Blank,
            [b':', ..] => Self::Skipped,
            [b'd', b'a', b't', b'a', rest @ ..] => value(4, rest).map_or(Self::Foreign, Self::Data),
            [b'e', b'v', b'e', b'n', b't', rest @ ..] => value(5, rest).map_or(Self::Foreign, Self::Event),
            [b'i', b'd', rest @ ..] | [b'r', b'e', b't', b'r', b'y', rest @ ..] => {
                value(0, rest).map_or(Self::Foreign, |_| Self::Skipped)
            }
            _ => Self::Foreign,
        }
    }

    /// Where the part worth keeping begins, if there is one.
    pub(super) fn kept_from(self) -> Option<usize> {
        match self {
            Self::Data(at) | Self::Event(at) => Some(at),
            Self::Foreign => Some(0),
            Self::Blank | Self::Skipped => None,
        }
    }
}

/// The offset of the value after a field name of `name` bytes, if `rest` shows
/// that the name ends there.
fn value(name: usize, rest: &[u8]) -> Option<usize> {
    match rest {
        [] => Some(name),
        [b':', b' ', ..] => Some(name + 2),
        [b':', ..] => Some(name + 1),
        _ => None,
    }
}

/// The beginning of a line whose end is in a chunk still to come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// Kept between lines for its capacity.
    buffer: BytesMut,
    /// Bytes of the line so far, including those of a comment that were not kept.
    length: usize,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds bytes that hold no line end.
    ///
    /// # Errors
    /// [`SseError::LineTooLong`] when the line grows beyond `limit` bytes.
    pub(super) fn extend(&mut self, bytes: &[u8], limit: usize) -> Result<(), SseError> {
        self.length = self.length.saturating_add(bytes.len());
        if self.length > limit {
            return Err(SseError::LineTooLong { limit });
        }
        // Of a comment one byte is enough to know it by.
        if self.buffer.first() != Some(&b':') {
            let room = self.buffer.capacity().saturating_sub(self.buffer.len());
            if room < bytes.len() {
                // Room for a few lines more, so that it is not looked for at each.
                self.buffer.reserve(bytes.len().max(BLOCK));
            }
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// The line so far.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the line out. The allocation stays shared, so that it is used
    /// again once whoever holds the line has dropped it.
    pub(super) fn take(&mut self) -> Bytes {
        self.length = 0;
        let line = self.buffer.split().freeze();
        if line.len() > KEEP {
            self.buffer = BytesMut::new();
        }
        line
    }

    /// Drops the line but keeps the buffer.
    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.buffer.clear();
        if self.buffer.capacity() > KEEP {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_its_field_name() {
        for (line, expected) in [
            ("", Line::Blank),
            (":", Line::Skipped),
            (": keep-alive", Line::Skipped),
            ("data", Line::Data(4)),
            ("data:", Line::Data(5)),
            ("data: ", Line::Data(6)),
            ("data:x", Line::Data(5)),
            ("data:  x", Line::Data(6)),
            ("data x", Line::Foreign),
            ("database: x", Line::Foreign),
            ("Data: x", Line::Foreign),
            (" data: x", Line::Foreign),
            ("event", Line::Event(5)),
            ("event:x", Line::Event(6)),
            ("event: x", Line::Event(7)),
            ("events: x", Line::Foreign),
            ("id", Line::Skipped),
            ("id: 7", Line::Skipped),
            ("idle: 7", Line::Foreign),
            ("retry:1000", Line::Skipped),
            ("error: {\"detail\":1}", Line::Foreign),
            ("{", Line::Foreign),
            ("dat", Line::Foreign),
        ] {
            assert_eq!(Line::read(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn a_comment_is_counted_but_not_kept() {
        let mut partial = Partial::default();
        partial.extend(b":", 8).unwrap();
        partial.extend(b"1234567", 8).unwrap();
        assert_eq!(partial.as_slice(), b":");
        assert_eq!(partial.extend(b"8", 8), Err(SseError::LineTooLong { limit: 8 }));
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut partial = Partial::default();
        partial.extend(&vec![b'x'; KEEP + 1], usize::MAX).unwrap();
        assert_eq!(partial.take().len(), KEEP + 1);
        assert_eq!(partial.buffer.capacity(), 0);
        assert!(partial.is_empty());
    }
}
