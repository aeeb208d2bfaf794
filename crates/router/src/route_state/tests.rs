use std::time::Duration;

use leverframe_core::{
    guard::{Breaker, BreakerConfig, Claim, KeyGuard, Limits},
    model::{Dialect, KeyLabel, ProviderName},
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn make_new(route: &Route) -> RouteState {
    let breaker = Breaker::new(BreakerConfig::default(), 1).expect("valid");
    let key = Arc::new(KeyGuard::new(Limits::default()).expect("valid"));
    RouteState::new(route, Gate::new(breaker, key, Limits::default()).expect("valid"), None)
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
    states.get_or_make(&route(model), || Timestamp::EPOCH, make_new)
}

#[test]
fn streams_and_whole_answers_are_measured_apart() {
    let state = make_new(&route(0));
    let expected =
        |streamed| state.snapshot(streamed, Timestamp::EPOCH).first_token.map(|time| time.expected);
    assert_eq!((expected(true), expected(false)), (None, None));
    state.latency(true).record(SECOND / 10, Timestamp::EPOCH);
    state.latency(false).record(SECOND * 3, Timestamp::EPOCH);
    assert_eq!((expected(true), expected(false)), (Some(SECOND / 10), Some(SECOND * 3)));
}

#[test]
fn a_configured_route_keeps_its_state_and_is_found_by_name() {
    let mut states = RouteStates::default();
    let (_, first) = states.configure(route(0), make_new);
    let (_, again) = states.configure(route(0), make_new);
    assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&first, &make(&states, 0)));
    assert!(states.get(&route(1)).is_none());
    assert!(Arc::ptr_eq(&make(&states, 1), &make(&states, 1)));
    let all: Vec<_> = states.all().iter().map(|(route, _)| route.model.clone()).collect();
    assert_eq!(all, ["0", "1"]);
}

#[test]
fn what_callers_name_is_bounded_and_what_matters_stays() {
    let mut states = RouteStates::default();
    let (_, configured) = states.configure(route(0), make_new);
    let held = make(&states, 1);
    let under_way = make(&states, 2).gate().admit(&Claim::default(), Timestamp::EPOCH).expect("admits");
    // A request that was admitted holds the gate, and nothing else.
    let gate = Arc::clone(make(&states, 3).gate());
    let admission = gate.admit(&Claim::default(), Timestamp::EPOCH).expect("admits");
    for model in 4..3 * MAX_NAMED {
        make(&states, model);
        assert!(states.named().len() <= MAX_NAMED);
    }
    assert!(Arc::ptr_eq(&configured, &make(&states, 0)));
    assert!(Arc::ptr_eq(&held, &make(&states, 1)));
    assert_eq!(make(&states, 2).snapshot(true, Timestamp::EPOCH).in_flight, 1);
    assert!(Arc::ptr_eq(&gate, make(&states, 3).gate()));
    drop((under_way, admission));
}

#[test]
fn a_name_that_is_too_long_is_not_kept() {
    let states = RouteStates::default();
    for (length, kept) in [(MAX_MODEL_NAME, true), (MAX_MODEL_NAME + 1, false)] {
        let route = Route { model: "m".repeat(length), ..route(0) };
        states.get_or_make(&route, || Timestamp::EPOCH, make_new);
        assert_eq!(states.get(&route).is_some(), kept);
    }
}
