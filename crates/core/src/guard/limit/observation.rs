//! What a provider says of its limits.

use super::LimitKind;
use crate::time::Timestamp;

/// One limit as a provider's answer reports it.
///
/// - A `limit` below ours becomes the capacity; a higher one later raises it
///   again, never above what was configured. Where nothing was configured the
///   report is the capacity.
/// - A `remaining` below what we think is left means that others use the key
///   too: the difference is set aside until `resets_at`. A higher one changes
///   nothing, as requests of ours may be on their way that the provider has
///   not counted.
///
/// Ignored for concurrency, of which no provider reports what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which limit.
    pub kind: LimitKind,
    /// How much may be used in a window.
    pub limit: Option<u64>,
    /// How much of it is left.
    pub remaining: Option<u64>,
    /// When all of it will be there again. Without it, or later than a window
    /// from now, a window from now is assumed; in the past, the report is too
    /// old to say what is left.
    pub resets_at: Option<Timestamp>,
}
