//! Clients that only look for the end of what they get.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

/// The bytes of a request.
#[derive(Clone)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// In OpenAI Chat's dialect, as the upstream.
    pub(crate) fn chat(question: &str, stream: bool) -> Self {
        let options = if stream { r#""stream":true,"stream_options":{"include_usage":true},"# } else { "" };
        Self::post(
            "/v1/chat/completions",
            &format!(
                r#"{{{options}"model":"up/gpt-x","messages":[{{"role":"system","content":"Answer briefly."}},{{"role":"user","content":"{question}"}}],"temperature":0.5}}"#
            ),
        )
    }

    /// A stream in Anthropic's.
    pub(crate) fn messages(question: &str) -> Self {
        Self::post(
            "/v1/messages",
            &format!(
                r#"{{"stream":true,"model":"up/gpt-x","max_tokens":500,"system":"Answer briefly.","messages":[{{"role":"user","content":"{question}"}}]}}"#
            ),
        )
    }

    fn post(path: &str, body: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer x\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Self([head.as_bytes(), body.as_bytes()].concat())
    }
}

/// A connection that is used again.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// When an answer came, counted from when it was asked for.
pub(crate) struct Answer {
    /// The first of its body.
    pub(crate) first: Duration,
    pub(crate) whole: Duration,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self { socket, buffer: vec![0; 64 << 10] }
    }

    /// Asks, and waits for the first of the answer's body.
    pub(crate) async fn begin(&mut self, request: &Request) {
        self.socket.write_all(&request.0).await.expect("sends");
        self.head().await;
        self.buffer = Vec::new();
    }

    /// Reads up to the first of the body. How much was read, and where the body
    /// begins.
    async fn head(&mut self) -> (usize, usize) {
        let mut held = 0;
        loop {
            held += self.read(held).await;
            let read = &self.buffer[..held];
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n")
                && held > end + 4
            {
                assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(read));
                return (held, end + 4);
            }
        }
    }

    async fn read(&mut self, from: usize) -> usize {
        let read = self.socket.read(&mut self.buffer[from..]).await.expect("reads");
        assert!(read > 0, "it was closed after {:?}", String::from_utf8_lossy(&self.buffer[..from]));
        read
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> Answer {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        let began = Instant::now();
        self.socket.write_all(&request.0).await.expect("sends");
        let (mut held, body) = self.head().await;
        let first = began.elapsed();
        let head = String::from_utf8_lossy(&self.buffer[..body]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        match length {
            Some(length) => {
                while held < body + length {
                    held += self.read(held).await;
                }
            }
            None => {
                while !self.buffer[..held].ends_with(END) {
                    if held > self.buffer.len() / 2 {
                        // Only the end is looked at.
                        self.buffer.copy_within(held - END.len()..held, 0);
                        held = END.len();
                    }
                    held += self.read(held).await;
                }
            }
        }
        Answer { first, whole: began.elapsed() }
    }
}

/// Asks without a pause on so many connections. How many answers came in time.
pub(crate) async fn run(address: SocketAddr, request: &Request, connections: usize, time: Duration) -> usize {
    let until = Instant::now() + time;
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        let request = request.clone();
        asking.spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut answered = 0;
            while Instant::now() < until {
                connection.ask(&request).await;
                answered += 1;
            }
            answered
        });
    }
    asking.join_all().await.into_iter().sum()
}
