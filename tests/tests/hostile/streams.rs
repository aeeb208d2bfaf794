//! Readers that are too slow for their streams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use leverframe_gateway::server::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    BEGINS, EVENTS, Gateway, Growth, PATIENCE, PROVOKED_STREAM, delta, post, provoked, scale, settings,
};

/// What the provider could get rid of.
#[derive(Debug, Default)]
struct Sent {
    bytes: AtomicUsize,
    /// Streams that were begun, and those that were broken off.
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// Streams for as long as anyone takes it.
async fn endless(mut stream: TcpStream, sent: Arc<Sent>, piece: Arc<str>) {
    if !provoked(&mut stream).await {
        return;
    }
    sent.begun.fetch_add(1, Ordering::Relaxed);
    stream.write_all(format!("{EVENTS}{BEGINS}").as_bytes()).await.expect("is taken");
    while stream.write_all(piece.as_bytes()).await.is_ok() {
        sent.bytes.fetch_add(piece.len(), Ordering::Relaxed);
    }
    sent.ended.fetch_add(1, Ordering::Relaxed);
}

async fn unread(sent: &Sent, which: impl Fn(&Sent) -> bool, what: &str) {
    let until = async {
        while !which(sent) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE * 2, until).await.unwrap_or_else(|_| panic!("{what}: {sent:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_nobody_reads_are_given_up_and_their_providers_let_go() {
    let many = scale(60, 1_000, 4);
    let (sent, piece) = (Arc::new(Sent::default()), Arc::<str>::from(delta(4 << 10)));
    let shared = Arc::clone(&sent);
    let provider = move |stream| endless(stream, Arc::clone(&shared), Arc::clone(&piece));
    let within = Settings { write_within: Duration::from_secs(2), ..settings() };
    let (gateway, _provider) = Gateway::over_with(within, PATIENCE * 9, provider).await;
    gateway.is_healthy().await;
    let memory = Growth::from_now();
    let mut clients = Vec::new();
    for _ in 0..many {
        let mut socket = gateway.connect_narrow().await;
        socket.write_all(&post(PROVOKED_STREAM)).await.expect("is taken");
        clients.push(socket);
    }
    unread(&sent, |sent| sent.begun.load(Ordering::Relaxed) == many, "all are being answered").await;
    memory.at_most(many * (2 << 20), &format!("{many} streams nobody reads"));
    println!("each provider could send {} KiB", (sent.bytes.load(Ordering::Relaxed) / many) >> 10);
    gateway.is_healthy().await;
    unread(&sent, |sent| sent.ended.load(Ordering::Relaxed) == many, "all are given up").await;
    // Pieces that were ready once waited to go out together, and under this load there was always
    // another one: nothing was written, nothing made the provider wait, and all of it was held.
    memory.at_most(many * (2 << 20), "and until they were given up");
    memory.left(many * (16 << 10), "streams that were given up");
    gateway.is_healthy().await;
}

/// A client that stops reading stops the provider, and goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_pauses_makes_the_provider_wait() {
    let (sent, piece) = (Arc::new(Sent::default()), Arc::<str>::from(delta(4 << 10)));
    let shared = Arc::clone(&sent);
    let (gateway, _provider) =
        Gateway::over(move |stream| endless(stream, Arc::clone(&shared), Arc::clone(&piece))).await;
    let mut socket = gateway.connect_narrow().await;
    socket.write_all(&post(PROVOKED_STREAM)).await.expect("is taken");
    let memory = Growth::from_now();
    // Until nothing moves: what is on the way is in the system's buffers, and a little in ours.
    let mut last = 0;
    let mut still = 0;
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = sent.bytes.load(Ordering::Relaxed);
        (still, last) = (if now == last && now > 0 { still + 1 } else { 0 }, now);
        assert!(now < 32 << 20, "the provider is not held up: {now}");
    }
    memory.at_most(4 << 20, "a stream that waits");
    println!("the provider could send {} KiB", last >> 10);
    let mut read = vec![0; 64 << 10];
    let mut taken = 0;
    while taken < last + (1 << 20) {
        let more = timeout(PATIENCE, socket.read(&mut read)).await.expect("it goes on").expect("unbroken");
        assert!(more > 0, "it ended after {taken}");
        taken += more;
    }
    drop(socket);
    unread(&sent, |sent| sent.ended.load(Ordering::Relaxed) == 1, "the provider is let go").await;
}
