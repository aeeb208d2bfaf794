//! What a request is estimated to take, and what it took.

use crate::{
    catalog::NanoDollars,
    error::{Clock, ErrorKind, Failure},
    model::Usage,
};

/// What a request is estimated to take, beside being a request. Zero where
/// nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Money.
    pub cost: NanoDollars,
}

/// What an attempt took, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// What the provider reported so far.
    pub usage: Usage,
    /// What that cost. `None` when nobody knows.
    pub cost: Option<NanoDollars>,
}

impl Claim {
    /// What stays taken of this claim when the request ends with `outcome`:
    /// what was reported, and where nothing was, the estimate. A request that
    /// the provider turned down, or that never reached it, took nothing but
    /// its place in the count.
    pub(in crate::guard) fn settled(&self, outcome: Result<(), &Failure>, spent: &Spent) -> Self {
        if outcome.is_err_and(did_no_work) && spent.usage == Usage::default() {
            return Self::default();
        }
        Self {
            input_tokens: spent.usage.input_total().unwrap_or(self.input_tokens),
            output_tokens: spent.usage.output_total().unwrap_or(self.output_tokens),
            cost: spent.cost.unwrap_or(self.cost),
        }
    }
}

/// Whether the provider cannot have begun to work.
fn did_no_work(failure: &Failure) -> bool {
    failure.status.is_some_and(|status| status >= 400) || failure.kind == ErrorKind::Timeout(Clock::Connect)
}
