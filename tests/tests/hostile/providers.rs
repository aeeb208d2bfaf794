//! Providers that never end, break off, or lie about what they send.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    BEGINS, EVENTS, Gateway, Growth, PATIENCE, PROVOKED, PROVOKED_STREAM, delta, fields, is_error_of, post,
    provoked,
};

/// What follows what a provider says once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// The end.
    End,
    /// The connection is reset.
    Reset,
    /// Nothing, and no end.
    Silence,
    /// The same over and over.
    Again,
    /// The same now and then.
    Slowly,
}

/// How a provider behaves.
struct Case {
    what: &'static str,
    once: Vec<u8>,
    then: Then,
    over: Vec<u8>,
}

fn case(what: &'static str, once: impl Into<Vec<u8>>, then: Then, over: impl Into<Vec<u8>>) -> Case {
    Case { what, once: once.into(), then, over: over.into() }
}

async fn behave(mut stream: TcpStream, case: &Case) {
    if !provoked(&mut stream).await || stream.write_all(&case.once).await.is_err() {
        return;
    }
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        match case.then {
            Then::End => return,
            Then::Reset => {
                // What was written is to arrive first.
                pace.tick().await;
                pace.tick().await;
                stream.set_zero_linger().expect("is set");
                return;
            }
            Then::Silence => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Then::Slowly => drop(pace.tick().await),
            Then::Again => {}
        }
        if stream.write_all(&case.over).await.is_err() {
            return;
        }
    }
}

/// What a caller may be told instead of an answer: by a status, or within a
/// stream that has begun.
fn is_one_error(answer: &str, streamed: bool) -> bool {
    if !answer.starts_with("HTTP/1.1 200") {
        return is_error_of("/v1/messages", answer);
    }
    streamed && answer.matches("event: error\n").count() == 1 && !answer.contains("message_stop")
}

/// Puts one behaviour before the gateway, and a caller of each kind before it.
async fn play(case: Case) {
    let what = case.what;
    let case = std::sync::Arc::new(case);
    let (gateway, _provider) = Gateway::over(move |stream| {
        let case = std::sync::Arc::clone(&case);
        async move { behave(stream, &case).await }
    })
    .await;
    gateway.is_healthy().await;
    for (streamed, body) in [(false, PROVOKED), (true, PROVOKED_STREAM)] {
        let memory = Growth::from_now();
        let answer = timeout(PATIENCE, gateway.say(&post(body))).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what}, streamed {streamed}: it never ends"));
        let shown: String = answer.chars().take(600).collect();
        assert!(is_one_error(&answer, streamed), "{what}, streamed {streamed}: {shown}");
        assert!(answer.len() < 48 << 20, "{what}, streamed {streamed}: {} bytes", answer.len());
        drop(answer);
        memory.at_most(112 << 20, what);
    }
    gateway.is_healthy().await;
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_no_answer_is_an_error() {
    use Then::{Again, End, Reset, Silence, Slowly};
    for case in [
        case("nothing", "", End, ""),
        case("silence", "", Silence, ""),
        case("a reset", "", Reset, ""),
        case("half a head", "HTTP/1.1 200 OK\r\nconte", Silence, ""),
        case("half a head and an end", "HTTP/1.1 200 OK\r\nconte", End, ""),
        case("half a head and a reset", "HTTP/1.1 200 OK\r\nconte", Reset, ""),
        case("a flood of fields", "HTTP/1.1 200 OK\r\n", Again, fields(1_000)),
        case("a field without end", "HTTP/1.1 200 OK\r\nx: ", Again, "y".repeat(1 << 16)),
        case("a field byte by byte", "HTTP/1.1 200 OK\r\nx: ", Slowly, "y"),
        case("endless 100s", "", Again, "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000)),
        case("endless 103s", "", Slowly, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        case(
            "a switch of protocols",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            Silence,
            "",
        ),
        case("no HTTP", vec![0x15, 3, 3, 0, 2, 2, 70], End, ""),
        case("endless bytes", "", Again, vec![0xa5; 1 << 16]),
        case("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", End, ""),
        case("no length", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}", End, ""),
        case(
            "a redirect",
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            End,
            "",
        ),
    ] {
        play(case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_answer_is_an_error() {
    use Then::{Again, End, Reset, Silence};
    let gzip = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
    // What gunzip would make gigabytes of: it is not asked for, and not unpacked.
    let bomb = [gzip.as_bytes(), b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"].concat();
    let text = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":""#;
    let length = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    for case in [
        case("JSON without end", format!("{JSON}{text}"), Again, "x".repeat(1 << 16)),
        case("an array without end", format!("{JSON}["), Again, "[".repeat(1 << 16)),
        case("spaces without end", JSON, Again, " ".repeat(1 << 16)),
        case("JSON that breaks off", format!("{JSON}{text}"), End, ""),
        case("JSON that is reset", format!("{JSON}{text}"), Reset, ""),
        case("JSON that stops", format!("{JSON}{text}"), Silence, ""),
        case("a length of a petabyte", format!("{length}999999999999999\r\n\r\n{text}"), Silence, ""),
        case("shorter than it says", format!("{length}5000\r\n\r\n{text}"), End, ""),
        case("longer than it says", format!("{length}20\r\n\r\n{text}"), Again, "x".repeat(1 << 10)),
        case("gzip without end", bomb, Again, vec![0; 1 << 16]),
        case("gzip with an end", [gzip.as_bytes(), b"\x1f\x8b\x08\x00"].concat(), End, ""),
        case(
            "an error without end",
            JSON.replace("200 OK", "500 No") + "{\"error\":{\"message\":\"",
            Again,
            "x".repeat(1 << 16),
        ),
        case("an error that stops", JSON.replace("200 OK", "429 No") + "{\"error\":", Silence, ""),
        case("an old server's error", "HTTP/1.0 503 No\r\n\r\n<html>no</html>", End, ""),
    ] {
        play(case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_no_answer_is_an_error() {
    use Then::{Again, End, Reset, Silence, Slowly};
    let begun = format!("{EVENTS}{BEGINS}");
    for case in [
        case("comments without end", EVENTS, Again, ": ping\n\n".repeat(1_000)),
        case("comments now and then", EVENTS, Slowly, ": ping\n\n"),
        case("comments now and then, once it began", begun.clone(), Slowly, ": ping\n\n"),
        case(
            "pings now and then, once it began",
            begun.clone(),
            Slowly,
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ),
        case("a comment without end", format!("{EVENTS}: "), Again, "x".repeat(1 << 16)),
        case("a line without end", format!("{begun}data: "), Again, "x".repeat(1 << 16)),
        case("a name without end", format!("{begun}event: "), Again, "x".repeat(1 << 16)),
        case("an event without end", begun.clone(), Again, format!("data: {}\n", "x".repeat(1 << 16))),
        case("empty lines without end", begun.clone(), Again, "\r\n".repeat(1 << 15)),
        case(
            "events that say nothing, without end",
            begun.clone(),
            Again,
            "data: {\"type\":\"new\"}\n\n".repeat(1_000),
        ),
        case("text without end", begun.clone(), Again, delta(1 << 16)),
        case(
            "blocks without end",
            begun.clone(),
            Again,
            BEGINS.split_once("\n\n").map_or("", |(_, block)| block).repeat(100),
        ),
        case("no text in it", begun.clone(), Again, vec![0xff; 1 << 12]),
        case("it breaks off", begun.clone(), End, ""),
        case("it is reset", begun.clone(), Reset, ""),
        case("it stops", begun.clone(), Silence, ""),
        case("no chunk size", format!("{CHUNKED}junk\r\n{BEGINS}"), Silence, ""),
        case("a chunk longer than it says", format!("{CHUNKED}5\r\n{BEGINS}"), Silence, ""),
        case("a chunk beyond numbers", format!("{CHUNKED}fffffffffffffffff\r\n{BEGINS}"), Silence, ""),
        case("extensions without end", format!("{CHUNKED}5;"), Again, "x".repeat(1 << 16)),
        case(
            "trailers without end",
            format!("{CHUNKED}{:x}\r\n{BEGINS}\r\n0\r\n", BEGINS.len()),
            Again,
            fields(1_000),
        ),
        case("HTTP/1.0 that breaks off", begun.replace("HTTP/1.1", "HTTP/1.0"), End, ""),
    ] {
        play(case).await;
    }
}

/// No length, no chunks: the end of the connection is the end of the answer.
#[tokio::test]
async fn an_answer_of_http_1_0_is_one() {
    let ends = concat!(
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",",
        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let answer =
        format!("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{BEGINS}{}{ends}", delta(5));
    let (gateway, _provider) = Gateway::over(move |mut stream| {
        let answer = answer.clone();
        async move {
            if provoked(&mut stream).await {
                stream.write_all(answer.as_bytes()).await.expect("is taken");
            }
        }
    })
    .await;
    let answer = gateway.say(&post(PROVOKED_STREAM)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("xxxxx"), "{answer}");
    assert!(answer.contains("message_stop") && !answer.contains("event: error"), "{answer}");
}
