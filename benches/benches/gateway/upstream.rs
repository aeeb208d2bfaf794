//! A provider that costs next to nothing: the same bytes for every request.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Chunks of a stream.
pub(crate) const CHUNKS: usize = 200;
/// What a question has in it whose stream stops after the first chunk.
pub(crate) const HOLD: &str = "and then wait";

struct Answers {
    whole: Vec<u8>,
    streamed: Vec<u8>,
    begun: Vec<u8>,
}

/// Serves for as long as the process runs.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(serve(socket, answers));
        }
    });
    serving.detach_all();
    address
}

async fn serve(mut socket: TcpStream, answers: &Answers) {
    socket.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 << 10];
    let mut held = 0;
    loop {
        let Ok(read @ 1..) = socket.read(&mut buffer[held..]).await else { return };
        held += read;
        let Some(length) = whole_request(&buffer[..held]) else { continue };
        let request = String::from_utf8_lossy(&buffer[..length]);
        let answer = match (request.contains("\"stream\":true"), request.contains(HOLD)) {
            (false, _) => &answers.whole,
            (true, false) => &answers.streamed,
            (true, true) => &answers.begun,
        };
        if socket.write_all(answer).await.is_err() {
            return;
        }
        buffer.copy_within(length..held, 0);
        held -= length;
    }
}

/// The length of the request that `bytes` begin with, if it is all there.
fn whole_request(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let whole = end + length.unwrap_or(0);
    (bytes.len() >= whole).then_some(whole)
}

impl Answers {
    fn new() -> Self {
        let usage = r#""usage":{"prompt_tokens":12,"completion_tokens":200,"total_tokens":212}"#;
        let text = "word ".repeat(60);
        let body = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-x","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],{usage}}}"#
        );
        let whole = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let chunk = |rest: &str| {
            let event = format!(
                "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\
                 \"model\":\"gpt-x\",\"system_fingerprint\":\"fp_0123456789\",\"service_tier\":\"default\",{rest}}}\n\n"
            );
            format!("{:x}\r\n{event}\r\n", event.len())
        };
        let delta = |text: &str| {
            chunk(&format!(
                r#""choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"abcdefgh""#
            ))
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let begun = format!("{head}{}", delta("word "));
        let finish = chunk(
            r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null"#,
        );
        let end = chunk(&format!(r#""choices":[],{usage}"#));
        let words = delta("word ").repeat(CHUNKS - 3);
        let streamed = format!("{begun}{words}{finish}{end}e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
        Self { whole: whole.into(), streamed: streamed.into(), begun: begun.into() }
    }
}
