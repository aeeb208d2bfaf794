use std::time::Duration;

use proptest::prelude::*;

use super::{meter::Meter, *};
use crate::{catalog::NanoDollars, time::Timestamp};

const START: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// What is one entry in a minute.
const CELL: Duration = Duration::from_nanos(60_000_000_000 / 256);

fn claim(input_tokens: u64, output_tokens: u64) -> Claim {
    Claim { input_tokens, output_tokens, cost: NanoDollars::new(output_tokens) }
}

fn set(limits: Limits) -> LimitSet {
    LimitSet::new(Scope::Route, &limits).expect("valid")
}

/// Asks and takes, as a gate does.
fn admit(set: &mut LimitSet, claim: &Claim, now: Timestamp) -> Result<(Ticket, Timestamp), Timestamp> {
    let at = set.time(now);
    set.advance(at);
    match set.refusal(claim, at) {
        Some((_, until)) => Err(until),
        None => Ok((set.take(claim, at), at)),
    }
}

fn status_of(set: &LimitSet, kind: LimitKind, now: Timestamp) -> LimitStatus {
    set.status(set.time(now)).find(|limit| limit.kind == kind).expect("is counted")
}

/// One admission as the test knows it.
#[derive(Clone, Copy, Debug)]
struct Logged {
    /// The caller's clock.
    now: Timestamp,
    at: Timestamp,
    ticket: Ticket,
    claim: Claim,
    /// What stays of it; `None` while it is out.
    took: Option<Claim>,
}

impl Logged {
    fn held(&self) -> Held<'_> {
        Held { claim: &self.claim, at: self.at, ticket: self.ticket }
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// Still out.
    No,
    Refund,
    /// Took this share of the claim, in percent.
    Settle(u64),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    /// Time since the step before, in milliseconds.
    pause: u64,
    /// How much the caller's clock lags, in milliseconds.
    lag: u64,
    input: u64,
    output: u64,
    /// What then becomes of one of the requests that are out.
    end: End,
    which: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let end =
        prop_oneof![3 => Just(End::No), 1 => Just(End::Refund), 3 => (0u64..=100).prop_map(End::Settle)];
    // Most come in bursts; a few pauses are longer than the window.
    let pause = prop_oneof![30 => 0u64..3_000, 1 => 30_000u64..100_000];
    (pause, 0u64..1000, 0u64..300, 0u64..300, end, any::<usize>())
        .prop_map(|(pause, lag, input, output, end, which)| Step { pause, lag, input, output, end, which })
}

/// No window of 60 s, wherever it begins, holds more than this of the kind.
fn holds(log: &[Logged], kind: LimitKind, capacity: u64, time: impl Fn(&Logged) -> Timestamp) -> bool {
    let mut log: Vec<_> =
        log.iter().map(|entry| (time(entry), kind.share(&entry.took.unwrap_or(entry.claim)))).collect();
    log.sort_unstable();
    let (mut sum, mut first) = (0, 0);
    log.iter().all(|(at, amount)| {
        sum += amount;
        while log[first].0 + MINUTE <= *at {
            sum -= log[first].1;
            first += 1;
        }
        sum <= capacity
    })
}

proptest! {
    /// Whatever comes in whatever order: no window holds more than its
    /// capacity, by the callers' clocks as by the time they were counted at; a
    /// refusal is worth waiting for as long as it says and hardly longer than
    /// need be; it consumes nothing; and at the end nothing is reserved.
    #[test]
    fn no_window_holds_more_than_the_capacity(
        requests in 1u64..15,
        tokens in 600u64..3000,
        input in 300u64..2000,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let limits = Limits {
            requests_per_minute: Some(requests),
            tokens_per_minute: Some(tokens),
            input_tokens_per_minute: Some(input),
            ..Limits::default()
        };
        let kinds = [
            (LimitKind::RequestsPerMinute, requests),
            (LimitKind::TokensPerMinute, tokens),
            (LimitKind::InputTokensPerMinute, input),
        ];
        let mut set = set(limits);
        let mut clock = START;
        let mut log: Vec<Logged> = Vec::new();
        for Step { pause, lag, input, output, end, which } in steps {
            clock = clock + Duration::from_millis(pause);
            let now = Timestamp::from_unix_nanos(clock.unix_nanos() - lag * 1_000_000);
            let asked = claim(input, output);
            let before: Vec<_> = set.status(set.time(now)).collect();
            match admit(&mut set, &asked, now) {
                Ok((ticket, at)) => log.push(Logged { now, at, ticket, claim: asked, took: None }),
                Err(until) => {
                    prop_assert_eq!(set.status(set.time(now)).collect::<Vec<_>>(), before);
                    prop_assert!(until > now);
                    prop_assert!(admit(&mut set.clone(), &asked, until).is_ok(), "waited in vain");
                    // By an exact count it would have been refused until shortly before.
                    let earlier = Timestamp::from_unix_nanos((until.unix_nanos() - CELL.as_nanos() as u64).max(now.unix_nanos()));
                    let fits = kinds.iter().all(|(kind, capacity)| {
                        let used: u64 = log.iter().filter(|entry| entry.at + MINUTE > earlier)
                            .map(|entry| kind.share(&entry.took.unwrap_or(entry.claim))).sum();
                        used + kind.share(&asked).max(1) <= *capacity
                    });
                    prop_assert!(!fits || earlier == now, "waits for longer than need be");
                }
            }
            let out: Vec<usize> = (0..log.len()).filter(|nth| log[*nth].took.is_none()).collect();
            if out.is_empty() { continue; }
            let nth = out[which % out.len()];
            match end {
                End::No => {}
                End::Refund => {
                    set.refund(log[nth].held());
                    log.remove(nth);
                }
                End::Settle(percent) => {
                    let asked = log[nth].claim;
                    let took = claim(asked.input_tokens * percent / 100, asked.output_tokens * percent / 100);
                    set.settle(log[nth].held(), &took);
                    log[nth].took = Some(took);
                }
            }
        }
        for (kind, capacity) in kinds {
            prop_assert!(holds(&log, kind, capacity, |entry| entry.now), "{} by the callers' clocks", kind);
            prop_assert!(holds(&log, kind, capacity, |entry| entry.at), "{} as counted", kind);
        }
        for entry in log.iter_mut().filter(|entry| entry.took.is_none()) {
            set.settle(entry.held(), &entry.claim);
            entry.took = Some(entry.claim);
        }
        prop_assert_eq!(set.in_flight(), 0);
        for (kind, _) in kinds {
            let now = status_of(&set, kind, clock);
            prop_assert_eq!(now.reserved, 0);
            // What is left is what is in the log, some of it for a cell longer.
            let at = set.time(clock);
            let left = |longer: Duration| -> u64 {
                let counts = |entry: &&Logged| entry.at + MINUTE + longer > at;
                log.iter().filter(counts).map(|entry| kind.share(&entry.took.unwrap_or_default())).sum()
            };
            prop_assert!(left(Duration::ZERO) <= now.used && now.used <= left(CELL), "{:?}", now);
            let later = status_of(&set, kind, clock + MINUTE + SECOND);
            prop_assert_eq!((later.used, later.frees_at), (0, None));
        }
    }

    /// What others use, by the provider's account, is never given to us, and
    /// no report ever leaves us more than there was.
    #[test]
    fn a_report_only_ever_lowers_what_is_left(
        steps in prop::collection::vec((0u64..5_000, 0u64..40, 0u64..200, 0u64..120), 1..100),
    ) {
        let mut set = set(Limits { requests_per_minute: Some(100), ..Limits::default() });
        let kind = LimitKind::RequestsPerMinute;
        let mut now = START;
        let left = |set: &LimitSet, now| {
            let limit = status_of(set, kind, now);
            limit.capacity.expect("configured").saturating_sub(limit.used)
        };
        for (pause, asked, remaining, reset) in steps {
            now = now + Duration::from_millis(pause);
            for _ in 0..asked {
                _ = admit(&mut set, &Claim::default(), now);
            }
            let before = left(&set, now);
            let resets_at = Some(now + SECOND * reset as u32);
            set.observe(&Observation { kind, limit: None, remaining: Some(remaining), resets_at }, set.time(now));
            let expected = if reset == 0 { before } else { before.min(remaining) };
            prop_assert_eq!(left(&set, now), expected);
            prop_assert!(set.entries() <= 2 * (256 + 6));
        }
        let later = now + MINUTE + SECOND;
        prop_assert_eq!(status_of(&set, kind, later).used, 0, "a reset is at most a window away");
    }
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let mut set = set(Limits { tokens_per_minute: Some(Limits::MAX), ..Limits::default() });
    let mut rng = fastrand::Rng::with_seed(1);
    let mut now = START;
    for _ in 0..50_000 {
        now = now + Duration::from_micros(rng.u64(0..20_000));
        let lagging = Timestamp::from_unix_nanos(now.unix_nanos() - rng.u64(0..3_000_000_000));
        admit(&mut set, &claim(1, 1), lagging).expect("there is room");
        assert!(set.entries() <= 2 * (256 + 6), "{}", set.entries());
    }
}

#[test]
fn what_has_expired_is_neither_settled_nor_given_back_twice() {
    let mut set = set(Limits { tokens_per_minute: Some(100), ..Limits::default() });
    let (old, at) = admit(&mut set, &claim(50, 0), START).expect("room");
    let later = START + MINUTE * 2;
    admit(&mut set, &claim(100, 0), later).expect("the first has expired");
    set.settle(Held { claim: &claim(50, 0), at, ticket: old }, &claim(100, 100));
    let limit = status_of(&set, LimitKind::TokensPerMinute, later);
    assert_eq!((limit.used, limit.reserved), (100, 100));
}

#[test]
fn a_claim_beyond_the_capacity_waits_for_an_empty_window() {
    let mut set = set(Limits { tokens_per_minute: Some(100), ..Limits::default() });
    let huge = claim(u64::MAX, u64::MAX);
    let (ticket, at) = admit(&mut set, &huge, START).expect("empty");
    set.refund(Held { claim: &huge, at, ticket });
    let (ticket, at) = admit(&mut set, &huge, START).expect("empty again");
    set.refund(Held { claim: &huge, at, ticket });
    admit(&mut set, &claim(1, 0), START).expect("room");
    let last = START + SECOND * 10;
    admit(&mut set, &claim(1, 0), last).expect("room");
    let until = admit(&mut set, &huge, last).expect_err("not empty");
    assert_eq!(until, last + MINUTE);
    let (ticket, at) = admit(&mut set, &huge, until).expect("empty");
    assert!(admit(&mut set, &Claim::default(), until).is_err(), "and then there is no room");
    set.settle(Held { claim: &huge, at, ticket }, &claim(99, 0));
    assert!(admit(&mut set, &Claim::default(), until).is_ok(), "it took less than it claimed");
}

#[test]
fn a_claim_of_nothing_is_refused_by_a_budget_that_is_used_up() {
    let mut set = set(Limits { spend_per_day: Some(NanoDollars::new(5)), ..Limits::default() });
    admit(&mut set, &claim(0, 5), START).expect("room");
    assert!(admit(&mut set, &Claim::default(), START).is_err());
}

#[test]
fn what_was_out_before_a_limit_was_known_does_not_disturb_its_count() {
    let mut set = set(Limits::default());
    let (early, at) = admit(&mut set, &claim(500, 0), START).expect("no limit");
    let kind = LimitKind::InputTokensPerMinute;
    let resets_at = Some(START + MINUTE);
    set.observe(&Observation { kind, limit: Some(1000), remaining: Some(400), resets_at }, START);
    let (late, _) = admit(&mut set, &claim(100, 0), START).expect("room");
    assert_eq!(status_of(&set, kind, START).used, 700);
    set.settle(Held { claim: &claim(500, 0), at, ticket: early }, &Claim::default());
    assert_eq!(status_of(&set, kind, START).used, 700);
    set.settle(Held { claim: &claim(100, 0), at, ticket: late }, &claim(40, 0));
    assert_eq!(status_of(&set, kind, START).used, 640);
}

#[test]
fn reports_are_taken_for_what_they_are_worth() {
    let kind = LimitKind::RequestsPerMinute;
    let reset = Some(START + SECOND * 30);
    // Reported limit, remaining and reset; capacity and use that follow, then use after 31 s.
    let cases = [
        (Some(50), None, None, 50, 0, 0),
        (Some(500), None, None, 100, 0, 0),
        (Some(0), None, None, 1, 0, 0),
        (Some(50), Some(50), reset, 50, 0, 0),
        (Some(50), Some(10), reset, 50, 40, 0),
        (None, Some(10), reset, 100, 90, 0),
        (None, Some(500), reset, 100, 0, 0),
        (None, Some(10), None, 100, 90, 90),
        (None, Some(10), Some(START), 100, 0, 0),
        (None, Some(10), Some(START + MINUTE * 60), 100, 90, 90),
    ];
    for (limit, remaining, resets_at, capacity, used, later) in cases {
        let said = Observation { kind, limit, remaining, resets_at };
        let mut adaptive = set(Limits { requests_per_minute: Some(100), ..Limits::default() });
        let mut fixed = set(Limits { requests_per_minute: Some(100), adaptive: false, ..Limits::default() });
        adaptive.observe(&said, START);
        fixed.observe(&said, START);
        let found = status_of(&adaptive, kind, START);
        assert_eq!((found.capacity, found.used), (Some(capacity), used), "{said:?}");
        assert_eq!(status_of(&adaptive, kind, START + SECOND * 31).used, later, "{said:?}");
        assert_eq!(status_of(&fixed, kind, START).capacity, Some(100));
        assert_eq!(status_of(&fixed, kind, START).used, 0);
    }
}

/// 100 requests in the last second, without a configured limit.
fn busy() -> (LimitSet, Vec<Ticket>) {
    let mut set = set(Limits::default());
    let tickets = (0..100).map(|_| admit(&mut set, &Claim::default(), START).expect("no limit").0).collect();
    (set, tickets)
}

fn guessed(set: &LimitSet, now: Timestamp) -> Option<u64> {
    status_of(set, LimitKind::RequestsPerMinute, now).capacity
}

/// The provider refuses as often as it takes to be believed.
fn refuse(set: &mut LimitSet, ticket: Ticket, now: Timestamp) {
    for _ in 0..3 {
        set.limited(ticket, now);
    }
}

#[test]
fn refusals_take_a_quarter_off_once_for_all_that_was_out() {
    let (mut set, tickets) = busy();
    for (nth, ticket) in tickets.iter().enumerate() {
        set.limited(*ticket, START + SECOND);
        let expected = if nth < 2 { None } else { Some(75) };
        assert_eq!(guessed(&set, START + SECOND), expected, "two may be chance");
    }
    let later = START + MINUTE;
    let next = (0..20).map(|_| admit(&mut set, &Claim::default(), later).expect("room").0).max();
    refuse(&mut set, next.expect("some"), later);
    assert_eq!(guessed(&set, later), Some(15), "of the 20 admitted since, a quarter less");
}

#[test]
fn a_refusal_of_few_or_with_a_report_at_hand_cuts_nothing() {
    let mut few = set(Limits::default());
    let tickets: Vec<_> =
        (0..9).map(|_| admit(&mut few, &Claim::default(), START).expect("room").0).collect();
    refuse(&mut few, tickets[0], START);
    assert_eq!(guessed(&few, START), None);

    // Three a minute among a thousand are chance.
    let mut large = set(Limits::default());
    let tickets: Vec<_> =
        (0..1000).map(|_| admit(&mut large, &Claim::default(), START).expect("room").0).collect();
    refuse(&mut large, tickets[0], START);
    assert_eq!(guessed(&large, START), None);
    for ticket in &tickets[..2] {
        large.limited(*ticket, START);
    }
    assert_eq!(guessed(&large, START), Some(750), "five are not");

    let (mut reported, tickets) = busy();
    let kind = LimitKind::RequestsPerMinute;
    reported.observe(&Observation { kind, limit: Some(200), remaining: None, resets_at: None }, START);
    refuse(&mut reported, tickets[0], START + SECOND);
    assert_eq!(guessed(&reported, START + SECOND), Some(200));
    refuse(&mut reported, tickets[0], START + SECOND * 59);
    assert_eq!(guessed(&reported, START + SECOND), Some(200), "fresh for a window");

    let mut fixed = set(Limits { requests_per_minute: Some(100), adaptive: false, ..Limits::default() });
    let ticket = (0..50).map(|_| admit(&mut fixed, &Claim::default(), START).expect("room").0).max();
    refuse(&mut fixed, ticket.expect("some"), START);
    assert_eq!(guessed(&fixed, START), Some(100));
}

#[test]
fn a_guess_grows_by_a_twentieth_a_window_while_it_is_what_holds_back() {
    let (mut set, tickets) = busy();
    refuse(&mut set, tickets[0], START);
    for seconds in 0..60 {
        set.advance(START + SECOND * seconds);
        assert_eq!(guessed(&set, START + SECOND * seconds), Some(75), "the refusal was in this window");
    }
    let mut now = START + MINUTE;
    // Full all the time: the window after the refusal is over when this begins.
    for _ in 0..6000 {
        now = now + Duration::from_millis(10);
        _ = admit(&mut set, &Claim::default(), now);
    }
    let grown = guessed(&set, now).expect("still a guess");
    assert!((78..=79).contains(&grown), "75 and a twentieth: {grown}");
    // A tenth of it used: it stays.
    for _ in 0..60 {
        now = now + SECOND * 9;
        admit(&mut set, &Claim::default(), now).expect("room");
    }
    let kept = guessed(&set, now).expect("still a guess");
    assert!(kept <= grown + 4, "{kept}, what was left of the full window aside");
    assert_eq!(guessed(&set, now), Some(kept));
    now = now + MINUTE * 60;
    admit(&mut set, &Claim::default(), now).expect("room");
    assert_eq!(guessed(&set, now), None, "not confirmed for an hour");
}

#[test]
fn a_guess_never_grows_above_what_was_configured() {
    let mut set = set(Limits { requests_per_minute: Some(100), ..Limits::default() });
    let ticket = (0..100).map(|_| admit(&mut set, &Claim::default(), START).expect("room").0).max();
    refuse(&mut set, ticket.expect("some"), START);
    assert_eq!(guessed(&set, START), Some(75));
    let mut now = START;
    for _ in 0..15_000 {
        now = now + Duration::from_millis(100);
        _ = admit(&mut set, &Claim::default(), now);
        assert!(guessed(&set, now).is_some_and(|capacity| capacity <= 100));
    }
    assert_eq!(guessed(&set, now), Some(100));
}

#[test]
fn concurrency_has_no_window() {
    assert!(Meter::new(LimitKind::Concurrency, Some(1), Ticket::default()).is_none());
    let observed =
        Observation { kind: LimitKind::Concurrency, limit: Some(1), remaining: Some(0), resets_at: None };
    let mut set = set(Limits::default());
    assert_eq!(set.observe(&observed, START), None);
    assert!(admit(&mut set, &Claim::default(), START).is_ok());
}
