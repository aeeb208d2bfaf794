//! Sending again what someone has begun to read takes a `ResumePlan`.

use leverframe_core::{
    lifecycle::{Failed, FallbackToProvider, Lifecycle, NextRoute, On, Seen},
    time::Timestamp,
};

fn fall_back(broken_off: Lifecycle<Failed, Seen>, route: NextRoute, at: Timestamp) {
    let _ = broken_off.on(FallbackToProvider::<Seen> { route, resend: (), at });
}

fn main() {}
