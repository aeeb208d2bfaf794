//! A gateway to attack, the means to attack it, and the scales.

use std::{fmt::Write as _, future::Future, net::SocketAddr, time::Duration};

use crate::ALLOCATED;
use leverframe_gateway::server::{Door, Server, Settings};
use leverframe_router::{Clocks, Provider, Router, TransportConfig};
use leverframe_tests::{World, base};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Mutex, MutexGuard},
    task::JoinSet,
    time::timeout,
};

/// Long enough for anything here that ends at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// No two tests at once: they share one memory, which they measure.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A gateway that nobody else uses.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    server: JoinSet<()>,
    _alone: MutexGuard<'static, ()>,
}

/// Limits that are reached soon.
pub(crate) fn settings() -> Settings {
    Settings {
        max_body: 1 << 20,
        max_head: 16 << 10,
        head_within: Duration::from_millis(400),
        body_within: Duration::from_millis(400),
        write_within: Duration::from_millis(500),
        idle_within: Duration::from_millis(600),
        linger_within: Duration::from_secs(2),
        ..Settings::default()
    }
}

impl Gateway {
    async fn start(router: Router, settings: Settings, alone: MutexGuard<'static, ()>) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(any, router, Door::default(), settings).await.expect("listens");
        let address = server.local_addr().expect("an address");
        let mut running = JoinSet::new();
        running.spawn(server.run(std::future::pending()));
        Self { address, server: running, _alone: alone }
    }

    /// One over the emulator, where `claude-test` answers.
    pub(crate) async fn emulated(settings: Settings) -> (Self, World) {
        let alone = ALONE.lock().await;
        let world = World::with(&["claude"], |builder| builder.attempts(1)).await;
        (Self::start(world.router.clone(), settings, alone).await, world)
    }

    /// One over a provider that speaks whatever `talk` makes it.
    pub(crate) async fn over<T, F>(provider: T) -> (Self, JoinSet<()>)
    where
        T: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let settings = Settings { write_within: Duration::from_secs(5), ..settings() };
        Self::over_with(settings, Duration::from_secs(1), provider).await
    }

    /// The same with other settings, and another limit for a whole answer.
    pub(crate) async fn over_with<T, F>(
        settings: Settings,
        limit: Duration,
        provider: T,
    ) -> (Self, JoinSet<()>)
    where
        T: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let alone = ALONE.lock().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut talks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                talks.spawn(provider(stream));
            }
        });
        let soon = Duration::from_millis(250);
        let clocks = Clocks { headers: soon, first_token: soon, idle: soon, total: None };
        let router = base()
            .provider(Provider::anthropic("key").base_url(url))
            .attempts(1)
            .clocks(clocks)
            .timeout(limit)
            .transport(TransportConfig { max_body: 24 << 20, ..TransportConfig::default() });
        (Self::start(router.build().expect("valid"), settings, alone).await, running)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// A client for whom the system holds little that it has not read.
    pub(crate) async fn connect_narrow(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a size");
        socket.connect(self.address).await.expect("connects")
    }

    /// Sends bytes as they are and reads what comes until the end.
    pub(crate) async fn say(&self, bytes: &[u8]) -> String {
        let (mut read, mut write) = self.connect().await.into_split();
        let (_, answer) = tokio::join!(write.write_all(bytes), to_end(&mut read));
        answer
    }

    /// A well-behaved client is answered, and soon.
    pub(crate) async fn is_healthy(&self) {
        let answer = timeout(PATIENCE, self.say(&post(QUESTION))).await.expect("in time");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(self.server.len() == 1, "it runs");
    }
}

/// What comes until the end, however it ends.
pub(crate) async fn to_end(read: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    timeout(PATIENCE, read.read_to_end(&mut all)).await.expect("it ends").ok();
    String::from_utf8_lossy(&all).into_owned()
}

/// What everyone asks.
pub(crate) const QUESTION: &str =
    r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}"#;

/// What is asked of a provider that is to show how it can behave.
pub(crate) const PROVOKED: &str =
    r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"Provoke"}]}"#;

/// The same for a stream.
pub(crate) const PROVOKED_STREAM: &str = r#"{"model":"claude-test","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Provoke"}]}"#;

/// The head of a stream that goes on for as long as its connection.
pub(crate) const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// How an answer begins.
pub(crate) const BEGINS: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-test","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
);

/// A piece of its text, of some bytes.
pub(crate) fn delta(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    let data = format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
    );
    format!("event: content_block_delta\ndata: {data}\n\n")
}

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-test","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}"#;

/// Hears a request. Answers it, and says no, if it was no provocation.
pub(crate) async fn provoked(stream: &mut TcpStream) -> bool {
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard);
        if text.contains("Provoke") && text.ends_with('}') {
            return true;
        }
        if text.contains("Hello") && text.ends_with('}') {
            let length = ANSWER.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}"
            );
            stream.write_all(format!("{head}\r\n\r\n{ANSWER}").as_bytes()).await.expect("is taken");
            return false;
        }
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await.unwrap_or_default();
        if read == 0 {
            return false;
        }
        heard.extend_from_slice(&more[..read]);
    }
}

/// A request of Anthropic's dialect after which the connection is to be closed.
pub(crate) fn post(body: &str) -> Vec<u8> {
    post_to("/v1/messages", body, "connection: close\r\n")
}

/// A request with more fields, each with its line end.
pub(crate) fn post_to(path: &str, body: &str, fields: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{fields}\r\n{body}").into_bytes()
}

/// Whether an answer is an error as the SDKs of this path's dialect read it.
pub(crate) fn is_error_of(path: &str, answer: &str) -> bool {
    let Some((_, body)) = answer.split_once("\r\n\r\n") else { return false };
    let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { return false };
    let message = body["error"]["message"].as_str().is_some_and(|message| !message.is_empty());
    let shape = match path {
        "/v1/messages" => body["type"] == "error" && body["error"]["type"].is_string(),
        path if path.starts_with("/v1beta") => body["error"]["code"].is_number(),
        _ => body["error"].get("type").is_some(),
    };
    message && shape
}

/// The memory that is allocated from now on.
pub(crate) struct Growth(usize);

impl Growth {
    pub(crate) fn from_now() -> Self {
        ALLOCATED.reset_peak_usage();
        Self(ALLOCATED.current_usage())
    }

    /// Fails where at any time more than `most` bytes were held in addition.
    pub(crate) fn at_most(&self, most: usize, what: &str) {
        let grown = ALLOCATED.peak_usage().saturating_sub(self.0);
        println!("{what}: {} KiB, of at most {}", grown >> 10, most >> 10);
        assert!(grown <= most, "{what}: {grown} bytes, and {most} are allowed");
    }

    /// Fails where more than `most` bytes are held now.
    pub(crate) fn left(&self, most: usize, what: &str) {
        let left = ALLOCATED.current_usage().saturating_sub(self.0);
        println!("{what}: {} KiB are left, of at most {}", left >> 10, most >> 10);
        assert!(left <= most, "{what}: {left} bytes are left, and {most} are allowed");
    }
}

/// How many of something: a few, or with `HOSTILE_FULL` as many as asked for
/// and open files allow, `files` for each.
pub(crate) fn scale(few: usize, full: usize, files: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(1 << 20).expect("a limit");
    let room = usize::try_from(limit).expect("a number").saturating_sub(200) / files;
    let wanted = if std::env::var_os("HOSTILE_FULL").is_some() { full } else { few };
    assert!(room >= few.min(100), "too few files may be open: {limit}");
    wanted.min(room)
}

/// A head of `count` fields.
pub(crate) fn fields(count: usize) -> String {
    (0..count).fold(String::new(), |mut all, nth| {
        let _ = write!(all, "x-{nth}: {nth}\r\n");
        all
    })
}
