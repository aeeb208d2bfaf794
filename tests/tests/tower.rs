//! The router as a service, under tower's own kind of middleware.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use leverframe_emulator::Step;
use leverframe_router::Request;
use leverframe_tests::{World, ask};
use tower_service::Service;

/// Middleware that counts.
#[derive(Clone)]
struct Counting<S> {
    inner: S,
    calls: Arc<AtomicUsize>,
}

impl<S: Service<Request>> Service<Request> for Counting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}

#[tokio::test]
async fn it_answers_whole_and_in_streams() {
    let world = World::with(&["claude", "gemini"], |builder| builder).await;
    world.always("claude", Step::overloaded());
    world.always("gemini", Step::text("from the second"));
    let calls = Arc::new(AtomicUsize::new(0));

    let mut whole = Counting { inner: world.router.clone(), calls: Arc::clone(&calls) };
    poll_fn(|cx| whole.poll_ready(cx)).await.expect("always ready");
    assert_eq!(whole.call(ask("claude")).await.expect("answers").text(), "from the second");

    let mut streaming = Counting { inner: world.router.streaming(), calls: Arc::clone(&calls) };
    poll_fn(|cx| streaming.poll_ready(cx)).await.expect("always ready");
    let stream = streaming.call(ask("claude")).await.expect("begins");
    assert_eq!(stream.collect().await.expect("ends").text(), "from the second");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
