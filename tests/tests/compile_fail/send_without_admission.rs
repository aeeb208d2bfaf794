//! Sending takes an `Admission`, and only a gate makes one.

use leverframe_core::{
    lifecycle::{Lifecycle, On, Ready, Requesting, SendRequest, Sent},
    time::Timestamp,
};

fn send(request: Lifecycle<Requesting<Ready>>, at: Timestamp) -> Lifecycle<Requesting<Sent>> {
    request.on(SendRequest { at })
}

fn main() {}
