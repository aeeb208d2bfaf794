//! Policies order routes and do nothing else.
//!
//! A policy is a pure function of the request and the configuration. It sends
//! nothing, waits for nothing and remembers nothing.

pub(crate) mod priority;
