//! What ten thousand open streams hold in memory, each, all included.
//!
//! The emulator runs in a process of its own, so that only the router's side is
//! measured: this program starts itself again for it. Linux only, as it reads
//! the resident set from `/proc`. Needs about 10 100 file descriptors.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use leverframe_emulator::{Emulator, Provider as Fake, Step};
use leverframe_router::{Clocks, Limits, Provider, Request, Router};
use tokio::runtime;

const STREAMS: usize = 10_000;
/// Set for the process that measures hyper alone.
const STRAIGHT: &str = "LEVERFRAME_BENCH_STRAIGHT";
/// Set for the process that is the emulator.
const ROLE: &str = "LEVERFRAME_BENCH_EMULATOR";

fn main() {
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    if env::var_os(ROLE).is_some() {
        runtime.block_on(emulate());
        return;
    }
    // Criterion's arguments mean nothing here; `--test` asks only whether it runs.
    let streams = if env::args().any(|argument| argument == "--test") { 100 } else { STREAMS };
    let mut emulator = Command::new(env::current_exe().expect("the path of this program"))
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts itself again");
    let mut url = String::new();
    let output = emulator.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut url).expect("its address");
    // One of them in each process: memory that was given back would be used again.
    let own = env::var_os(STRAIGHT).is_none();
    match own {
        true => runtime.block_on(measure(url.trim(), streams)),
        false => runtime.block_on(straight(url.trim(), streams)),
    }
    // Its input ends, and so does it.
    drop(emulator.stdin.take());
    emulator.wait().expect("ends");
    if own {
        let mut again = Command::new(env::current_exe().expect("the path of this program"));
        again.args(env::args().skip(1)).env(STRAIGHT, "1").status().expect("starts itself again");
    }
}

/// Streams that begin and then say nothing, until the input ends.
async fn emulate() {
    let emulator = Emulator::start().await.expect("loopback has free ports");
    emulator.always(Fake::Anthropic, Step::tokens(["word "; 20]).stall_after(10));
    println!("{}", emulator.base_url(Fake::Anthropic));
    let mut rest = Vec::new();
    let ended = tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut rest).map(drop));
    ended.await.expect("no panic").expect("readable");
}

async fn measure(url: &str, streams: usize) {
    let clocks = Clocks { idle: Duration::from_secs(3600), ..Clocks::default() };
    // The emulator reports limits as Anthropic does.
    let unlimited = Limits { adaptive: false, ..Limits::default() };
    let router = Router::builder()
        .provider(Provider::anthropic("k").base_url(url).limits(unlimited))
        .clocks(clocks)
        .build()
        .expect("a valid configuration");
    let open = async |number: usize| {
        let request =
            Request::new("claude-sonnet-5").user(format!("Why is the sky blue, for the {number}th time?"));
        let mut stream = router.stream(request).await.expect("begins");
        // As a reader would: up to what has arrived.
        for _ in 0..5 {
            stream.next().await.expect("an event").expect("good");
        }
        stream
    };
    // What a first stream sets up is not a stream's.
    let first = open(0).await;
    let before = resident();
    let held: Vec<_> = stream::iter(1..=streams).map(open).buffer_unordered(64).collect().await;
    let after = resident();
    let each = (after.saturating_sub(before)) as f64 / streams as f64;
    println!(
        "{streams} open streams: {:.1} KiB each ({} KiB before, {} KiB with them)",
        each / 1024.0,
        before >> 10,
        after >> 10
    );
    drop((first, held));
}

/// The same through hyper's client alone, for what is not ours to save.
async fn straight(url: &str, streams: usize) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let body = r#"{"model": "claude-sonnet-5", "max_tokens": 10, "stream": true, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}"#;
    let open = async |_: usize| {
        let request = http::Request::post(format!("{url}/v1/messages"))
            .header("x-api-key", "k")
            .header("anthropic-version", "2023-06-01")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .expect("a request");
        let mut answer = client.request(request).await.expect("an answer").into_body();
        let frame = answer.frame().await.expect("a frame").expect("good");
        (answer, frame)
    };
    let first = open(0).await;
    let before = resident();
    let held: Vec<_> = stream::iter(1..=streams).map(open).buffer_unordered(64).collect().await;
    let each = (resident().saturating_sub(before)) as f64 / streams as f64;
    println!("{streams} open answers of hyper alone: {:.1} KiB each", each / 1024.0);
    drop((first, held));
}

/// The resident set of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the resident set");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kib << 10
}
