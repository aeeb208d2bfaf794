//! A request that was not checked cannot be sent, nor passed off as checked.

use leverframe_core::{
    lifecycle::{Lifecycle, On, SendRequest, Validating, ValidationPassed},
    time::Timestamp,
};

fn send(request: Lifecycle<Validating>, event: SendRequest) {
    let _ = request.on(event);
}

fn pass_off(request: Lifecycle<Validating>, at: Timestamp) {
    let unchecked = request.request();
    let _ = request.on(ValidationPassed { request: unchecked, at });
}

fn main() {}
