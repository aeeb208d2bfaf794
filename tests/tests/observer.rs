//! What an observer is told, as it happens.

use std::sync::{Arc, Mutex};

use leverframe_emulator::Step;
use leverframe_router::{Observer, Record, Route, TurnedAway};
use leverframe_tests::{World, ask};

/// Counts what it is told.
#[derive(Debug, Default)]
struct Counts(Mutex<Vec<String>>);

impl Counts {
    fn note(&self, what: String) {
        self.0.lock().expect("no test panics while it holds this").push(what);
    }
}

impl Observer for Counts {
    fn attempt_started(&self, route: &Route) {
        self.note(format!("started {}", route.provider));
    }

    fn first_token(&self, route: &Route, _after: std::time::Duration) {
        self.note(format!("first token {}", route.provider));
    }

    fn turned_away(&self, route: &Route, refusal: &TurnedAway) {
        self.note(format!("turned away {}: {}", route.provider, refusal.by));
    }

    fn request_ended(&self, record: &Record) {
        self.note(format!("ended after {}", record.attempts.len()));
    }
}

#[tokio::test]
async fn an_observer_is_told_as_it_happens() {
    let counts = Arc::new(Counts::default());
    let told = || std::mem::take(&mut *counts.0.lock().expect("no test panics while it holds this"));
    let world =
        World::with(&["claude", "gemini"], |builder| builder.observer(Arc::clone(&counts) as _)).await;
    world.always("claude", Step::authentication());
    world.router.stream(ask("claude")).await.expect("begins").collect().await.expect("ends");
    assert_eq!(told(), ["started claude", "started gemini", "first token gemini", "ended after 2"]);
    // The key is set aside, so that it is asked last.
    world.always("gemini", Step::authentication());
    world.router.stream(ask("claude")).await.expect_err("nobody answers");
    let aside = "turned away claude: the API key is set aside after \"not authenticated\"";
    assert_eq!(told(), ["started gemini", aside, "ended after 2"]);
}
