//! A request that is over is over.

use leverframe_core::lifecycle::{Completed, Lifecycle, On, SendRequest};

fn send_again(done: Lifecycle<Completed>, event: SendRequest) {
    let _ = done.on(event);
}

fn main() {}
