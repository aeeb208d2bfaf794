//! Call Claude, Gemini and OpenAI through one typed API, and stay up when they
//! do not.
//!
//! ```no_run
//! use leverframe_router::{Request, Router};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::from_env()?; // ANTHROPIC_API_KEY, GEMINI_API_KEY, OPENAI_API_KEY
//! let question = Request::new("claude-sonnet-5").user("Why is the sky blue?");
//! let answer = router.send(question).await?;
//! println!("{}", answer.text());
//! for attempt in answer.attempts() {
//!     println!("{} {} took {:?}", attempt.provider, attempt.model, attempt.duration());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to a request
//!
//! 1. It gets an ordered list of routes: those of a configured [`Model`], in
//!    the order of its [`Policy`]; or the model that was asked for with each of
//!    its provider's keys, then each other provider's own model
//!    ([`Builder::fallback`]). Who could not serve it is left out; who would
//!    refuse now goes last. The record says why ([`Choice`]).
//! 2. It is checked for the route, admitted by the route's breaker and limits,
//!    and sent.
//! 3. If that fails, the kind of failure decides
//!    ([`ErrorKind::decision`]): wait as long as the provider asks, try again
//!    after a jittered backoff, move on to the next route, or stop. All
//!    attempts share one budget ([`Builder::attempts`]) and one deadline
//!    ([`Request::timeout`], [`Builder::timeout`]).
//! 4. The caller gets an [`Answer`] or one [`Error`]; both carry every attempt
//!    and the journal of every state the request went through.
//!
//! # Streams
//!
//! [`Router::stream`] returns once the first content is there; until then
//! failures are handled unseen. The [`ResponseStream`] is a
//! [`futures_core::Stream`] of typed [`StreamEvent`]s. One that breaks off ends in an
//! [`Error`] whose [`partial`](Error::partial) holds what had arrived: a
//! truncated answer is never passed off as a whole one.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use leverframe_router::{Request, Router, StreamEvent};
//!
//! # async fn run(router: Router) -> Result<(), leverframe_router::Error> {
//! let mut stream = router.stream(Request::new("claude-sonnet-5").user("Tell me a story.")).await?;
//! while let Some(event) = stream.next().await {
//!     if let StreamEvent::TextDelta { text, .. } = event? {
//!         print!("{text}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Which routes
//!
//! A [`Model`] gives a name to several routes and a [`Policy`] that orders them;
//! a provider may have several keys ([`Provider::key`]). Limits are set with
//! [`Provider::limits`]. [`Answer::explain`] says why a request went where it
//! went.
//!
//! ```
//! use leverframe_router::{Limits, Model, Policy, Provider, Router};
//!
//! # fn build() -> Result<Router, leverframe_router::BuildError> {
//! Router::builder()
//!     .provider(Provider::anthropic("key").key("second", "another-key"))
//!     .provider(Provider::openai("key").limits(Limits { concurrency: Some(50), ..Limits::default() }))
//!     .model(Model::new("fast").route("claude/claude-haiku-4-5").route("openai/gpt-4.1-mini").policy(Policy::fastest()))
//!     .alias("default-fast", "fast")
//!     .build()
//! # }
//! # build().expect("valid");
//! ```
//!
//! # What a provider cannot be told
//!
//! The four APIs differ. What a request says and the provider at hand cannot
//! be told is a [`Loss`]: a minor one is put up with and listed in
//! [`Answer::losses`], a major one sends the request to the next route.
//! [`Request::losses`] makes that stricter or laxer.
//!
//! # Cancellation
//!
//! A request is owned by one future or stream. Dropping it closes the
//! connection to the provider, gives back what was reserved and not used, and
//! hands the record in as cancelled. Nothing goes on behind your back.
//!
//! # What is not promised
//!
//! An [`Answer`] is what the provider says is whole. Whether the model said all
//! it wanted is in [`Response::finish`]: it may have run into the output limit,
//! or been stopped by a filter.
//!
//! An answer that was cut off after its first content is continued on another
//! provider only if [`Request::on_break`] asks for it and its model is known to
//! accept that. Prices ([`Answer::cost`]) and what models can do are from
//! a dated file ([`Catalog`]), which you can correct ([`Builder::catalog`]).

mod answer;
mod builder;
mod clock;
mod driver;
mod env;
mod hedging;
mod memory;
mod model;
mod observer;
mod plan;
mod policy;
mod provider;
mod queue;
mod route_state;
mod router;
#[cfg(feature = "tower")]
mod service;
mod services;
mod status;
mod stream;
mod telemetry;
mod watch;

pub use answer::{Answer, Error};
pub use builder::{BuildError, Builder};
pub use hedging::Hedging;
pub use model::{Model, Target};
pub use observer::Observer;
pub use policy::Policy;
pub use provider::Provider;
pub use queue::Queueing;
pub use router::Router;
#[cfg(feature = "tower")]
pub use service::Streaming;
pub use services::{Counted, Probe, TokenCount};
pub use status::RouteStatus;
pub use stream::{ResponseStream, StreamSettings};

pub use leverframe_core::{
    Explanation,
    bodies::{Bodies, Captured},
    catalog::{Amount, Capabilities, Catalog, CatalogError, Cost, NanoDollars, Price, PriceTable},
    choice::{Choice, Considered, LeftOut, Measure, PolicyName, Standing},
    error::{Clock, Code, ErrorKind, Failure},
    guard::{
        Allowance, Backoff, Benched, BreakerConfig, BreakerState, Claim, ConfigError, GateStatus, Growth,
        Guard, HealthConfig, LimitKind, LimitStatus, Limits, Memory, Refusal as TurnedAway,
        RetryBudgetConfig, RetryBudgetStatus, RetryPolicy, Scope, Share,
    },
    lifecycle::{Entry, EventKind, Journal, Route, State, StateKind},
    loss::{Loss, Weight},
    model::{
        Block, CacheControl, CacheTtl, Citation, Dialect, Effort, Extra, Family, Field, FinishReason,
        Function, Json, KeyLabel, Losses, Media, MediaSource, Message, NameError, OnBreak, Opaque, Original,
        OutputFormat, Partial, Place, ProviderName, Reasoning, Refusal, Request, RequestId, Response, Role,
        SafetySetting, Sampling, Schema, ServiceTier, Signature, StreamEvent, Summary, Text, Thinking,
        ThinkingMode, Tokens, Tool, ToolCall, ToolChoice, ToolResult, Usage,
    },
    record::{Attempt, AttemptFailure, Outcome, Record, Recorder},
    start::{Hold, NotRecorded, Start},
    time::Timestamp,
};
pub use leverframe_http::{
    codec::{Auth, Compat, EndpointError, ModelInfo, ReasoningField},
    sse::Limits as StreamLimits,
    tokens,
    transport::{
        BoxError, Carriage, CarriedBody, Carrier, CarrierError, Clocks, TransportConfig, TransportError,
    },
};
pub use leverframe_store as store;

/// Requests and answers in the words of a provider's API, for services that
/// speak it to their own clients.
pub mod dialect {
    pub use leverframe_http::{
        answer::{
            EncodedError, StreamEncoder, StreamForm, Told, encode_answer, encode_break, encode_error, restore,
        },
        codec::{Asked, read_request},
    };
}
