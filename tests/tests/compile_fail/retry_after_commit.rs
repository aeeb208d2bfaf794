//! Once content was handed over, a stream cannot be tried again in secret.

use leverframe_core::{
    guard::RetryPermit,
    lifecycle::{Lifecycle, On, RetryRequest, Streaming, Unseen},
    time::Timestamp,
};

fn retry(stream: Lifecycle<Streaming>, permit: RetryPermit, at: Timestamp) {
    let seen = stream.commit();
    let _ = seen.on(RetryRequest::<Unseen> { permit, resend: (), at });
}

fn main() {}
