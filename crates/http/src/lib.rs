//! How bytes become answers.
//!
//! - [`sse`]: server-sent events, from bytes to frames.
//! - [`codec`]: one codec per provider API, from requests to bytes and from
//!   bytes to answers, events and classified errors.
//! - [`hints`]: every header that says when to come back.
//! - [`transport`]: HTTP with five clocks and bounded bodies.
//!
//! The first three do no I/O and read no clock.

pub mod codec;
pub mod hints;
mod redact;
pub mod sse;
pub mod transport;
