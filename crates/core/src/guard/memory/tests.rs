use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    catalog::NanoDollars,
    error::{ErrorKind, Failure},
    guard::{Breaker, BreakerConfig, Gate, KeyGuard, Limits, Observation, Spent},
};

const START: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);

fn gate() -> (Arc<KeyGuard>, Arc<Gate>) {
    let of_key = Limits { requests_per_day: Some(60), ..Limits::default() };
    let of_route = Limits {
        requests_per_minute: Some(30),
        tokens_per_minute: Some(5_000),
        adaptive: true,
        ..Limits::default()
    };
    let key = Arc::new(KeyGuard::new(of_key).expect("valid"));
    let breaker = Breaker::new(BreakerConfig::default(), 7).expect("valid");
    (Arc::clone(&key), Arc::new(Gate::new(breaker, key, of_route).expect("valid")))
}

#[derive(Clone, Copy, Debug)]
struct Step {
    pause: u64,
    tokens: u64,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Answered,
    Failed(ErrorKind),
    Limited(u64),
    Observed(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Answered),
        3 => prop::sample::select(vec![ErrorKind::Server, ErrorKind::Authentication, ErrorKind::ModelNotFound]).prop_map(End::Failed),
        1 => (0_u64..90_000).prop_map(End::Limited),
        1 => (1_u64..60, 0_u64..60).prop_map(|(limit, left)| End::Observed(limit, left)),
    ];
    (0_u64..4_000, 0_u64..400, end).prop_map(|(pause, tokens, end)| Step { pause, tokens, end })
}

/// Plays the steps, each request over before the next, and tells the time.
fn play(gate: &Arc<Gate>, steps: &[Step]) -> Timestamp {
    let mut now = START;
    for step in steps {
        now = now + Duration::from_millis(step.pause);
        let claim =
            Claim { input_tokens: step.tokens, output_tokens: 1, cost: NanoDollars::new(step.tokens) };
        let Ok(mut admission) = gate.admit(&claim, now) else { continue };
        admission.mark_sent();
        let spent = Spent::default();
        match step.end {
            End::Answered => admission.settle(Ok(()), &spent, now),
            End::Failed(kind) => admission.settle(Err(&Failure::new(kind, "no")), &spent, now),
            End::Limited(millis) => {
                let mut failure = Failure::new(ErrorKind::RateLimited, "slow down");
                failure.retry_after = Some(Duration::from_millis(millis));
                admission.settle(Err(&failure), &spent, now);
            }
            End::Observed(limit, left) => {
                let said = Observation {
                    kind: LimitKind::RequestsPerMinute,
                    limit: Some(limit),
                    remaining: Some(left.min(limit)),
                    resets_at: None,
                };
                gate.observe(&[said], now);
                admission.settle(Ok(()), &spent, now);
            }
        }
    }
    now
}

proptest! {
    /// Whatever happened: the next process admits, refuses and counts as this one would.
    #[test]
    fn a_restart_changes_nothing(steps in prop::collection::vec(step(), 0..80), later in 0_u64..200_000) {
        let (key, before) = gate();
        let now = play(&before, &steps);
        let written = serde_json::to_string(&(key.memory(now), before.memory(now))).expect("JSON");
        let (of_key, of_route): (GuardMemory, GuardMemory) = serde_json::from_str(&written).expect("JSON");
        let (key, after) = gate();
        key.restore(&of_key, now);
        after.restore(&of_route, now);
        prop_assert_eq!(after.refusal(now), before.refusal(now));
        let later = now + Duration::from_millis(later);
        prop_assert_eq!(after.status(later), before.status(later));
        prop_assert_eq!(after.refusal(later), before.refusal(later));
    }

    /// A file may say anything.
    #[test]
    fn nonsense_holds_nothing_back_for_ever(
        amounts in prop::collection::vec((any::<u64>(), any::<u64>()), 0..600),
        numbers: [u64; 6],
        row: u32,
    ) {
        let at = Timestamp::from_unix_nanos;
        let cells: Vec<_> = amounts.iter().map(|(when, amount)| (at(*when), *amount)).collect();
        let limit = |kind| LimitMemory {
            kind,
            capacity: None,
            ours: cells.clone(),
            theirs: cells.clone(),
            reported: Some((numbers[0], at(numbers[1]))),
            guessed: Some((numbers[2], at(numbers[3]))),
        };
        let memory = GuardMemory {
            breaker: Some(BreakerMemory { failures_in_a_row: row, open_until: Some(at(numbers[4])), openings: row }),
            hold: Some(at(numbers[5])),
            bench: Some(BenchMemory { last: Benched { kind: ErrorKind::Authentication, until: at(numbers[4]) }, row }),
            limits: LimitKind::ALL.map(limit).to_vec(),
        };
        let (key, gate) = gate();
        key.restore(&memory, START);
        gate.restore(&memory, START);
        let _ = gate.admit(&Claim::default(), START);
        let tomorrow = START + Duration::from_secs(25 * 60 * 60);
        prop_assert_eq!(gate.refusal(tomorrow), None);
        prop_assert!(gate.admit(&Claim::default(), tomorrow).is_ok());
    }
}

#[test]
fn what_was_sent_after_it_was_written_down_counts_as_well() {
    let record = |at: u64| -> Record {
        serde_json::from_value(serde_json::json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "model": "m", "started_at": at, "ended_at": at,
            "outcome": {"state": "completed", "finish": "stop"}, "usage": crate::model::Usage::default(),
            "attempts": [{
                "provider": "p", "key": "k", "model": "m", "sent": true, "started_at": at, "first_chunk_at": null,
                "ended_at": at, "provider_request_id": null, "failure": null,
                "usage": {"input": {"reported": 70}, "cache_read": "unknown", "cache_write_short": "unknown",
                    "cache_write_long": "unknown", "output": {"reported": 30}, "reasoning": "unknown",
                    "audio_input": "unknown", "audio_output": "unknown"}
            }],
            "journal": [],
        }))
        .expect("a record")
    };
    let second = |second: u64| START + Duration::from_secs(second);
    let mut memory = Memory { at: second(1), guards: Vec::new() };
    memory.replay(&[1, 2, 3].map(|at| record(second(at).unix_nanos())));
    assert_eq!(memory.guards.len(), 2, "the key and its model");
    for one in &memory.guards {
        let limit = |kind| one.guards.limits.iter().find(|limit| limit.kind == kind).expect("counted");
        assert_eq!(limit(LimitKind::RequestsPerDay).used(second(4)), 2, "the first was counted before");
        assert_eq!(limit(LimitKind::TokensPerMinute).used(second(4)), 200);
        assert_eq!(limit(LimitKind::TokensPerMinute).resets_at(second(4)), Some(second(63)));
        assert_eq!(limit(LimitKind::TokensPerMinute).used(second(62)), 100);
    }
}
