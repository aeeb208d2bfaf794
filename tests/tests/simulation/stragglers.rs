//! One stream in a hundred is a straggler; a second route is asked when the
//! first is late.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leverframe_router::{BreakerConfig, ErrorKind, Hedging, Limits, Observer, Record, Recorder, Route};
use leverframe_tests::sim::{
    Arrivals, Behaviour, Fault, Latency, Leave, Load, Report, Script, Stragglers, World,
};

use super::{GRACE, MODELS, cancellations::breakers_close_again, every_model, full, healthy, secs, simulate};

/// Most attempts for one call, with hedges.
const MOST_ATTEMPTS: f64 = 1.03;
/// From when on there are enough streams to know when one is late.
const WARM_UP: Duration = secs(2);
/// How long providers fail where callers leave.
const STORM: Duration = secs(60);

/// Counts hedges and keeps the records of the calls that had one.
#[derive(Debug, Default)]
struct Hedges {
    sent: AtomicU64,
    records: Mutex<Vec<Arc<Record>>>,
}

impl Observer for Hedges {
    fn hedged(&self, _first: &Route, _second: &Route) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Hedges {
    fn record(&self, record: &Arc<Record>) {
        if record.attempts.len() > 1 {
            self.records.lock().expect("nobody panics with it").push(Arc::clone(record));
        }
    }
}

fn behaviour(headers: Latency, first_token: Latency) -> Behaviour {
    let stragglers = Some(Stragglers { share: 0.01, factor: 10.0 });
    Behaviour { headers, first_token, stragglers, ..Behaviour::default() }
}

/// Two providers with these times, and streams for the first one.
async fn play(times: &Behaviour, seed: u64, hedging: Option<Hedging>) -> (World, Report, Arc<Hedges>) {
    // Short of full length, long enough for a dozen stragglers.
    let lasts = if full() { secs(600) } else { secs(20) };
    let scripts = vec![Script::anthropic(), Script::gemini()];
    let scripts = scripts.into_iter().map(|script| script.behaving(times.clone())).collect();
    let hedges = Arc::<Hedges>::default();
    let world = World::new(seed, scripts, |builder| {
        let builder = builder.observer(Arc::clone(&hedges) as _).recorder(Arc::clone(&hedges) as _);
        match hedging {
            Some(hedging) => builder.hedging(hedging),
            None => builder,
        }
    });
    let load = Load {
        arrivals: Arrivals::Poisson { per_second: 100.0 },
        streamed: 1.0,
        ..Load::steady(100.0, lasts, "claude-sonnet-5")
    };
    let report = world.run(load).await;
    world.settle();
    (world, report, hedges)
}

/// The times to the first token of the calls that came once the quantile was
/// known, sorted.
fn first_tokens(report: &Report) -> Vec<Duration> {
    let warm = report.calls.iter().filter(|call| call.at > WARM_UP);
    let mut sorted: Vec<_> = warm.filter_map(|call| call.first_token).collect();
    sorted.sort_unstable();
    sorted
}

/// So many of a thousand are below, by the nearest rank.
fn permille(sorted: &[Duration], permille: usize) -> f64 {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted[rank - 1].as_secs_f64()
}

/// Distributions of the time to the first token, and by how much the slowest
/// half of the stragglers is to come down. Who is overtaken has waited for the
/// others' slowest and then for another one: of ten times the usual at least
/// two are left, and more the wider the usual times are spread.
fn distributions() -> [(&'static str, Behaviour, f64); 4] {
    [
        ("constant", behaviour(Latency::millis(150), Latency::millis(280)), 0.78),
        ("narrow", behaviour(Latency::lognormal(150, 250), Latency::lognormal(250, 400)), 0.70),
        ("lognormal", behaviour(Latency::lognormal(150, 300), Latency::lognormal(250, 600)), 0.60),
        ("wide", behaviour(Latency::lognormal(150, 600), Latency::lognormal(250, 1500)), 0.40),
    ]
}

#[test]
fn stragglers_are_overtaken_for_little() {
    let cases = distributions();
    let cases = if full() { &cases[..] } else { &cases[..3] };
    for (name, times, target) in cases {
        simulate(async {
            let (_, off, _) = play(times, 21, None).await;
            let (world, on, hedges) = play(times, 21, Some(Hedging::default())).await;
            let (calm, hedged, attempts) = (first_tokens(&off), first_tokens(&on), on.attempts_per_call());
            println!(
                "hedging, {name}: {} of {} calls hedged, {attempts:.4} attempts per call",
                hedges.sent.load(Ordering::Relaxed),
                on.calls.len()
            );
            let mut less = Vec::new();
            for part in [500, 900, 990, 995, 999] {
                let (before, after) = (permille(&calm, part), permille(&hedged, part));
                less.push(1.0 - after / before);
                println!(
                    "  first token, p{:<5} {before:>7.3} s, hedged {after:>7.3} s, {:>5.1} % less",
                    part as f64 / 10.0,
                    100.0 * (1.0 - after / before)
                );
            }
            assert_eq!(on.answered(), on.calls.len(), "{name}");
            assert!(attempts <= MOST_ATTEMPTS, "{name}: {attempts} attempts per call");
            assert!(less[3] >= *target, "{name}: {less:?}");
            losers_are_let_go(&world, &on);
            losers_are_on_record(&hedges);
        });
    }
}

/// Every exchange that lost was dropped as the winner's first content came.
fn losers_are_let_go(world: &World, report: &Report) {
    let began: HashMap<_, _> =
        report.calls.iter().filter_map(|call| Some((call.number, call.at + call.first_token?))).collect();
    let dropped: Vec<_> =
        ["claude", "gemini"].into_iter().flat_map(|name| world.counts(name).abandoned).collect();
    assert!(dropped.len() > 10, "{} lost", dropped.len());
    for lost in dropped {
        let won = began[&lost.call.expect("every question is numbered")];
        assert!(lost.at.abs_diff(won) <= GRACE, "won at {won:?}, dropped at {:?}", lost.at);
    }
}

/// One attempt of a hedged call lost; what its prompt costs is estimated.
fn losers_are_on_record(hedges: &Hedges) {
    let records = hedges.records.lock().expect("nobody panics with it");
    assert!(records.len() > 10, "{} hedged", records.len());
    for record in &*records {
        let [lost, won] = record.attempts.as_slice() else { panic!("two attempts: {record:?}") };
        let (lost, won) = if won.failure.is_none() { (lost, won) } else { (won, lost) };
        assert!(won.failure.is_none() && lost.sent, "{record:?}");
        assert_eq!(lost.failure.as_ref().map(|failure| failure.kind), Some(ErrorKind::Cancelled));
        // Reported if its answer had begun, or estimated.
        assert!(lost.usage.input_total().is_some_and(|tokens| tokens > 0), "{:?}", lost.usage);
        let cost = lost.cost.expect("the models have prices").amount;
        assert!(cost.value().is_some_and(|nanos| nanos.get() > 0), "{cost:?} of {:?}", lost.usage);
    }
}

/// Callers leave at any moment of a race, while routes fail, breakers open and
/// close and places are few: everything comes back.
#[test]
fn who_leaves_a_race_leaves_nothing_behind() {
    simulate(async {
        let slow =
            Behaviour { stragglers: Some(Stragglers { share: 0.2, factor: 10.0 }), ..Behaviour::default() };
        let stormy = slow
            .with_fault(0.03, Fault::Server)
            .with_fault(0.03, Fault::Hang)
            .with_fault(0.02, Fault::ResetAfter(1));
        let limits = Limits { concurrency: Some(120), ..Limits::default() };
        let scripts = healthy().map(|script| {
            let script = script.behaving(stormy.clone()).from(STORM, Behaviour::default());
            script.flapping(secs(20)..STORM, secs(13), 0.3, Fault::Server).configured(|p| p.limits(limits))
        });
        // The lease is too long to help: a probe must give its pass back as it is dropped.
        let breaker = BreakerConfig {
            open_for: secs(1),
            open_cap: secs(2),
            probe_lease: secs(100_000),
            ..Default::default()
        };
        let hedges = Arc::<Hedges>::default();
        let world = World::new(22, scripts.into(), |builder| {
            let builder = builder.breaker(breaker).observer(Arc::clone(&hedges) as _);
            builder.hedging(Hedging { quantile: 0.5, ..Hedging::default() })
        });
        let load = Load {
            arrivals: Arrivals::Poisson { per_second: 60.0 },
            streamed: 1.0,
            models: every_model(),
            timeout: Some(secs(30)),
            leave: Some(Leave { share: 0.5, after: Latency::lognormal(500, 3000) }),
            ..Load::steady(1.0, STORM, "")
        };
        let report = world.run(load).await;
        let hedged = hedges.sent.load(Ordering::Relaxed);
        println!("leaving a race: {hedged} hedged\n{report}");
        assert!(hedged > 100 && report.left() > 500, "{hedged} hedged, {} left", report.left());
        world.settle(); // nothing open, nothing sent for who had left, no place taken
        for (name, _) in MODELS {
            let counts = world.counts(name);
            assert!(counts.cancelled > 50, "{name}: {} cancelled", counts.cancelled);
            assert!(counts.noticed_within <= GRACE, "{name}: {:?}", counts.noticed_within);
        }
        breakers_close_again(&world, STORM).await;
    });
}
