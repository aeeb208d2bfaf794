//! Failures all codecs report in the same words.

use leverframe_core::error::{ErrorKind, Failure};

use serde_json::error::Category;

use crate::redact;

/// Text of an answer that is not `expected`.
pub(super) fn unreadable(expected: &str, text: &str) -> Failure {
    Failure::new(ErrorKind::Unreadable, format!("expected {expected}, got {}", redact::excerpt(text)))
}

/// Where a parser gave up. Not what it says: it quotes what it read.
#[derive(Debug, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub(super) struct Position {
    what: &'static str,
    line: usize,
    column: usize,
}

/// Where the parser gave up.
pub(super) fn position(error: &serde_json::Error) -> Position {
    let what = match error.classify() {
        Category::Eof => "the JSON ends too early",
        Category::Syntax | Category::Io => "not JSON",
        Category::Data => "JSON of another shape",
    };
    Position { what, line: error.line(), column: error.column() }
}

/// What to say of an error whose body is not in the dialect.
pub(super) fn bare_status(status: u16, text: &str) -> String {
    match redact::excerpt(text).trim() {
        "" => format!("the provider answered HTTP {status} and nothing else"),
        shown => format!("the provider answered HTTP {status}: {shown}"),
    }
}
