//! Three fake providers on loopback with scripted faults.
//!
//! Speaks Anthropic Messages, Gemini `generateContent` and
//! `streamGenerateContent`, and OpenAI Chat Completions (at Azure's addresses
//! as well) and Responses, over HTTP/1.1 and HTTP/2 with prior knowledge,
//! streaming and not. It counts tokens and lists models. Made for testing what
//! talks to these APIs: answers are faithful (events, usage, headers, request
//! ids, error bodies), faults are real (connections do break), and nothing
//! leaves the machine.
//!
//! It shares no code with any client: the wire is written down here a second
//! time, from the providers' API references, so that a misreading on one side
//! shows.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use leverframe_emulator::{Emulator, Provider, Step};
//!
//! let emulator = Emulator::start().await?;
//! emulator.script(Provider::Anthropic, "claude-sonnet-5", [Step::overloaded(), Step::text("Hi!")]);
//! println!("ANTHROPIC_BASE_URL={}", emulator.base_url(Provider::Anthropic));
//! // ... the first call is answered with 529, the second with "Hi!", later ones with the default text.
//! emulator.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # Which step answers a call
//!
//! 1. the one for what it says ([`Emulator::when`], and a script's `when` and
//!    `with`);
//! 2. else the next one queued for its model ([`Emulator::script`]);
//! 3. else the next one queued for any model ([`Emulator::script_any`]);
//! 4. else what answers always, for the model, then for any
//!    ([`Emulator::always`], [`Emulator::cycle`]);
//! 5. else a text that quotes the question.
//!
//! A call that the provider would refuse anyway (no key, no such path, a body
//! that is not JSON or lacks a required field, a parameter or a model that is
//! not known) is refused in the provider's words and takes no step. Neither
//! does one that counts tokens or lists models.
//!
//! OpenAI's two APIs are one [`Provider`] and share its steps; the path of a
//! call says which of them it is for, and [`Call::path`] which it was.
//!
//! # Counted tokens
//!
//! Each text of a request has a token for every four bytes, rounded up; so
//! have its tools, as compact JSON; and three more are for what is around
//! them. What the endpoints for counting say is what usage reports.
//!
//! # Lists of models
//!
//! A handful of known names, or those that [`Builder::models`] gives. At
//! `/v1/models` a call with `x-api-key` or `anthropic-version` gets
//! Anthropic's shape, any other one OpenAI's, which names no limits.
//!
//! # Time
//!
//! All waits are tokio's, so a test may pause the clock.
//!
//! # Memory
//!
//! Of the calls the last 10 000 are kept, fewer if their bodies together
//! exceed 64 MiB. A request's body may have 32 MiB; the rest is read and
//! dropped, and the answer is 413.

mod body;
mod builder;
mod calls;
mod dialect;
mod script;
mod server;
mod socket;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{sync::watch, task::JoinSet};

pub use builder::Builder;
pub use calls::{Call, CallEnd};
pub use script::{Fault, Finish, ScriptError, Step};

use script::When;
use server::Shared;

/// How long a shutdown waits for calls that are being answered.
const GRACE: Duration = Duration::from_secs(1);

/// Which API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// Gemini.
    Gemini,
    /// OpenAI Chat Completions and Responses.
    OpenAi,
}

impl Provider {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Anthropic, Self::Gemini, Self::OpenAi];
}

/// Three servers on loopback. Stops when dropped, breaking its connections.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 3],
    /// Owns the listeners' tasks, which own the connections' tasks.
    listeners: JoinSet<()>,
    /// Tells listeners and connections to come to an end.
    stop: watch::Sender<bool>,
}

impl Emulator {
    /// Starts on free ports, with every model known.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts on these ports of 127.0.0.1, in the order of [`Provider::ALL`]; 0 is any free one.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start_on(ports: [u16; 3]) -> io::Result<Self> {
        Provider::ALL
            .into_iter()
            .zip(ports)
            .fold(Self::builder(), |builder, (provider, port)| builder.port(provider, port))
            .start()
            .await
    }

    /// Settings for an emulator that is not quite the usual one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:PORT`, for every provider without a version or a
    /// slash at the end. The base URL of OpenAI's SDKs is this and `/v1`.
    pub fn base_url(&self, provider: Provider) -> String {
        let [anthropic, gemini, openai] = self.addresses;
        let address = match provider {
            Provider::Anthropic => anthropic,
            Provider::Gemini => gemini,
            Provider::OpenAi => openai,
        };
        format!("http://{address}")
    }

    /// Queues steps for calls of one model. Each call takes the next.
    pub fn script(&self, provider: Provider, model: &str, steps: impl IntoIterator<Item = Step>) {
        self.shared.script().queue(provider, Some(model), steps);
    }

    /// Queues steps for calls of any model that has none of its own.
    pub fn script_any(&self, provider: Provider, steps: impl IntoIterator<Item = Step>) {
        self.shared.script().queue(provider, None, steps);
    }

    /// From now on answers every call that has no step queued like this.
    pub fn always(&self, provider: Provider, step: Step) {
        self.shared.script().cycle(provider, None, [step]);
    }

    /// From now on goes round these steps for calls, of one model or of any,
    /// that have none queued. No steps at all end it.
    pub fn cycle(&self, provider: Provider, model: Option<&str>, steps: impl IntoIterator<Item = Step>) {
        self.shared.script().cycle(provider, model, steps);
    }

    /// From now on answers every call that says this text, since the model
    /// last spoke, before any other step. What was told first comes first.
    pub fn when(&self, provider: Provider, text: impl Into<String>, step: Step) {
        let when = When { says: Some(text.into()), with: Vec::new() };
        self.shared.script().when(provider, None, when, [], [step]);
    }

    /// Back to the default answer for this provider, with nothing queued.
    pub fn clear(&self, provider: Provider) {
        self.shared.script().clear(provider);
    }

    /// Reads steps from a JSON script; see the binary's `--help`. A script
    /// that is not valid changes nothing.
    ///
    /// # Errors
    /// [`ScriptError`], naming line and column.
    pub fn load(&self, json: &str) -> Result<(), ScriptError> {
        script::load(json, &mut self.shared.script())
    }

    /// The calls so far, oldest first; the last 10 000 of them.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls().all()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    /// Accepts no more, lets calls finish for up to a second, then breaks
    /// what is left, and waits for all tasks to end.
    pub async fn shutdown(mut self) {
        // Nobody listening to this means that all tasks have ended already.
        let _ = self.stop.send(true);
        let all_ended = async { while self.listeners.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all_ended).await;
        self.listeners.shutdown().await;
    }
}
