//! A record as a text that says why the request went where it went.

use std::{fmt, time::Duration};

use crate::record::{Attempt, Outcome, Record};

/// Why a request went where it went, and what became of it. `Display` is for a
/// person; the values are in the record itself.
///
/// ```text
/// request 01890000-0000-7000-8000-000000000000 for claude-sonnet-5: answered after 0.812 s
/// policy priority
///   claude/claude-sonnet-5 (key default): place 0; set back: the route failed too often for another 3.1 s
///   gemini/gemini-3.6-flash (key default): place 1; to be tried
/// attempt 1, at once: gemini/gemini-3.6-flash (key default) answered in 0.812 s, first piece after 0.404 s, 12 tokens in, 80 out, $0.0002 (estimated)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    record: &'a Record,
}

impl Record {
    /// Why the request went where it went.
    pub fn explain(&self) -> Explanation<'_> {
        Explanation { record: self }
    }
}

impl Explanation<'_> {
    /// The record it explains.
    pub fn record(&self) -> &Record {
        self.record
    }

    fn attempt(&self, number: usize, attempt: &Attempt, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {number}, ")?;
        match attempt.started_at.since(self.record.started_at) {
            after if after < Duration::from_millis(1) => f.write_str("at once: ")?,
            after => write!(f, "after {}: ", Seconds(after))?,
        }
        write!(f, "{}/{} (key {}) ", attempt.provider, attempt.model, attempt.key)?;
        match (&attempt.failure, attempt.sent) {
            (Some(failure), false) => write!(f, "was not asked: {failure}")?,
            (Some(failure), true) => {
                write!(f, "failed in {}: {failure}", Seconds(attempt.duration()))?;
                if let Some(status) = failure.status {
                    write!(f, " (HTTP {status})")?;
                }
            }
            (None, _) => write!(f, "answered in {}", Seconds(attempt.duration()))?,
        }
        if let Some(wait) = attempt.failure.as_ref().and_then(|failure| failure.retry_after) {
            write!(f, ", to be asked again in {}", Seconds(wait))?;
        }
        if let Some(first) = attempt.first_chunk_at {
            write!(f, ", first piece after {}", Seconds(first.since(attempt.started_at)))?;
        }
        if let (Some(input), Some(output)) = (attempt.usage.input_total(), attempt.usage.output_total()) {
            write!(f, ", {input} tokens in, {output} out")?;
        }
        if let Some(cost) = &attempt.cost {
            write!(f, ", {}", cost.amount)?;
        }
        for loss in &attempt.losses {
            write!(f, "\n  could not be told {loss}")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        write!(f, "request {} for {}: ", record.id, record.model)?;
        match &record.outcome {
            Outcome::Completed { .. } => write!(f, "answered")?,
            Outcome::Abandoned => write!(f, "abandoned: the process ended while it was out,")?,
            Outcome::Failed { kind, message, .. } => write!(f, "{kind}: {message}")?,
        }
        writeln!(f, " after {}", Seconds(record.duration()))?;
        if !record.choice.considered.is_empty() {
            write!(f, "{}", record.choice)?;
        }
        for (number, attempt) in (1..).zip(&record.attempts) {
            self.attempt(number, attempt, f)?;
        }
        Ok(())
    }
}

/// A time in seconds, to the millisecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}
