//! A gateway that the official SDKs can be pointed at.
//!
//! [`server::Server`] puts a [`Router`](leverframe_router::Router) behind the
//! four dialects; [`config::Config`] says how. The `leverframe` command runs it.

pub mod config;
pub mod metrics;
pub mod server;
pub mod standing;
