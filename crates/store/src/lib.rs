//! What is remembered: a durable log of requests in one embedded file.
//!
//! [`Log`] hears of every request twice: when it is sent
//! ([`Start`](leverframe_core::start::Start)) and when it is over
//! ([`Record`](leverframe_core::record::Record)). One thread writes; a request
//! only puts what it has into a bounded queue, and does not wait for the disk
//! unless [`Durability::Strict`] says so. What waits is written in one commit.
//!
//! When a process ends with requests out, the next one to open the file finds
//! their starts, and settles them as abandoned.
//!
//! [`Reader`] answers questions: by request, conversation, user, tag, provider,
//! model, state, reason and time, newest first and in pages; and from rollups
//! per minute, hour and day. Another process may read while one writes.
//!
//! What is read back is checked: a record whose journal cannot have happened
//! by the transition table is reported as corrupt.

mod batch;
mod content;
mod error;
mod export;
mod file;
mod guards;
mod histogram;
mod index;
mod log;
mod migrate;
mod query;
mod reader;
mod recovery;
mod retention;
mod rollup;
mod row;
mod schema;
mod settings;
mod terms;
#[cfg(test)]
mod tests;
mod times;
mod totals;
pub mod vault;
mod views;
mod writer;

pub use error::StoreError;
pub use export::{ExportError, Exported, Format, Lines};
pub use histogram::Histogram;
pub use log::Log;
pub use query::{Cursor, Page, Query};
pub use reader::Reader;
pub use recovery::Recovery;
pub use retention::Retention;
pub use rollup::{Period, Rollup};
pub use settings::{Durability, Health, Settings, WhenFull};
pub use terms::State;
pub use totals::{By, Group, Totals};
pub use views::Placed;
