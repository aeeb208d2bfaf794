//! Providers that come and go.

use leverframe_tests::sim::{Fault, Load, Script, World};

use super::{GRACE, healthy, secs, simulate};

const LASTS: std::time::Duration = secs(60);
const TIMEOUT: std::time::Duration = secs(10);

/// A provider up for two thirds of seven seconds, and one for half of eleven.
fn flapping(fault: Fault) -> [Script; 2] {
    let [claude, gemini, _] = healthy();
    [
        claude.flapping(secs(0)..LASTS, secs(7), 0.33, fault),
        gemini.flapping(secs(0)..LASTS, secs(11), 0.5, fault),
    ]
}

#[test]
fn every_call_ends_once_and_in_time() {
    let faults = [
        Fault::Server,
        Fault::ConnectionRefused,
        Fault::Hang,
        Fault::HangAfter(1),
        Fault::ResetAfter(0),
        Fault::ResetAfter(2),
        Fault::TruncatedAfter(2),
    ];
    for fault in faults {
        for providers in [1, 2] {
            simulate(async {
                let scripts = flapping(fault).into_iter().take(providers).collect();
                let world = World::new(3, scripts, |builder| builder);
                let load = Load { timeout: Some(TIMEOUT), ..Load::steady(20.0, LASTS, "claude-sonnet-5") };
                let report = world.run(load).await;
                println!("flapping, {fault:?}, {providers} providers\n{report}");
                assert_eq!(report.calls.len(), 1200);
                assert!(report.answered() > 0);
                assert!(report.longest() <= TIMEOUT + GRACE, "{fault:?}: {:?}", report.longest());
                world.settle(); // one record for each call: none ends twice
            });
        }
    }
}
