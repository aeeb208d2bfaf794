//! A file that is damaged, or cannot be written to: an error, never a panic,
//! and serving goes on.

use std::{path::Path, sync::Arc};

use leverframe_core::record::Recorder;
use proptest::prelude::*;

use super::{
    disk::{Disk, Fault},
    sample::{DAY, Sample},
};
use crate::{Durability, Log, Period, Query, Reader, Settings, State, StoreError, WhenFull};

fn write(path: &Path, requests: u64) {
    let log = Log::open(path).expect("opens");
    for number in 0..requests {
        log.record(&Arc::new(Sample::answered(number).record()));
        if number % 64 == 0 {
            log.flush().expect("written");
        }
    }
    log.start(&Arc::new(Sample::answered(requests).start()));
}

/// Asks everything there is to ask. Every answer is right or an error.
fn ask(reader: &Reader) {
    let _ = reader.end();
    let _ = reader.out(9);
    let _ = reader.newest(&Query::all(), None, 1_000);
    let _ = reader.newest(&Query::all().state(State::Completed).user("user-3"), None, 1_000);
    let _ = reader.get(Sample::answered(5).id());
    let _ = reader.total(&Query::all().since(DAY));
    let _ = reader.rollups(Period::Hour, DAY, leverframe_core::time::Timestamp::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1_usize..64), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.redb");
        write(&path, 200);
        let mut bytes = std::fs::read(&path).expect("reads");
        for (place, byte, length) in damage {
            let place = place.index(bytes.len());
            bytes.iter_mut().skip(place).take(length).for_each(|old| *old = byte);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, bytes).expect("writes");
        if let Ok(reader) = Reader::open(&path) {
            ask(&reader);
        }
        if let Ok(log) = Log::open(&path) {
            ask(log.reader());
            log.record(&Arc::new(Sample::answered(777).record()));
            // It is in the file, or the log says that it is not.
            if log.flush().is_err() {
                prop_assert!(log.health().failing);
            }
        }
    }
}

/// What was kept while the disk failed is written when it is mended, without a
/// word from anyone, and the rest is counted.
#[test]
fn a_disk_that_fails_never_holds_up_or_fails_a_request() {
    for fault in [Fault::Full(0), Fault::ReadOnly] {
        let disk = Disk::default();
        let settings = Settings { when_full: WhenFull::Block, queue: 64, ..Settings::default() };
        let log = disk.open(settings).expect("opens");
        log.record(&Arc::new(Sample::answered(1).record()));
        log.flush().expect("written");
        disk.set(fault);
        // More than the queue and a group hold: what does not fit is dropped and counted.
        for number in 2..3_000 {
            log.record(&Arc::new(Sample::answered(number).record()));
        }
        let error = log.flush().expect_err("not written");
        assert!(matches!(error, StoreError::Lost { .. }), "{error}");
        let health = log.health();
        assert!(health.failing && health.shed > 0, "{health:?}");
        let problem = health.problem.expect("it says why");
        assert!(problem.contains("no storage space") || problem.contains("read-only"), "{problem}");
        disk.set(Fault::None);
        while log.health().failing || log.health().waiting > 0 {
            std::thread::yield_now();
        }
        assert!(log.reader().get(Sample::answered(1).id()).expect("reads").is_some());
        log.record(&Arc::new(Sample::answered(5_000).record()));
        let _ = log.flush(); // says how many were lost before
        let health = log.health();
        let page = log.reader().newest(&Query::all(), None, usize::MAX).expect("reads");
        assert_eq!(page.records.len() as u64, health.written);
        assert_eq!(health.written + health.shed, 3_000);
    }
}

#[test]
fn a_disk_that_grows_full_while_a_request_is_served_loses_what_it_says() {
    let disk = Disk::default();
    let log = disk.open(Settings { queue: 64, ..Settings::default() }).expect("opens");
    disk.set(Fault::Full(disk.len() + 100_000));
    let mut recorded = 0;
    while !log.health().failing {
        log.record(&Arc::new(Sample::answered(recorded).record()));
        recorded += 1;
        std::thread::yield_now();
    }
    drop(log);
    disk.set(Fault::None);
    let log = disk.open(Settings::default()).expect("opens");
    let kept = log.reader().total(&Query::all()).expect("reads").requests;
    assert!(kept > 0 && kept < recorded, "{kept} of {recorded}");
}

#[test]
fn with_strict_durability_a_failing_disk_holds_requests_back() {
    let disk = Disk::default();
    let log = disk.open(Settings { durability: Durability::Strict, ..Settings::default() }).expect("opens");
    disk.set(Fault::ReadOnly);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let hold = log.start(&Arc::new(Sample::answered(1).start())).expect("strict");
    let refused = runtime.block_on(hold).expect_err("not written");
    assert!(refused.to_string().contains("disk"), "{refused}");
}

/// A disk that takes for ever to make something safe.
#[test]
fn a_disk_that_hangs_holds_up_neither_requests_nor_the_end_of_the_process() {
    let disk = Disk::default();
    let close_within = std::time::Duration::from_millis(20);
    let log = disk.open(Settings { queue: 64, close_within, ..Settings::default() }).expect("opens");
    disk.set(Fault::Hangs);
    for number in 0..3_000 {
        log.record(&Arc::new(Sample::answered(number).record()));
    }
    let health = log.health();
    assert!(health.waiting > 0 && health.shed > 0, "that is visible: {health:?}");
    drop(log); // does not wait for the disk
    disk.set(Fault::None);
}

#[test]
fn a_disk_that_cannot_be_written_to_is_an_error_when_the_log_is_opened() {
    let disk = Disk::default();
    drop(disk.open(Settings::default()).expect("opens"));
    disk.set(Fault::ReadOnly);
    let error = disk.open(Settings::default()).expect_err("read-only");
    assert!(
        matches!(error, StoreError::Open(_)) && error.to_string().contains("can be written to"),
        "{error}"
    );
}
