//! An answered request cannot be sent.

use leverframe_core::lifecycle::{Completed, Lifecycle, On, SendRequest};

fn send(answered: Lifecycle<Completed>, event: SendRequest) {
    let _ = answered.on(event);
}

fn main() {}
