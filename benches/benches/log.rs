//! The log: records a second with all indexes, what handing one over costs,
//! and how fast questions are answered over a million requests.
//!
//! `LOG_REQUESTS` sets how many requests the file of the questions holds
//! (100 000, unless set).

use std::{path::Path, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leverframe_core::{
    lifecycle::{EventKind, State, step},
    record::{Record, Recorder},
    start::Start,
    time::Timestamp,
};
use leverframe_store::{Durability, Log, Query, Settings, WhenFull};
use tokio::time::Instant;

const NOW: u64 = 1_795_000_000_000_000_000;

/// An ordinary streamed request, the `number`th. One in fifty fails.
fn record(number: u64) -> (Arc<Start>, Arc<Record>) {
    let places = [
        ("claude", "claude-sonnet-5", "anthropic"),
        ("gemini", "gemini-3.6-flash", "gemini"),
        ("openai", "gpt-5.4-mini", "open_ai_chat"),
    ];
    let (provider, model, dialect) = places[number as usize % 3];
    let at = NOW + number * 2_000_000;
    let at_millis = at / 1_000_000;
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        at_millis >> 16,
        at_millis & 0xffff,
        mixed & 0xfff,
        mixed >> 52,
        number
    );
    let usage = |input: u64, output: u64| {
        serde_json::json!({"input": {"reported": input}, "cache_read": {"reported": input / 2},
            "cache_write_short": "unknown", "cache_write_long": "unknown", "output": {"reported": output},
            "reasoning": "unknown", "audio_input": "unknown", "audio_output": "unknown"})
    };
    let usage = usage(900 + mixed % 4_000, 40 + mixed % 900);
    let took = 400_000_000 + mixed % 2_000_000_000;
    let failed = number.is_multiple_of(50);
    let failure = failed.then(|| {
        serde_json::json!({"kind": "overloaded", "status": 529, "message": "Overloaded", "retry_after": null})
    });
    let outcome = match failed {
        true => {
            serde_json::json!({"state": "failed", "kind": "overloaded", "code": "server_error", "message": "Overloaded"})
        }
        false => serde_json::json!({"state": "completed", "finish": "stop"}),
    };
    let considered: Vec<_> = (0..)
        .zip(places)
        .map(|(place, (provider, model, _))| {
            serde_json::json!({"provider": provider, "key": "default", "model": model,
                "measure": {"position": place}, "standing": "planned"})
        })
        .collect();
    let end = match failed {
        true => vec![EventKind::RequestFailed, EventKind::Complete],
        false => vec![EventKind::ReceiveStreamChunk, EventKind::StreamComplete, EventKind::Complete],
    };
    let sent = [EventKind::InitiateRequest, EventKind::ValidationPassed, EventKind::SendRequest];
    let value = serde_json::json!({
        "id": id, "model": model, "conversation": format!("conversation-{:x}", mixed >> 47),
        "user": format!("user-{}", mixed % 5_000), "tags": [format!("team-{}", number % 20)],
        "started_at": at, "ended_at": at + took, "outcome": outcome, "usage": usage,
        "choice": {"policy": "priority", "at": at, "considered": considered},
        "attempts": [{"provider": provider, "key": "default", "model": model, "dialect": dialect, "sent": true,
            "started_at": at + 31_000, "first_chunk_at": at + took / 3, "ended_at": at + took,
            "provider_request_id": format!("req_{mixed:016x}{number:08x}"), "usage": usage,
            "cost": {"amount": {"exact": 1_000_000 + mixed % 9_000_000}, "as_of": "2026-11-22"}, "failure": failure}],
        "journal": journal(at, &[&sent[..], &end].concat()),
    });
    let start = serde_json::json!({
        "id": id, "model": model, "conversation": value["conversation"], "user": value["user"],
        "tags": value["tags"], "provider": provider, "key": "default", "route_model": model, "dialect": dialect,
        "sent_at": at + 31_000, "journal": journal(at, &sent),
    });
    let (start, record) = (serde_json::from_value(start), serde_json::from_value(value));
    (Arc::new(start.expect("a start")), Arc::new(record.expect("a record")))
}

fn journal(at: u64, events: &[EventKind]) -> serde_json::Value {
    let mut state = State::IDLE;
    let entries: Vec<_> = (0..)
        .zip(events)
        .map(|(nth, event)| {
            state = step(state, *event).expect("legal");
            let at = at + nth * 9_000;
            serde_json::json!({"event": event, "to": state, "at": at, "times": 1, "last_at": at})
        })
        .collect();
    entries.into()
}

fn open(path: &Path, durability: Durability) -> Log {
    let settings = Settings { durability, when_full: WhenFull::Block, ..Settings::default() };
    Log::open_with(path, settings).expect("opens")
}

/// Bytes this process has had written to disk.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Records a second until they are on disk, each with its start; then what was
/// written for them.
fn throughput(criterion: &mut Criterion) {
    const RECORDS: u64 = 100_000;
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let json: u64 =
        records.iter().map(|(_, record)| serde_json::to_vec(&**record).expect("JSON").len() as u64).sum();
    let mut group = criterion.benchmark_group("log/records");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    for durability in [Durability::Group, Durability::Off] {
        let (mut runs, before) = (0_u64, written());
        let mut size = 0;
        group.bench_function(format!("{durability:?}"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut took = Duration::ZERO;
                for _ in 0..iterations {
                    let folder = tempfile::tempdir().expect("a folder");
                    let path = folder.path().join("log.redb");
                    let log = open(&path, durability);
                    let began = Instant::now();
                    for (start, record) in &records {
                        drop(log.start(start));
                        log.record(record);
                    }
                    log.flush().expect("written");
                    took += began.elapsed();
                    runs += 1;
                    drop(log);
                    size = std::fs::metadata(&path).expect("a file").len();
                }
                took
            });
        });
        let written = (written() - before) as f64 / runs as f64;
        println!(
            "log/records/{durability:?}: {:.0} bytes of JSON, {:.0} written, {:.0} in the file for each; amplification {:.2}",
            json as f64 / RECORDS as f64,
            written / RECORDS as f64,
            size as f64 / RECORDS as f64,
            written / json as f64
        );
    }
    group.finish();
}

/// What the request path pays for handing a record over, one a millisecond or so.
fn hand_over(_: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(&folder.path().join("log.redb"), Durability::Group);
    let records: Vec<_> = (0..5_000).map(record).collect();
    let mut times: Vec<_> = records
        .iter()
        .map(|(_, record)| {
            std::thread::park_timeout(Duration::from_micros(200));
            let began = Instant::now();
            log.record(record);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("log/hand_over: median {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0));
}

/// The most memory this process has had since it was last asked, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let _ = std::fs::write("/proc/self/clear_refs", "5"); // begins anew, on Linux
    kib.unwrap_or(0) >> 10
}

/// Questions over a large file.
fn questions(criterion: &mut Criterion) {
    let requests = std::env::var("LOG_REQUESTS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    peak();
    let before = peak();
    let log = open(&path, Durability::Group);
    for number in 0..requests {
        log.record(&record(number).1);
    }
    log.flush().expect("written");
    let size = std::fs::metadata(&path).expect("a file").len();
    println!("log/questions: {requests} requests in {:.0} MiB", size as f64 / (1 << 20) as f64);
    let (_, some) = record(requests / 3);
    let now = Timestamp::from_unix_nanos(NOW + requests * 2_000_000 + 3_000_000_000);
    let hour_ago = Timestamp::from_unix_nanos(NOW);
    let name = |name: &Option<String>| name.clone().expect("named");
    let asked = [
        ("request", Query::all().request(some.id)),
        ("conversation", Query::all().conversation(name(&some.conversation))),
        ("user", Query::all().user(name(&some.user))),
        ("tag", Query::all().tag(some.tags[0].clone())),
        ("provider", Query::all().provider("claude")),
        ("model", Query::all().model("gpt-5.4-mini")),
        ("state", Query::all().state(leverframe_store::State::Failed)),
        ("provider and state", Query::all().provider("claude").state(leverframe_store::State::Failed)),
        ("time", Query::all().since(hour_ago).until(Timestamp::from_unix_nanos(NOW + 60_000_000_000))),
        ("all", Query::all()),
    ];
    let mut group = criterion.benchmark_group("log/last 50 by");
    for (by, query) in asked {
        group.bench_function(by, |bencher| {
            bencher.iter(|| log.reader().newest(&query, None, 50).expect("reads"))
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("log/view");
    group.bench_function("success", |bencher| {
        bencher.iter(|| log.reader().success_rates(now).expect("reads"))
    });
    group.bench_function("hourly", |bencher| bencher.iter(|| log.reader().hourly(now).expect("reads")));
    group.bench_function("failed", |bencher| bencher.iter(|| log.reader().failed(None, 50).expect("reads")));
    group.finish();
    println!("log/memory: {} MiB at most, {before} before the log was opened", peak());
    drop(log);
    let began = Instant::now();
    drop(open(&path, Durability::Group));
    println!("log/open: {:?}", began.elapsed());
}

criterion_group!(benches, throughput, hand_over, questions);
criterion_main!(benches);
