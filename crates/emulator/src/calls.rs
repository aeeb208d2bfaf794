//! What was called.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::time::Instant;

use crate::Provider;

/// Most calls that are kept; older ones are forgotten.
const MAX_CALLS: usize = 10_000;

/// Most bytes of bodies that are kept, as they came over the wire.
const MAX_BYTES: usize = 64 << 20;

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
    /// The body; null if it was not JSON, or too large.
    pub body: Value,
    /// When its head and body had come.
    pub at: Instant,
    /// How it ended; `None` while it goes on.
    pub end: Option<CallEnd>,
    /// When it ended; `None` while it goes on.
    pub ended_at: Option<Instant>,
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
    /// The emulator did all it was scripted to, be it to break the connection.
    Answered,
    /// The client went away before that, or the emulator was stopped.
    ClientWentAway,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// How many were forgotten.
    forgotten: usize,
    /// With the length of each one's body.
    kept: VecDeque<(Call, usize)>,
    bytes: usize,
}

impl Calls {
    /// Keeps a call, whose body has so many bytes, and returns its number.
    pub(crate) fn begin(&mut self, call: Call, bytes: usize) -> usize {
        self.bytes += bytes;
        self.kept.push_back((call, bytes));
        // The newest is kept whatever its size.
        while self.kept.len() > MAX_CALLS || (self.bytes > MAX_BYTES && self.kept.len() > 1) {
            let freed = self.kept.pop_front().map_or(0, |(_, bytes)| bytes);
            self.bytes -= freed;
            self.forgotten += 1;
        }
        self.forgotten + self.kept.len() - 1
    }

    /// Notes how call number `number` ended, the first time it is told.
    pub(crate) fn end(&mut self, number: usize, end: CallEnd) {
        let place = number.checked_sub(self.forgotten);
        if let Some((call, _)) = place.and_then(|place| self.kept.get_mut(place)) {
            call.end.get_or_insert(end);
            call.ended_at.get_or_insert_with(Instant::now);
        }
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.kept.iter().map(|(call, _)| call.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_calls_are_forgotten_by_number_and_by_size() {
        let call = |path: &str| Call {
            provider: Provider::Gemini,
            path: path.to_owned(),
            model: String::new(),
            streamed: false,
            headers: Vec::new(),
            body: Value::Null,
            at: Instant::now(),
            end: None,
            ended_at: None,
        };
        for (first_is, bytes, more, kept) in [("many", 10, MAX_CALLS, MAX_CALLS), ("large", MAX_BYTES, 1, 1)]
        {
            let calls = &mut Calls::default();
            let first = calls.begin(call(first_is), bytes);
            for _ in 0..more {
                let next = calls.begin(call("next"), 1);
                calls.end(next, CallEnd::Answered);
            }
            calls.end(first, CallEnd::ClientWentAway); // forgotten: no effect
            let all = calls.all();
            assert_eq!(all.len(), kept, "{first_is}");
            assert!(all.iter().all(|call| call.path == "next" && call.end == Some(CallEnd::Answered)));
        }
    }
}
