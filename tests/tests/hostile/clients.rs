//! Clients that are slow, silent, or many.

use std::time::Duration;

use leverframe_gateway::server::Settings;
use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::support::{Gateway, Growth, PATIENCE, QUESTION, post, scale, settings, to_end};

/// What a client says before it falls silent. The prefix of HTTP/2's preface
/// is one of its own: the server waits for the rest before any protocol's
/// clocks run, and once waited for ever.
const BEGINNINGS: [&[u8]; 6] = [
    b"",
    b"P",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /healthz HT",
    b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_are_closed() {
    let many = scale(600, 9_000, 2);
    let patient = Duration::from_secs(if many > 1_000 { 5 } else { 1 });
    let settings = Settings { head_within: patient, body_within: patient, ..settings() };
    let (gateway, _world) = Gateway::emulated(settings).await;
    gateway.is_healthy().await;
    let memory = Growth::from_now();
    let mut clients = JoinSet::new();
    for nth in 0..many {
        let mut socket = gateway.connect().await;
        socket.write_all(BEGINNINGS[nth % BEGINNINGS.len()]).await.expect("is taken");
        clients.spawn(async move { to_end(&mut socket).await });
    }
    gateway.is_healthy().await;
    memory.at_most(many * (24 << 10) + (8 << 20), &format!("{many} silent connections"));
    while let Some(answer) = clients.join_next().await {
        let answer = answer.expect("closed");
        let fine = answer.is_empty() || answer.starts_with("HTTP/1.1 408") || answer.starts_with('\0');
        assert!(fine, "{answer}");
    }
    gateway.is_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_does_not_keep_out_those_who_ask() {
    // Nothing but giving way makes room here.
    let settings =
        Settings { connections: 20, head_within: PATIENCE * 10, idle_within: PATIENCE * 10, ..settings() };
    let (gateway, world) = Gateway::emulated(settings).await;
    let mut silent = Vec::new();
    for nth in 0..400 {
        let mut socket = gateway.connect().await;
        let _ = socket.write_all(BEGINNINGS[nth % 5]).await; // it may have had to go
        silent.push(socket);
        if nth % 40 == 39 {
            gateway.is_healthy().await;
        }
    }
    // One that is being answered does not give way.
    world.always(
        "claude",
        leverframe_emulator::Step::text("one two three").before_headers(Duration::from_millis(200)),
    );
    let question = post(QUESTION);
    let (slow, ()) = tokio::join!(gateway.say(&question), async {
        while world.calls("claude") < 11 {
            tokio::task::yield_now().await;
        }
        for _ in 0..60 {
            silent.push(gateway.connect().await);
        }
    });
    assert!(slow.starts_with("HTTP/1.1 200") && slow.contains("one two three"), "{slow}");
}

/// Sends a request a byte at a time, and says what came of it.
async fn trickle(mut socket: tokio::net::TcpStream, bytes: &'static [u8]) -> String {
    let (mut read, mut write) = socket.split();
    let mut pace = interval(Duration::from_millis(40));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let writes = async {
        for byte in bytes {
            pace.tick().await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        answer = to_end(&mut read) => answer,
        () = writes => unreachable!("it waits for the answer"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_bodies_that_come_a_byte_at_a_time_are_given_up() {
    let many = scale(300, 1_000, 2);
    let (gateway, world) = Gateway::emulated(settings()).await;
    gateway.is_healthy().await;
    let memory = Growth::from_now();
    let mut clients = JoinSet::new();
    for nth in 0..many {
        let mut socket = gateway.connect().await;
        let head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n";
        let in_body = nth % 2 == 0;
        if in_body {
            socket.write_all(head).await.expect("is taken");
        }
        clients.spawn(
            async move { (in_body, trickle(socket, if in_body { &[b' '; 999] } else { head }).await) },
        );
    }
    gateway.is_healthy().await;
    memory.at_most(many * (32 << 10) + (8 << 20), &format!("{many} slow clients"));
    while let Some(answer) = clients.join_next().await {
        let (in_body, answer) = answer.expect("closed");
        assert_eq!(in_body, answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    }
    assert_eq!(world.calls("claude"), 2, "no half a request was asked of anyone");
    gateway.is_healthy().await;
}
