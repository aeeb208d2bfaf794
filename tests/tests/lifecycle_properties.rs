//! The typed machine, its untyped shadow and the constant table agree, and no
//! path through them loses a record or a permission.
//!
//! Each case drives one machine with a random sequence of events, legal and
//! illegal, that carry real evidence: routes from a plan, permits from the
//! budget, admissions from a gate. A case may end anywhere, also in the middle
//! of a request, as a caller may go away at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::{
        AttemptBudget, Breaker, BreakerConfig, BreakerState, Circumstances, Claim, Deadline, Gate, Guard,
        KeyGuard, LimitKind, Limits, RetryBudget, RetryBudgetConfig, RetryPermit, RetryPolicy, Scope,
    },
    lifecycle::{
        AnyEvent, AnyLifecycle, AnyState, Complete, EventKind, Failed, IllegalMove, InitiateRequest, Journal,
        Lifecycle, On, Plan, RULES, RateLimitHit, Receipt, ReceiveResponse, ReceiveStreamChunk,
        RequestFailed, Reset, ResumePlan, Route, Seen, SendRequest, State, StateKind, StreamComplete,
        Streaming, ValidateRequest, ValidationFailed, ValidationPassed, step,
    },
    model::{Block, Dialect, FinishReason, ProviderName, Request, RequestId, Response, StreamEvent, Usage},
    record::{Desk, Outcome, Record, Recorder},
    time::{Clock, Timestamp},
    validate::{ValidationError, validate},
};
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree,
    test_runner::{TestCaseError, TestRunner},
};

/// One thing a driver does.
#[derive(Clone, Debug)]
enum Act {
    /// One of the events that are legal where the machine is.
    Legal(Index),
    /// Any event.
    Any(Index),
    /// Hands content over to the caller.
    Commit,
}

/// One way to drive a machine.
#[derive(Clone, Debug)]
struct Drive {
    /// What there is to do, with the milliseconds before it. All of it takes
    /// less than a minute, so that a limit per minute forgets nothing.
    acts: Vec<(Act, u64)>,
    /// How many attempts the budget has.
    attempts: u32,
    /// Whether the breaker trips at the first failure, or never.
    fragile: bool,
    /// Whether a machine that has ended is finished, or dropped.
    finish: bool,
    seed: u64,
}

fn drive() -> impl Strategy<Value = Drive> {
    let act = prop_oneof![
        6 => any::<Index>().prop_map(Act::Legal),
        2 => any::<Index>().prop_map(Act::Any),
        1 => Just(Act::Commit),
    ];
    let acts = prop::collection::vec((act, 0u64..500), 0..80);
    (acts, 0u32..12, any::<bool>(), any::<bool>(), any::<u64>())
        .prop_map(|(acts, attempts, fragile, finish, seed)| Drive { acts, attempts, fragile, finish, seed })
}

#[derive(Debug, Default)]
struct Now(AtomicU64);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
struct Records(Mutex<Vec<Arc<Record>>>);

impl Recorder for Records {
    fn record(&self, record: &Arc<Record>) {
        self.0.lock().expect("nobody panics here").push(Arc::clone(record));
    }
}

impl Records {
    fn all(&self) -> Vec<Arc<Record>> {
        self.0.lock().expect("nobody panics here").clone()
    }
}

/// Does the same with a lifecycle, whatever its state.
macro_rules! whatever {
    ($any:expr, $at:ident => $do:expr) => {
        match $any {
            AnyLifecycle::Unseen(state) => whatever!(state; $at => $do),
            AnyLifecycle::Seen(state) => whatever!(state; $at => $do),
        }
    };
    ($state:expr; $at:ident => $do:expr) => {
        match $state {
            AnyState::Idle($at) => $do,
            AnyState::Validating($at) => $do,
            AnyState::Ready($at) => $do,
            AnyState::Sent($at) => $do,
            AnyState::Streaming($at) => $do,
            AnyState::RateLimited($at) => $do,
            AnyState::Retrying($at) => $do,
            AnyState::Completed($at) => $do,
            AnyState::Failed($at) => $do,
        }
    };
}

fn journal(lifecycle: &AnyLifecycle) -> &Journal {
    whatever!(lifecycle, at => at.journal())
}

fn id(lifecycle: &AnyLifecycle) -> RequestId {
    whatever!(lifecycle, at => at.id())
}

fn hand_over(lifecycle: &mut AnyLifecycle, now: Timestamp) -> Option<Receipt> {
    match lifecycle {
        AnyLifecycle::Unseen(AnyState::Completed(at)) => at.hand_over(now),
        AnyLifecycle::Unseen(AnyState::Failed(at)) => at.hand_over(now),
        AnyLifecycle::Seen(AnyState::Completed(at)) => at.hand_over(now),
        AnyLifecycle::Seen(AnyState::Failed(at)) => at.hand_over(now),
        _ => None,
    }
}

/// The record of a machine that has ended and is taken apart.
fn finish(lifecycle: AnyLifecycle, now: Timestamp) -> Option<Arc<Record>> {
    match lifecycle {
        AnyLifecycle::Unseen(AnyState::Completed(at)) => Some(at.finish(now).1),
        AnyLifecycle::Unseen(AnyState::Failed(at)) => Some(at.finish(now).2),
        AnyLifecycle::Seen(AnyState::Completed(at)) => Some(at.finish(now).1),
        AnyLifecycle::Seen(AnyState::Failed(at)) => Some(at.finish(now).2),
        _ => None,
    }
}

fn resume_plan(lifecycle: &AnyLifecycle) -> Option<ResumePlan> {
    match lifecycle {
        AnyLifecycle::Seen(AnyState::Sent(at)) => at.resume_plan().ok(),
        AnyLifecycle::Seen(AnyState::RateLimited(at)) => at.resume_plan().ok(),
        AnyLifecycle::Seen(AnyState::Failed(at)) => at.resume_plan().ok(),
        _ => None,
    }
}

fn question() -> Arc<Request> {
    Arc::new(Request::new("some-model").user("Why is the sky blue?").max_output_tokens(100))
}

fn route() -> Arc<Route> {
    let provider = ProviderName::new("some-provider").expect("a legal name");
    Arc::new(Route {
        provider,
        key: Default::default(),
        dialect: Dialect::Anthropic,
        model: "some-model".to_owned(),
    })
}

fn gate(breaker: BreakerConfig, limit: Option<u32>) -> Arc<Gate> {
    let limits = Limits { requests_per_minute: limit.map(u64::from), ..Limits::default() };
    let key = Arc::new(KeyGuard::new(limits).expect("legal limits"));
    let breaker = Breaker::new(breaker, 1).expect("a legal configuration");
    Arc::new(Gate::new(breaker, key, Limits::default()).expect("no limits are legal"))
}

/// Another request, whose answer is arriving. It and [`another`] give evidence
/// where the machine itself has none, to show that an illegal move stays
/// illegal with it.
fn another_stream(event: StreamEvent) -> Lifecycle<Streaming> {
    let at = Timestamp::EPOCH;
    let desk = Arc::new(Desk::new(Arc::new(Now::default()), Vec::new()));
    let route = Plan::new([route()], AttemptBudget::new(1)).next().expect("one route");
    let request = validate(question()).expect("a valid request");
    let admission =
        gate(BreakerConfig::default(), None).admit(&Claim::default(), at).expect("a fresh gate admits");
    Lifecycle::new(RequestId::new(at, [255; 10]), desk)
        .on(InitiateRequest { request: question(), route, at })
        .on(ValidationPassed { request, at })
        .on(SendRequest { admission, at })
        .on(ReceiveStreamChunk { event, at })
}

/// Another request, whose answer broke off after some text was read.
fn another() -> Lifecycle<Failed, Seen> {
    let failure = Failure::new(ErrorKind::Server, "broken off");
    another_stream(StreamEvent::TextDelta { index: 0, text: "Because".into() })
        .commit()
        .on(RequestFailed { failure, at: Timestamp::EPOCH })
}

/// Everything around the machine that gives evidence.
struct World {
    now: Timestamp,
    plan: Plan,
    gate: Arc<Gate>,
    rng: fastrand::Rng,
    requests: u8,
}

impl World {
    fn new_id(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(self.now, [self.requests; 10])
    }

    fn failure(&mut self) -> Failure {
        let kind = self.rng.choice([ErrorKind::Server, ErrorKind::RateLimited]).expect("two");
        Failure::new(kind, "it went wrong")
    }

    fn piece(&mut self) -> StreamEvent {
        match self.rng.u8(0..8) {
            0 => StreamEvent::Start { id: None, model: None },
            1 => StreamEvent::ThinkingDelta { index: 1, text: "hm".into() },
            2 => StreamEvent::TextDelta { index: 0, text: " ".into() },
            3 => StreamEvent::Usage(Usage::default()),
            4 | 5 => StreamEvent::End,
            _ => StreamEvent::TextDelta { index: 0, text: "word ".into() },
        }
    }

    /// An event of this kind with the evidence it takes; `None` where that is
    /// not to be had.
    fn event(&mut self, kind: EventKind, lifecycle: &mut AnyLifecycle) -> Option<AnyEvent> {
        let legal = step(lifecycle.position(), kind).is_ok();
        let at = self.now;
        Some(match kind {
            EventKind::InitiateRequest => AnyEvent::InitiateRequest(InitiateRequest {
                request: question(),
                route: self.plan.next()?,
                at,
            }),
            EventKind::ValidateRequest => AnyEvent::ValidateRequest(ValidateRequest { at }),
            EventKind::ValidationPassed => {
                let request = validate(question()).expect("a valid request");
                AnyEvent::ValidationPassed(ValidationPassed { request, at })
            }
            EventKind::ValidationFailed => {
                let (field, problem) = ("model".to_owned(), "is wrong".to_owned());
                let error = ValidationError { field, problem };
                AnyEvent::ValidationFailed(ValidationFailed { error, at })
            }
            EventKind::SendRequest => AnyEvent::SendRequest(SendRequest {
                admission: self.gate.admit(&Claim::default(), at).ok()?,
                at,
            }),
            EventKind::ReceiveResponse => {
                let response = Response::new(vec![Block::text("Because.")], FinishReason::Stop);
                AnyEvent::ReceiveResponse(ReceiveResponse { response, at })
            }
            EventKind::ReceiveStreamChunk => {
                AnyEvent::ReceiveStreamChunk(ReceiveStreamChunk { event: self.piece(), at })
            }
            EventKind::StreamComplete => {
                let frame = match lifecycle {
                    AnyLifecycle::Unseen(AnyState::Streaming(stream)) => stream.terminal_frame()?,
                    AnyLifecycle::Seen(AnyState::Streaming(stream)) => stream.terminal_frame()?,
                    _ => another_stream(StreamEvent::End).terminal_frame().expect("it has ended"),
                };
                AnyEvent::StreamComplete(StreamComplete { frame, at })
            }
            EventKind::RateLimitHit => {
                let failure = Failure::new(ErrorKind::RateLimited, "slow down");
                AnyEvent::RateLimitHit(RateLimitHit { failure, until: at + Duration::from_secs(1), at })
            }
            EventKind::RetryRequest => {
                let (policy, failure) = (RetryPolicy::default(), self.failure());
                let deadline = Deadline::after(at, Duration::from_secs(60));
                let budget = self.plan.budget();
                let retries = Arc::new(RetryBudget::new(RetryBudgetConfig::default()).expect("valid"));
                let circumstances =
                    Circumstances { retries: 0, sent: false, routes_left: 0, deadline, now: at };
                let permit =
                    RetryPermit::grant(&policy, &failure, circumstances, budget, &retries, &mut self.rng)
                        .ok()?;
                let resume = if legal { resume_plan(lifecycle) } else { another().resume_plan().ok() };
                AnyEvent::RetryRequest { permit, resume, at }
            }
            EventKind::FallbackToProvider => {
                let route = self.plan.next()?;
                let resume = if legal { resume_plan(lifecycle) } else { another().resume_plan().ok() };
                AnyEvent::FallbackToProvider { route, resume, at }
            }
            EventKind::RequestFailed => {
                AnyEvent::RequestFailed(RequestFailed { failure: self.failure(), at })
            }
            EventKind::Complete => {
                let receipt = if legal { hand_over(lifecycle, at) } else { another().hand_over(at) };
                AnyEvent::Complete(Complete { receipt: receipt? })
            }
            EventKind::Reset => AnyEvent::Reset(Reset { id: self.new_id() }),
        })
    }
}

/// Drives one machine and checks it at every step. Returns the numbers of the
/// rules that were used.
fn check(drive: Drive) -> Result<BTreeSet<u8>, TestCaseError> {
    let Drive { acts, attempts, fragile, finish: finishes, seed } = drive;
    let budget = AttemptBudget::new(attempts);
    let limit = attempts + 1; // one more than can be sent, for illegal tries
    let breaker = BreakerConfig {
        consecutive_failures: if fragile { 1 } else { u32::MAX },
        failure_rate: 1.0,
        minimum_sample: u32::MAX,
        open_for: Duration::from_millis(1),
        ..BreakerConfig::default()
    };
    let mut world = World {
        now: Timestamp::EPOCH,
        plan: Plan::new(std::iter::repeat_with(route).take(100), budget.clone()),
        gate: gate(breaker, Some(limit)),
        rng: fastrand::Rng::with_seed(seed),
        requests: 0,
    };
    let (clock, records) = (Arc::new(Now::default()), Arc::new(Records::default()));
    let desk = Arc::new(Desk::new(Arc::clone(&clock) as _, vec![Arc::clone(&records) as _]));
    let mut lifecycle = AnyLifecycle::Unseen(AnyState::Idle(Lifecycle::new(world.new_id(), desk)));

    let mut used = BTreeSet::new();
    let (mut started, mut again, mut sends) = (0, 0, 0);
    let mut owes_record = false; // a request has begun and its record is not handed over
    let mut just_committed = false; // handing over is no event: it shows in what follows

    for (act, pause) in acts {
        world.now = world.now + Duration::from_millis(pause);
        clock.0.store(world.now.unix_nanos(), Ordering::Relaxed);
        let from = lifecycle.position();
        let kind = match act {
            Act::Commit => {
                just_committed |= from.kind == StateKind::Streaming && !from.seen;
                lifecycle = lifecycle.commit();
                let seen = from.seen || from.kind == StateKind::Streaming;
                prop_assert_eq!(lifecycle.position(), State { seen, ..from });
                continue;
            }
            Act::Any(nth) => EventKind::ALL[nth.index(EventKind::ALL.len())],
            Act::Legal(nth) => {
                let legal: Vec<_> =
                    EventKind::ALL.into_iter().filter(|kind| step(from, *kind).is_ok()).collect();
                legal[nth.index(legal.len())]
            }
        };
        let expected = step(from, kind);
        let handed_over = from.is_terminal() && !owes_record;
        let Some(event) = world.event(kind, &mut lifecycle) else {
            if kind == EventKind::SendRequest {
                prop_assert!(fragile, "nothing but a tripped breaker refuses");
            }
            continue;
        };
        let sends_again = matches!(kind, EventKind::RetryRequest | EventKind::FallbackToProvider);
        let lacks_plan = from.seen
            && sends_again
            && matches!(
                event,
                AnyEvent::RetryRequest { resume: None, .. }
                    | AnyEvent::FallbackToProvider { resume: None, .. }
            );
        let (id_before, journal_before) = (id(&lifecycle), journal(&lifecycle).clone());
        match lifecycle.apply(event) {
            Ok(next) => {
                lifecycle = next;
                prop_assert_eq!(Ok(lifecycle.position()), expected);
                prop_assert!(!lacks_plan, "a seen answer was sent again without a plan");
                just_committed = false;
                used.extend(
                    RULES.iter().filter(|r| r.from == from.kind && r.event == kind).map(|r| r.number),
                );
                match kind {
                    EventKind::InitiateRequest => (started, owes_record) = (started + 1, true),
                    EventKind::SendRequest => sends += 1,
                    EventKind::Complete | EventKind::Reset => owes_record = false,
                    // Taken up again: its record will be handed over anew.
                    EventKind::FallbackToProvider if handed_over => (again, owes_record) = (again + 1, true),
                    _ => {}
                }
            }
            Err(rejected) => {
                prop_assert!(expected.is_err() || lacks_plan, "{from} refused {kind}");
                prop_assert_eq!(rejected.illegal, IllegalMove { from, event: kind });
                prop_assert_eq!(rejected.event.kind(), kind);
                lifecycle = rejected.lifecycle;
                prop_assert_eq!(lifecycle.position(), from);
                prop_assert_eq!(id(&lifecycle), id_before);
                prop_assert_eq!(journal(&lifecycle), &journal_before);
            }
        }
        let position = lifecycle.position();
        let replayed = State { seen: position.seen && !just_committed, ..position };
        prop_assert_eq!(journal(&lifecycle).replay(), Ok(replayed));
        prop_assert_eq!(records.all().len(), started + again - usize::from(owes_record));
    }

    let end = lifecycle.position();
    if finishes && end.is_terminal() {
        let record = finish(lifecycle, world.now).expect("it has ended");
        let last = records.all().pop().expect("it was handed over");
        prop_assert!(Arc::ptr_eq(&record, &last));
    } else {
        drop(lifecycle);
    }

    // One record for each request, the latest of those under its id, and each of them is whole.
    let handed_over = records.all();
    prop_assert_eq!(handed_over.len(), started + again);
    let latest: BTreeMap<_, _> = handed_over.into_iter().map(|record| (record.id, record)).collect();
    prop_assert_eq!(latest.len(), started);
    let records: Vec<_> = latest.into_values().collect();
    for record in &records {
        let last = record.journal.replay().expect("the journal replays");
        prop_assert!(last.is_terminal(), "{last}");
        let completed = matches!(record.outcome, Outcome::Completed { .. });
        prop_assert_eq!(completed, last.kind == StateKind::Completed);
        let mut entries = record.journal.entries().iter().rev();
        let closing = entries.next().expect("not empty");
        prop_assert_eq!((closing.event, closing.times), (EventKind::Complete, 1));
        prop_assert!(again > 0 || entries.all(|entry| entry.event != EventKind::Complete), "completed twice");
    }
    let cancelled =
        |record: &Record| matches!(record.outcome, Outcome::Failed { kind: ErrorKind::Cancelled, .. });
    let interrupted = end.kind != StateKind::Idle && !end.is_terminal();
    prop_assert_eq!(records.iter().filter(|record| cancelled(record)).count(), usize::from(interrupted));

    // Nothing leaks: what was not sent is back in the budget and in the limit,
    // and no probe of the breaker is out.
    let sent = records.iter().flat_map(|record| &record.attempts).filter(|attempt| attempt.sent).count();
    prop_assert_eq!(sent, sends);
    prop_assert_eq!(budget.left() as usize + sends, attempts as usize);
    let from = match world.gate.breaker_state(world.now) {
        BreakerState::Open(until) => until,
        BreakerState::Closed | BreakerState::HalfOpen => world.now,
    };
    let first = world.gate.admit(&Claim::default(), from);
    prop_assert!(first.is_ok(), "{first:?}");
    if !fragile {
        let mut admitted = vec![first.expect("just asserted")];
        let refusal = loop {
            match world.gate.admit(&Claim::default(), world.now) {
                Ok(admission) => admitted.push(admission),
                Err(refusal) => break refusal,
            }
        };
        let requests = Guard::Limit { scope: Scope::Key, kind: LimitKind::RequestsPerMinute };
        prop_assert_eq!(refusal.by, requests);
        prop_assert_eq!(admitted.len() + sends, limit as usize);
    }
    Ok(used)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn however_a_machine_is_driven_it_follows_the_table_and_loses_nothing(drive in drive()) {
        check(drive)?;
    }
}

#[test]
fn such_drives_use_all_26_rules() {
    let mut runner = TestRunner::deterministic();
    let mut used = BTreeSet::new();
    for _ in 0..1000 {
        let drive = drive().new_tree(&mut runner).expect("drives are made without rejection").current();
        used.extend(check(drive).expect("the property holds"));
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), (1..=26).collect::<Vec<u8>>());
}
