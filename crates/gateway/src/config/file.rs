//! The tables of the file.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use leverframe_router::store::Durability;
use serde::Deserialize;

use super::{Kind, PolicyWord, Span};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server.
    pub gateway: GatewayTable,
    /// The log.
    pub log: LogTable,
    /// What applies to all requests.
    pub router: RouterTable,
    /// The providers, in the order of fallback. None: as the environment says.
    pub providers: Vec<ProviderTable>,
    /// Names that stand for routes.
    pub models: Vec<ModelTable>,
    /// Other names of models.
    pub aliases: BTreeMap<String, String>,
    /// The keys callers need. None: nobody needs one.
    pub keys: Vec<KeyTable>,
    /// What the operator may ask a running gateway.
    pub admin: AdminTable,
    /// What the process says while it runs, on standard error.
    pub trace: TraceTable,
}

/// The server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayTable {
    /// Where it listens. Addresses that other machines can reach need `[[keys]]`.
    pub listen: Option<SocketAddr>,
    /// Its certificate, and those between it and its authority, in a PEM file. With
    /// one, clients are spoken to over TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key, in a PEM file.
    pub tls_key: Option<PathBuf>,
    /// Most bytes of a request's body.
    pub max_body: Option<usize>,
    /// Most bytes of all requests' bodies that are held at a time.
    pub max_bodies: Option<usize>,
    /// How long a request's body may take to arrive.
    pub body_within: Option<Span>,
    /// How long a client may leave what is sent to it unread.
    pub write_within: Option<Span>,
    /// How long a connection is kept on which nothing is asked.
    pub idle_within: Option<Span>,
    /// How long requests have to end when the server does.
    pub drain_within: Option<Span>,
    /// Most connections at a time.
    pub connections: Option<usize>,
}

/// The log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogTable {
    /// Whether one is kept.
    pub enabled: Option<bool>,
    /// Its file.
    pub file: Option<PathBuf>,
    /// When what is written is safe: before a request is sent, within
    /// milliseconds, or within a second.
    pub durability: Option<DurabilityWord>,
    /// Bytes that are kept of each body. None are, unless set.
    pub bodies: Option<usize>,
    /// How long requests are kept.
    pub keep_requests: Option<Span>,
    /// How long bodies are kept.
    pub keep_bodies: Option<Span>,
    /// Bytes that requests and bodies may take.
    pub max_bytes: Option<u64>,
}

/// When what is written is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DurabilityWord {
    /// Before a request is sent.
    Strict,
    /// Within milliseconds.
    Group,
    /// Within a second.
    Off,
}

impl From<DurabilityWord> for Durability {
    fn from(word: DurabilityWord) -> Self {
        match word {
            DurabilityWord::Strict => Self::Strict,
            DurabilityWord::Group => Self::Group,
            DurabilityWord::Off => Self::Off,
        }
    }
}

/// What applies to all requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouterTable {
    /// The provider of models nobody is known for.
    pub default_provider: Option<String>,
    /// Who is asked when a provider fails, best first. All, unless set.
    pub fallback: Option<Vec<String>>,
    /// How routes are ordered.
    pub policy: Option<PolicyWord>,
    /// Most time a request may take.
    pub timeout: Option<Span>,
    /// Most attempts of a request, over all routes.
    pub attempts: Option<u32>,
}

/// A provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderTable {
    /// Its name here.
    pub name: String,
    /// Its API.
    pub kind: Kind,
    /// Where it is. Needed for `openai-compatible`.
    pub base_url: Option<String>,
    /// The environment variables with its API keys, each a key of its own.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// Files with its API keys, each a key of its own.
    #[serde(default)]
    pub key_file: Vec<PathBuf>,
    /// The model where none is asked for.
    pub default_model: Option<String>,
    /// Labels that requests can ask for.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its share, with the policy `weighted`.
    pub weight: Option<f64>,
    /// Which of its models stands in for which of another's.
    #[serde(default)]
    pub stands_in: BTreeMap<String, String>,
    /// Limits of each of its keys.
    #[serde(default)]
    pub limits: LimitsTable,
    /// Limits of single models, on each key.
    #[serde(default)]
    pub model_limits: BTreeMap<String, LimitsTable>,
}

/// Limits. None, unless set.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// Most requests in any 60 s.
    pub requests_per_minute: Option<u64>,
    /// Most tokens in any 60 s.
    pub tokens_per_minute: Option<u64>,
    /// Most input tokens in any 60 s.
    pub input_tokens_per_minute: Option<u64>,
    /// Most output tokens in any 60 s.
    pub output_tokens_per_minute: Option<u64>,
    /// Most requests in any 24 h.
    pub requests_per_day: Option<u64>,
    /// Most dollars in any 24 h.
    pub dollars_per_day: Option<f64>,
    /// Most requests at a time.
    pub concurrency: Option<u64>,
}

/// A name that stands for routes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// The name callers use.
    pub name: String,
    /// The routes, as `provider/model`, or with a weight and a key of their own.
    pub routes: Vec<Route>,
    /// How they are ordered.
    pub policy: Option<PolicyWord>,
}

/// A route of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Route {
    /// `provider/model`.
    Name(String),
    /// The same, and more.
    Full {
        /// `provider/model`.
        to: String,
        /// Its share, with the policy `weighted`.
        weight: Option<f64>,
        /// The only key to use.
        key: Option<String>,
    },
}

/// A key that callers are given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTable {
    /// What it is called.
    pub name: String,
    /// SHA-256 of the key in hexadecimal digits: see `leverframe keys new`.
    pub sha256: String,
    /// The models that may be asked for with it. All, unless set.
    #[serde(default)]
    pub models: Vec<String>,
    /// What all requests with it may use together.
    pub limits: Option<LimitsTable>,
}

/// What the operator may ask a running gateway: `GET /admin/providers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminTable {
    /// SHA-256 of the operator's key in hexadecimal digits: see
    /// `leverframe keys new --admin`. Without it there is nothing at `/admin`.
    pub key_sha256: Option<String>,
}

/// What the process says while it runs, on standard error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceTable {
    /// How much: a line for each request and each attempt that failed (`info`),
    /// for each attempt as well (`debug`).
    pub level: Option<TraceLevel>,
    /// As text, or as JSON with an object a line.
    pub format: Option<TraceWord>,
    /// The address of an OpenTelemetry collector that is told every request, over
    /// OTLP: `http://127.0.0.1:4318`. For a build with the feature `otlp`.
    pub otlp: Option<String>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceLevel {
    /// Nothing.
    Off,
    /// What somebody should look at.
    #[default]
    Warn,
    /// Every request.
    Info,
    /// Every attempt.
    Debug,
}

/// How it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceWord {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
