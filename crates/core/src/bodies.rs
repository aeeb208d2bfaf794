//! What went over the wire, for who keeps it.

use std::fmt;

use crate::{model::RequestId, time::Timestamp};

/// What went over the wire in one attempt. Holds content, and no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bodies {
    /// The request's id.
    pub id: RequestId,
    /// When the attempt began: [`Attempt::started_at`](crate::record::Attempt::started_at).
    pub attempt: Timestamp,
    /// What was sent.
    pub request: Captured,
    /// What came. Empty if nothing did.
    pub response: Captured,
}

/// A body, or its beginning.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// How many bytes the whole of it has, as far as it was read.
    pub length: u64,
}

impl Captured {
    /// Takes in what comes next, keeping `most` bytes in all.
    pub fn push(&mut self, more: &[u8], most: usize) {
        let room = most.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(more.get(..room).unwrap_or(more));
        self.length = self.length.saturating_add(u64::try_from(more.len()).unwrap_or(u64::MAX));
    }

    /// Whether there was more than is kept.
    pub fn is_cut(&self) -> bool {
        u64::try_from(self.bytes.len()).is_ok_and(|kept| kept < self.length)
    }
}

impl fmt::Debug for Captured {
    /// Without the content, which is somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("bytes", &self.bytes.len()).field("length", &self.length).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_all_is_counted() {
        let mut body = Captured::default();
        for more in ["ab", "", "cdef", "gh"] {
            body.push(more.as_bytes(), 5);
        }
        assert_eq!((body.bytes.as_slice(), body.length, body.is_cut()), (&b"abcde"[..], 8, true));
        let mut whole = Captured::default();
        whole.push(b"abc", 3);
        assert!(!whole.is_cut());
        assert!(!format!("{whole:?}").contains("abc"));
    }
}
