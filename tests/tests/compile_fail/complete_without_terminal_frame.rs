//! A stream is complete when the provider has said so, and not before.

use leverframe_core::{
    lifecycle::{Completed, Lifecycle, On, StreamComplete, Streaming},
    time::Timestamp,
};

fn complete(stream: Lifecycle<Streaming>, at: Timestamp) -> Lifecycle<Completed> {
    let frame = stream.terminal_frame();
    stream.on(StreamComplete { frame, at })
}

fn main() {}
