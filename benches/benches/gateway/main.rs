//! The gateway, with its log on, beside haproxy as a plain reverse proxy.
//!
//! `make bench-gateway`. Each is a process of its own on one core; the upstream
//! and the load are this process, on another. They take turns, and what counts
//! are the ratios: the machine's own speed changes from minute to minute.

mod load;
mod process;
mod upstream;

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;

use load::{Connection, Request};
use process::Process;

/// How long each turn under load takes.
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 3;
/// Connections that ask without a pause.
const CONNECTIONS: usize = 64;
/// Streams that are open at once, to see what one holds.
const OPEN: usize = 1_000;
/// Rounds of one request at each, 100 a second.
const ROUNDS: usize = 500;

fn main() {
    let Ok(binary) = std::env::var("LEVERFRAME_BIN") else {
        println!("Not measured: LEVERFRAME_BIN does not name the gateway. Use make bench-gateway.");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&binary));
}

async fn measure(binary: &str) {
    let upstream = upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (gateway, ready) = Process::gateway(binary, folder.path(), upstream).await;
    println!("The gateway is ready {:.1} ms after it was started (target 50).", millis(ready));
    println!("Idle it holds {:.1} MiB (target 16).", mebibytes(gateway.resident()));
    let haproxy = Process::haproxy(folder.path(), upstream).await;

    let whole = Request::chat("a question", false);
    let streamed = Request::chat("a question", true);
    println!("\nRequests, answered whole:");
    let (ours, theirs) = in_turns(&gateway, &haproxy, &whole, &whole, 1.0).await;
    report("requests/s", &ours, &theirs, 0.4);
    println!("\nStreams of {} chunks, same dialect:", upstream::CHUNKS);
    let chunks = upstream::CHUNKS as f64;
    let (ours, theirs) = in_turns(&gateway, &haproxy, &streamed, &streamed, chunks).await;
    report("chunks/s", &ours, &theirs, 0.2);
    println!("\nThe same, translated to Anthropic's dialect:");
    let translated = Request::messages("a question");
    let (ours, theirs) = in_turns(&gateway, &haproxy, &translated, &streamed, chunks).await;
    report("chunks/s", &ours, &theirs, 0.08);

    latencies("An answer, at 100 a second", &whole, [upstream, haproxy.address, gateway.address], false)
        .await;
    latencies("The first chunk", &streamed, [upstream, haproxy.address, gateway.address], true).await;
    open_streams(&gateway).await;
    println!("\nAfterwards the gateway holds {:.1} MiB.", mebibytes(gateway.resident()));
}

/// What one turn came to.
struct Turn {
    /// Requests or chunks in a second.
    rate: f64,
    /// Microseconds of CPU for each.
    cpu: f64,
}

async fn in_turns(
    gateway: &Process,
    haproxy: &Process,
    ours: &Request,
    theirs: &Request,
    each: f64,
) -> (Vec<Turn>, Vec<Turn>) {
    let mut turns = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        turns.0.push(turn(gateway, ours, each).await);
        turns.1.push(turn(haproxy, theirs, each).await);
    }
    turns
}

async fn turn(process: &Process, request: &Request, each: f64) -> Turn {
    // Connections and whatever is made at first use.
    load::run(process.address, request, CONNECTIONS, Duration::from_millis(300)).await;
    let (before, began) = (process.cpu(), Instant::now());
    let answered = load::run(process.address, request, CONNECTIONS, TURN).await;
    let (cpu, took) = (process.cpu() - before, began.elapsed());
    let units = answered as f64 * each;
    Turn { rate: units / took.as_secs_f64(), cpu: cpu.as_secs_f64() * 1e6 / units }
}

fn report(unit: &str, ours: &[Turn], theirs: &[Turn], target: f64) {
    for (name, turns) in [("leverframe", ours), ("haproxy", theirs)] {
        let rate = median(turns.iter().map(|turn| turn.rate).collect());
        let cpu = median(turns.iter().map(|turn| turn.cpu).collect());
        println!("  {name:<12} {rate:>10.0} {unit}, {cpu:.2} us of CPU each");
    }
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    println!("  ratio        {:>10.3} (target {target})", median(ratios));
}

/// One request at a time at each of them in turn: straight, through haproxy,
/// through the gateway.
async fn latencies(what: &str, request: &Request, addresses: [SocketAddr; 3], first: bool) {
    let mut connections = Vec::new();
    for address in addresses {
        connections.push(Connection::open(address).await);
    }
    let mut took: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let next = Instant::now() + Duration::from_millis(10);
        for (connection, took) in connections.iter_mut().zip(&mut took) {
            let answer = connection.ask(request).await;
            took.push(millis(if first { answer.first } else { answer.whole }));
        }
        tokio::time::sleep_until(next).await;
    }
    println!("\n{what}, in ms:");
    for (name, took) in ["straight", "haproxy", "leverframe"].into_iter().zip(&mut took) {
        took.sort_by(f64::total_cmp);
        println!("  {name:<12} median {:.3}, p99 {:.3}", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
    }
    let more = |at: usize| took[2][at] - took[1][at];
    let (median, p99) = (more(ROUNDS / 2), more(ROUNDS * 99 / 100));
    match first {
        true => println!("  more than haproxy: median {median:.3} (target 0.25), p99 {p99:.3}"),
        false => {
            println!("  more than haproxy: median {median:.3} (target 0.10), p99 {p99:.3} (target 0.25)")
        }
    }
}

async fn open_streams(gateway: &Process) {
    let before = gateway.resident();
    let request = Request::chat(upstream::HOLD, true);
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let mut connection = Connection::open(gateway.address).await;
        connection.begin(&request).await;
        open.push(connection);
    }
    let each = gateway.resident().saturating_sub(before) as f64 / OPEN as f64;
    println!("\nEach of {OPEN} open streams holds {:.1} KiB (target 32).", each / 1024.0);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
