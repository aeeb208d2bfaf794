//! What the router adds to a call: the same request, through the router and
//! straight through the HTTP client beneath it, against the same emulator.
//!
//! The emulator runs on a thread of its own. The straight call sends the bytes
//! the router sends and reads the whole body without looking at it.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use leverframe_core::model::Dialect;
use leverframe_emulator::{Emulator, Provider as Fake, Step};
use leverframe_http::codec::{Call, Endpoint, StreamDecoder, encode};
use leverframe_router::{
    BreakerConfig, Limits, Provider, Request, RetryPolicy, Router, StreamLimits, store::Log,
};
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

/// Reads a stream through the codec alone.
async fn decode(client: &Client<HttpConnector, Full<Bytes>>, request: &http::Request<Bytes>) -> usize {
    let answer = client.request(request.clone().map(Full::new)).await.expect("an answer");
    let mut body = answer.into_body();
    let mut decoder = StreamDecoder::new(Dialect::Anthropic, StreamLimits::default());
    let mut events = 0;
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.expect("a frame").into_data() else { continue };
        decoder.push(chunk);
        while let Some(event) = decoder.next_event().expect("good events") {
            black_box(event);
            events += 1;
        }
    }
    events
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
    let folder = tempfile::tempdir().expect("a folder");
    let log = Arc::new(Log::open(folder.path().join("log.redb")).expect("opens"));
    let provider = Provider::anthropic("k").base_url(&base_url).limits(unlimited);
    let logging = Router::builder().provider(provider).log(Arc::clone(&log)).build().expect("valid");
    group.bench_function("router with a log", |b| {
        b.to_async(&local).iter(async || black_box(logging.send(request.clone()).await.expect("an answer")));
    });
    drop(logging);
    println!("the log: {:?}", log.health());
    group.finish();

    let mut group = c.benchmark_group("router: stream of 100 words");
    let streamed = bytes(true);
    group.bench_function("hyper", |b| {
        b.to_async(&local).iter(async || black_box(read(&client, &streamed).await))
    });
    group.bench_function("hyper and the codec", |b| {
        b.to_async(&local).iter(async || black_box(decode(&client, &streamed).await))
    });
    group.bench_function("router", |b| {
        b.to_async(&local).iter(async || {
            let stream = router.stream(request.clone()).await.expect("a stream");
            black_box(stream.collect().await.expect("an answer"))
        });
    });
    group.finish();

    // The first provider always fails: a fallback is two calls.
    emulator.always(Fake::OpenAi, Step::server_error());
    let failing = emulator.base_url(Fake::OpenAi);
    let failing_endpoint =
        Endpoint::new(Dialect::OpenAiChat, &format!("{failing}/v1"), "k".into()).expect("an endpoint");
    let call = Call { request: &request, model: "gpt-4.1-mini", stream: false };
    let fails = encode(&failing_endpoint, call).expect("encodes").request;
    let never = BreakerConfig {
        consecutive_failures: u32::MAX,
        minimum_sample: u32::MAX,
        ..BreakerConfig::default()
    };
    let router = Router::builder()
        .provider(Provider::openai("k").base_url(format!("{failing}/v1")).limits(unlimited))
        .provider(Provider::anthropic("k").base_url(&base_url).limits(unlimited))
        .breaker(never)
        .retry(RetryPolicy { per_route: 0, ..RetryPolicy::default() })
        .build()
        .expect("a valid configuration");
    let falls_back = request.clone().model("gpt-4.1-mini");
    let mut group = c.benchmark_group("router: fallback");
    group.bench_function("hyper, two calls", |b| {
        b.to_async(&local).iter(async || {
            let answer = client.request(fails.clone().map(Full::new)).await.expect("an answer");
            black_box(answer.into_body().collect().await.expect("a body").to_bytes());
            black_box(read(&client, &whole).await)
        })
    });
    group.bench_function("router", |b| {
        b.to_async(&local)
            .iter(async || black_box(router.send(falls_back.clone()).await.expect("an answer")));
    });
    group.finish();
    server.block_on(emulator.shutdown());
}

criterion_group!(benches, router);
criterion_main!(benches);
