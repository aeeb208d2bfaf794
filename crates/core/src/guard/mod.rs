//! What has to agree before a request may be sent, or sent again.
//!
//! Guards hand out permissions as values: an [`Admission`] to send, a
//! [`RetryPermit`] to send again, a [`Draw`] for every attempt. Each has a
//! constructor only its guard can reach and gives back what was not used when
//! dropped, so that a cancelled request leaves no trace.
//!
//! Guards take `now` and a seeded random source; a test runs a day of them in
//! a millisecond. Shared state sits behind short mutexes in here and nowhere
//! else, and no method waits.

mod allowance;
mod backoff;
mod breaker;
mod budget;
mod deadline;
mod gate;
mod health;
mod latency;
mod limit;
mod memory;
mod retry;
mod retry_budget;
mod sync;
mod watch;
mod window;

pub use allowance::{Allowance, Share};
pub use backoff::{Backoff, Growth};
pub use breaker::{Breaker, BreakerConfig, BreakerState, Pass};
pub use budget::{AttemptBudget, Draw};
pub use deadline::Deadline;
pub use gate::{Admission, Gate, GateStatus, Guard, KeyGuard, Refusal};
pub use health::{Benched, HealthConfig};
pub use latency::Latency;
pub use limit::{Claim, LimitKind, LimitStatus, Limits, Observation, Scope, Spent};
pub use memory::{BenchMemory, BreakerMemory, GuardMemory, LimitMemory, Memory, Remembered, Remembers};
pub use retry::{Circumstances, NoRetry, RetryPermit, RetryPolicy};
pub use retry_budget::{RetryBudget, RetryBudgetConfig, RetryBudgetStatus, RetryToken};
pub use watch::Watcher;

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into() }
    }
}
