use leverframe_core::{
    guard::{Breaker, BreakerConfig, KeyGuard},
    model::{Dialect, KeyLabel, ProviderName},
};
use proptest::{collection::vec, prelude::*};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn gate() -> Gate {
    let breaker = Breaker::new(BreakerConfig::default(), 1).expect("valid");
    Gate::new(breaker, Arc::new(KeyGuard::new(None)))
}

fn route(model: usize) -> Route {
    Route {
        provider: ProviderName::new("claude").expect("a name"),
        key: KeyLabel::default(),
        dialect: Dialect::Anthropic,
        model: model.to_string(),
    }
}

fn make(states: &RouteStates, model: usize) -> Arc<RouteState> {
    states.get_or_make(&route(model), || Timestamp::EPOCH, gate)
}

proptest! {
    /// Peaks count at once; nothing but a peak raises the figure; time alone lowers it.
    #[test]
    fn a_peak_counts_at_once_and_sinks(samples in vec((0u64..10_000, 0u64..60_000), 1..50)) {
        let (mut ewma, mut now, mut most) = (PeakEwma::default(), Timestamp::EPOCH, Duration::ZERO);
        for (sample, pause) in samples {
            now = now + Duration::from_millis(pause);
            let sample = Duration::from_millis(sample);
            most = most.max(sample);
            let before = ewma.at(now).map_or(Duration::ZERO, |time| time.expected);
            ewma.record(sample, now);
            let after = ewma.at(now).expect("measured");
            // Rounding to nanoseconds.
            let slack = Duration::from_nanos(2);
            prop_assert!(after.expected + slack >= before.min(sample) && after.expected <= most + slack);
            prop_assert!(before > sample || after.expected + slack >= sample);
            prop_assert_eq!(after.measured_at, now);
            let later = ewma.at(now + SECOND).expect("measured");
            prop_assert!(later.expected <= after.expected);
        }
    }

    #[test]
    fn in_flight_is_what_was_started_and_not_dropped(steps in vec(any::<bool>(), 0..100)) {
        let state = Arc::new(RouteState::new(&route(0), gate()));
        let mut under_way = Vec::new();
        for start in steps {
            if start {
                under_way.push(state.started());
            } else {
                drop(under_way.pop());
            }
            let in_flight = state.snapshot(Timestamp::EPOCH).in_flight;
            prop_assert_eq!(usize::try_from(in_flight).expect("few"), under_way.len());
        }
    }
}

#[test]
fn a_route_that_fails_fast_does_not_look_fast() {
    let state = RouteState::new(&route(0), gate());
    let expected = |now| state.snapshot(now).first_token.map(|time| time.expected);
    let now = Timestamp::EPOCH;
    assert_eq!(expected(now), None);
    state.first_token(SECOND / 10, now);
    assert_eq!(expected(now), Some(SECOND / 10));
    state.failed(now);
    assert_eq!(expected(now), Some(SECOND * 5));
    for _ in 0..10 {
        state.failed(now);
    }
    assert_eq!(expected(now), Some(SECOND * 60), "and no slower than a minute");
}

#[test]
fn a_configured_route_keeps_its_state_and_is_found_by_name() {
    let mut states = RouteStates::default();
    let (_, first) = states.configure(route(0), gate);
    let (_, again) = states.configure(route(0), gate);
    assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&first, &make(&states, 0)));
    assert!(states.get(&route(1)).is_none());
    assert!(Arc::ptr_eq(&make(&states, 1), &make(&states, 1)));
    let all: Vec<_> = states.all().iter().map(|(route, _)| route.model.clone()).collect();
    assert_eq!(all, ["0", "1"]);
}

#[test]
fn what_callers_name_is_bounded_and_what_matters_stays() {
    let mut states = RouteStates::default();
    let (_, configured) = states.configure(route(0), gate);
    let held = make(&states, 1);
    let under_way = make(&states, 2).started();
    // A request that was admitted holds the gate, and nothing else.
    let gate = Arc::clone(make(&states, 3).gate());
    let admission = gate.admit(Timestamp::EPOCH).expect("admits");
    for model in 4..3 * MAX_NAMED {
        make(&states, model);
        assert!(states.named().len() <= MAX_NAMED);
    }
    assert!(Arc::ptr_eq(&configured, &make(&states, 0)));
    assert!(Arc::ptr_eq(&held, &make(&states, 1)));
    assert_eq!(make(&states, 2).snapshot(Timestamp::EPOCH).in_flight, 1);
    assert!(Arc::ptr_eq(&gate, make(&states, 3).gate()));
    drop((under_way, admission));
}

#[test]
fn a_name_that_is_too_long_is_not_kept() {
    let states = RouteStates::default();
    for (length, kept) in [(MAX_MODEL_NAME, true), (MAX_MODEL_NAME + 1, false)] {
        let route = Route { model: "m".repeat(length), ..route(0) };
        states.get_or_make(&route, || Timestamp::EPOCH, gate);
        assert_eq!(states.get(&route).is_some(), kept);
    }
}
