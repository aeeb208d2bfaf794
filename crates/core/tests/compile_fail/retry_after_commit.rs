//! What the caller has begun to read is not asked for again behind their back.

use leverframe_core::lifecycle::{Lifecycle, On, RetryRequest, Streaming, Unseen};

fn retry(stream: Lifecycle<Streaming, Unseen>, event: RetryRequest) {
    let _ = stream.commit().on(event);
}

fn main() {}
