//! Nothing is sent that the guards have not admitted: there is no other way to
//! make an `Admission`.

use leverframe_core::{
    guard::Admission,
    lifecycle::{Lifecycle, On, Ready, Requesting, SendRequest, Sent},
    time::Timestamp,
};

fn send(request: Lifecycle<Requesting<Ready>>, at: Timestamp) -> Lifecycle<Requesting<Sent>> {
    request.on(SendRequest { admission: Admission { sent: false }, at })
}

fn main() {}
