use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig::default(), 1).expect("the default is valid")
}

fn fail(breaker: &mut Breaker, now: Timestamp) {
    let pass = breaker.pass(now).expect("lets through");
    breaker.failed(pass, now);
}

/// Trips a breaker and returns the instant from which it probes.
fn tripped(now: Timestamp) -> (Breaker, Timestamp) {
    let mut breaker = breaker();
    for _ in 0..5 {
        fail(&mut breaker, now);
    }
    let BreakerState::Open(until) = breaker.state(now) else { panic!("not open") };
    (breaker, until)
}

#[test]
fn a_run_of_failures_opens_it_and_a_good_probe_closes_it() {
    let now = Timestamp::EPOCH + SECOND;
    let (mut breaker, until) = tripped(now);
    assert_eq!(breaker.pass(now).map(drop), Err(until));
    let probe = breaker.pass(until).expect("half-open");
    assert!(breaker.pass(until).is_err(), "one probe at a time");
    breaker.succeeded(probe, until);
    assert_eq!(breaker.state(until), BreakerState::Closed);
}

#[test]
fn a_success_in_between_breaks_the_run() {
    let (mut breaker, now) = (breaker(), Timestamp::EPOCH);
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    let pass = breaker.pass(now).expect("closed");
    breaker.succeeded(pass, now);
    for _ in 0..4 {
        fail(&mut breaker, now);
    }
    assert_eq!(breaker.state(now), BreakerState::Closed);
}

#[test]
fn a_rate_opens_it_once_the_sample_is_large_enough() {
    let (mut breaker, now) = (breaker(), Timestamp::EPOCH + SECOND);
    for nth in 1..=20 {
        assert_eq!(breaker.state(now), BreakerState::Closed, "after {nth}");
        let pass = breaker.pass(now).expect("closed");
        match nth % 2 {
            0 => breaker.failed(pass, now),
            _ => breaker.succeeded(pass, now),
        }
    }
    assert!(matches!(breaker.state(now), BreakerState::Open(_)));
}

#[test]
fn old_failures_leave_the_window() {
    let (mut breaker, mut now) = (breaker(), Timestamp::EPOCH + SECOND);
    for nth in 0..200 {
        let pass = breaker.pass(now).expect("stays closed");
        match nth % 2 {
            0 => breaker.failed(pass, now),
            _ => breaker.succeeded(pass, now),
        }
        now = now + SECOND * 2; // 15 outcomes in any 30 s: below the sample
    }
    assert_eq!(breaker.state(now), BreakerState::Closed);
}

#[test]
fn open_time_doubles_to_the_cap() {
    let (mut breaker, mut until) = tripped(Timestamp::EPOCH);
    let mut expected = SECOND * 5;
    for _ in 0..12 {
        expected = (expected * 2).min(SECOND * 300);
        fail(&mut breaker, until);
        let BreakerState::Open(next) = breaker.state(until) else { panic!("not open") };
        let open = next.since(until);
        assert!(open >= expected && open <= expected.mul_f64(1.2), "{open:?} for {expected:?}");
        until = next;
    }
}

#[test]
fn what_comes_back_late_changes_nothing() {
    let mut breaker = breaker();
    let now = Timestamp::EPOCH;
    let late = breaker.pass(now).expect("closed");
    let later = breaker.pass(now).expect("closed");
    for _ in 0..5 {
        fail(&mut breaker, now);
    }
    let open = breaker.state(now);
    breaker.succeeded(late, now);
    breaker.failed(later, now);
    assert_eq!(breaker.state(now), open);
}

/// Told by a reviewer: with leases shorter than the answers, each probe
/// made the one before it stale, and the breaker never closed.
#[test]
fn a_probe_that_outlives_its_lease_still_closes_it() {
    let (mut breaker, start) = tripped(Timestamp::EPOCH);
    let first = breaker.pass(start).expect("half-open");
    let later = start + BreakerConfig::default().probe_lease;
    let second = breaker.pass(later).expect("the lease has expired");
    breaker.succeeded(first, later + SECOND);
    assert_eq!(breaker.state(later + SECOND), BreakerState::Closed);
    breaker.failed(second, later + SECOND);
    assert_eq!(breaker.state(later + SECOND), BreakerState::Closed);
}

#[test]
fn nonsense_is_refused() {
    let good = BreakerConfig::default();
    let cases = [
        BreakerConfig { consecutive_failures: 0, ..good },
        BreakerConfig { failure_rate: 7.0, ..good },
        BreakerConfig { failure_rate: f64::NAN, ..good },
        BreakerConfig { minimum_sample: 0, ..good },
        BreakerConfig { window: Duration::ZERO, ..good },
        BreakerConfig { open_for: Duration::ZERO, ..good },
        BreakerConfig { open_cap: SECOND, ..good },
        BreakerConfig { probe_lease: Duration::ZERO, ..good },
        BreakerConfig { jitter: -0.1, ..good },
        BreakerConfig { jitter: 1.1, ..good },
        BreakerConfig { jitter: f64::NAN, ..good },
    ];
    for config in cases {
        assert!(Breaker::new(config, 0).is_err(), "{config:?}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Ask,
    Succeed,
    Fail,
    Drop,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Ask),
        1 => Just(Act::Succeed),
        3 => Just(Act::Fail),
        1 => Just(Act::Drop),
        2 => (0u64..20_000).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Never admits while open, never has two live probes, and always
    /// admits again if one waits as long as it says.
    #[test]
    fn it_keeps_its_promises(seed: u64, acts in prop::collection::vec(act(), 1..400)) {
        let config = BreakerConfig::default();
        let mut breaker = Breaker::new(config, seed).expect("valid");
        let mut now = Timestamp::EPOCH;
        let mut out: Vec<Pass> = Vec::new();
        let mut probe: Option<Timestamp> = None; // when the live probe expires
        let mut rng = fastrand::Rng::with_seed(seed);
        for act in acts {
            match act {
                Act::Ask => {
                    let before = breaker.state(now);
                    match breaker.pass(now) {
                        Ok(pass) => {
                            prop_assert!(!matches!(before, BreakerState::Open(_)));
                            if before == BreakerState::HalfOpen {
                                prop_assert!(probe.is_none_or(|expires| expires <= now), "two live probes");
                                probe = Some(now + config.probe_lease);
                            }
                            out.push(pass);
                        }
                        Err(until) => {
                            prop_assert!(until > now);
                            prop_assert!(breaker.clone().pass(until).is_ok(), "asks to wait in vain");
                        }
                    }
                }
                Act::Succeed | Act::Fail | Act::Drop => if !out.is_empty() {
                    let pass = out.swap_remove(rng.usize(..out.len()));
                    let current = pass.generation == breaker.generation;
                    let live = match act {
                        Act::Drop => current && pass.probe.is_some_and(|probe| probe.get() == breaker.probes),
                        _ => current && pass.probe.is_some(),
                    };
                    match act {
                        Act::Succeed => breaker.succeeded(pass, now),
                        Act::Fail => breaker.failed(pass, now),
                        _ => {
                            let freed = breaker.released(pass);
                            prop_assert_eq!(freed, live && probe.is_some());
                        }
                    }
                    if live { probe = None; }
                },
                Act::Wait(ms) => now = now + Duration::from_millis(ms),
            }
        }
        // Whatever has been, and if every probe from here on is cancelled.
        for _ in 0..50 {
            now = breaker.refuses_until(now).unwrap_or(now);
            match breaker.pass(now) {
                Ok(pass) => _ = breaker.released(pass),
                Err(until) => prop_assert!(false, "refuses until {until} at {now}"),
            }
        }
    }
}
