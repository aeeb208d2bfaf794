//! The fourteen events. Each carries what its rule needs, and when it happened.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{NextRoute, Receipt, Unseen, Visibility};
use crate::{
    error::Failure,
    guard::{Admission, RetryPermit},
    model::{Request, RequestId, Response, StreamEvent, TerminalFrame},
    time::Timestamp,
    validate::{Valid, ValidationError},
};

use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// Something that can happen to a request. Sealed: there are fourteen.
pub trait Event: sealed::Sealed {
    /// Its name as a value.
    const KIND: EventKind;
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $(<$v:ident>)?),* $(,)?) => {
        /// The fourteen events by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// All events, in the order of declaration.
            pub const ALL: [Self; 14] = [$(Self::$name),*];
        }

        $(
            impl $(<$v: Visibility>)? sealed::Sealed for $name $(<$v>)? {}
            impl $(<$v: Visibility>)? Event for $name $(<$v>)? {
                const KIND: EventKind = EventKind::$name;
            }
        )*
    };
}

events! {
    /// A caller asks for something.
    InitiateRequest,
    /// The request is being checked.
    ValidateRequest,
    /// It may be sent.
    ValidationPassed,
    /// It may not.
    ValidationFailed,
    /// It leaves.
    SendRequest,
    /// A whole answer has come.
    ReceiveResponse,
    /// A piece of an answer has come.
    ReceiveStreamChunk,
    /// The provider has said that the answer is whole.
    StreamComplete,
    /// A limit was hit, the provider's or our own.
    RateLimitHit,
    /// The same route is tried again.
    RetryRequest<V>,
    /// The next route is tried.
    FallbackToProvider<V>,
    /// The attempt, and with it this route, has failed.
    RequestFailed,
    /// The terminal record was handed over.
    Complete,
    /// The machine is used for another request.
    Reset,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A caller asks for something.
#[derive(Debug)]
pub struct InitiateRequest {
    /// What is asked for.
    pub request: Arc<Request>,
    /// Where it goes first.
    pub route: NextRoute,
    /// When.
    pub at: Timestamp,
}

/// The request is being checked for the route.
#[derive(Debug)]
pub struct ValidateRequest {
    /// When.
    pub at: Timestamp,
}

/// The request may be sent.
#[derive(Debug)]
pub struct ValidationPassed {
    /// The checked request.
    pub request: Valid<Request>,
    /// When.
    pub at: Timestamp,
}

/// The request may not be sent.
#[derive(Debug)]
pub struct ValidationFailed {
    /// What is wrong with it.
    pub error: ValidationError,
    /// When.
    pub at: Timestamp,
}

/// The request leaves.
#[derive(Debug)]
pub struct SendRequest {
    /// The guards' permission.
    pub admission: Admission,
    /// When.
    pub at: Timestamp,
}

/// A whole answer has come.
#[derive(Debug)]
pub struct ReceiveResponse {
    /// The answer.
    pub response: Response,
    /// When.
    pub at: Timestamp,
}

/// A piece of an answer has come.
#[derive(Debug)]
pub struct ReceiveStreamChunk {
    /// The piece.
    pub event: StreamEvent,
    /// When.
    pub at: Timestamp,
}

/// The provider has said that the answer is whole.
#[derive(Debug)]
pub struct StreamComplete {
    /// The proof that it has.
    pub frame: TerminalFrame,
    /// When.
    pub at: Timestamp,
}

/// A limit was hit, the provider's or our own.
#[derive(Debug)]
pub struct RateLimitHit {
    /// The refusal.
    pub failure: Failure,
    /// From when it may go on.
    pub until: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// The same route is tried again.
#[derive(Debug)]
pub struct RetryRequest<V: Visibility = Unseen> {
    /// The permission to.
    pub permit: RetryPermit,
    /// Nothing while the answer is unseen; a plan once it is seen.
    pub resend: V::Resend,
    /// When.
    pub at: Timestamp,
}

/// The next route is tried.
#[derive(Debug)]
pub struct FallbackToProvider<V: Visibility = Unseen> {
    /// The next route.
    pub route: NextRoute,
    /// Nothing while the answer is unseen; a plan once it is seen.
    pub resend: V::Resend,
    /// When.
    pub at: Timestamp,
}

/// The attempt, and with it this route, has failed.
#[derive(Debug)]
pub struct RequestFailed {
    /// How.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}

/// The terminal record was handed over.
#[derive(Debug)]
pub struct Complete {
    /// The proof that it was.
    pub receipt: Receipt,
}

/// The machine is used for another request.
#[derive(Debug)]
pub struct Reset {
    /// The next request's id.
    pub id: RequestId,
}
