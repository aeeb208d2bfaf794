//! What was called.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::time::Instant;

use crate::Provider;

/// Most calls that are kept; older ones are forgotten.
const KEPT: usize = 10_000;

/// One call, as it came. Credentials are kept as well: they are fakes.
#[derive(Clone, Debug)]
pub struct Call {
    /// The API that was called.
    pub provider: Provider,
    /// The path, without the query.
    pub path: String,
    /// The model, empty if the call names none.
    pub model: String,
    /// Whether the answer was to be streamed.
    pub streamed: bool,
    /// The headers that could be read as text.
    pub headers: Vec<(String, String)>,
    /// The body; null if it was not JSON.
    pub body: Value,
    /// When it came.
    pub at: Instant,
    /// How it ended; `None` while it goes on.
    pub end: Option<CallEnd>,
}

impl Call {
    /// The value of a header; names are lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The emulator said all it was scripted to.
    Answered,
    /// The client went away before that.
    ClientWentAway,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// How many were forgotten.
    forgotten: usize,
    kept: VecDeque<Call>,
}

impl Calls {
    /// Keeps a call and returns its number.
    pub(crate) fn begin(&mut self, call: Call) -> usize {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(call);
        self.forgotten + self.kept.len() - 1
    }

    /// Notes how call number `number` ended, the first time it is told.
    pub(crate) fn end(&mut self, number: usize, end: CallEnd) {
        let place = number.checked_sub(self.forgotten);
        if let Some(call) = place.and_then(|place| self.kept.get_mut(place)) {
            call.end.get_or_insert(end);
        }
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.kept.iter().cloned().collect()
    }
}
