//! A second process beside the one that writes.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use leverframe_core::record::Recorder;

use super::sample::Sample;
use crate::{Cursor, Log, Query, Reader, StoreError};

/// Set in the second process: the file.
const OTHER: &str = "LEVERFRAME_TEST_OTHER_PROCESS";
const REQUESTS: u64 = 2_000;

/// The second process: follows the log until it has seen every request.
#[test]
fn other() {
    let Some(path) = std::env::var_os(OTHER) else { return };
    let path = Path::new(&path);
    assert!(matches!(Log::open(path), Err(StoreError::InUse)), "one process writes");
    let reader = Reader::open(path).expect("others may read");
    let (mut after, mut seen) = (Cursor(0), 0);
    while seen < REQUESTS {
        let page = reader.after(&Query::all(), after, 100).expect("reads");
        for record in page.records {
            assert_eq!(record.expect("whole"), Sample::answered(seen).record());
            seen += 1;
        }
        after = page.next.unwrap_or(after);
        std::thread::yield_now();
    }
    let total = reader.total(&Query::all()).expect("adds up");
    assert_eq!(total.requests, REQUESTS);
    println!("saw {seen}");
}

#[test]
fn another_process_may_read_while_one_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let log = Log::open(&path).expect("opens");
    let other = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "tests::processes::other", "--nocapture"])
        .env(OTHER, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    for number in 0..REQUESTS {
        log.record(&Arc::new(Sample::answered(number).record()));
        if number % 100 == 0 {
            log.flush().expect("written");
        }
    }
    log.flush().expect("written");
    let output = other.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("saw 2000"), "{said}");
    // Nobody reads any more.
    log.compact().expect("compacts");
}
