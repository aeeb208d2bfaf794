//! What a request took reaches the limits, however its lifecycle ends.

use std::sync::Arc;

use leverframe_core::{
    catalog::{Catalog, NanoDollars},
    error::{ErrorKind, Failure},
    guard::{AttemptBudget, Breaker, BreakerConfig, Claim, Gate, KeyGuard, LimitKind, Limits},
    lifecycle::{
        InitiateRequest, Lifecycle, On, Plan, RateLimitHit, ReceiveResponse, ReceiveStreamChunk,
        RequestFailed, Requesting, Route, SendRequest, Sent, StreamComplete, ValidationPassed,
    },
    model::{
        Block, Dialect, FinishReason, ProviderName, Request, RequestId, Response, StreamEvent, Tokens, Usage,
    },
    record::Desk,
    time::{Clock, Timestamp},
    validate::validate,
};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
const MODEL: &str = "claude-sonnet-4-5";
const CLAIM: Claim = Claim { input_tokens: 500, output_tokens: 300, cost: NanoDollars::new(9_000_000) };

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

fn gate() -> Arc<Gate> {
    let limits = Limits {
        requests_per_minute: Some(10),
        tokens_per_minute: Some(10_000),
        spend_per_day: Some(NanoDollars::new(1_000_000_000)),
        concurrency: Some(5),
        ..Limits::default()
    };
    let key = Arc::new(KeyGuard::new(limits).expect("legal limits"));
    let breaker = Breaker::new(BreakerConfig::default(), 1).expect("the default is legal");
    Arc::new(Gate::new(breaker, key, Limits::default()).expect("no limits are legal"))
}

/// What counts against the key: requests, tokens, nano-dollars, places.
fn used(gate: &Gate) -> [u64; 4] {
    let status = gate.status(NOW);
    let kinds = [
        LimitKind::RequestsPerMinute,
        LimitKind::TokensPerMinute,
        LimitKind::SpendPerDay,
        LimitKind::Concurrency,
    ];
    kinds.map(|kind| status.limits.iter().find(|limit| limit.kind == kind).expect("it is configured").used)
}

fn sent(gate: &Arc<Gate>) -> Lifecycle<Requesting<Sent>> {
    let desk = Desk::new(Arc::new(Fixed), Vec::new()).with_prices(Arc::new(Catalog::builtin().clone()));
    let route = Arc::new(Route {
        provider: ProviderName::new("claude").expect("a legal name"),
        key: Default::default(),
        dialect: Dialect::Anthropic,
        model: MODEL.to_owned(),
    });
    let request = Arc::new(Request::new(MODEL).user("Why is the sky blue?").max_output_tokens(100));
    let mut plan = Plan::new([route], AttemptBudget::new(1));
    let route = plan.next().expect("a route");
    let validating = Lifecycle::new(RequestId::new(NOW, [7; 10]), Arc::new(desk)).on(InitiateRequest {
        request,
        route,
        at: NOW,
    });
    let request = validate(validating.request()).expect("valid");
    let ready = validating.on(ValidationPassed { request, at: NOW });
    let admission = gate.admit(&CLAIM, NOW).expect("room");
    ready.on(SendRequest { admission, at: NOW })
}

fn usage() -> Usage {
    Usage { input: Tokens::Reported(1000), output: Tokens::Reported(200), ..Usage::default() }
}

fn answer() -> Response {
    let mut response = Response::new(vec![Block::text("Rayleigh.")], FinishReason::Stop);
    response.usage = usage();
    response
}

/// What the usage costs by the prices that come with us.
fn price() -> u64 {
    let response = answer();
    let (_, record) = sent(&gate()).on(ReceiveResponse { response, at: NOW }).finish(NOW);
    record.cost().and_then(|amount| amount.value()).expect("the model has a price").get()
}

#[test]
fn what_was_reported_replaces_the_claim() {
    let price = price();
    assert!(price > 0);
    let whole = gate();
    let request = sent(&whole);
    assert_eq!(used(&whole), [1, 800, 9_000_000, 1]);
    let response = answer();
    drop(request.on(ReceiveResponse { response, at: NOW }));
    assert_eq!(used(&whole), [1, 1200, price, 0]);

    let streamed = gate();
    let finish =
        StreamEvent::Finish { reason: FinishReason::Stop, raw: "end_turn".into(), stop_sequence: None };
    let mut stream = sent(&streamed).on(ReceiveStreamChunk { event: StreamEvent::Usage(usage()), at: NOW });
    for event in [finish, StreamEvent::End] {
        stream = stream.on(ReceiveStreamChunk { event, at: NOW });
    }
    let frame = stream.terminal_frame().expect("it has ended");
    drop(stream.on(StreamComplete { frame, at: NOW }));
    assert_eq!(used(&streamed), [1, 1200, price, 0]);
}

#[test]
fn what_failed_counts_by_what_the_provider_may_have_done() {
    let price = price();
    let overloaded = Failure::new(ErrorKind::Overloaded, "busy").with_status(529);
    let limited = Failure::new(ErrorKind::RateLimited, "slow down").with_status(429);
    let broken = Failure::new(ErrorKind::Interrupted, "broke off").with_status(200);

    let refused = gate();
    drop(sent(&refused).on(RequestFailed { failure: overloaded, at: NOW }));
    assert_eq!(used(&refused), [1, 0, 0, 0]);

    let slowed = gate();
    drop(sent(&slowed).on(RateLimitHit { failure: limited, until: NOW, at: NOW }));
    assert_eq!(used(&slowed), [1, 0, 0, 0]);

    let silent = gate();
    let event = StreamEvent::TextDelta { index: 0, text: "Ray".into() };
    let stream = sent(&silent).on(ReceiveStreamChunk { event, at: NOW });
    drop(stream.on(RequestFailed { failure: broken.clone(), at: NOW }));
    assert_eq!(used(&silent), [1, 800, 9_000_000, 0], "nothing was reported: the estimate stays");

    let reported = gate();
    let stream = sent(&reported).on(ReceiveStreamChunk { event: StreamEvent::Usage(usage()), at: NOW });
    drop(stream.on(RequestFailed { failure: broken, at: NOW }));
    assert_eq!(used(&reported), [1, 1200, price, 0]);

    let cancelled = gate();
    drop(sent(&cancelled));
    assert_eq!(used(&cancelled), [1, 800, 9_000_000, 0], "the provider has begun");
}
