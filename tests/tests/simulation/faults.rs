//! The simulated providers' faults are what the router takes them for: what
//! the other scenarios rest on.

use std::time::Duration;

use leverframe_router::{Clock, ErrorKind, Request};
use leverframe_tests::sim::{Behaviour, Fault, Hint, PATIENCE, World};
use tokio::time::timeout;

use super::{MODELS, healthy, secs, simulate};

/// A fault and how it ends, whole and streamed.
type Row = (Fault, ErrorKind, ErrorKind);

fn rows() -> Vec<Row> {
    use ErrorKind as K;
    let both = |fault, kind| (fault, kind, kind);
    vec![
        both(Fault::Server, K::Server),
        both(Fault::Overloaded, K::Overloaded),
        both(Fault::ConnectionRefused, K::Network),
        both(Fault::ConnectTimeout, K::Timeout(Clock::Connect)),
        both(Fault::Reset, K::Network),
        both(Fault::ResetAfter(0), K::Interrupted),
        both(Fault::ResetAfter(2), K::Interrupted),
        (Fault::TruncatedAfter(0), K::Unreadable, K::Interrupted),
        (Fault::TruncatedAfter(2), K::Unreadable, K::Interrupted),
        both(Fault::Hang, K::Timeout(Clock::Headers)),
        (Fault::HangAfter(0), K::Timeout(Clock::Idle), K::Timeout(Clock::FirstToken)),
        both(Fault::HangAfter(2), K::Timeout(Clock::Idle)),
        both(Fault::Drip(secs(2)), K::DeadlineExceeded),
    ]
}

/// Asks one provider on its own, which does this every time.
fn ask(nth: usize, fault: Fault, streamed: bool) -> (ErrorKind, Option<Duration>) {
    simulate(async {
        let [script] = healthy().into_iter().skip(nth).take(1).collect::<Vec<_>>().try_into().expect("one");
        let script = script.behaving(Behaviour::default().with_fault(1.0, fault));
        let world = World::new(5, vec![script], |builder| builder);
        let request = Request::new(MODELS[nth].1).user("Hello");
        let asking = async {
            match streamed {
                false => world.router.send(request).await.expect_err("it fails"),
                true => match world.router.stream(request).await {
                    Ok(stream) => stream.collect().await.expect_err("it breaks off"),
                    Err(error) => error,
                },
            }
        };
        let error = timeout(PATIENCE, asking).await.expect("it ends");
        (error.kind(), error.failure().retry_after)
    })
}

#[test]
fn every_fault_is_taken_for_what_it_is() {
    for (nth, (name, _)) in MODELS.into_iter().enumerate() {
        for (fault, whole, streamed) in rows() {
            assert_eq!(ask(nth, fault, false).0, whole, "{name}, {fault:?}, whole");
            assert_eq!(ask(nth, fault, true).0, streamed, "{name}, {fault:?}, streamed");
        }
    }
}

#[test]
fn every_hint_is_read() {
    for (nth, (name, _)) in MODELS.into_iter().enumerate() {
        for (hint, wait) in
            [(Hint::Silent, None), (Hint::RetryAfter, Some(secs(7))), (Hint::ResetHeaders, Some(secs(7)))]
        {
            let fault = Fault::RateLimited { wait: Duration::from_millis(6_200), hint };
            assert_eq!(ask(nth, fault, false), (ErrorKind::RateLimited, wait), "{name}, {hint:?}");
        }
    }
}
