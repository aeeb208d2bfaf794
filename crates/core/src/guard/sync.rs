//! What decides between threads, so that loom can take its place.

#[cfg(loom)]
pub(super) use loom::sync::{Arc, atomic};
#[cfg(not(loom))]
pub(super) use std::sync::{Arc, atomic};
