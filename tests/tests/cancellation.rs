//! Dropping a request cancels it: upstream closes, permissions come back, and
//! exactly one record says so.

use std::{future::Future, task::Poll, time::Duration};

use futures_util::StreamExt;
use leverframe_emulator::{CallEnd, Step};
use leverframe_router::{BreakerConfig, BreakerState, ErrorKind, Outcome, StateKind};
use leverframe_tests::{World, ask, lookup};

/// Drives a future until the emulator has seen a call, then drops it.
async fn drop_once_called(world: &World, request: impl Future) {
    let mut request = Box::pin(request);
    std::future::poll_fn(|cx| {
        assert!(request.as_mut().poll(cx).is_pending(), "it was to be dropped before it ends");
        cx.waker().wake_by_ref();
        if world.emulator.calls().is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

fn assert_cancelled(world: &World, from: StateKind) {
    let records = world.records.all();
    let [record] = records.as_slice() else { panic!("{} records", records.len()) };
    assert!(
        matches!(record.outcome, Outcome::Failed { kind: ErrorKind::Cancelled, .. }),
        "{:?}",
        record.outcome
    );
    let path: Vec<_> = record.journal.path().collect();
    assert_eq!(path[path.len() - 2..], [from, StateKind::Failed]);
    assert!(record.journal.replay().expect("legal").is_terminal());
}

#[tokio::test]
async fn a_dropped_send_closes_its_connection() {
    let world = World::new().await;
    world.always("claude", Step::stall_before_headers());
    drop_once_called(&world, world.router.send(ask("claude"))).await;
    world.all_connections_closed().await;
    assert_eq!(world.emulator.calls()[0].end, Some(CallEnd::ClientWentAway));
    assert_cancelled(&world, StateKind::Requesting);
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let world = World::new().await;
    world.always("claude", Step::ok().stall_after(2));
    let mut stream = world.router.stream(ask("claude")).await.expect("begins");
    stream.next().await.expect("an event").expect("good");
    drop(stream);
    world.all_connections_closed().await;
    assert_eq!(world.emulator.calls()[0].end, Some(CallEnd::ClientWentAway));
    assert_cancelled(&world, StateKind::Streaming);
}

#[tokio::test]
async fn a_dropped_probe_does_not_wedge_the_breaker() {
    let world = World::with(&["claude"], |builder| {
        let open_for = Duration::from_millis(20);
        builder.breaker(BreakerConfig { consecutive_failures: 1, open_for, ..BreakerConfig::default() })
    })
    .await;
    let (_, fake, model) = lookup("claude");
    let fault = Step::raw(200, "text/plain", "nonsense");
    world.emulator.script(fake, model, [fault, Step::stall_before_headers()]);
    world.router.send(ask("claude")).await.expect_err("unreadable");
    while matches!(world.router.breaker_state("claude", model), Some(BreakerState::Open(_))) {
        tokio::task::yield_now().await;
    }
    let mut probe = Box::pin(world.router.send(ask("claude")));
    std::future::poll_fn(|cx| {
        assert!(probe.as_mut().poll(cx).is_pending());
        cx.waker().wake_by_ref();
        if world.emulator.calls().len() == 2 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(probe);
    world.router.send(ask("claude")).await.expect("the next probe gets through and succeeds");
    assert_eq!(world.router.breaker_state("claude", model), Some(BreakerState::Closed));
}

#[tokio::test]
async fn nothing_is_sent_after_the_caller_has_left() {
    let world = World::new().await;
    for (name, ..) in leverframe_tests::PROVIDERS {
        world.always(name, Step::ok().before_headers(Duration::from_millis(20)).end_after(0));
    }
    drop_once_called(&world, world.router.stream(ask("claude"))).await;
    world.all_connections_closed().await;
    assert_eq!(world.emulator.calls().len(), 1);
}
