//! What is on a disk whose power goes, at every point at which something was
//! made safe.

use std::{collections::BTreeSet, sync::Arc};

use leverframe_core::{guard::Memory, record::Recorder};

use super::{
    disk::{Disk, Event, replay},
    sample::Sample,
};
use crate::{Durability, Log, Query, Settings, State};

/// What the log was told is safe, and how much had happened to the disk by then.
#[derive(Debug)]
struct Promise {
    by: usize,
    number: u64,
    /// Whether it is over, or only sent.
    settled: bool,
}

fn strict() -> Settings {
    Settings { durability: Durability::Strict, ..Settings::default() }
}

/// A log in use, in all the ways in which it writes.
fn work(disk: &Disk) -> Vec<Promise> {
    let log = disk.open(strict()).expect("opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut promises, mut recorded) = (Vec::new(), Vec::new());
    for number in 0..90 {
        let sample = Sample::answered(number);
        let hold = log.start(&Arc::new(sample.start())).expect("strict");
        runtime.block_on(hold).expect("written");
        promises.push(Promise { by: disk.happened(), number, settled: false });
        if number % 3 != 0 {
            log.record(&Arc::new(sample.record()));
            recorded.push(number);
        }
        if number % 20 == 7 {
            log.note(Memory { at: sample.record().ended_at, guards: Vec::new() });
        }
        if number % 4 == 1 {
            log.flush().expect("written");
            let by = disk.happened();
            promises.extend(recorded.drain(..).map(|number| Promise { by, number, settled: true }));
        }
        if number == 60 {
            log.compact().expect("compacts");
        }
    }
    promises
}

#[test]
fn nothing_that_was_promised_is_lost_at_whatever_sync_the_power_goes() {
    let disk = Disk::default();
    let promises = work(&disk);
    let events = disk.events();
    let syncs: Vec<usize> = (0..events.len()).filter(|place| matches!(events[*place], Event::Sync)).collect();
    assert!(syncs.len() > 90, "{}", syncs.len());
    let mut rng = fastrand::Rng::with_seed(11);
    let mut safe = Vec::new();
    let mut done = 0;
    for (nth, &sync) in syncs.iter().enumerate() {
        events[done..=sync].iter().for_each(|event| replay(&mut safe, event));
        done = sync + 1;
        let next = syncs.get(nth + 1).copied().unwrap_or(events.len());
        // Before the file was made there is nothing to keep.
        let promised: Vec<&Promise> = promises.iter().filter(|promise| promise.by <= next).collect();
        if promised.is_empty() {
            continue;
        }
        // What came after may have reached the disk whole, in part, or not at all.
        let after = &events[done..next];
        for share in [0, 50, 100] {
            let mut bytes = safe.clone();
            for event in after {
                match event {
                    _ if rng.u32(0..100) >= share => {}
                    Event::Write(at, data) if share < 100 => {
                        let torn = data[..rng.usize(0..=data.len())].to_vec();
                        replay(&mut bytes, &Event::Write(*at, torn));
                    }
                    whole => replay(&mut bytes, whole),
                }
            }
            let log = Disk::holding(bytes).open(strict());
            let log = log.unwrap_or_else(|error| panic!("after sync {nth}, {share} %: {error}"));
            check(&log, &promised, nth);
        }
    }
    println!("the power went at {} syncs, in three ways each", syncs.len());
}

fn check(log: &Log, promised: &[&Promise], nth: usize) {
    assert!(log.recovery().corrupt.is_empty());
    assert!(log.reader().out(1).expect("reads").is_empty());
    let page = log.reader().newest(&Query::all(), None, usize::MAX).expect("reads");
    let records: Vec<_> = page.records.into_iter().map(|record| record.expect("whole")).collect();
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len(), "settled twice");
    for promise in promised {
        let id = Sample::answered(promise.number).id();
        let record = log.reader().get(id).expect("reads");
        let record = record.unwrap_or_else(|| panic!("{promise:?} is lost after sync {nth}"));
        assert!(!promise.settled || State::of(&record) == State::Completed, "{promise:?}, after sync {nth}");
    }
    let total = log.reader().total(&Query::all()).expect("adds up");
    let day = log.reader().success_rates(records[0].ended_at).expect("reads");
    assert_eq!(total.requests, ids.len() as u64);
    assert_eq!(day.iter().map(|placed| placed.rollup.requests).sum::<u64>(), total.requests);
}
