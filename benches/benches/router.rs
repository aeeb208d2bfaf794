//! What the router adds to a call: the same request, through the router and
//! straight through the HTTP client beneath it, against the same emulator.
//!
//! The emulator runs on a thread of its own. The straight call sends the bytes
//! the router sends and reads the whole body without looking at it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use leverframe_core::model::Dialect;
use leverframe_emulator::{Emulator, Provider as Fake, Step};
use leverframe_http::codec::{Call, Endpoint, encode};
use leverframe_router::{Limits, Provider, Request, Router};
use tokio::runtime;

const MODEL: &str = "claude-sonnet-5";

fn straight() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn read(client: &Client<HttpConnector, Full<Bytes>>, request: &http::Request<Bytes>) -> Bytes {
    let answer = client.request(request.clone().map(Full::new)).await.expect("an answer");
    assert!(answer.status().is_success());
    answer.into_body().collect().await.expect("a body").to_bytes()
}

fn router(c: &mut Criterion) {
    let server =
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let local = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let emulator = server.block_on(Emulator::start()).expect("loopback has free ports");
    emulator.always(Fake::Anthropic, Step::text("word ".repeat(100)));
    let base_url = emulator.base_url(Fake::Anthropic);

    // The emulator reports limits as Anthropic does.
    let unlimited = Limits { adaptive: false, ..Limits::default() };
    let provider = Provider::anthropic("k").base_url(&base_url).limits(unlimited);
    let router = Router::builder().provider(provider).build().expect("a valid configuration");
    let client = straight();
    let request = Request::new(MODEL).user("Why is the sky blue? ".repeat(45));
    let endpoint = Endpoint::new(Dialect::Anthropic, &base_url, "k".into()).expect("an endpoint");
    let bytes = |stream| {
        encode(&endpoint, Call { request: &request, model: MODEL, stream }).expect("encodes").request
    };

    let mut group = c.benchmark_group("router: whole answer");
    let whole = bytes(false);
    assert!((900..1200).contains(&whole.body().len()), "{} bytes", whole.body().len());
    group.bench_function("hyper", |b| {
        b.to_async(&local).iter(async || black_box(read(&client, &whole).await))
    });
    group.bench_function("router", |b| {
        b.to_async(&local).iter(async || black_box(router.send(request.clone()).await.expect("an answer")));
    });
    group.finish();

    let mut group = c.benchmark_group("router: stream of 100 words");
    let streamed = bytes(true);
    group.bench_function("hyper", |b| {
        b.to_async(&local).iter(async || black_box(read(&client, &streamed).await))
    });
    group.bench_function("router", |b| {
        b.to_async(&local).iter(async || {
            let stream = router.stream(request.clone()).await.expect("a stream");
            black_box(stream.collect().await.expect("an answer"))
        });
    });
    group.finish();
    server.block_on(emulator.shutdown());
}

criterion_group!(benches, router);
criterion_main!(benches);
