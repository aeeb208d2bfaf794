//! Waiting one's turn for a limit, over real sockets.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use leverframe_emulator::{Emulator, Step};
use leverframe_router::{Error, ErrorKind, Limits, Queueing, Router};
use leverframe_tests::{ask, base, provider};

/// One request at a time, and three may wait.
async fn one_at_a_time(step: Step, patience: Duration) -> (Emulator, Router) {
    let emulator = Emulator::start().await.expect("loopback has free ports");
    emulator.always(leverframe_emulator::Provider::Anthropic, step);
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let router = base()
        .provider(provider(&emulator, "claude").limits(limits))
        .queueing(Queueing { length: 3, patience })
        .build()
        .expect("valid");
    (emulator, router)
}

async fn send(router: &Router, number: usize) -> (usize, Result<(), Error>) {
    // No time to wait in `RateLimited` as well: what the queue refuses is refused.
    let request = ask("claude").timeout(Duration::from_millis(900));
    (number, router.send(request).await.map(drop))
}

#[tokio::test]
async fn who_comes_first_is_served_first_and_the_queue_is_bounded() {
    let slow = Step::ok().before_headers(Duration::from_millis(20));
    let (emulator, router) = one_at_a_time(slow, Duration::from_secs(5)).await;
    let mut requests: FuturesUnordered<_> = FuturesUnordered::new();
    for number in 0..4 {
        let mut request = Box::pin(send(&router, number));
        // In this order: each is polled before the next one is made.
        assert!(request.as_mut().now_or_never().is_none());
        requests.push(request);
    }
    let (_, refused) = send(&router, 4)
        .now_or_never()
        .unwrap_or_else(|| panic!("a full queue refuses at once, or its wait is recorded"));
    let error = refused.expect_err("the queue is full");
    assert!(error.to_string().contains("too many requests wait"), "{error}");
    let mut served = Vec::new();
    while let Some((number, outcome)) = requests.next().await {
        outcome.expect("in its turn");
        served.push(number);
    }
    assert_eq!(served, [0, 1, 2, 3]);
    assert_eq!(emulator.calls().len(), 4);
}

#[tokio::test]
async fn who_leaves_gives_the_place_up() {
    let slow = Step::ok().before_headers(Duration::from_millis(20));
    let (emulator, router) = one_at_a_time(slow, Duration::from_secs(5)).await;
    let mut first = Box::pin(send(&router, 0));
    assert!(first.as_mut().now_or_never().is_none());
    // The head of the queue and one behind it leave.
    for number in 1..=2 {
        let mut waiting = Box::pin(send(&router, number));
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    let last = send(&router, 3);
    let ((_, first), (_, last)) = tokio::join!(first, last);
    first.expect("answers");
    last.expect("is not behind those who left");
    assert_eq!(emulator.calls().len(), 2);
    assert!(router.routes().iter().all(|route| route.in_flight == 0));
}

#[tokio::test]
async fn nobody_waits_longer_than_patience() {
    let (emulator, router) = one_at_a_time(Step::stall_before_headers(), Duration::from_millis(30)).await;
    let mut first = Box::pin(send(&router, 0));
    assert!(first.as_mut().now_or_never().is_none());
    let started = tokio::time::Instant::now();
    let waits = async { send(&router, 1).await.1.expect_err("it never gets its turn") };
    let error = tokio::select! {
        error = waits => error,
        _ = first => panic!("it hangs for longer"),
    };
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!(emulator.calls().len(), 1);
}
