//! A request through the lifecycle, from `Idle` to `Completed`, with its
//! journal and its record: what the machine itself costs, without any I/O.
//!
//! Building the answer's content is left out: it is the codec's work.

use std::{hint::black_box, sync::Arc};

use bytestring::ByteString;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use leverframe_core::{
    guard::{AttemptBudget, Breaker, BreakerConfig, Claim, Gate, KeyGuard, Limits},
    lifecycle::{
        InitiateRequest, Lifecycle, On, Plan, ReceiveResponse, ReceiveStreamChunk, Requesting, Route,
        SendRequest, Sent, StreamComplete, ValidateRequest, ValidationPassed,
    },
    model::{Block, Dialect, FinishReason, ProviderName, Request, RequestId, Response, StreamEvent},
    record::Desk,
    time::{Clock, Timestamp},
    validate::validate,
};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
const CHUNKS: usize = 100;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// What a router keeps between requests, and one request.
struct World {
    desk: Arc<Desk>,
    gate: Arc<Gate>,
    route: Arc<Route>,
    request: Arc<Request>,
}

impl World {
    fn new() -> Self {
        let breaker = Breaker::new(BreakerConfig::default(), 7).expect("the default is valid");
        let key = Arc::new(KeyGuard::new(Limits::default()).expect("no limits are valid"));
        let route = Route {
            provider: ProviderName::new("claude").expect("a name"),
            key: Default::default(),
            dialect: Dialect::Anthropic,
            model: "claude-sonnet-5".to_owned(),
        };
        Self {
            desk: Arc::new(Desk::new(Arc::new(Fixed), Vec::new())),
            gate: Arc::new(Gate::new(breaker, key, Limits::default()).expect("no limits are valid")),
            route: Arc::new(route),
            request: Arc::new(Request::new("claude-sonnet-5").user("Why is the sky blue?")),
        }
    }

    /// From `Idle` to sent: plan, validation, admission.
    fn sent(&self) -> Lifecycle<Requesting<Sent>> {
        let at = black_box(NOW);
        let id = RequestId::new(at, [7; 10]);
        let mut plan = Plan::new([Arc::clone(&self.route)], AttemptBudget::new(6));
        let route = plan.next().expect("a route");
        let request = Arc::clone(&self.request);
        let validating =
            Lifecycle::new(id, Arc::clone(&self.desk)).on(InitiateRequest { request, route, at });
        let validating = validating.on(ValidateRequest { at });
        let request = validate(validating.request()).expect("valid");
        let ready = validating.on(ValidationPassed { request, at });
        let admission = self.gate.admit(&Claim::default(), at).expect("a closed breaker");
        ready.on(SendRequest { admission, at })
    }

    /// The answer comes back so that dropping it is not measured; the record is.
    fn send(&self, response: Response) -> Response {
        let completed = self.sent().on(ReceiveResponse { response, at: NOW });
        let (response, record) = completed.finish(NOW);
        black_box(record);
        response
    }

    fn stream(&self, events: Vec<StreamEvent>) -> Response {
        let at = black_box(NOW);
        let mut events = events.into_iter();
        let first = events.next().expect("an event");
        let mut stream = self.sent().on(ReceiveStreamChunk { event: first, at }).commit();
        for event in events {
            stream = stream.on(ReceiveStreamChunk { event, at });
            if let Some(frame) = stream.terminal_frame() {
                let (response, record) = stream.on(StreamComplete { frame, at }).finish(at);
                black_box(record);
                return response;
            }
        }
        unreachable!("the last event is the terminal frame")
    }
}

fn lifecycle(c: &mut Criterion) {
    let world = World::new();
    let mut group = c.benchmark_group("lifecycle");

    let response = Response::new(vec![Block::text("Rayleigh scattering.")], FinishReason::Stop);
    group.bench_function("send", |b| {
        b.iter_batched(|| response.clone(), |response| world.send(response), BatchSize::SmallInput);
    });

    let delta = StreamEvent::TextDelta { index: 0, text: ByteString::from_static("word ") };
    let raw = ByteString::from_static("end_turn");
    let finish = StreamEvent::Finish { reason: FinishReason::Stop, raw, stop_sequence: None };
    let mut events = vec![delta; CHUNKS];
    events.extend([finish, StreamEvent::End]);
    assert_eq!(world.stream(events.clone()).text().len(), CHUNKS * "word ".len());
    group.throughput(Throughput::Elements(CHUNKS as u64));
    group.bench_function("stream of 100 chunks", |b| {
        b.iter_batched(|| events.clone(), |events| world.stream(events), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, lifecycle);
criterion_main!(benches);
