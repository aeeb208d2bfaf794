//! What a caller wrote itself.

use std::fmt;

use bytes::Bytes;

use super::Dialect;

/// A request as its caller wrote it, in a provider's own dialect.
///
/// For services that take requests in such a dialect. A route that speaks the
/// same one is sent these bytes, with its own name of the model, unless the
/// model is known to refuse something in them; and of what it answers, the
/// bytes are kept beside what was read of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Original {
    /// What it is written in.
    pub dialect: Dialect,
    /// The body, which says what the [`Request`](super::Request) around it says.
    /// `None` where a provider would not understand it, and only the answer is
    /// wanted as it comes.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Original").field("dialect", &self.dialect).field("bytes", &bytes).finish()
    }
}
