//! Connections that are kept, shared and let go of, on real sockets under a
//! paused clock.

#![expect(clippy::unwrap_used, reason = "in helpers of tests a panic is a failure")]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Request;
use leverframe_core::error::Clock;
use leverframe_http::transport::{Clocks, Transport, TransportConfig, TransportError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a server does with a connection once its first request was answered.
#[derive(Clone, Copy)]
enum Then {
    /// Answers the next one.
    Answer,
    /// Closes it.
    Close,
    /// Says something that nobody asked for.
    Babble,
}

/// A server that says what happens to its connections.
struct Server {
    address: SocketAddr,
    opened: mpsc::UnboundedReceiver<()>,
    closed: mpsc::UnboundedReceiver<()>,
    _tasks: JoinSet<()>,
}

async fn server(then: Then) -> Server {
    serving(move |mut socket| async move {
        while read_request(&mut socket).await {
            socket.write_all(ANSWER).await.unwrap();
            match then {
                Then::Answer => {}
                Then::Close => return,
                Then::Babble => socket.write_all(b"HTTP/1.1 408 Too slow\r\n\r\n").await.unwrap(),
            }
        }
    })
    .await
}

/// Never says anything.
async fn silent() -> Server {
    serving(|mut socket| async move { while socket.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} })
        .await
}

async fn serving<T: Future<Output = ()> + Send + 'static>(
    handle: impl Fn(TcpStream) -> T + Send + Sync + Clone + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (opens, opened) = mpsc::unbounded_channel();
    let (closes, closed) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (handled, closes) = (handle(socket), closes.clone());
            let _ = opens.send(());
            connections.spawn(async move {
                handled.await;
                let _ = closes.send(());
            });
        }
    });
    Server { address, opened, closed, _tasks: tasks }
}

/// Whether there was one.
async fn read_request(socket: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n{}") {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

impl Server {
    fn request(&self, scheme: &str) -> Request<Bytes> {
        Request::post(format!("{scheme}://{}/", self.address)).body(Bytes::from_static(b"{}")).unwrap()
    }

    async fn ask(&self, transport: &Transport) {
        let response = transport.send(self.request("http"), &Clocks::default()).await.unwrap();
        assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");
    }

    fn connections(&mut self) -> usize {
        std::iter::from_fn(|| self.opened.try_recv().ok()).count()
    }
}

fn transport() -> Transport {
    Transport::new(TransportConfig::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_while_unused_is_not_used() {
    for then in [Then::Close, Then::Babble] {
        let mut server = server(then).await;
        let transport = transport();
        for asked in 1..=3 {
            server.ask(&transport).await;
            // Time passes only when nothing else can happen: what was sent has arrived.
            sleep(Duration::from_millis(1)).await;
            assert_eq!(server.connections(), 1, "at request {asked}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unused_connections_are_let_go_of_in_time() {
    let mut server = server(Then::Answer).await;
    let transport = transport();
    server.ask(&transport).await;
    let (began, kept) = (Instant::now(), TransportConfig::default().pool_idle_timeout);
    server.closed.recv().await.unwrap();
    assert!(began.elapsed() >= kept && began.elapsed() < kept * 2, "{:?}", began.elapsed());
    // And used again until then, by those that come after it was forgotten too.
    server.ask(&transport).await;
    server.ask(&transport).await;
    assert_eq!(server.connections(), 2);
    server.closed.recv().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_open_without_a_transport() {
    let mut server = server(Then::Answer).await;
    let transport = transport();
    server.ask(&transport).await;
    drop(transport);
    timeout(Duration::from_secs(1), server.closed.recv()).await.expect("it is closed at once").unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_are_kept_than_may_be() {
    let mut server = server(Then::Answer).await;
    let config = TransportConfig { pool_max_idle_per_host: 2, ..TransportConfig::default() };
    let transport = Transport::new(config).unwrap();
    futures_util::future::join_all((0..5).map(|_| server.ask(&transport))).await;
    for _ in 0..3 {
        server.closed.recv().await.unwrap();
    }
    assert!(server.closed.try_recv().is_err());
    assert_eq!(server.connections(), 5);
}

/// A host that may speak HTTP/2 gets one connection, not one from each of a
/// crowd; if it comes to nothing, all know.
#[tokio::test(start_paused = true)]
async fn one_connects_for_all_and_all_learn_that_it_failed() {
    let mut server = silent().await;
    let transport = transport();
    let began = Instant::now();
    let asking = (0..20).map(|_| transport.send(server.request("https"), &CLOCKS));
    for outcome in futures_util::future::join_all(asking).await {
        assert!(matches!(outcome.unwrap_err(), TransportError::Timeout(Clock::Connect)));
    }
    assert_eq!(began.elapsed().as_secs(), TransportConfig::default().connect_timeout.as_secs());
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waited_for_one_that_gave_up_connects_itself() {
    let mut server = silent().await;
    let transport = transport();
    let began = Instant::now();
    let impatient = async {
        let gave_up = timeout(Duration::from_secs(1), transport.send(server.request("https"), &CLOCKS));
        assert!(gave_up.await.is_err());
    };
    let patient = transport.send(server.request("https"), &CLOCKS);
    let ((), outcome) = tokio::join!(impatient, patient);
    assert!(matches!(outcome.unwrap_err(), TransportError::Timeout(Clock::Connect)));
    assert_eq!(began.elapsed().as_secs(), TransportConfig::default().connect_timeout.as_secs() + 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_one_that_is_not_asked_to_go_on_connects_itself() {
    let mut server = silent().await;
    let transport = transport();
    let mut stalled = Box::pin(transport.send(server.request("https"), &CLOCKS));
    assert!((&mut stalled).now_or_never().is_none());
    let outcome = transport.send(server.request("https"), &CLOCKS).await;
    assert!(matches!(outcome.unwrap_err(), TransportError::Timeout(Clock::Connect)));
    assert_eq!(server.connections(), 2);
}

const CLOCKS: Clocks = Clocks {
    headers: Duration::from_secs(60),
    first_token: Duration::from_secs(60),
    idle: Duration::from_secs(60),
    total: None,
};
