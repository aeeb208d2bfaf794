//! The invariants of `docs/policies.md`.

use leverframe_core::guard::Guard;
use proptest::{collection::vec, option, prelude::*};

use super::{fastest::COLD_AFTER, *};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_000_000_000_000_000);

fn candidate(position: u32) -> Candidate {
    Candidate {
        position,
        tier: 0,
        weight: 1.0,
        fingerprint: fingerprint("provider", "default", &format!("model-{position}")),
        first_token: None,
        price: None,
        in_flight: 0,
        refusal: None,
    }
}

fn candidates(count: u32) -> Vec<Candidate> {
    (0..count).map(candidate).collect()
}

fn measured(candidate: Candidate, millis: u64, ago: Duration) -> Candidate {
    let measured_at = Timestamp::from_unix_nanos(NOW.unix_nanos() - ago.as_nanos() as u64);
    let first_token = Some(FirstToken { expected: Duration::from_millis(millis), measured_at });
    Candidate { first_token, ..candidate }
}

fn policies() -> impl Strategy<Value = Policy> {
    (prop::sample::select(PolicyName::ALL.to_vec()), 0.01f64..=1.0).prop_map(|(name, explore)| match name {
        PolicyName::Fastest => Policy::Fastest { explore },
        name => Policy::from(name),
    })
}

prop_compose! {
    fn any_candidate()(
        tier in 0u32..3,
        weight in prop_oneof![Just(0.0), 1e-9f64..1e6],
        first_token in option::of((0u64..5000, 0u64..600)),
        price in option::of(0u64..5),
        in_flight in 0u32..4,
        until in option::weighted(0.3, 1u64..4),
    ) -> Candidate {
        let candidate = Candidate {
            tier,
            weight,
            price: price.map(NanoDollars::new),
            in_flight,
            refusal: until.map(|s| Refusal { by: Guard::Breaker, until: NOW + Duration::from_secs(s) }),
            ..candidate(0)
        };
        match first_token {
            Some((millis, ago)) => measured(candidate, millis, Duration::from_secs(ago)),
            None => candidate,
        }
    }
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    vec(any_candidate(), 0..12).prop_map(|candidates| {
        let numbered = (0..).zip(candidates);
        numbered
            .map(|(position, other)| Candidate {
                position,
                fingerprint: candidate(position).fingerprint,
                ..other
            })
            .collect()
    })
}

fn ordered(
    policy: &Policy,
    candidates: &[Candidate],
    conversation: Option<&str>,
    seed: u64,
) -> Vec<Candidate> {
    let mut candidates = candidates.to_vec();
    order(policy, &mut candidates, conversation, NOW, &mut fastrand::Rng::with_seed(seed));
    candidates
}

fn positions(candidates: &[Candidate]) -> Vec<u32> {
    candidates.iter().map(|candidate| candidate.position).collect()
}

/// How often each position is first.
fn firsts(policy: &Policy, candidates: &[Candidate], draws: u64, seed: u64) -> Vec<u64> {
    let mut firsts = vec![0; candidates.len()];
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..draws {
        let mut drawn = candidates.to_vec();
        order(policy, &mut drawn, None, NOW, &mut rng);
        firsts[drawn[0].position as usize] += 1;
    }
    firsts
}

/// Six standard deviations: one draw in 500 million is further off.
fn is_about(count: u64, draws: u64, share: f64) -> bool {
    let mean = draws as f64 * share;
    (count as f64 - mean).abs() <= 6.0 * (mean * (1.0 - share)).sqrt() + 1.0
}

proptest! {
    #[test]
    fn everybody_is_there_once_the_healthy_first_and_tiers_in_order(
        policy in policies(), candidates in any_candidates(), conversation in option::of("[a-z]{0,8}"), seed: u64,
    ) {
        let ordered = ordered(&policy, &candidates, conversation.as_deref(), seed);
        let mut sorted = ordered.clone();
        sorted.sort_by_key(|candidate| candidate.position);
        prop_assert_eq!(sorted, candidates);
        for pair in ordered.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            match (a.refusal, b.refusal) {
                (None, None) => prop_assert!(a.tier <= b.tier),
                (Some(a), Some(b)) => prop_assert!(a.until <= b.until),
                (Some(_), None) => prop_assert!(false, "a refused route before a healthy one"),
                (None, Some(_)) => {}
            }
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        policy in policies(), candidates in any_candidates(), conversation in option::of("[a-z]{0,8}"), seed: u64,
    ) {
        let mut shuffled = candidates.clone();
        fastrand::Rng::with_seed(!seed).shuffle(&mut shuffled);
        let conversation = conversation.as_deref();
        prop_assert_eq!(
            ordered(&policy, &candidates, conversation, seed),
            ordered(&policy, &shuffled, conversation, seed)
        );
    }

    #[test]
    fn priority_keeps_the_configured_order(count in 0u32..12, seed: u64) {
        let ordered = ordered(&Policy::Priority, &candidates(count), None, seed);
        prop_assert_eq!(positions(&ordered), (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn weights_are_shares_and_none_is_last(weights in vec(prop_oneof![1 => Just(0.0), 4 => 0.1f64..10.0], 1..6), seed: u64) {
        let mut candidates = candidates(weights.len() as u32);
        for (candidate, weight) in candidates.iter_mut().zip(&weights) {
            candidate.weight = *weight;
        }
        let (draws, total) = (4000, weights.iter().sum::<f64>());
        if total > 0.0 {
            for (count, weight) in firsts(&Policy::Weighted, &candidates, draws, seed).into_iter().zip(&weights) {
                prop_assert!(is_about(count, draws, weight / total), "{count} of {draws}, weights {weights:?}");
                prop_assert!(*weight > 0.0 || count == 0);
            }
        }
        let ordered = ordered(&Policy::Weighted, &candidates, None, seed);
        let without = ordered.iter().skip_while(|candidate| candidate.weight > 0.0);
        let without: Vec<_> = without.copied().collect();
        prop_assert!(without.iter().all(|candidate| candidate.weight == 0.0));
        prop_assert!(without.is_sorted_by_key(|candidate| candidate.position));
    }

    /// The worse of two different routes is at best the second worst, so the worst is never first.
    #[test]
    fn the_fastest_is_the_better_of_two_and_the_rest_is_in_order(
        millis in prop::collection::hash_set(1u64..5000, 2..8), seed: u64,
    ) {
        let warm: Vec<_> = (0..).zip(&millis).map(|(place, millis)| measured(candidate(place), *millis, Duration::ZERO)).collect();
        let ordered = ordered(&Policy::fastest(), &warm, None, seed);
        let slowest = warm.iter().map(fastest::load).fold(0.0, f64::max);
        prop_assert!(fastest::load(&ordered[0]) < slowest);
        prop_assert!(ordered[1..].is_sorted_by(|a, b| fastest::load(a) <= fastest::load(b)));
    }

    #[test]
    fn every_pair_of_measured_routes_is_equally_likely(count in 2u32..6, seed: u64) {
        let warm: Vec<_> = (0..count).map(|place| measured(candidate(place), 100 + u64::from(place), Duration::ZERO)).collect();
        let (draws, pairs) = (3000, f64::from(count * (count - 1) / 2));
        for (place, first) in (0..count).zip(firsts(&Policy::fastest(), &warm, draws, seed)) {
            // The pairs in which it is the better one.
            prop_assert!(is_about(first, draws, f64::from(count - 1 - place) / pairs), "{place}: {first}");
        }
    }

    #[test]
    fn a_cold_route_is_explored_with_the_share_set_aside(
        warm in 0u32..4, cold in 1u32..4, explore in 0.02f64..0.5, stale: bool, seed: u64,
    ) {
        let mut candidates = candidates(warm + cold);
        for candidate in &mut candidates {
            if candidate.position < warm {
                *candidate = measured(*candidate, 100, Duration::ZERO);
            } else if stale {
                *candidate = measured(*candidate, 1, COLD_AFTER + Duration::from_nanos(1));
            }
        }
        let draws = 3000;
        let share = if warm == 0 { 1.0 } else { explore } / f64::from(cold);
        let firsts = firsts(&Policy::Fastest { explore }, &candidates, draws, seed);
        for (place, count) in (0u32..).zip(firsts).skip(warm as usize) {
            prop_assert!(is_about(count, draws, share), "{place}: {count} of {draws}, share {share}");
            prop_assert!(count > 0);
        }
    }

    #[test]
    fn the_cheapest_is_first_and_what_has_no_price_last(candidates in any_candidates(), seed: u64) {
        let one_tier: Vec<_> =
            candidates.into_iter().map(|other| Candidate { tier: 0, refusal: None, ..other }).collect();
        let ordered = ordered(&Policy::Cheapest, &one_tier, None, seed);
        let key = |candidate: &Candidate| (candidate.price.map_or(u64::MAX, NanoDollars::get), candidate.position);
        prop_assert!(ordered.is_sorted_by_key(key));
    }

    #[test]
    fn the_least_busy_is_first(candidates in any_candidates(), seed: u64) {
        let one_tier: Vec<_> =
            candidates.into_iter().map(|other| Candidate { tier: 0, refusal: None, ..other }).collect();
        let ordered = ordered(&Policy::LeastBusy, &one_tier, None, seed);
        prop_assert!(ordered.is_sorted_by_key(|candidate| candidate.in_flight));
    }

    #[test]
    fn the_least_busy_are_first_equally_often(idle in 1u32..6, seed: u64) {
        let mut candidates = candidates(idle + 1);
        candidates[idle as usize].in_flight = 1;
        let draws = 3000;
        let firsts = firsts(&Policy::LeastBusy, &candidates, draws, seed);
        for count in &firsts[..idle as usize] {
            prop_assert!(is_about(*count, draws, 1.0 / f64::from(idle)), "{firsts:?}");
        }
        prop_assert_eq!(firsts[idle as usize], 0);
    }

    /// Taking a route away leaves the order of the others as it was: only the
    /// conversations that were on it move. So does a refusal.
    #[test]
    fn a_conversation_moves_only_when_its_route_goes(
        count in 1u32..10, gone in any::<prop::sample::Index>(), conversation: String, seed: u64,
    ) {
        let all = candidates(count);
        let gone = gone.index(all.len()) as u32;
        let before = positions(&ordered(&Policy::Sticky, &all, Some(&conversation), seed));
        prop_assert_eq!(&before, &positions(&ordered(&Policy::Sticky, &all, Some(&conversation), !seed)));
        let others: Vec<_> = all.iter().copied().filter(|candidate| candidate.position != gone).collect();
        let expected: Vec<_> = before.into_iter().filter(|place| *place != gone).collect();
        let after = positions(&ordered(&Policy::Sticky, &others, Some(&conversation), seed));
        prop_assert_eq!(&after, &expected);
        let mut refused = all;
        refused[gone as usize].refusal = Some(Refusal { by: Guard::Hold, until: Timestamp::MAX });
        let after = positions(&ordered(&Policy::Sticky, &refused, Some(&conversation), seed));
        prop_assert_eq!(&after[..expected.len()], &expected);
    }

    #[test]
    fn without_a_conversation_sticky_is_priority(candidates in any_candidates(), seed: u64) {
        prop_assert_eq!(
            ordered(&Policy::Sticky, &candidates, None, seed),
            ordered(&Policy::Priority, &candidates, None, seed)
        );
        for candidate in &candidates {
            prop_assert_eq!(measure(&Policy::Sticky, candidate, None), Measure::Position(candidate.position));
        }
    }
}

/// Conversations with names that differ little, on routes that do as well.
#[test]
fn conversations_are_spread_evenly() {
    for count in 2u32..8 {
        let all = candidates(count);
        let mut firsts = vec![0u64; count as usize];
        let draws = 20_000;
        for number in 0..draws {
            let ordered = ordered(&Policy::Sticky, &all, Some(&format!("conversation-{number}")), 0);
            firsts[ordered[0].position as usize] += 1;
        }
        for first in &firsts {
            assert!(is_about(*first, draws, 1.0 / f64::from(count)), "{firsts:?}");
        }
    }
}

/// A release that changed these would move every conversation off its cache.
/// The numbers were computed apart from this code, by the published definitions.
#[test]
fn the_hash_is_the_same_in_every_release() {
    let claude = fingerprint("claude", "default", "claude-sonnet-5");
    assert_eq!(claude, 0x034c_f5e9_d258_f953);
    assert_eq!(
        sticky::affinity("", &Candidate { fingerprint: claude, ..candidate(0) }),
        0x3211_7ae0_6d69_6994
    );
    assert_eq!(
        sticky::affinity("a", &Candidate { fingerprint: claude, ..candidate(0) }),
        0xf437_f209_ef76_ca08
    );
    assert_ne!(fingerprint("ab", "c", "d"), fingerprint("a", "bc", "d"));
}

#[test]
fn a_policy_without_exploration_is_refused() {
    for explore in [0.0, -0.1, 1.01, f64::NAN, f64::INFINITY] {
        assert!(Policy::Fastest { explore }.check().expect_err("not a share").contains("explore"));
    }
    for name in PolicyName::ALL {
        assert_eq!(Policy::from(name).name(), name);
        Policy::from(name).check().expect("defaults are valid");
    }
}
