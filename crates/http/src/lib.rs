//! How bytes become answers.
//!
//! - [`sse`]: server-sent events, from bytes to frames.
//! - [`codec`]: one codec per provider API, from requests to bytes and from
//!   bytes to answers, events and classified errors.
//! - [`hints`]: every header that says when to come back.
//! - [`tokens`]: how many tokens a request has, estimated without asking.
//! - [`transport`]: HTTP with five clocks and bounded bodies.
//!
//! All but the last do no I/O and read no clock.

pub mod answer;
pub mod codec;
pub mod headroom;
pub mod hints;
mod redact;
pub mod sse;
pub mod tokens;
pub mod transport;
