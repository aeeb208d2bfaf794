//! The transport over something that is not the network: clocks, limits and
//! cancellation are the same.

#![expect(clippy::unwrap_used, reason = "in helpers of tests a panic is a failure")]

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use leverframe_core::error::{Clock, ErrorKind, Failure};
use leverframe_http::transport::{
    Body, BoxError, Carriage, CarriedBody, Carrier, CarrierError, Clocks, Transport, TransportConfig,
    TransportError,
};
use proptest::prelude::*;
use tokio::time::{Instant, Sleep, sleep};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A clock for each phase, all different.
const CLOCKS: Clocks = Clocks { headers: secs(20), first_token: secs(30), idle: secs(10), total: None };

/// What a scripted body does next.
#[derive(Clone, Debug)]
enum Part {
    Wait(Duration),
    Data(&'static str),
    Trailers,
    Break,
    Hang,
}

use Part::{Break, Data, Hang, Trailers, Wait};

/// Answers every request alike, after a while.
#[derive(Clone)]
struct Script {
    headers_after: Duration,
    refusal: Option<fn() -> CarrierError>,
    parts: Vec<Part>,
    announced: u64,
    /// Exchanges that are neither over nor dropped.
    open: Arc<AtomicUsize>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    fn of(parts: impl Into<Vec<Part>>) -> Self {
        Self {
            headers_after: Duration::ZERO,
            refusal: None,
            parts: parts.into(),
            announced: 0,
            open: Arc::default(),
        }
    }

    fn transport(&self) -> Transport {
        self.with(TransportConfig::default())
    }

    fn with(&self, config: TransportConfig) -> Transport {
        Transport::over(Arc::new(self.clone()), config)
    }

    async fn begin(&self, clocks: &Clocks) -> Result<Body, TransportError> {
        self.transport().send(request(), clocks).await.map(Response::into_body)
    }
}

impl Carrier for Script {
    fn carry(&self, request: Request<Bytes>) -> Carriage {
        assert_eq!(request.uri().host(), Some("provider.test"));
        self.open.fetch_add(1, Ordering::Relaxed);
        let (script, open) = (self.clone(), Open(Arc::clone(&self.open)));
        Box::pin(async move {
            sleep(script.headers_after).await;
            if let Some(refusal) = script.refusal {
                return Err(refusal());
            }
            let body =
                Scripted { parts: script.parts.into(), wait: None, announced: script.announced, _open: open };
            let body: CarriedBody = Box::pin(body);
            Ok(Response::builder().status(529).body(body).unwrap())
        })
    }
}

/// Counts an exchange as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Scripted {
    parts: VecDeque<Part>,
    wait: Option<Pin<Box<Sleep>>>,
    announced: u64,
    _open: Open,
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let next = match self.parts.pop_front() {
                None => None,
                Some(Data(text)) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
                Some(Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
                Some(Break) => Some(Err("reset by peer".into())),
                Some(Hang) => {
                    self.parts.push_front(Hang); // still hangs when it is polled again
                    return Poll::Pending;
                }
                Some(Wait(time)) => {
                    self.wait = Some(Box::pin(sleep(time)));
                    continue;
                }
            };
            return Poll::Ready(next);
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.announced);
        hint
    }
}

fn request() -> Request<Bytes> {
    Request::post("http://provider.test/v1").body(Bytes::from_static(b"{}")).unwrap()
}

/// Reads to the end or the error; every chunk is a token.
async fn read(body: &mut Body) -> (String, Option<TransportError>) {
    let mut text = String::new();
    loop {
        match body.chunk().await {
            None => return (text, None),
            Some(Err(error)) => return (text, Some(error)),
            Some(Ok(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
        }
        body.first_token_seen();
    }
}

#[test]
fn a_body_can_be_shared_like_one_from_the_network() {
    fn shared<T: Send + Sync>() {}
    shared::<Transport>();
    shared::<Body>();
}

#[tokio::test(start_paused = true)]
async fn status_and_body_come_as_they_were_carried() {
    let script = Script::of([Data("hello "), Data(""), Wait(secs(9)), Data("world"), Trailers]);
    let response = script.transport().send(request(), &CLOCKS).await.unwrap();
    assert_eq!(response.status(), StatusCode::from_u16(529).unwrap());
    let mut body = response.into_body();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "hello ");
    assert_eq!(script.begin(&CLOCKS).await.unwrap().collect(100).await.unwrap(), "hello world");
}

#[tokio::test(start_paused = true)]
async fn each_clock_runs_out_in_its_phase() {
    let with_total = |total| Clocks { total: Some(secs(total)), ..CLOCKS };
    let late = |seconds| Script { headers_after: secs(seconds), ..Script::of([Data("x")]) };
    let slow = [Data("a"), Wait(secs(7)), Data("b"), Wait(secs(7)), Data("c"), Hang];
    let endless = [Data("a"), Wait(secs(9)), Data("b"), Wait(secs(9)), Data("c"), Wait(secs(9))];
    let cases = [
        ("headers", late(21), CLOCKS, "", Clock::Headers, 20),
        ("total before headers", late(21), with_total(15), "", Clock::Total, 15),
        ("first token", Script::of([Wait(secs(31)), Data("x")]), CLOCKS, "", Clock::FirstToken, 30),
        ("idle", Script::of(slow), CLOCKS, "abc", Clock::Idle, 24),
        ("total within the body", Script::of(endless), with_total(15), "ab", Clock::Total, 15),
        (
            "total from sending on",
            Script { headers_after: secs(8), ..Script::of([Wait(secs(8)), Data("x")]) },
            with_total(15),
            "",
            Clock::Total,
            15,
        ),
    ];
    for (name, script, clocks, expected, clock, after) in cases {
        let started = Instant::now();
        let (text, error) = match script.begin(&clocks).await {
            Ok(mut body) => read(&mut body).await,
            Err(error) => (String::new(), Some(error)),
        };
        assert!(
            matches!(error, Some(TransportError::Timeout(ran_out)) if ran_out == clock),
            "{name}: {error:?}"
        );
        assert_eq!((text.as_str(), started.elapsed().as_secs()), (expected, after), "{name}");
        assert_eq!(script.open.load(Ordering::Relaxed), 0, "{name}: what ran out of time is let go");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_carrier_fails_with_is_what_the_network_would() {
    type Case = (fn() -> CarrierError, fn(&TransportError) -> bool, ErrorKind, bool);
    let cases: [Case; 3] = [
        (
            || CarrierError::Connect("refused".into()),
            |e| matches!(e, TransportError::Connect(_)),
            ErrorKind::Network,
            true,
        ),
        (
            || CarrierError::ConnectTimeout,
            |e| matches!(e, TransportError::Timeout(Clock::Connect)),
            ErrorKind::Timeout(Clock::Connect),
            false,
        ),
        (
            || CarrierError::Send("reset".into()),
            |e| matches!(e, TransportError::Send(_)),
            ErrorKind::Network,
            true,
        ),
    ];
    for (refusal, expected, kind, has_source) in cases {
        let script = Script { refusal: Some(refusal), ..Script::of([]) };
        let error = script.begin(&CLOCKS).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert_eq!(error.kind(), kind);
        let failure = Failure::from(error);
        assert_eq!(std::error::Error::source(&failure).is_some(), has_source, "{failure:?}");
        assert_eq!(script.open.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_is_not_an_end_and_comes_once() {
    let script = Script::of([Data("x"), Break, Data("y")]);
    let mut body = script.begin(&CLOCKS).await.unwrap();
    let (text, error) = read(&mut body).await;
    assert_eq!(text, "x");
    assert!(matches!(error, Some(TransportError::Body(_))), "{error:?}");
    assert!(body.chunk().await.is_none(), "nothing comes after an error");
    assert_eq!(script.open.load(Ordering::Relaxed), 0, "an error lets go of the exchange");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_bounded_whether_it_announces_its_size_or_not() {
    let config = TransportConfig { max_body: 10, ..TransportConfig::default() };
    let announced = Script { announced: 11, ..Script::of([Hang]) };
    let unannounced = Script::of([Data("123456"), Data("78901")]);
    for script in [announced, unannounced.clone()] {
        for transport in [script.transport(), script.with(config)] {
            let body = transport.send(request(), &CLOCKS).await.unwrap().into_body();
            let error = body.collect(10).await.unwrap_err();
            assert!(matches!(error, TransportError::BodyTooLarge { limit: 10 }), "{error:?}");
        }
    }
    let mut body = unannounced.with(config).send(request(), &CLOCKS).await.unwrap().into_body();
    let (text, error) = read(&mut body).await;
    assert_eq!(text, "123456");
    assert!(matches!(error, Some(TransportError::BodyTooLarge { limit: 10 })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_is_noticed_at_once() {
    let script = Script { headers_after: secs(5), ..Script::of([Data("x"), Hang]) };
    let transport = script.transport();
    let sending = tokio::time::timeout(secs(1), transport.send(request(), &CLOCKS));
    assert!(sending.await.is_err());
    assert_eq!(script.open.load(Ordering::Relaxed), 0, "dropped before its headers");

    let mut body = script.begin(&CLOCKS).await.unwrap();
    assert_eq!(script.open.load(Ordering::Relaxed), 1);
    body.chunk().await.unwrap().unwrap();
    drop(body);
    assert_eq!(script.open.load(Ordering::Relaxed), 0, "dropped within its body");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_over_the_network_is_not_carried() {
    let script = Script::of([]);
    let request = Request::post("/v1").body(Bytes::new()).unwrap();
    let error = script.transport().send(request, &CLOCKS).await.unwrap_err();
    assert!(matches!(error, TransportError::InvalidRequest(_)), "{error:?}");
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        4 => prop::sample::select(vec!["", "a", "bc", "def"]).prop_map(Data),
        3 => (0u64..14).prop_map(|seconds| Wait(secs(seconds))),
        1 => Just(Break),
        1 => Just(Hang),
    ];
    prop::collection::vec(part, 0..12)
}

/// What a reader of this body is to get, read off the script.
fn foretold(parts: &[Part]) -> (String, &'static str) {
    let (mut text, mut silent) = (String::new(), 0);
    for part in parts {
        // Before the first token one clock runs, whatever arrives; after it the other, from each chunk on.
        let limit = if text.is_empty() { CLOCKS.first_token } else { CLOCKS.idle };
        match part {
            Wait(time) => silent += time.as_secs(),
            Hang => silent = u64::MAX,
            Data(_) | Trailers | Break => {}
        }
        if silent > limit.as_secs() {
            return (text, "timeout");
        }
        match part {
            Data(data) if !data.is_empty() => {
                text.push_str(data);
                silent = 0;
            }
            Break => return (text, "broken"),
            _ => {}
        }
    }
    (text, "end")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_body_ends_as_its_script_foretells(parts in parts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        // A wait as long as a clock is a tie, which neither side is promised.
        let ties = |limit: Duration| {
            let mut silent = Duration::ZERO;
            parts.iter().any(|part| {
                match part {
                    Wait(time) => silent += *time,
                    Data(text) if !text.is_empty() => silent = Duration::ZERO,
                    _ => {}
                }
                silent == limit
            })
        };
        prop_assume!(!ties(CLOCKS.idle) && !ties(CLOCKS.first_token));
        let script = Script::of(parts.clone());
        let (text, error) = runtime.block_on(async {
            read(&mut script.begin(&CLOCKS).await.unwrap()).await
        });
        let end = match error {
            None => "end",
            Some(TransportError::Body(_)) => "broken",
            Some(TransportError::Timeout(_)) => "timeout",
            Some(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        };
        prop_assert_eq!((text, end), foretold(&parts));
        prop_assert_eq!(script.open.load(Ordering::Relaxed), 0);
    }
}
