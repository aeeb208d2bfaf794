//! Support for the tests beside this file: a router, the providers it talks
//! to on real sockets, and everything it records.

pub mod sim;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use leverframe_emulator::{Emulator, Provider as Fake, Step};
use leverframe_router::{
    Backoff, BreakerConfig, Builder, Clocks, Provider, Record, Recorder, Request, RetryPolicy, Router,
};

/// The three providers under the names and in the order of fallback.
pub const PROVIDERS: [(&str, Fake, &str); 3] = [
    ("claude", Fake::Anthropic, "claude-test"),
    ("gemini", Fake::Gemini, "gemini-test"),
    ("openai", Fake::OpenAi, "gpt-test"),
];

/// Every dialect under a provider's name: those of [`PROVIDERS`], and OpenAI's
/// newer API at the same place.
pub const DIALECTS: [(&str, Fake, &str); 4] =
    [PROVIDERS[0], PROVIDERS[1], PROVIDERS[2], ("responses", Fake::OpenAi, "responses/gpt-test")];

/// Keeps every record it is handed.
#[derive(Debug, Default)]
pub struct Records(Mutex<Vec<Arc<Record>>>);

impl Records {
    /// The records so far, oldest first.
    pub fn all(&self) -> Vec<Arc<Record>> {
        self.0.lock().expect("no test panics while it holds this").clone()
    }
}

impl Recorder for Records {
    fn record(&self, record: &Arc<Record>) {
        self.0.lock().expect("no test panics while it holds this").push(Arc::clone(record));
    }
}

/// An emulator, a router over it, and its records.
#[derive(Debug)]
pub struct World {
    /// The providers.
    pub emulator: Emulator,
    /// What is tested.
    pub router: Router,
    /// What it recorded.
    pub records: Arc<Records>,
}

impl World {
    /// All three providers, with short waits.
    pub async fn new() -> Self {
        Self::with(&["claude", "gemini", "openai"], |builder| builder).await
    }

    /// These providers in this order, with what `change` changes.
    pub async fn with(names: &[&str], change: impl FnOnce(Builder) -> Builder) -> Self {
        let emulator = Emulator::start().await.expect("loopback has free ports");
        let records = Arc::new(Records::default());
        let mut builder = base();
        for name in names {
            builder = builder.provider(provider(&emulator, name));
        }
        let builder = change(builder.recorder(Arc::clone(&records) as _));
        Self { emulator, router: builder.build().expect("a valid configuration"), records }
    }

    /// Answers every call of one provider like this.
    pub fn always(&self, name: &str, step: Step) {
        let (_, fake, _) = lookup(name);
        self.emulator.always(fake, step);
    }

    /// How many calls one provider has seen.
    pub fn calls(&self, name: &str) -> usize {
        let (_, fake, _) = lookup(name);
        self.emulator.calls().iter().filter(|call| call.provider == fake).count()
    }

    /// Waits until all connections to the emulator are closed.
    ///
    /// # Panics
    /// When they are not after a bounded number of turns of the runtime.
    pub async fn all_connections_closed(&self) {
        for _ in 0..100_000 {
            if self.emulator.open_connections() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} connections are still open", self.emulator.open_connections());
    }
}

/// A builder whose waits are short, and repeatable.
pub fn base() -> Builder {
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(4)).expect("valid");
    Router::builder()
        .seed(7)
        .retry(RetryPolicy { per_route: 2, backoff, patience: Duration::from_secs(5) })
        .breaker(BreakerConfig {
            consecutive_failures: 100,
            minimum_sample: 1000,
            ..BreakerConfig::default()
        })
        .clocks(Clocks {
            headers: Duration::from_millis(300),
            first_token: Duration::from_millis(300),
            idle: Duration::from_millis(300),
            total: None,
        })
}

/// A provider of the emulator's, under its usual name.
pub fn provider(emulator: &Emulator, name: &str) -> Provider {
    let (_, fake, model) = lookup(name);
    let url = emulator.base_url(fake);
    let provider = match fake {
        Fake::Anthropic => Provider::anthropic("test-key").base_url(url),
        Fake::Gemini => Provider::gemini("test-key").base_url(url),
        Fake::OpenAi if name == "responses" => {
            Provider::openai_responses("test-key").named("responses").base_url(format!("{url}/v1"))
        }
        Fake::OpenAi => Provider::openai("test-key").base_url(format!("{url}/v1")),
    };
    provider.default_model(model)
}

/// The provider's row of [`DIALECTS`].
///
/// # Panics
/// For a name that is not there.
pub fn lookup(name: &str) -> (&'static str, Fake, &'static str) {
    *DIALECTS.iter().find(|(known, ..)| *known == name).expect("one of the four")
}

/// A question to one provider's test model.
pub fn ask(name: &str) -> Request {
    Request::new(lookup(name).2).user("Hello there")
}
