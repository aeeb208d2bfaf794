//! How much may be sent in a time, counted so that it is never exceeded.
//!
//! A [`LimitSet`](set::LimitSet) holds the limits of one scope, a key or one
//! model of a key. It is asked with a [`Claim`], what the request is estimated
//! to take, and answers for all of its limits at once: either each of them has
//! room and the claim is taken from all, or nothing is taken and the refusal
//! names the limit and the instant that is worth waiting for. When the request
//! is over the claim is replaced by what was reported.
//!
//! Rules that are not obvious:
//!
//! - **Windows slide.** No window of the length, wherever it begins, holds more
//!   than the capacity. A token bucket would let through up to twice as much in
//!   the window after a pause. What was claimed counts from the instant of
//!   admission until a window later.
//! - **A claim larger than the capacity** is admitted when the window is empty.
//!   It could otherwise never be sent, and the provider is the better judge.
//!   It is the one case in which a window holds more than the capacity, beside
//!   a request that turns out to have taken more than it claimed.
//! - **A claim of nothing** asks for one token or nano-dollar, as every request
//!   takes some: a budget that is used up refuses also what was not estimated.
//! - **Clocks.** Callers may come in another order than they read the clock.
//!   Each is counted at its own time, as long as it lags the latest caller by
//!   no more than a second; beyond that it is counted a second before it.
//! - **The provider knows better.** See [`Observation`] for what its headers
//!   correct, and `adaptive` for what is learned from a 429 without them.
//!
//! Memory: a window is 256 cells, and what falls into one cell is one entry
//! that expires with the latest of its parts. So a limit of any size takes a
//! few kilobytes, and an amount may be held a 256th of the window too long,
//! never too short.

mod adaptive;
mod claim;
mod config;
mod kind;
mod log;
mod meter;
mod observation;
mod set;

pub use claim::{Claim, Spent};
pub use config::Limits;
pub use kind::{LimitKind, Scope};
pub use observation::Observation;
pub use set::LimitStatus;
pub(super) use set::{CapacityChange, Held, LimitSet, Ticket};

#[cfg(test)]
mod tests;
