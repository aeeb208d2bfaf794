//! The emulator, felt over real sockets by a client that knows nothing of it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers as well"
)]

mod azure;
mod client;
mod faults;
mod library;
mod lists;
mod refusals;
mod responses;
mod tools;
mod wire;
