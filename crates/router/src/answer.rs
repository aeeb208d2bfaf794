//! What a caller gets: an answer, or one error.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use leverframe_core::{
    Explanation,
    catalog::Amount,
    error::{Code, ErrorKind, Failure},
    lifecycle::Journal,
    loss::Loss,
    model::{Partial, Response},
    record::{Attempt, Record},
};

/// A whole answer and how it came about.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the model answered.
    pub response: Response,
    record: Arc<Record>,
    original: Option<Bytes>,
}

impl Answer {
    pub(crate) fn new(response: Response, record: Arc<Record>) -> Self {
        Self { response, record, original: None }
    }

    /// The same with the body it was read from, if that was kept.
    pub(crate) fn with_original(self, original: Option<Bytes>) -> Self {
        Self { original, ..self }
    }

    /// The body of the answer as the provider sent it, where the request has an
    /// [`Original`](crate::Original) in the dialect of the route that answered.
    /// Streamed answers have none: see
    /// [`ResponseStream::take_original`](crate::ResponseStream::take_original).
    pub fn original(&self) -> Option<&Bytes> {
        self.original.as_ref()
    }

    /// All text of the answer.
    pub fn text(&self) -> String {
        self.response.text()
    }

    /// Every attempt, in the order in which they began. The one without a
    /// failure answered.
    pub fn attempts(&self) -> &[Attempt] {
        &self.record.attempts
    }

    /// What all attempts together cost, as far as it is known.
    pub fn cost(&self) -> Option<Amount> {
        self.record.cost()
    }

    /// What of the request the provider that answered could not be told.
    pub fn losses(&self) -> &[Loss] {
        self.record.answered().map_or(&[], |attempt| &attempt.losses)
    }

    /// Every state the request went through.
    pub fn journal(&self) -> &Journal {
        &self.record.journal
    }

    /// Why the request went where it went.
    pub fn explain(&self) -> Explanation<'_> {
        self.record.explain()
    }

    /// What is remembered of the request.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

/// Why there is no answer, after everything that could be tried was.
///
/// Says what went wrong first, as later failures are often its consequence;
/// [`attempts`](Self::attempts) has them all.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    failure: Failure,
    partial: Option<Box<Partial>>,
    /// None when the request was refused before it had a route.
    record: Option<Arc<Record>>,
}

impl Error {
    pub(crate) fn new(failure: Failure, partial: Option<Box<Partial>>, record: Arc<Record>) -> Self {
        Self(Box::new(Inner { failure, partial, record: Some(record) }))
    }

    /// The request was refused before it had a route.
    pub(crate) fn unplanned(failure: Failure) -> Self {
        Self(Box::new(Inner { failure, partial: None, record: None }))
    }

    /// What kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.failure.kind
    }

    /// Its stable code.
    pub fn code(&self) -> Code {
        self.kind().code()
    }

    /// The failure itself, with the provider's message, status and hint.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// What had arrived of an answer that broke off after the caller had begun
    /// to read it.
    pub fn partial(&self) -> Option<&Partial> {
        self.0.partial.as_deref()
    }

    /// Every attempt, in order.
    pub fn attempts(&self) -> &[Attempt] {
        self.0.record.as_ref().map_or(&[], |record| &record.attempts)
    }

    /// Every state the request went through. Empty when it was refused before
    /// it had a route.
    pub fn journal(&self) -> Journal {
        self.0.record.as_ref().map(|record| record.journal.clone()).unwrap_or_default()
    }

    /// Why the request went where it went; `None` when it was refused before it
    /// had a route.
    pub fn explain(&self) -> Option<Explanation<'_>> {
        self.0.record.as_ref().map(|record| record.explain())
    }

    /// What is remembered of the request; `None` when it was refused before it
    /// had a route.
    pub fn record(&self) -> Option<&Arc<Record>> {
        self.0.record.as_ref()
    }
}

impl fmt::Display for Error {
    /// The first failure, then what became of the other attempts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.failure)?;
        let [first, others @ ..] = self.attempts() else { return Ok(()) };
        write!(f, " [{} {}", first.provider, first.model)?;
        for attempt in others {
            write!(f, "; then {} {}", attempt.provider, attempt.model)?;
            if let Some(failure) = &attempt.failure {
                write!(f, ": {}", failure.kind)?;
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("failure", &self.0.failure)
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.failure)
    }
}
