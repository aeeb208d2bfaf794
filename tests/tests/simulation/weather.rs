//! An hour with a bit of everything.

use std::time::Duration;

use leverframe_tests::sim::{
    Arrivals, Behaviour, Fault, Hint, Latency, Leave, Limit, Load, Script, Stragglers, World,
};

use super::{every_model, full, healthy, secs, simulate};

/// Three providers, each with its own bad times. `hour` is how long the
/// weather takes to pass: the bad times keep their share of it.
pub(super) fn scripts(hour: Duration) -> [Script; 3] {
    let at = |minute: u32| hour * minute / 60;
    let [claude, gemini, openai] = healthy();
    let per_minute = |requests| Some(Limit::Window { requests, per: secs(60) });
    let overloaded = Behaviour {
        stragglers: Some(Stragglers { share: 0.02, factor: 8.0 }),
        ..Behaviour::default().with_fault(0.01, Fault::Overloaded).with_fault(0.002, Fault::Server)
    };
    let limited = Behaviour { limit: per_minute(3000), hint: Hint::ResetHeaders, ..overloaded.clone() };
    let quick = Behaviour {
        headers: Latency::lognormal(80, 400),
        first_token: Latency::lognormal(120, 900),
        ..Behaviour::default()
            .with_fault(0.002, Fault::Reset)
            .with_fault(0.0005, Fault::ResetAfter(2))
            .with_fault(0.0005, Fault::TruncatedAfter(1))
    };
    let burst = Limit::Bucket { burst: 20.0, per_second: 20.0 };
    let flaky = Behaviour::default()
        .with_fault(0.003, Fault::Server)
        .with_fault(0.001, Fault::Hang)
        .with_fault(0.0005, Fault::Drip(secs(1)))
        .with_fault(0.001, Fault::RateLimited { wait: secs(2), hint: Hint::RetryAfter });
    [
        claude
            .behaving(overloaded.clone())
            .from(at(15), limited)
            .from(at(25), overloaded)
            .outage(at(40)..at(44), Fault::Overloaded),
        gemini
            .behaving(quick.clone())
            .from(at(30), Behaviour { limit: Some(burst), ..quick.clone() })
            .from(at(35), quick)
            .flapping(at(5)..at(12), secs(20), 0.3, Fault::ConnectionRefused),
        openai.behaving(flaky).outage(at(50)..at(52), Fault::Hang),
    ]
}

pub(super) fn load(per_second: f64, lasts: Duration) -> Load {
    Load {
        arrivals: Arrivals::Poisson { per_second },
        models: every_model(),
        timeout: Some(secs(60)),
        leave: Some(Leave { share: 0.02, after: Latency::lognormal(800, 5000) }),
        ..Load::steady(per_second, lasts, "")
    }
}

#[test]
fn an_hour_of_weather_passes() {
    let lasts = if full() { secs(3600) } else { secs(180) };
    simulate(async {
        let world = World::new(8, scripts(lasts).into(), |builder| builder);
        let report = world.run(load(100.0, lasts)).await;
        println!("weather\n{report}");
        assert!(report.success_rate() >= 0.99, "{}", report.success_rate());
        assert!(report.attempts_per_call() <= 1.2, "{}", report.attempts_per_call());
        world.settle();
    });
}
