//! A stream is complete when the provider has said so, not when it has ended.

use leverframe_core::{
    lifecycle::{Completed, Lifecycle, On, StreamComplete, Streaming},
    model::TerminalFrame,
    time::Timestamp,
};

fn complete(stream: Lifecycle<Streaming>, at: Timestamp) -> Lifecycle<Completed> {
    stream.on(StreamComplete { frame: TerminalFrame(()), at })
}

fn main() {}
