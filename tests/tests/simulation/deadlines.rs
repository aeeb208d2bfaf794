//! Providers that do not come to an end, and callers that cannot wait.

use std::time::Duration;

use leverframe_tests::sim::{Behaviour, Fault, Hint, Latency, Load, World};

use super::{GRACE, every_model, healthy, secs, simulate};

fn endless() -> Vec<(&'static str, Behaviour)> {
    let faulty = |fault| Behaviour::default().with_fault(1.0, fault);
    let limited = |hint| faulty(Fault::RateLimited { wait: secs(3600), hint });
    let slow = Behaviour { token: Latency::lognormal(2000, 20_000), tokens: 50, ..Behaviour::default() };
    let mixed = Behaviour::default()
        .with_fault(0.2, Fault::Hang)
        .with_fault(0.2, Fault::Drip(Duration::from_millis(700)))
        .with_fault(0.2, Fault::RateLimited { wait: secs(3), hint: Hint::RetryAfter })
        .with_fault(0.2, Fault::HangAfter(2))
        .with_fault(0.1, Fault::ConnectTimeout);
    vec![
        ("hang", faulty(Fault::Hang)),
        ("hang before the first token", faulty(Fault::HangAfter(0))),
        ("hang within the answer", faulty(Fault::HangAfter(2))),
        ("drip", faulty(Fault::Drip(Duration::from_millis(700)))),
        ("drip in step with the deadline", faulty(Fault::Drip(secs(1)))),
        ("connect timeout", faulty(Fault::ConnectTimeout)),
        ("429, an hour in retry-after", limited(Hint::RetryAfter)),
        ("429, an hour in the resets", limited(Hint::ResetHeaders)),
        ("429, no hint", limited(Hint::Silent)),
        ("slow answers", slow),
        ("everything", mixed),
    ]
}

#[test]
fn no_call_outlives_its_deadline() {
    for (name, behaviour) in endless() {
        for timeout in [Duration::from_millis(300), secs(1), secs(5), secs(30)] {
            simulate(async {
                let scripts = healthy().map(|script| script.behaving(behaviour.clone())).into();
                let world = World::new(6, scripts, |builder| builder);
                let load = Load {
                    timeout: Some(timeout),
                    models: every_model(),
                    ..Load::steady(10.0, secs(20), "")
                };
                let report = world.run(load).await;
                let over = report.longest().saturating_sub(timeout);
                println!(
                    "deadline of {timeout:?}, {name}: at most {over:?} late, {} answered",
                    report.answered()
                );
                assert!(over <= GRACE, "{name}, {timeout:?}: {over:?} late");
                world.settle();
            });
        }
    }
}
