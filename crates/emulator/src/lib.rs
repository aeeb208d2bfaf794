//! Three fake providers on loopback with scripted faults.
//!
//! Speaks Anthropic Messages, Gemini `generateContent` and
//! `streamGenerateContent`, and OpenAI Chat Completions, over HTTP/1.1 and
//! HTTP/2, streaming and not. Made for testing what talks to these APIs:
//! answers are faithful (events, usage, headers, request ids, error bodies),
//! faults are real (connections do break), and nothing leaves the machine.
//!
//! It shares no code with any client: the wire is written down here a second
//! time, from the providers' API references, so that a misreading on one side
//! shows.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use leverframe_emulator::{Emulator, Fault, Provider, Step};
//!
//! let emulator = Emulator::start().await?;
//! emulator.script(Provider::Anthropic, "claude-sonnet-5", [Step::fault(Fault::Overloaded), Step::text("Hi!")]);
//! println!("ANTHROPIC_BASE_URL={}", emulator.base_url(Provider::Anthropic));
//! // ... the first call is answered with 529, the second with "Hi!", later ones with the default text.
//! emulator.shutdown().await;
//! # Ok(()) }
//! ```

mod body;
mod calls;
mod dialect;
mod file;
mod script;
mod server;

use std::{io, net::SocketAddr, sync::Arc};

use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinSet};

pub use calls::{Call, CallEnd};
pub use file::ScriptError;
pub use script::{Fault, Finish, Step};

use server::Shared;

/// Which API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// Gemini.
    Gemini,
    /// OpenAI Chat Completions.
    OpenAi,
}

impl Provider {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Anthropic, Self::Gemini, Self::OpenAi];
}

/// Three servers on loopback. Stops when dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    addresses: Vec<(Provider, SocketAddr)>,
    /// Owns the listeners' tasks, which own the connections' tasks.
    listeners: JoinSet<()>,
}

impl Emulator {
    /// Starts on free ports.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_on([0; 3]).await
    }

    /// Starts on these ports of 127.0.0.1, in the order of [`Provider::ALL`]; 0 is any free one.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start_on(ports: [u16; 3]) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut addresses = Vec::new();
        let mut listeners = JoinSet::new();
        for (provider, port) in Provider::ALL.into_iter().zip(ports) {
            let listener = TcpListener::bind(("127.0.0.1", port)).await?;
            addresses.push((provider, listener.local_addr()?));
            listeners.spawn(server::listen(provider, listener, Arc::clone(&shared)));
        }
        Ok(Self { shared, addresses, listeners })
    }

    /// What to put before the path: `http://127.0.0.1:PORT`. For OpenAI it
    /// ends in `/v1`, as the base URL of its SDKs does.
    pub fn base_url(&self, provider: Provider) -> String {
        let suffix = if provider == Provider::OpenAi { "/v1" } else { "" };
        let address =
            self.addresses.iter().find(|(of, _)| *of == provider).map(|(_, address)| address.to_string());
        // Every provider has a listener; see `start_on`.
        format!("http://{}{suffix}", address.unwrap_or_default())
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
        self.shared.script().always(provider, step);
    }

    /// Back to the default text for this provider, with nothing queued.
    pub fn clear(&self, provider: Provider) {
        self.shared.script().clear(provider);
    }

    /// Reads steps from a JSON script; see the binary's `--help`.
    ///
    /// # Errors
    /// [`ScriptError`], naming line and column.
    pub fn load(&self, json: &str) -> Result<(), ScriptError> {
        file::load(json, &mut self.shared.script())
    }

    /// The calls so far, oldest first; the last 10 000 of them.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls().all()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    /// Closes all connections and waits for the tasks to end.
    pub async fn shutdown(mut self) {
        self.listeners.shutdown().await;
    }
}
