//! placeholder

pub(super) mod error;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;
mod wire;
