//! Nothing is sent that was not validated.

use leverframe_core::lifecycle::{Lifecycle, On, SendRequest, Validating};

fn send(request: Lifecycle<Validating>, event: SendRequest) {
    let _ = request.on(event);
}

fn main() {}
