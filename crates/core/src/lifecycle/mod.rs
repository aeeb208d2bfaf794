//! The typestate machine a request lives in.
//!
//! A request is a [`Lifecycle<S, V>`](Lifecycle): `S` is one of eight states
//! and owns exactly what is true in it, `V` says whether the caller has seen
//! any of the answer. An event is a type, a rule is one implementation of
//! [`On`], and a rule consumes the state before it. What has no rule does not
//! compile:
//!
//! ```compile_fail
//! use leverframe_core::lifecycle::*;
//! fn send_unvalidated(request: Lifecycle<Validating>, event: SendRequest) {
//!     let _ = request.on(event); // the trait `On<SendRequest>` is not implemented
//! }
//! ```
//!
//! Moves that need permission take it as a value only its guard can make:
//!
//! | evidence | made by | needed to |
//! |---|---|---|
//! | [`Valid<Request>`](crate::validate::Valid) | the validator | leave `Validating` for `Requesting` |
//! | [`NextRoute`] | the [`Plan`], each route once | start on a route |
//! | [`Admission`](crate::guard::Admission) | the route's gate | send |
//! | [`RetryPermit`](crate::guard::RetryPermit) | the retry policy and the attempt budget | try a route again |
//! | [`TerminalFrame`](crate::model::TerminalFrame) | the provider's own last frame | complete a stream |
//! | [`ResumePlan`] | a plain-text answer that broke off | send again what someone has begun to read |
//! | [`Receipt`] | handing over the terminal record, once | `Complete` |
//!
//! Evidence proves that it was granted, not to whom: a receipt or a terminal
//! frame of one request is not told apart from another's by its type. The
//! router's driver holds one request at a time and so cannot mix them up.
//!
//! Files: [`state`](Idle) says what each state owns, `event` what each event
//! carries, `transition` holds the 26 rules, `table` the same rules as
//! constant data, from which `docs/lifecycle.md` is drawn and against which a
//! stored [`Journal`] is replayed. [`AnyLifecycle`] is for code that must keep
//! "a request in some state".

mod any;
mod book;
mod event;
mod journal;
mod race;
mod route;
mod state;
mod table;
mod transition;
mod visibility;

pub use any::{AnyEvent, AnyLifecycle, AnyState, Rejected};
pub use book::Receipt;
pub use event::{
    Complete, Event, EventKind, FallbackToProvider, InitiateRequest, RateLimitHit, ReceiveResponse,
    ReceiveStreamChunk, RequestFailed, Reset, RetryRequest, SendRequest, StreamComplete, ValidateRequest,
    ValidationFailed, ValidationPassed,
};
pub use journal::{CorruptJournal, Entry, Journal};
pub use race::Fork;
pub use route::{NextRoute, Plan, Route};
pub use state::{
    Completed, Failed, Idle, InFlight, Lifecycle, Phase, RateLimited, Ready, Requesting, Retrying, Sent,
    StateType, Streaming, Terminal, Validating, Waiting,
};
pub use table::{IllegalMove, RULES, Rule, State, StateKind, render, step};
pub use transition::On;
pub use visibility::{CannotResume, Resumable, ResumePlan, Seen, Unseen, Visibility};
