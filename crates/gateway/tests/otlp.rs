//! Spans over OTLP, as a collector gets them.

#![cfg(feature = "otlp")]
#![expect(clippy::expect_used, reason = "tests fail by panicking, their helpers too")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

/// The requests line, and the body, of what is posted next.
fn posted(listener: &TcpListener) -> (String, Vec<u8>) {
    let (socket, _) = listener.accept().expect("the gateway connects");
    let mut reader = BufReader::new(socket);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).expect("a head");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answers");
    (first, body)
}

#[test]
fn a_collector_is_told_every_request_and_no_secret() {
    const SECRET: &str = "sk-not-for-anyones-eyes-0123456789";
    let collector = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let desk = tempfile::tempdir().expect("a folder");
    let address = collector.local_addr().expect("an address");
    let config = format!("[trace]\notlp = \"http://{address}/\"\n[log]\nenabled = false\n");
    std::fs::write(desk.path().join("leverframe.toml"), config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_leverframe"));
    command.args(["serve", "--emulated", "--listen", "127.0.0.1:0"]).current_dir(desk.path()).env_clear();
    let mut child = command.stderr(Stdio::piped()).spawn().expect("starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("says where it is");
    let gateway = line.trim().strip_prefix("leverframe listens on http://").expect("an address");
    let body = format!(r#"{{"model":"gpt-test","messages":[{{"role":"user","content":"{SECRET}"}}]}}"#);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(gateway).expect("connects");
    socket.write_all(request.as_bytes()).expect("sends");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What waits to be sent is sent before the process ends.
    Command::new("kill").arg(child.id().to_string()).status().expect("asks it to end");
    let (first, body) = posted(&collector);
    assert!(first.starts_with("POST /v1/traces "), "{first}");
    let text = String::from_utf8_lossy(&body);
    for part in ["leverframe", "gen_ai.response.model", "gpt-test", "leverframe.request.id"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
    assert!(child.wait().expect("ends").success());
}
