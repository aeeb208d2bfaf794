//! A move consumes the state it starts from.

use leverframe_core::lifecycle::{Lifecycle, On, ReceiveResponse, RequestFailed, Requesting, Sent};

fn answer_and_fail(request: Lifecycle<Requesting<Sent>>, answer: ReceiveResponse, failure: RequestFailed) {
    let _answered = request.on(answer);
    let _failed = request.on(failure);
}

fn main() {}
