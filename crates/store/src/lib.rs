//! What is remembered: a durable log of requests in one embedded file.
//!
//! [`Log`] takes the [`Record`](leverframe_core::record::Record) of every
//! request that is over. One thread writes; a request only puts its record
//! into a bounded queue and never waits for the disk. Records written together
//! share one commit. When the queue is full, records are shed and counted: see
//! [`Log::shed`].
//!
//! What is read back is checked: a record whose journal cannot have happened
//! by the transition table is reported as corrupt.

mod error;
mod log;
mod schema;
mod writer;

pub use error::StoreError;
pub use log::Log;
