//! Every pair of a state and an event is either a rule or does not compile.
//!
//! Eight states and fourteen events make 112 pairs. `Requesting` counts twice
//! below, as it is `Ready` or `Sent`, and the grid is drawn twice, for answers
//! the caller has seen nothing and something of. For every entry the compiler
//! is asked whether `On<Event>` is implemented, and this file compiles only if
//! its answer is the grid's and also that of the constant table behind `step`.

use std::marker::PhantomData;

use leverframe_core::lifecycle::{
    Complete, Completed, Event, EventKind, Failed, FallbackToProvider, Idle, InitiateRequest, Lifecycle, On,
    RULES, RateLimitHit, RateLimited, Ready, ReceiveResponse, ReceiveStreamChunk, RequestFailed, Requesting,
    Reset, RetryRequest, Retrying, Seen, SendRequest, Sent, State, StateKind, StreamComplete, Streaming,
    Unseen, ValidateRequest, Validating, ValidationFailed, ValidationPassed, step,
};

/// Says no for every type.
trait Not {
    const IMPL: bool = false;
}

impl<T> Not for T {}

/// Says yes where `S` has a rule for `E`: an inherent constant hides the
/// trait's of the same name, but only where its bounds hold.
struct Probe<S, E>(PhantomData<(S, E)>);

impl<S: On<E>, E: Event> Probe<S, E> {
    const IMPL: bool = true;
}

/// Whether the grid's row has a cross in the event's column.
const fn crossed(row: &str, event: EventKind) -> bool {
    assert!(row.len() == 27, "14 columns, each but the last followed by a space");
    match row.as_bytes()[2 * event as usize] {
        b'x' => true,
        b'.' => false,
        _ => panic!("neither a cross nor a dot"),
    }
}

/// What the compiler says of one pair, once it agrees with grid and table.
macro_rules! pair {
    ($state:ty, $at:expr, $row:literal, $kind:ident, $event:ty) => {{
        const IMPL: bool = Probe::<$state, $event>::IMPL;
        const PAIR: &str = concat!(stringify!($state), " on ", stringify!($event));
        assert!(IMPL == crossed($row, EventKind::$kind), "{}", PAIR);
        assert!(IMPL == step($at, EventKind::$kind).is_ok(), "{}", PAIR);
        IMPL
    }};
}

macro_rules! row {
    ($state:ty, $at:expr, $row:literal, $own:ty, $other:ty) => {{
        // Sending again takes the evidence of the state's own visibility.
        assert!(!Probe::<$state, RetryRequest<$other>>::IMPL);
        assert!(!Probe::<$state, FallbackToProvider<$other>>::IMPL);
        [
            pair!($state, $at, $row, InitiateRequest, InitiateRequest),
            pair!($state, $at, $row, ValidateRequest, ValidateRequest),
            pair!($state, $at, $row, ValidationPassed, ValidationPassed),
            pair!($state, $at, $row, ValidationFailed, ValidationFailed),
            pair!($state, $at, $row, SendRequest, SendRequest),
            pair!($state, $at, $row, ReceiveResponse, ReceiveResponse),
            pair!($state, $at, $row, ReceiveStreamChunk, ReceiveStreamChunk),
            pair!($state, $at, $row, StreamComplete, StreamComplete),
            pair!($state, $at, $row, RateLimitHit, RateLimitHit),
            pair!($state, $at, $row, RetryRequest, RetryRequest<$own>),
            pair!($state, $at, $row, FallbackToProvider, FallbackToProvider<$own>),
            pair!($state, $at, $row, RequestFailed, RequestFailed),
            pair!($state, $at, $row, Complete, Complete),
            pair!($state, $at, $row, Reset, Reset),
        ]
    }};
}

macro_rules! grid {
    ($name:ident, $own:ident, not $other:ident; $($row:literal $state:ty = $kind:ident $($sent:ident)?;)*) => {
        const $name: [[bool; 14]; 9] = [$(
            row!(
                Lifecycle<$state, $own>,
                State {
                    kind: StateKind::$kind,
                    sent: sent!($($sent)?),
                    seen: matches!(Of::$own, Of::Seen),
                },
                $row, $own, $other
            )
        ),*];
    };
}

macro_rules! sent {
    (out) => {
        true
    };
    () => {
        false
    };
}

/// The two visibilities as values.
enum Of {
    Seen,
    Unseen,
}

// + InitiateRequest
// | + ValidateRequest
// | | + ValidationPassed
// | | | + ValidationFailed
// | | | | + SendRequest
// | | | | | + ReceiveResponse
// | | | | | | + ReceiveStreamChunk
// | | | | | | | + StreamComplete
// | | | | | | | | + RateLimitHit
// | | | | | | | | | + RetryRequest
// | | | | | | | | | | + FallbackToProvider
// | | | | | | | | | | | + RequestFailed
// | | | | | | | | | | | | + Complete
// | | | | | | | | | | | | | + Reset
grid! { UNSEEN, Unseen, not Seen;
    "x . . . . . . . . . . . . ." Idle = Idle;
    ". x x x . . . . . . . x . ." Validating = Validating;
    ". . . . x . . . x . . x . ." Requesting<Ready> = Requesting;
    ". . . . . x x . x x . x . ." Requesting<Sent> = Requesting out;
    ". . . . . . x x x x . x . ." Streaming = Streaming;
    ". . . . . . . . . x . x . ." RateLimited = RateLimited;
    ". . . . x . . . x . . x . ." Retrying = Retrying;
    ". . . . . . . . . . . . x x" Completed = Completed;
    ". . . . . . . . . . x . x x" Failed = Failed;
}

// The same columns. Nothing starts seen, and a stream someone has begun to read
// cannot be sent again unless it has failed first.
grid! { SEEN, Seen, not Unseen;
    ". . . . . . . . . . . . . ." Idle = Idle;
    ". x x x . . . . . . . x . ." Validating = Validating;
    ". . . . x . . . x . . x . ." Requesting<Ready> = Requesting;
    ". . . . . x x . x x . x . ." Requesting<Sent> = Requesting out;
    ". . . . . . x x . . . x . ." Streaming = Streaming;
    ". . . . . . . . . x . x . ." RateLimited = RateLimited;
    ". . . . x . . . x . . x . ." Retrying = Retrying;
    ". . . . . . . . . . . . x x" Completed = Completed;
    ". . . . . . . . . . x . x x" Failed = Failed;
}

#[test]
fn of_112_pairs_26_are_rules_and_86_do_not_compile() {
    // Rows 2 and 3 are the two halves of Requesting: one state of the eight.
    let states: [&[usize]; 8] = [&[0], &[1], &[2, 3], &[4], &[5], &[6], &[7], &[8]];
    let is_rule =
        |rows: &[usize], event: usize| rows.iter().any(|row| UNSEEN[*row][event] || SEEN[*row][event]);
    let pairs: Vec<bool> =
        states.iter().flat_map(|rows| (0..14).map(move |event| is_rule(rows, event))).collect();
    assert_eq!(pairs.len(), 112);
    assert_eq!(pairs.iter().filter(|rule| **rule).count(), 26);
    assert_eq!(pairs.iter().filter(|rule| !**rule).count(), 86);
    assert_eq!(RULES.len(), 26);
}
