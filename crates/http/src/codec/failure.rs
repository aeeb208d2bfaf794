//! Failures all codecs report in the same words.

use leverframe_core::error::{ErrorKind, Failure};

use crate::redact;

/// What cannot be said in a dialect, with the path of the field.
pub(super) fn unsupported(field: &str, problem: &str) -> Failure {
    Failure::new(ErrorKind::Unsupported, format!("{field}: {problem}"))
}

/// Text of an answer that is not `expected`.
pub(super) fn unreadable(expected: &str, text: &str) -> Failure {
    Failure::new(ErrorKind::Unreadable, format!("expected {expected}, got {}", redact::excerpt(text)))
}

/// What to say of an error whose body is not in the dialect.
pub(super) fn bare_status(status: u16, text: &str) -> String {
    match redact::excerpt(text).trim() {
        "" => format!("the provider answered HTTP {status} and nothing else"),
        shown => format!("the provider answered HTTP {status}: {shown}"),
    }
}
