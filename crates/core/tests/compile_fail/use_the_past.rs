//! Whoever holds a lifecycle holds its present: nobody holds its past.

use leverframe_core::lifecycle::{Lifecycle, On, ReceiveStreamChunk, RequestFailed, Streaming};

fn twice(stream: Lifecycle<Streaming>, failed: RequestFailed, chunk: ReceiveStreamChunk) {
    let _failed = stream.on(failed);
    let _ = stream.on(chunk);
}

fn main() {}
