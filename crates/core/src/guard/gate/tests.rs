use std::{sync::atomic::AtomicUsize, time::Duration};

use super::*;
use crate::{
    catalog::NanoDollars,
    error::Clock,
    guard::{BreakerConfig, HealthConfig, LimitKind, LimitStatus},
    model::{Tokens, Usage},
};

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
const NOTHING: Claim = Claim { input_tokens: 0, output_tokens: 0, cost: NanoDollars::ZERO };

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig::default(), 3).expect("valid")
}

fn key(limits: Limits) -> Arc<KeyGuard> {
    Arc::new(KeyGuard::new(limits).expect("valid"))
}

fn route_of(key: &Arc<KeyGuard>, limits: Limits) -> Arc<Gate> {
    Arc::new(Gate::new(breaker(), Arc::clone(key), limits).expect("valid"))
}

/// A gate whose key has these limits.
fn gate(limits: Limits) -> Arc<Gate> {
    route_of(&key(limits), Limits::default())
}

fn per_minute(requests: u64) -> Limits {
    Limits { requests_per_minute: Some(requests), ..Limits::default() }
}

fn sent(gate: &Arc<Gate>, claim: &Claim, now: Timestamp) -> Admission {
    let mut admission = gate.admit(claim, now).expect("admits");
    admission.mark_sent();
    admission
}

fn fails(gate: &Arc<Gate>, failure: &Failure, now: Timestamp) {
    sent(gate, &NOTHING, now).settle(Err(failure), &Spent::default(), now);
}

fn failure(kind: ErrorKind) -> Failure {
    Failure::new(kind, "as told")
}

fn limit(scope: Scope, kind: LimitKind) -> Guard {
    Guard::Limit { scope, kind }
}

fn status_of(gate: &Gate, scope: Scope, kind: LimitKind, now: Timestamp) -> LimitStatus {
    let limits = gate.status(now).limits;
    limits.into_iter().find(|limit| limit.scope == scope && limit.kind == kind).expect("is counted")
}

#[test]
fn what_was_not_sent_is_given_back_and_what_was_sent_is_not() {
    let gate = gate(per_minute(1));
    drop(gate.admit(&NOTHING, START).expect("admits"));
    drop(sent(&gate, &NOTHING, START));
    let refusal = gate.admit(&NOTHING, START).expect_err("the minute is used up");
    let by = limit(Scope::Key, LimitKind::RequestsPerMinute);
    assert_eq!(refusal, Refusal { by, until: START + SECOND * 60 });
    assert_eq!(gate.in_flight(), 0);
}

#[test]
fn an_open_breaker_does_not_consume_the_limit() {
    let gate = gate(per_minute(6));
    for _ in 0..5 {
        fails(&gate, &failure(ErrorKind::Server), START);
    }
    for _ in 0..10 {
        assert_eq!(gate.admit(&NOTHING, START).expect_err("open").by, Guard::Breaker);
    }
    let BreakerState::Open(until) = gate.breaker_state(START) else { panic!("closed") };
    drop(sent(&gate, &NOTHING, until)); // the sixth of this minute; a cancelled probe does not wedge it
    let by = gate.admit(&NOTHING, until).expect_err("used up").by;
    assert_eq!(by, limit(Scope::Key, LimitKind::RequestsPerMinute));
}

#[test]
fn a_hint_holds_the_route_and_is_never_shortened() {
    let gate = gate(Limits::default());
    let (first, second) = (sent(&gate, &NOTHING, START), sent(&gate, &NOTHING, START));
    for (admission, hint) in [(first, 20), (second, 5)] {
        let limited = failure(ErrorKind::RateLimited).with_retry_after(Some(SECOND * hint));
        admission.settle(Err(&limited), &Spent::default(), START);
    }
    let refusal = gate.admit(&NOTHING, START).expect_err("held");
    assert_eq!((refusal.by, refusal.until), (Guard::Hold, START + SECOND * 20));
    assert!(gate.admit(&NOTHING, START + SECOND * 20).is_ok());
}

#[test]
fn a_rejected_key_benches_every_route_that_uses_it_and_twice_in_a_row_for_longer() {
    let key = key(Limits::default());
    let (one, other) = (route_of(&key, Limits::default()), route_of(&key, Limits::default()));
    let mut now = START;
    for seconds in [30, 60] {
        fails(&one, &failure(ErrorKind::Authentication), now);
        let refusal = other.admit(&NOTHING, now).expect_err("benched");
        assert_eq!(refusal.by, Guard::BenchedKey(ErrorKind::Authentication));
        assert_eq!(refusal.until, now + SECOND * seconds);
        assert_eq!(refusal.into_failure(now).kind, ErrorKind::Authentication);
        now = refusal.until;
    }
    sent(&other, &NOTHING, now).settle(Ok(()), &Spent::default(), now);
    fails(&one, &failure(ErrorKind::Authentication), now);
    assert_eq!(other.admit(&NOTHING, now).expect_err("benched").until, now + SECOND * 30);
}

#[test]
fn a_missing_model_benches_its_route_only_for_as_long_as_is_configured() {
    let health = HealthConfig { bench_for: SECOND * 7, bench_cap: SECOND * 7 };
    let key = KeyGuard::new(Limits::default()).and_then(|key| key.with_health(health)).expect("valid");
    let key = Arc::new(key);
    let (one, other) = (route_of(&key, Limits::default()), route_of(&key, Limits::default()));
    fails(&one, &failure(ErrorKind::ModelNotFound), START);
    let refusal = one.admit(&NOTHING, START).expect_err("benched");
    let by = Guard::BenchedRoute(ErrorKind::ModelNotFound);
    assert_eq!(refusal, Refusal { by, until: START + SECOND * 7 });
    assert!(other.admit(&NOTHING, START).is_ok());
}

#[test]
fn of_several_limits_the_one_that_refuses_longest_is_named_and_one_wait_is_enough() {
    let key = key(Limits { tokens_per_minute: Some(100), ..Limits::default() });
    let gate = route_of(&key, Limits { requests_per_day: Some(2), ..per_minute(2) });
    let claim = Claim { input_tokens: 60, output_tokens: 40, cost: NanoDollars::ZERO };
    drop(sent(&gate, &NOTHING, START));
    drop(sent(&gate, &claim, START + SECOND * 10));
    let now = START + SECOND * 20;
    let before = gate.status(now);
    let refusal = gate.admit(&claim, now).expect_err("used up");
    let day = SECOND * 24 * 60 * 60;
    assert_eq!(refusal.by, limit(Scope::Route, LimitKind::RequestsPerDay));
    // Ten seconds are one entry of a window of a day, which expires with its last.
    assert_eq!(refusal.until, START + SECOND * 10 + day);
    assert_eq!(refusal.into_failure(now).kind, ErrorKind::QuotaExhausted);
    assert_eq!(gate.status(now), before, "a refusal consumes nothing");
    assert_eq!(gate.refusal(now).map(|refusal| refusal.until), Some(refusal.until));
    assert!(gate.admit(&claim, refusal.until).is_ok());
}

#[test]
fn a_place_is_given_back_however_the_request_ends() {
    let gate = route_of(&key(Limits::default()), Limits { concurrency: Some(1), ..Limits::default() });
    let by = limit(Scope::Route, LimitKind::Concurrency);
    let ends: [fn(Admission); 4] = [
        |admission| admission.settle(Ok(()), &Spent::default(), START),
        |admission| admission.settle(Err(&failure(ErrorKind::Refused)), &Spent::default(), START),
        |mut admission| admission.mark_sent(),
        drop,
    ];
    for end in ends {
        let admission = gate.admit(&NOTHING, START).expect("a place");
        assert_eq!(gate.in_flight(), 1);
        let refusal = gate.admit(&NOTHING, START).expect_err("taken");
        assert_eq!((refusal.by, refusal.until > START), (by, true));
        end(admission);
        assert_eq!(gate.in_flight(), 0);
    }
}

#[test]
fn what_stays_counted_is_what_was_reported_else_what_may_have_been_used() {
    let claim = Claim { input_tokens: 50, output_tokens: 200, cost: NanoDollars::new(1000) };
    let reported = Usage { input: Tokens::Reported(40), output: Tokens::Reported(10), ..Usage::default() };
    let known = Spent { usage: reported, cost: Some(NanoDollars::new(77)) };
    let partly = Spent { usage: Usage { output: Tokens::Unknown, ..reported }, cost: None };
    let unknown = Spent::default();
    let turned_down = failure(ErrorKind::Overloaded).with_status(529);
    let broke = failure(ErrorKind::Interrupted).with_status(200);
    let lost = failure(ErrorKind::Network);
    let unreached = failure(ErrorKind::Timeout(Clock::Connect));
    // Outcome, what is known, tokens and money that stay.
    let cases = [
        (Ok(()), known, 50, 77),
        (Ok(()), partly, 240, 1000),
        (Ok(()), unknown, 250, 1000),
        (Err(&broke), unknown, 250, 1000),
        (Err(&broke), known, 50, 77),
        (Err(&lost), unknown, 250, 1000),
        (Err(&turned_down), unknown, 0, 0),
        (Err(&turned_down), known, 50, 77),
        (Err(&unreached), unknown, 0, 0),
    ];
    for (outcome, spent, tokens, money) in cases {
        let limits = Limits {
            tokens_per_minute: Some(1000),
            spend_per_day: Some(NanoDollars::new(5000)),
            ..per_minute(10)
        };
        let gate = gate(limits);
        let admission = sent(&gate, &claim, START);
        let used = |kind| {
            let limit = status_of(&gate, Scope::Key, kind, START);
            (limit.used, limit.reserved)
        };
        assert_eq!(used(LimitKind::TokensPerMinute), (250, 250));
        admission.settle(outcome, &spent, START + SECOND);
        assert_eq!(used(LimitKind::TokensPerMinute), (tokens, 0), "{outcome:?} {spent:?}");
        assert_eq!(used(LimitKind::SpendPerDay), (money, 0), "{outcome:?} {spent:?}");
        assert_eq!(used(LimitKind::RequestsPerMinute), (1, 0), "it was sent");
    }
}

#[test]
fn routes_of_one_key_share_its_limits_and_not_their_own() {
    let key = key(per_minute(3));
    let (one, other) = (route_of(&key, per_minute(2)), route_of(&key, per_minute(2)));
    let _held: Vec<_> = [&one, &one, &other].map(|gate| sent(gate, &NOTHING, START)).into();
    let by = |gate: &Arc<Gate>| gate.refusal(START).expect("used up").by;
    assert_eq!(by(&other), limit(Scope::Key, LimitKind::RequestsPerMinute));
    assert_eq!((one.in_flight(), other.in_flight()), (2, 1));
    assert_eq!(one.status(START).key_in_flight, 3);
}

#[test]
fn asking_who_would_refuse_takes_no_probe() {
    let gate = gate(Limits::default());
    for _ in 0..5 {
        fails(&gate, &failure(ErrorKind::Server), START);
    }
    let refusal = gate.refusal(START).expect("open");
    assert_eq!(refusal.by, Guard::Breaker);
    for _ in 0..3 {
        assert_eq!(gate.refusal(refusal.until), None, "half-open and no probe out");
    }
    let _probe = gate.admit(&NOTHING, refusal.until).expect("the probe");
    assert_eq!(gate.refusal(refusal.until).map(|refusal| refusal.by), Some(Guard::Breaker));
}

#[test]
fn a_gate_is_idle_when_forgetting_it_would_change_nothing() {
    let fresh = || route_of(&key(Limits::default()), Limits::default());
    assert!(fresh().is_idle(START));
    let out = fresh();
    let admission = sent(&out, &NOTHING, START);
    assert!(!out.is_idle(START), "a request is out");
    admission.settle(Ok(()), &Spent::default(), START);
    assert!(out.is_idle(START), "a count without a limit is not needed");
    let limited = route_of(&key(Limits::default()), per_minute(2));
    drop(sent(&limited, &NOTHING, START));
    assert!(!limited.is_idle(START + SECOND * 59));
    assert!(limited.is_idle(START + SECOND * 61));
}

#[test]
fn what_refused_is_told_in_a_sentence_and_read_back() {
    let cases = [
        (limit(Scope::Key, LimitKind::TokensPerMinute), "the tokens per minute of the API key are used up"),
        (limit(Scope::Route, LimitKind::SpendPerDay), "the dollars per day of the model are used up"),
        (limit(Scope::Route, LimitKind::Concurrency), "the model has as many concurrent requests as it may"),
        (Guard::Hold, "the provider asked us to wait"),
    ];
    for (guard, sentence) in cases {
        assert_eq!(guard.to_string(), sentence);
        let json = serde_json::to_string(&guard).expect("writes");
        assert_eq!(serde_json::from_str::<Guard>(&json).expect("reads"), guard, "{json}");
    }
    let json = serde_json::to_string(&cases[0].0).expect("writes");
    assert_eq!(json, r#"{"limit":{"scope":"key","kind":"tokens_per_minute"}}"#);
}

#[test]
fn a_request_allocates_nothing_once_the_windows_are_filled() {
    let limits = Limits {
        tokens_per_minute: Some(Limits::MAX),
        spend_per_day: Some(NanoDollars::new(Limits::MAX)),
        concurrency: Some(10),
        ..per_minute(Limits::MAX)
    };
    let gate = route_of(&key(limits), limits);
    let claim = Claim { input_tokens: 10, output_tokens: 10, cost: NanoDollars::new(10) };
    let mut now = START;
    let mut run = |times: u32| {
        for _ in 0..times {
            now = now + Duration::from_millis(100);
            sent(&gate, &claim, now).settle(Ok(()), &Spent::default(), now);
            drop(gate.admit(&claim, now).expect("admits"));
        }
    };
    run(2_000); // more than three minutes
    let measured = allocation_counter::measure(|| run(1_000));
    assert_eq!(measured.count_total, 0);
}

/// Keeps what it hears, and asks the gate back, which would hang were a lock
/// held.
#[derive(Debug, Default)]
struct Ear {
    heard: Mutex<Vec<String>>,
    gate: Mutex<Option<Arc<Gate>>>,
    asked: AtomicUsize,
}

impl Ear {
    fn hear(&self, what: String) {
        if let Some(gate) = &*lock(&self.gate) {
            let status = gate.status(START);
            self.asked.fetch_add(status.limits.len(), std::sync::atomic::Ordering::Relaxed);
        }
        lock(&self.heard).push(what);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.heard))
    }
}

impl Watcher for Ear {
    fn breaker_changed(&self, from: BreakerState, to: BreakerState, _at: Timestamp) {
        let name = |state| match state {
            BreakerState::Closed => "closed",
            BreakerState::Open(_) => "open",
            BreakerState::HalfOpen => "half-open",
        };
        self.hear(format!("{} to {}", name(from), name(to)));
    }

    fn capacity_changed(&self, kind: LimitKind, from: Option<u64>, to: Option<u64>, _at: Timestamp) {
        self.hear(format!("{kind} from {from:?} to {to:?}"));
    }

    fn benched(&self, scope: Scope, kind: ErrorKind, _until: Timestamp, _at: Timestamp) {
        self.hear(format!("{scope} benched for {kind:?}"));
    }

    fn released(&self, scope: Scope) {
        self.hear(format!("{scope} released"));
    }
}

/// A gate, who listens to its key, who listens to the gate.
fn watched(of_key: Limits, of_route: Limits) -> (Arc<Gate>, Arc<Ear>, Arc<Ear>) {
    let (key_ear, route_ear) = (Arc::<Ear>::default(), Arc::<Ear>::default());
    let key = KeyGuard::new(of_key).expect("valid").with_watcher(Arc::clone(&key_ear) as Arc<dyn Watcher>);
    let gate = Gate::new(breaker(), Arc::new(key), of_route).expect("valid");
    let gate = Arc::new(gate.with_watcher(Arc::clone(&route_ear) as Arc<dyn Watcher>));
    for ear in [&key_ear, &route_ear] {
        *lock(&ear.gate) = Some(Arc::clone(&gate));
    }
    (gate, key_ear, route_ear)
}

#[test]
fn a_watcher_hears_every_change_of_the_breaker() {
    let (gate, key_ear, ear) = watched(Limits::default(), Limits::default());
    for _ in 0..5 {
        fails(&gate, &failure(ErrorKind::Server), START);
    }
    assert_eq!(ear.heard(), ["closed to open"]);
    let mut now = gate.refusal(START).expect("open").until;
    drop(gate.admit(&NOTHING, now).expect("the probe"));
    assert_eq!(ear.heard(), ["open to half-open", "model released"]);
    fails(&gate, &failure(ErrorKind::Server), now);
    assert_eq!(ear.heard(), ["half-open to open"]);
    now = gate.refusal(now).expect("open").until;
    sent(&gate, &NOTHING, now).settle(Ok(()), &Spent::default(), now);
    assert_eq!(ear.heard(), ["open to half-open", "half-open to closed", "model released"]);
    assert_eq!(key_ear.heard(), Vec::<String>::new());
}

#[test]
fn what_comes_back_is_told_to_whoever_waits_for_it() {
    let (gate, key_ear, ear) = watched(per_minute(5), Limits { concurrency: Some(2), ..Limits::default() });
    drop(gate.admit(&NOTHING, START).expect("admits"));
    assert_eq!(
        (key_ear.heard(), ear.heard()),
        (vec!["API key released".into()], vec!["model released".into()])
    );
    drop(sent(&gate, &NOTHING, START));
    assert_eq!(
        (key_ear.heard(), ear.heard()),
        (vec![], vec!["model released".into()]),
        "a place, not a request"
    );
    fails(&gate, &failure(ErrorKind::QuotaExhausted), START);
    assert_eq!(key_ear.heard(), ["API key benched for QuotaExhausted"]);
    assert!(key_ear.asked.load(std::sync::atomic::Ordering::Relaxed) > 0, "it did ask back");
}

#[test]
fn what_a_provider_reports_is_told_and_applied_to_the_route() {
    let (gate, _, ear) = watched(per_minute(1000), per_minute(100));
    let kind = LimitKind::RequestsPerMinute;
    let report = |limit, remaining| Observation {
        kind,
        limit: Some(limit),
        remaining,
        resets_at: Some(START + SECOND * 30),
    };
    gate.observe(&[report(50, Some(20))], START);
    assert_eq!(ear.heard(), ["requests per minute from Some(100) to Some(50)"]);
    let limit = status_of(&gate, Scope::Route, kind, START);
    assert_eq!((limit.used, limit.capacity, limit.configured), (30, Some(50), Some(100)));
    assert_eq!(status_of(&gate, Scope::Key, kind, START).capacity, Some(1000));
    gate.observe(&[report(500, None)], START);
    assert_eq!(ear.heard(), ["requests per minute from Some(50) to Some(100)", "model released"]);
}
