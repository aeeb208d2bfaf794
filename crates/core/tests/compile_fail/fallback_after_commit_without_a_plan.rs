//! Falling back with an answer someone has begun to read takes a `ResumePlan`.

use leverframe_core::{
    lifecycle::{Failed, FallbackToProvider, Lifecycle, NextRoute, On, Seen},
    time::Timestamp,
};

fn fall_back(failed: Lifecycle<Failed, Seen>, route: NextRoute, at: Timestamp) {
    let _ = failed.on(FallbackToProvider { route, resend: (), at });
}

fn main() {}
