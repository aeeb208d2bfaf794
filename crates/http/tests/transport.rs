//! The transport on real sockets under a paused clock: while nothing can
//! happen time jumps to the next timer, so no test waits.

#![expect(clippy::unwrap_used, reason = "in helpers of tests a panic is a failure")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use leverframe_core::error::Clock;
use leverframe_http::transport::{Body, Clocks, Transport, TransportConfig, TransportError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A clock for each phase, all different.
const CLOCKS: Clocks = Clocks { headers: secs(20), first_token: secs(30), idle: secs(10), total: None };

/// A provider that handles each connection with `handler`. Ends when dropped.
struct Provider {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Provider {
    async fn new<F, T>(mut handler: F) -> Self
    where
        F: FnMut(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(handler(socket));
            }
        });
        Self { address, _tasks: tasks }
    }

    /// Answers the first request on each connection with `answer`, then waits.
    async fn saying(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::new(move |mut socket| {
            let answer = answer.clone();
            async move {
                read_request(&mut socket).await;
                socket.write_all(&answer).await.unwrap();
                read_to_end(&mut socket).await;
            }
        })
        .await
    }

    fn request(&self) -> Request<Bytes> {
        request(&format!("http://{}/v1/messages?key=s3cret", self.address))
    }
}

fn request(uri: &str) -> Request<Bytes> {
    Request::post(uri).header("x-api-key", "s3cret").body(Bytes::from_static(b"{}")).unwrap()
}

/// Reads headers and the two bytes of body.
async fn read_request(socket: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n{}") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0, "the client went away");
    }
}

/// Returns when the other side has closed or reset the connection.
async fn read_to_end(socket: &mut TcpStream) {
    let mut rest = Vec::new();
    while socket.read_buf(&mut rest).await.is_ok_and(|read| read > 0) {}
}

fn transport() -> Transport {
    Transport::new(TransportConfig::default()).unwrap()
}

async fn begin(provider: &Provider, clocks: &Clocks) -> Response<Body> {
    transport().send(provider.request(), clocks).await.unwrap()
}

async fn refused(request: Request<Bytes>, clocks: &Clocks) -> TransportError {
    transport().send(request, clocks).await.unwrap_err()
}

/// A chunk in HTTP/1.1's chunked coding.
fn coded(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_back_whole() {
    let provider = Provider::saying(format!("{CHUNKED}{}{}0\r\n\r\n", coded("hello "), coded("world"))).await;
    let response = begin(&provider, &CLOCKS).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(response.into_body().collect(100).await.unwrap(), "hello world");
}

#[tokio::test(start_paused = true)]
async fn a_body_ends_once() {
    let provider = Provider::saying("HTTP/1.1 529 \r\ncontent-length: 2\r\n\r\n{}").await;
    let mut response = begin(&provider, &CLOCKS).await;
    assert_eq!(response.status().as_u16(), 529);
    assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "{}");
    assert!(response.body_mut().chunk().await.is_none());
    assert!(response.body_mut().chunk().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again() {
    let (count, mut connections) = tokio::sync::mpsc::unbounded_channel();
    let provider = Provider::new(move |mut socket| {
        count.send(()).unwrap();
        async move {
            loop {
                read_request(&mut socket).await;
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let transport = transport();
    for _ in 0..3 {
        let response = transport.send(provider.request(), &CLOCKS).await.unwrap();
        assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");
        tokio::task::yield_now().await;
    }
    assert!(connections.recv().await.is_some());
    assert!(connections.try_recv().is_err(), "more than one connection");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = refused(request(&format!("http://{address}/")), &CLOCKS).await;
    assert!(matches!(error, TransportError::Connect(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_connect_clock_covers_the_tls_handshake() {
    let provider = Provider::new(|mut socket| async move { read_to_end(&mut socket).await }).await;
    let started = Instant::now();
    let error = refused(request(&format!("https://{}/", provider.address)), &CLOCKS).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Connect)), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), TransportConfig::default().connect_timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_speak_tls_is_a_tls_error() {
    let provider = Provider::new(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        read_to_end(&mut socket).await;
    })
    .await;
    let error = refused(request(&format!("https://{}/", provider.address)), &CLOCKS).await;
    assert!(matches!(error, TransportError::Tls(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_headers_clock_runs_from_sending() {
    let provider = Provider::saying("").await;
    let started = Instant::now();
    let error = refused(provider.request(), &CLOCKS).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Headers)), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_comments_do_not_hold_back_the_first_token_clock() {
    let provider = Provider::new(|mut socket| async move {
        read_request(&mut socket).await;
        socket.write_all(CHUNKED.as_bytes()).await.unwrap();
        while socket.write_all(coded(": keep-alive\n\n").as_bytes()).await.is_ok() {
            sleep(secs(7)).await;
        }
    })
    .await;
    let mut response = begin(&provider, &CLOCKS).await;
    let started = Instant::now();
    let mut comments = 0;
    let error = loop {
        match response.body_mut().chunk().await.unwrap() {
            Ok(_) => comments += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransportError::Timeout(Clock::FirstToken)), "{error:?}");
    assert_eq!((comments, started.elapsed().as_secs()), (5, 30));
    assert!(response.body_mut().chunk().await.is_none(), "nothing comes after an error");
}

/// Sends five chunks seven seconds apart, then nothing.
async fn five_chunks(mut socket: TcpStream) {
    read_request(&mut socket).await;
    socket.write_all(CHUNKED.as_bytes()).await.unwrap();
    for _ in 0..5 {
        if socket.write_all(coded("data: x\n\n").as_bytes()).await.is_err() {
            return;
        }
        sleep(secs(7)).await;
    }
    read_to_end(&mut socket).await;
}

/// Reads to the error and says how many chunks came before it.
async fn read_to_error(body: &mut Body) -> (usize, TransportError) {
    let mut chunks = 0;
    loop {
        match body.chunk().await.unwrap() {
            Ok(_) => {
                chunks += 1;
                body.first_token_seen();
            }
            Err(error) => return (chunks, error),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_chunk_resets_the_idle_clock() {
    let provider = Provider::new(five_chunks).await;
    let mut body = begin(&provider, &CLOCKS).await.into_body();
    let started = Instant::now();
    let (chunks, error) = read_to_error(&mut body).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Idle)), "{error:?}");
    assert_eq!((chunks, started.elapsed().as_secs()), (5, 4 * 7 + 10));
}

#[tokio::test(start_paused = true)]
async fn the_idle_clock_does_not_count_a_slow_reader() {
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let mut released = Some(released);
    let provider = Provider::new(move |mut socket| {
        let released = released.take().unwrap();
        async move {
            read_request(&mut socket).await;
            socket.write_all(format!("{CHUNKED}{}", coded("a")).as_bytes()).await.unwrap();
            released.await.unwrap();
            sleep(secs(5)).await;
            socket.write_all(coded("b").as_bytes()).await.unwrap();
            read_to_end(&mut socket).await;
        }
    })
    .await;
    let mut body = begin(&provider, &CLOCKS).await.into_body();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "a");
    body.first_token_seen();
    sleep(secs(1000)).await; // the reader is busy elsewhere
    release.send(()).unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn the_total_clock_runs_from_sending_to_the_end() {
    let clocks = Clocks { total: Some(secs(17)), ..CLOCKS };
    let provider = Provider::new(five_chunks).await;
    let started = Instant::now();
    let mut body = begin(&provider, &clocks).await.into_body();
    let (chunks, error) = read_to_error(&mut body).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Total)), "{error:?}");
    assert_eq!((chunks, started.elapsed().as_secs()), (3, 17));

    let silent = Provider::saying("").await;
    let error = refused(silent.request(), &clocks).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Total)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_total_clock_also_stops_a_provider_that_never_pauses() {
    let clocks = Clocks { total: Some(secs(17)), ..CLOCKS };
    let provider = Provider::saying(format!("{CHUNKED}{}", coded("late"))).await;
    let mut body = begin(&provider, &clocks).await.into_body();
    sleep(secs(17)).await;
    let (chunks, error) = read_to_error(&mut body).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Total)), "{error:?}");
    assert_eq!(chunks, 0);
}

#[tokio::test(start_paused = true)]
async fn clocks_too_long_to_add_up_do_not_panic() {
    let clocks = Clocks {
        headers: Duration::MAX,
        first_token: Duration::MAX,
        idle: Duration::MAX,
        total: Some(Duration::MAX),
    };
    let provider = Provider::new(five_chunks).await;
    let mut body = begin(&provider, &clocks).await.into_body();
    assert!(body.chunk().await.unwrap().is_ok());
    body.first_token_seen();
    assert!(body.chunk().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_an_error_with_the_limit() {
    // Announced: refused before it is read. Not announced: when it is exceeded.
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n".to_owned(),
        format!("{CHUNKED}{}{}0\r\n\r\n", coded("123456"), coded("78901")),
    ] {
        let provider = Provider::saying(answer).await;
        let error = begin(&provider, &CLOCKS).await.into_body().collect(10).await.unwrap_err();
        assert!(matches!(error, TransportError::BodyTooLarge { limit: 10 }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_is_bounded_by_the_transport() {
    let config = TransportConfig { max_body: 10, ..TransportConfig::default() };
    let provider = Provider::saying(format!("{CHUNKED}{}{}0\r\n\r\n", coded("1234567890"), coded("1"))).await;
    let transport = Transport::new(config).unwrap();
    let mut body = transport.send(provider.request(), &CLOCKS).await.unwrap().into_body();
    let (_, error) = read_to_error(&mut body).await;
    assert!(matches!(error, TransportError::BodyTooLarge { limit: 10 }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_inside_the_body_is_not_an_end() {
    for answer in
        [format!("{CHUNKED}{}", coded("x")), "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_owned()]
    {
        let provider = Provider::new(move |mut socket| {
            let answer = answer.clone();
            async move {
                read_request(&mut socket).await;
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let mut body = begin(&provider, &CLOCKS).await.into_body();
        let (chunks, error) = read_to_error(&mut body).await;
        assert!(matches!(error, TransportError::Body(_)), "{error:?}");
        assert_eq!(chunks, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_headers_is_a_send_error() {
    let provider = Provider::new(|mut socket| async move { read_request(&mut socket).await }).await;
    let error = refused(provider.request(), &CLOCKS).await;
    assert!(matches!(error, TransportError::Send(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_pooled_connection_is_not_retried_behind_our_back() {
    let (count, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let provider = Provider::new(move |mut socket| {
        let count = count.clone();
        async move {
            read_request(&mut socket).await;
            count.send(()).unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            // The second request is read, then the connection breaks.
            read_request(&mut socket).await;
            count.send(()).unwrap();
        }
    })
    .await;
    let transport = transport();
    let first = transport.send(provider.request(), &CLOCKS).await.unwrap();
    first.into_body().collect(10).await.unwrap();
    tokio::task::yield_now().await;
    let error = transport.send(provider.request(), &CLOCKS).await.unwrap_err();
    assert!(matches!(error, TransportError::Send(_)), "{error:?}");
    assert!(requests.try_recv().is_ok() && requests.try_recv().is_ok());
    assert!(requests.try_recv().is_err(), "the request was sent again");
}

#[tokio::test(start_paused = true)]
async fn addresses_that_cannot_be_sent_to_are_invalid() {
    for uri in ["/v1/messages", "ftp://example.com/", "example.com:443"] {
        let error = refused(request(uri), &CLOCKS).await;
        assert!(matches!(error, TransportError::InvalidRequest(_)), "{uri}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_closes_an_http1_connection() {
    let (closed, mut closings) = tokio::sync::mpsc::unbounded_channel();
    let provider = Provider::new(move |mut socket| {
        let closed = closed.clone();
        async move {
            read_request(&mut socket).await;
            socket.write_all(format!("{CHUNKED}{}", coded("x")).as_bytes()).await.unwrap();
            read_to_end(&mut socket).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let transport = transport();
    let response = transport.send(provider.request(), &CLOCKS).await.unwrap();
    drop(response);
    closings.recv().await.unwrap();

    let mut body = transport.send(provider.request(), &CLOCKS).await.unwrap().into_body();
    let (_, error) = read_to_error(&mut body).await;
    assert!(matches!(error, TransportError::Timeout(Clock::Idle)), "{error:?}");
    closings.recv().await.unwrap(); // an error lets go of the connection as well
}

#[tokio::test(start_paused = true)]
async fn dropping_a_request_before_its_answer_closes_the_connection() {
    let (closed, closing) = tokio::sync::oneshot::channel();
    let mut closed = Some(closed);
    let provider = Provider::new(move |mut socket| {
        let closed = closed.take().unwrap();
        async move {
            read_request(&mut socket).await;
            read_to_end(&mut socket).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let transport = transport();
    tokio::select! {
        biased;
        _ = transport.send(provider.request(), &CLOCKS) => panic!("there is no answer"),
        () = sleep(secs(1)) => {}
    }
    closing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_printed() {
    let provider = Provider::saying(format!("{CHUNKED}{}", coded("s3cret"))).await;
    let transport = transport();
    let response = transport.send(provider.request(), &CLOCKS).await.unwrap();
    let silent = Provider::saying("").await;
    let error = refused(silent.request(), &CLOCKS).await;
    let printed = format!("{transport:?} {response:?} {error:?} {error}");
    assert!(!printed.contains("s3cret"), "{printed}");
}
