//! What a killed process leaves behind.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use leverframe_core::record::Recorder;
use tokio::time::Instant;

use super::sample::Sample;
use crate::{Durability, Log, Query, Reader, Settings, State, StoreError};

/// Set in the process that is killed: the file it writes to.
const VICTIM: &str = "LEVERFRAME_TEST_VICTIM";
/// How often it is killed.
const KILLS: &str = "LEVERFRAME_TEST_KILLS";

/// The process that is killed. Says what it was told is on disk, line by line.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let settings = Settings { durability: Durability::Strict, ..Settings::default() };
    let log = Log::open_with(Path::new(&path), settings).expect("opens");
    let first = log.reader().end().expect("reads").0 * 10;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for number in first.. {
        let sample = Sample::answered(number);
        let hold = log.start(&Arc::new(sample.start())).expect("strict");
        runtime.block_on(hold).expect("written");
        println!("started {number}");
        // One in three is still out when the next ones are over.
        if number % 3 == 0 {
            continue;
        }
        log.record(&Arc::new(sample.record()));
        if number % 5 == 0 {
            log.flush().expect("written");
            println!("flushed {number}");
        }
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_settled_twice() {
    let kills: u32 = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(25);
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = fastrand::Rng::with_seed(7);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let path = folder.path().join(format!("{}.redb", kill / 20));
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "tests::crash::victim", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
        let mut last = HashMap::new();
        let mut numbers = Vec::new();
        let enough = rng.usize(1..120);
        let mut killed = false;
        for line in lines {
            let Ok(line) = line else { break };
            // The test's own first line may stand before it.
            let Some(place) = line.find("started ").or_else(|| line.find("flushed ")) else { continue };
            let mut words = line[place..].split(' ');
            let (Some(word), Some(Ok(number))) = (words.next(), words.next().map(str::parse::<u64>)) else {
                continue; // cut in the middle
            };
            if word == "started" {
                numbers.push(number);
            }
            last.insert(word.to_owned(), number);
            if !killed && numbers.len() >= enough {
                victim.kill().expect("killed"); // what it had written until then is still read
                killed = true;
            }
        }
        victim.wait().expect("ended");
        let read_only = Reader::open(&path).err();
        assert!(matches!(read_only, None | Some(StoreError::Unclosed)), "{read_only:?}");
        let began = Instant::now();
        let log = Log::open(&path).expect("opens");
        slowest = slowest.max(began.elapsed());
        check(&log, &numbers, last.get("flushed").copied());
    }
    println!("{kills} kills; the slowest file opened in {slowest:?}");
}

fn check(log: &Log, started: &[u64], flushed: Option<u64>) {
    assert!(log.recovery().corrupt.is_empty());
    for &number in started {
        let record = log.reader().get(Sample::answered(number).id()).expect("reads");
        let record = record.unwrap_or_else(|| panic!("{number} was started and is not accounted for"));
        let settled = flushed.is_some_and(|flushed| number <= flushed) && number % 3 != 0;
        assert!(!settled || State::of(&record) == State::Completed, "{number} was settled");
    }
    let page = log.reader().newest(&Query::all(), None, usize::MAX).expect("reads");
    let mut ids: Vec<_> = page.records.iter().map(|record| record.as_ref().expect("whole").id).collect();
    let rows = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(rows, ids.len(), "settled twice");
    assert!(log.reader().out(1).expect("reads").is_empty());
    let total = log.reader().total(&Query::all()).expect("adds up");
    assert_eq!(usize::try_from(total.requests).expect("few"), rows);
}
