//! A provider halves its limit under load; nobody changes a configuration.

use std::time::Duration;

use leverframe_tests::sim::{Arrivals, Behaviour, Fault, Hint, Limit, Load, Report, Script, World};

use super::{full, secs, simulate};

const BEFORE: usize = 600;
const HALVED: Duration = secs(120);
const WINDOW: Duration = secs(60);
/// Share of the requests that are refused once a window has passed, at most.
const TARGET: f64 = 0.01;

fn limited(per_minute: usize, hint: Hint, reports_limit: bool) -> Behaviour {
    let limit = Some(Limit::Window { requests: per_minute, per: WINDOW });
    Behaviour { limit, hint, reports_limit, ..Behaviour::default() }
}

/// How many requests the first provider saw from then on, and how many of them it refused.
fn refused(report: &Report, from: Duration) -> (usize, usize) {
    let seen = report.providers[0].1.arrivals.iter().filter(|arrival| arrival.at >= from);
    let refused = |fault: Option<Fault>| matches!(fault, Some(Fault::RateLimited { .. }));
    seen.fold((0, 0), |(seen, no), arrival| (seen + 1, no + usize::from(refused(arrival.fault))))
}

#[test]
fn a_halved_limit_is_kept_to_within_a_window() {
    let lasts = if full() { secs(7200) } else { secs(400) };
    let cases = [
        ("it says so", Hint::ResetHeaders, true),
        ("429s with a hint", Hint::RetryAfter, false),
        ("429s without", Hint::Silent, false),
    ];
    for (name, hint, reports) in cases {
        simulate(async {
            let claude = Script::anthropic()
                .behaving(limited(BEFORE, hint, reports))
                .from(HALVED, limited(BEFORE / 2, hint, reports));
            let world = World::new(41, vec![claude, Script::gemini()], |builder| builder);
            let arrivals = Arrivals::Poisson { per_second: 9.0 };
            let report = world.run(Load { arrivals, ..Load::steady(9.0, lasts, "claude-sonnet-5") }).await;
            let (seen, no) = refused(&report, HALVED + WINDOW);
            let used = seen as f64 / (lasts - HALVED - WINDOW).as_secs_f64() * 60.0;
            println!(
                "limit halved, {name}: {no} of {seen} refused ({:.2} %), {used:.0} a minute of {}\n{report}",
                100.0 * no as f64 / seen as f64,
                BEFORE / 2,
            );
            assert_eq!(report.answered(), report.calls.len(), "{name}");
            assert!(no as f64 <= TARGET * seen as f64, "{name}: {no} of {seen} refused");
            // Keeping to it is not staying away.
            assert!(used >= 0.7 * (BEFORE / 2) as f64, "{name}: {used} a minute");
            world.settle();
        });
    }
}
