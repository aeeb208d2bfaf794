//! Bodies that are too large, too many, or JSON only in name.

use std::time::Duration;

use leverframe_gateway::server::Settings;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::support::{Gateway, Growth, PATIENCE, QUESTION, is_error_of, post, post_to, settings, to_end};

/// Where each dialect is asked, and the beginning of a message in it.
const PATHS: [(&str, &str, &str); 4] = [
    ("/v1/messages", r#"{"model":"claude-test","max_tokens":9,"messages":[{"role":"user","content":"#, "}]}"),
    ("/v1/chat/completions", r#"{"model":"claude-test","messages":[{"role":"user","content":"#, "}]}"),
    ("/v1/responses", r#"{"model":"claude-test","input":[{"role":"user","content":"#, "}]}"),
    ("/v1beta/models/claude-test:generateContent", r#"{"contents":[{"role":"user","parts":"#, "}]}"),
];

/// A client that only reads when it has sent everything, as most do, learns
/// why it was refused: the connection is not reset under what it still sends.
#[tokio::test]
async fn whoever_sends_too_much_is_told_so() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    let memory = Growth::from_now();
    let large = vec![b' '; 24 << 20];
    for (path, ..) in PATHS {
        for chunked in [false, true] {
            let head = match chunked {
                false => format!("content-length: {}", large.len()),
                true => "transfer-encoding: chunked".to_owned(),
            };
            let mut socket = gateway.connect().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
            let writes = async {
                socket.write_all(head.as_bytes()).await?;
                for piece in large.chunks(1 << 20) {
                    if chunked {
                        socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                    }
                    socket.write_all(piece).await?;
                    if chunked {
                        socket.write_all(b"\r\n").await?;
                    }
                }
                Ok::<_, std::io::Error>(())
            };
            let sent = timeout(PATIENCE, writes).await.expect("is taken");
            let answer = to_end(&mut socket).await;
            assert!(sent.is_ok(), "{path}, chunked {chunked}: {sent:?}, {answer}");
            assert!(answer.starts_with("HTTP/1.1 413"), "{path}, chunked {chunked}: {answer}");
            assert!(is_error_of(path, &answer), "{answer}");
        }
    }
    memory.at_most(40 << 20, "too much, eight times"); // 24 MiB are this test's
    // A head that is too large is told of as well.
    let answer =
        gateway.say(&post_to("/v1/messages", QUESTION, &format!("x: {}\r\n", "y".repeat(4 << 20)))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(world.calls("claude"), 0);
    gateway.is_healthy().await;
}

/// Each body may be of a size at which many at a time would be too much.
#[tokio::test]
async fn bodies_there_is_no_room_for_are_put_off() {
    let settings = Settings { max_bodies: 2 << 20, body_within: Duration::from_secs(60), ..settings() };
    let (gateway, _world) = Gateway::emulated(settings).await;
    let memory = Growth::from_now();
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..40 {
        let mut socket = gateway.connect().await;
        let head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
        socket.write_all(head).await.expect("is taken");
        let _ = socket.write_all(&vec![b' '; 400_000]).await;
        // Refused at once, or not at all: then it is held until this ends.
        let mut first = [0; 12];
        match timeout(Duration::from_millis(60), tokio::io::AsyncReadExt::read_exact(&mut socket, &mut first))
            .await
        {
            Err(_) => held.push(socket),
            Ok(read) => {
                read.expect("an answer");
                assert_eq!(&first, b"HTTP/1.1 503");
                let answer = to_end(&mut socket).await;
                assert!(
                    answer.contains("retry-after: 1\r\n") && is_error_of("/v1/messages", &answer),
                    "{answer}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!((held.len(), refused), (5, 35), "as many as there is room for");
    memory.at_most(16 << 20, "40 bodies where there is room for 5");
    drop(held);
    gateway.is_healthy().await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    for (path, ..) in PATHS {
        for coding in ["gzip", "br", "GZIP, identity", "\u{e9}"] {
            let fields = format!("content-encoding: {coding}\r\nconnection: close\r\n");
            let answer = gateway.say(&post_to(path, "\x1f\u{8b}\x08", &fields)).await;
            assert!(
                answer.starts_with("HTTP/1.1 415") && is_error_of(path, &answer),
                "{path} {coding}: {answer}"
            );
            assert!(answer.contains("compressed"), "{answer}");
        }
    }
    let plain = post_to("/v1/messages", QUESTION, "content-encoding: identity\r\nconnection: close\r\n");
    assert!(gateway.say(&plain).await.starts_with("HTTP/1.1 200"));
    assert_eq!(world.calls("claude"), 1);
}

#[tokio::test]
async fn json_that_is_meant_to_hurt_is_read_or_refused() {
    let (gateway, _world) = Gateway::emulated(settings()).await;
    let deep = |open: &str, close: &str| format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
    let values = [
        deep("[", "]"),
        deep(r#"{"a":"#, "}"),
        "[".repeat(500_000),
        r#"{"a":"#.repeat(100_000),
        "9".repeat(500_000),
        format!("-1e{}", "9".repeat(500_000)),
        "1e400".to_owned(),
        r#""\ud800""#.to_owned(),
        r#""\udc00\ud800""#.to_owned(),
        format!("\"{}\"", r"\u0000".repeat(10_000)),
        "\"\u{0}\"".to_owned(),
        "NaN".to_owned(),
        "[null,true,{},[[]]]".to_owned(),
        r#"[{"type":"text","text":"a","type":"image"}]"#.to_owned(),
        format!(r#"[{{{}"type":"text","text":"a"}}]"#, r#""x":1,"#.repeat(50_000)),
        format!("[{}]", vec![r#"{"type":"text","text":""}"#; 20_000].join(",")),
        r#"{"__proto__":{"type":"text"}}"#.to_owned(),
    ];
    for (path, before, after) in PATHS {
        let mut bodies: Vec<_> = values.iter().map(|value| format!("{before}{value}{after}")).collect();
        bodies.extend(values.iter().cloned());
        // Beside what is known, where it is kept to be passed on or named as lost.
        bodies.extend(values.iter().map(|value| {
            format!(r#"{before}"a"{after}"#).replacen('{', &format!(r#"{{"extra":{value},"#), 1)
        }));
        for body in bodies {
            let shown: String = body.chars().take(120).collect();
            let memory = Growth::from_now();
            let answer = timeout(PATIENCE, gateway.say(&post_to(path, &body, "connection: close\r\n"))).await;
            let answer = answer.unwrap_or_else(|_| panic!("{path} {shown}"));
            // Many small fields take most, each with its name and its place in what is lost.
            memory.at_most(80 * body.len() + (4 << 20), path);
            let answered = answer.starts_with("HTTP/1.1 200");
            let refused = answer.starts_with("HTTP/1.1 400") && is_error_of(path, &answer);
            assert!(answered || refused, "{path} {shown}: {answer}");
            assert!(
                answered || answer.len() < 4 << 10,
                "{path} {shown}: it is not given back: {} bytes",
                answer.len()
            );
        }
    }
    let mut bytes = post("").to_vec();
    bytes.extend_from_slice(b"\xff\xfe");
    assert!(gateway.say(&bytes).await.starts_with("HTTP/1.1 400"));
    gateway.is_healthy().await;
}
