//! What a request to a language model is and how it may move.
//!
//! This crate is pure: no I/O, no async, no clock, no hidden randomness. Time
//! arrives as a [`Timestamp`](time::Timestamp) and randomness as a seeded
//! generator, so that everything here runs the same in a test as in production.
//!
//! Where to start reading:
//!
//! - [`lifecycle`]: the heart. Eight states, fourteen events, 26 rules; an
//!   illegal move does not compile.
//! - [`model`]: requests, messages, responses, stream events, usage.
//! - [`loss`]: what a dialect cannot say of a request.
//! - [`validate`]: every limit on a request, in one place.
//! - [`error`]: every way a request can fail, and the one table that decides
//!   what happens next.
//! - [`choice`]: why a request went where it went.
//! - [`guard`]: what has to agree before a request may be sent or sent again.
//! - [`record`]: what is remembered of a request when it is over.
//! - [`bodies`]: what went over the wire, for who keeps it.

pub mod bodies;
pub mod catalog;
pub mod choice;
pub mod error;
mod explain;
pub mod guard;
pub mod lifecycle;
pub mod loss;
pub mod model;
pub mod record;
pub mod start;
pub mod time;
pub mod validate;

pub use explain::Explanation;
