//! The event whose blank line has not come yet.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::line::KEEP;
use super::{Event, SseError};

/// The data lines seen so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, a slice of where it was found.
    One(Bytes),
    /// Several, in [`Pending::joined`].
    Joined,
}

/// Collects the fields of one event.
#[derive(Debug, Default)]
pub(super) struct Pending {
    event: Option<ByteString>,
    data: Data,
    /// Kept between events for its capacity.
    joined: BytesMut,
}

impl Pending {
    /// Whether there is nothing of an event yet.
    pub(super) fn is_empty(&self) -> bool {
        self.event.is_none() && matches!(self.data, Data::None)
    }

    /// Sets the name. An empty one means none, as in the standard.
    ///
    /// # Errors
    /// [`SseError::InvalidUtf8`].
    pub(super) fn name(&mut self, value: Bytes) -> Result<(), SseError> {
        self.event = if value.is_empty() { None } else { Some(text(value)?) };
        Ok(())
    }

    /// Adds a line of data.
    ///
    /// # Errors
    /// [`SseError::EventTooLarge`] when the data grows beyond `limit` bytes.
    #[inline]
    pub(super) fn data(&mut self, value: Bytes, limit: usize) -> Result<(), SseError> {
        let held = match &self.data {
            Data::None => 0,
            Data::One(first) => first.len() + 1,
            Data::Joined => self.joined.len() + 1,
        };
        if held.saturating_add(value.len()) > limit {
            return Err(SseError::EventTooLarge { limit });
        }
        self.data = match std::mem::take(&mut self.data) {
            Data::None => Data::One(value),
            Data::One(first) => {
                self.joined.extend_from_slice(&first);
                self.join(&value)
            }
            Data::Joined => self.join(&value),
        };
        Ok(())
    }

    fn join(&mut self, value: &[u8]) -> Data {
        self.joined.extend_from_slice(b"\n");
        self.joined.extend_from_slice(value);
        Data::Joined
    }

    /// Ends the event and starts the next. `None` if there was no data line.
    ///
    /// # Errors
    /// [`SseError::InvalidUtf8`]: this is the one place where data is checked.
    #[inline]
    pub(super) fn dispatch(&mut self, truncated: bool) -> Result<Option<Event>, SseError> {
        let event = self.event.take();
        let data = match std::mem::take(&mut self.data) {
            Data::None => return Ok(None),
            Data::One(line) => line,
            Data::Joined => {
                let lines = self.joined.split().freeze();
                if lines.len() > KEEP {
                    self.joined = BytesMut::new();
                }
                lines
            }
        };
        Ok(Some(Event { event, data: text(data)?, truncated }))
    }
}

/// Checks that bytes are UTF-8. Does not copy.
#[inline]
pub(super) fn text(bytes: Bytes) -> Result<ByteString, SseError> {
    ByteString::try_from(bytes).map_err(|_| SseError::InvalidUtf8)
}
