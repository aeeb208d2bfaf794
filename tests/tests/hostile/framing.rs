//! HTTP/1.1 that two readers could read differently, or nobody can.

use std::time::Duration;

use leverframe_emulator::Step;
use tokio::io::AsyncWriteExt;

use crate::support::{Gateway, Growth, QUESTION, fields, post, post_to, settings, to_end};

/// A request that would be answered on its own, to hide in another.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nhost: hidden\r\n\r\n";

/// The statuses of all answers in what was sent back.
fn statuses(answer: &str) -> Vec<&str> {
    answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect()
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_answered_once_at_most() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let hidden = HIDDEN.len();
    let cases: [(&str, String, &[&str]); 26] = [
        (
            "chunks and a length",
            format!("{head}content-length: 5\r\n{chunked}\r\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "a length and chunks",
            format!("{head}{chunked}content-length: {}\r\n\r\n0\r\n\r\n{HIDDEN}", 5 + hidden),
            &["400"],
        ),
        (
            "two lengths",
            format!("{head}content-length: 0\r\ncontent-length: {hidden}\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        ("two lengths in one", format!("{head}content-length: 0, {hidden}\r\n\r\n{HIDDEN}"), &["400"]),
        ("a signed length", format!("{head}content-length: +{hidden}\r\n\r\n{HIDDEN}"), &["400"]),
        ("a negative length", format!("{head}content-length: -1\r\n\r\n{HIDDEN}"), &["400"]),
        ("a length in hex", format!("{head}content-length: 0x2\r\n\r\n{HIDDEN}"), &["400"]),
        (
            "a length beyond numbers",
            format!("{head}content-length: 99999999999999999999\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        ("a space before the colon", format!("{head}content-length : {hidden}\r\n\r\n{HIDDEN}"), &["400"]),
        ("a folded line", format!("{head}x: a\r\n b\r\ncontent-length: 0\r\n\r\n{HIDDEN}"), &["400"]),
        ("a folded length", format!("{head}content-length:\r\n {hidden}\r\n\r\n{HIDDEN}"), &["400"]),
        ("a bare return", format!("{head}x: a\rcontent-length: 3\r\n\r\n{HIDDEN}"), &["400"]),
        ("a null", format!("{head}x: \0\r\n\r\n{HIDDEN}"), &["400"]),
        (
            "a coding nobody knows",
            format!("{head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "chunks and not last",
            format!("{head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "a coding with a tail",
            format!("{head}transfer-encoding: chunked\x0b\r\n\r\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        ("no chunk size", format!("{head}{chunked}\r\nxyz\r\n{HIDDEN}"), &["400"]),
        ("a chunk size in C", format!("{head}{chunked}\r\n0x0\r\n\r\n{HIDDEN}"), &["400"]),
        ("a negative chunk", format!("{head}{chunked}\r\n-1\r\n\r\n{HIDDEN}"), &["400"]),
        (
            "a chunk size beyond numbers",
            format!("{head}{chunked}\r\nfffffffffffffffff1\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "a chunk longer than it says",
            format!("{head}{chunked}\r\n1\r\n{{}}\r\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "a chunk that ends in a bare line feed",
            format!("{head}{chunked}\r\n2\r\n{{}}\n0\r\n\r\n{HIDDEN}"),
            &["400"],
        ),
        (
            "endless chunk extensions",
            format!("{head}{chunked}\r\n2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000)),
            &["400"],
        ),
        ("endless trailers", format!("{head}{chunked}\r\n0\r\n{}\r\n", fields(20_000)), &["400"]),
        ("no HTTP/1.1", HIDDEN.replace("1.1", "1.7"), &["400"]),
        ("HTTP/0.9", "GET /healthz\r\n\r\n".to_owned(), &["400"]),
    ];
    for (what, bytes, expected) in cases {
        let answer = gateway.say(bytes.as_bytes()).await;
        assert_eq!(statuses(&answer), expected, "{what}: {answer}");
    }
    assert_eq!(world.calls("claude"), 0, "nothing of it is asked of a provider");
    gateway.is_healthy().await;
}

#[tokio::test]
async fn what_is_odd_and_clear_is_answered() {
    let (gateway, _world) = Gateway::emulated(settings()).await;
    let close = "connection: close\r\n\r\n";
    let length = QUESTION.len();
    let cases: [(&str, String, &str); 16] = [
        ("an absolute target", format!("GET http://elsewhere/healthz HTTP/1.1\r\nhost: x\r\n{close}"), "200"),
        ("line feeds only", "GET /healthz HTTP/1.1\nhost: x\nconnection: close\n\n".to_owned(), "200"),
        ("empty lines before", format!("\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n{close}"), "200"),
        ("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (
            "the same length twice",
            format!(
                "POST /v1/messages HTTP/1.1\r\ncontent-length: {length}\r\ncontent-length: {length}\r\nhost: x\r\n{close}{QUESTION}"
            ),
            "200",
        ),
        (
            "a chunk with an extension",
            format!(
                "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{close}{length:x};a=b\r\n{QUESTION}\r\n0\r\n\r\n"
            ),
            "200",
        ),
        ("HEAD", format!("HEAD /healthz HTTP/1.1\r\nhost: x\r\n{close}"), "200"),
        ("HEAD of an answer", format!("HEAD /v1/messages HTTP/1.1\r\nhost: x\r\n{close}"), "405"),
        ("OPTIONS", format!("OPTIONS /v1/messages HTTP/1.1\r\nhost: x\r\n{close}"), "405"),
        ("OPTIONS of all", format!("OPTIONS * HTTP/1.1\r\nhost: x\r\n{close}"), "404"),
        ("CONNECT", format!("CONNECT elsewhere:443 HTTP/1.1\r\nhost: x\r\n{close}"), "404"),
        ("an authority", format!("GET elsewhere:443 HTTP/1.1\r\nhost: x\r\n{close}"), "404"),
        ("TRACE", format!("TRACE /healthz HTTP/1.1\r\nhost: x\r\nsecret: y\r\n{close}"), "405"),
        (
            "an upgrade",
            "GET /healthz HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n"
                .to_owned(),
            "200",
        ),
        (
            "a path of many parts",
            format!("GET {} HTTP/1.1\r\nhost: x\r\n{close}", "/..".repeat(3_000)),
            "404",
        ),
        (
            "a path that is no text",
            format!("GET /v1/models/%ff%00%0d%0a HTTP/1.1\r\nhost: x\r\n{close}"),
            "404",
        ),
    ];
    for (what, bytes, status) in cases {
        let answer = gateway.say(bytes.as_bytes()).await;
        let answer = answer.replace("HTTP/1.0 ", "HTTP/1.1 ");
        assert_eq!(statuses(&answer), [status], "{what}: {answer}");
        assert!(answer.len() < 16 << 10 && !answer.contains("secret"), "{what}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert_eq!(body.is_empty(), bytes.starts_with("HEAD"), "{what}: {head}");
    }
    gateway.is_healthy().await;
}

#[tokio::test]
async fn garbage_and_floods_of_fields_are_refused() {
    let (gateway, _world) = Gateway::emulated(settings()).await;
    let memory = Growth::from_now();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..random.usize(1..2_000)).map(|_| random.u8(..)).collect();
        let answer = gateway.say(&bytes).await;
        assert!(answer.is_empty() || statuses(&answer) == ["400"], "{answer}");
    }
    for hello in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"SSH-2.0-x\r\n", b"*1\r\n$4\r\nPING\r\n"]
    {
        let answer = gateway.say(hello).await;
        assert!(answer.is_empty() || statuses(&answer) == ["400"], "{answer}");
    }
    for count in [200, 5_000, 100_000] {
        let answer = gateway.say(&post_to("/v1/messages", QUESTION, &fields(count))).await;
        assert_eq!(statuses(&answer), ["431"], "{count} fields");
    }
    memory.at_most(16 << 20, "garbage and fields");
    gateway.is_healthy().await;
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_their_order() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    world.always("claude", Step::text("slow").before_headers(Duration::from_millis(20)));
    let mut all = Vec::new();
    for nth in 0..20 {
        match nth % 3 {
            0 => all.extend(post_to("/v1/messages", QUESTION, "")),
            1 => all.extend_from_slice(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
            _ => all.extend(post_to("/v1/messages", "{", "")),
        }
    }
    all.extend(post(QUESTION));
    let answers = gateway.say(&all).await;
    let expected: Vec<_> = (0..20).map(|nth| ["200", "200", "400"][nth % 3]).chain(["200"]).collect();
    assert_eq!(statuses(&answers), expected, "{answers}");
    // Of a flood no more is read than can be answered.
    let memory = Growth::from_now();
    let mut socket = gateway.connect_narrow().await;
    let many = HIDDEN.repeat(10_000);
    let written = tokio::time::timeout(Duration::from_secs(3), async {
        for _ in 0..100 {
            socket.write_all(many.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    assert!(!matches!(written.await, Ok(Ok(()))), "40 MB of requests whose answers nobody reads");
    memory.at_most(16 << 20, "a million requests in one go");
    let _ = to_end(&mut socket).await;
    gateway.is_healthy().await;
}
