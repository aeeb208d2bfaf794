//! What a caller's key may use.

use std::sync::Arc;

use leverframe_router::{Allowance, Claim, Failure, NanoDollars, Record, Share, Timestamp};

/// What one request has of its key's allowance.
#[derive(Debug)]
pub(super) struct Taken {
    /// `None` once it is settled.
    share: Option<Share>,
    /// What is counted of a request that nothing more is known of: its client
    /// left before there was an answer.
    least: Claim,
}

/// Bytes of a request that are about a token.
const BYTES_PER_TOKEN: u64 = 4;

/// Takes a request's share, of a key that has limits. What it will use is not
/// known yet: it is counted when the request is over.
///
/// # Errors
/// Which limit refuses, and for how long.
pub(super) fn take(
    allowance: Option<&Arc<Allowance>>,
    bytes: usize,
    now: Timestamp,
) -> Result<Option<Taken>, Failure> {
    let Some(allowance) = allowance else { return Ok(None) };
    let share = allowance.take(&Claim::default(), now).map_err(|refusal| refusal.into_failure(now))?;
    let input_tokens = u64::try_from(bytes).unwrap_or(u64::MAX) / BYTES_PER_TOKEN;
    Ok(Some(Taken { share: Some(share), least: Claim { input_tokens, ..Claim::default() } }))
}

/// What a request took, with attempts that failed and were paid for.
pub(super) fn took(record: &Record) -> Claim {
    let mut took = Claim::default();
    for attempt in record.attempts.iter().filter(|attempt| attempt.sent) {
        let usage = &attempt.usage;
        took.input_tokens = took.input_tokens.saturating_add(usage.input_total().unwrap_or(0));
        took.output_tokens = took.output_tokens.saturating_add(usage.output_total().unwrap_or(0));
    }
    let known = record.attempts.iter().filter_map(|attempt| attempt.cost?.amount.value());
    took.cost = known.fold(NanoDollars::ZERO, |sum, cost| sum + cost);
    took
}

impl Taken {
    /// The request is over.
    pub(super) fn settle(mut self, record: &Record) {
        self.end(&took(record));
    }

    fn end(&mut self, took: &Claim) {
        if let Some(share) = self.share.take() {
            share.settle(took);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let least = self.least;
        self.end(&least);
    }
}
