//! What is too old or too much goes, and nothing else.

use std::{sync::Arc, time::Duration};

use leverframe_core::{
    bodies::{Bodies, Captured},
    record::Recorder,
    time::{Clock, Timestamp},
};
use proptest::prelude::*;
use redb::{ReadableTable, ReadableTableMetadata};

use super::sample::{DAY, Sample};
use crate::{Log, Period, Query, Retention, Settings, schema};

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn sample(number: u64) -> Sample {
    Sample { ended: MINUTE * u32::try_from(number).expect("few"), ..Sample::answered(number) }
}

/// Requests that ended a minute apart, in groups, and what they sent.
fn write(log: &Log, requests: u64, group: u64) {
    for number in 0..requests {
        let record = sample(number).record();
        let request = Captured { bytes: vec![b'x'; 500], length: 500 };
        let response = Captured { bytes: number.to_be_bytes().to_vec(), length: 9_000 };
        log.bodies(&Arc::new(Bodies {
            id: record.id,
            attempt: record.attempts[0].started_at,
            request,
            response,
        }));
        log.record(&Arc::new(record));
        if number % group == 0 {
            log.flush().expect("written");
        }
    }
    log.flush().expect("written");
}

fn numbers(log: &Log, query: &Query) -> Vec<u64> {
    let page = log.reader().newest(query, None, usize::MAX).expect("reads");
    let number =
        |record: leverframe_core::record::Record| record.ended_at.since(DAY).as_secs() / MINUTE.as_secs();
    page.records.into_iter().map(|record| number(record.expect("whole"))).collect()
}

/// Entries of the tables that rows leave behind.
fn left(log: &Log) -> [u64; 4] {
    let transaction = log.file.begin_read().expect("reads");
    [
        transaction.open_table(schema::ROWS).expect("there").len().expect("reads"),
        transaction.open_table(schema::RUNS).expect("there").len().expect("reads"),
        transaction.open_table(schema::POSTINGS).expect("there").len().expect("reads"),
        transaction.open_table(schema::TIMES).expect("there").len().expect("reads"),
    ]
}

fn count(log: &Log, name: &str) -> u64 {
    let meta = log.file.begin_read().expect("reads").open_table(schema::META).expect("there");
    meta.get(name).expect("reads").map_or(0, |count| count.value())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_old_goes_and_the_rest_is_found_as_before(
        requests in 1_u64..400,
        group in 1_u64..60,
        now in 0_u64..500,
        age in 0_u64..300,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let retention = Retention {
            requests: Some(MINUTE * u32::try_from(age).expect("few")),
            minutes: MINUTE * 30,
            ..Retention::FOREVER
        };
        let now = DAY + MINUTE * u32::try_from(now).expect("few");
        let settings = Settings { retention, ..Settings::default() };
        let log = Log::open_at(folder.path().join("log.redb"), settings, Arc::new(At(now))).expect("opens");
        write(&log, requests, group);
        let before = log.reader().total(&Query::all()).expect("adds up");
        let hours = log.reader().rollups(Period::Hour, DAY, Timestamp::MAX).expect("reads");
        log.compact().expect("compacts");
        let cutoff = Timestamp::from_unix_nanos(now.unix_nanos() - MINUTE.as_nanos() as u64 * age);
        let kept: Vec<u64> = (0..requests).rev().filter(|n| DAY + MINUTE * (*n as u32) >= cutoff).collect();
        prop_assert_eq!(numbers(&log, &Query::all()), kept.clone());
        let of_user: Vec<u64> = kept.iter().copied().filter(|number| number % 20 == 3).collect();
        prop_assert_eq!(numbers(&log, &Query::all().user("user-3")), of_user);
        let last: Vec<u64> = kept.iter().copied().filter(|number| *number >= requests / 2).collect();
        let since = DAY + MINUTE * u32::try_from(requests / 2).expect("few");
        prop_assert_eq!(numbers(&log, &Query::all().since(since)), last);
        // What was counted stays counted, by the hour and the day.
        prop_assert_eq!(log.reader().rollups(Period::Hour, DAY, Timestamp::MAX).expect("reads"), hours);
        let half_an_hour_ago = Timestamp::from_unix_nanos(now.unix_nanos() - MINUTE.as_nanos() as u64 * 30);
        let minutes = log.reader().rollups(Period::Minute, DAY, Timestamp::MAX).expect("reads");
        prop_assert!(minutes.iter().all(|minute| minute.start >= Period::Minute.start(half_an_hour_ago)));
        prop_assert_eq!(before.requests, requests);
        match kept.is_empty() {
            true => prop_assert_eq!(left(&log), [0; 4]),
            false => prop_assert_eq!(left(&log)[0], kept.len() as u64),
        }
        // It goes on as a log does.
        log.record(&Arc::new(sample(9_999).record()));
        log.flush().expect("written");
        prop_assert_eq!(numbers(&log, &Query::all())[0], 9_999);
    }

    #[test]
    fn what_is_too_much_goes_bodies_first(requests in 1_u64..300, most in 1_000_u64..400_000) {
        let folder = tempfile::tempdir().expect("a folder");
        let retention = Retention { bytes: Some(most), ..Retention::FOREVER };
        let settings = Settings { retention, ..Settings::default() };
        let path = folder.path().join("log.redb");
        let log = Log::open_at(&path, settings, Arc::new(At(DAY))).expect("opens");
        write(&log, requests, 40);
        let stored = count(&log, schema::ROW_BYTES);
        log.compact().expect("compacts");
        let kept = numbers(&log, &Query::all());
        let expected: Vec<u64> = (0..requests).rev().take(kept.len()).collect();
        prop_assert_eq!(&kept, &expected, "the newest");
        let (rows, bodies) = (count(&log, schema::ROW_BYTES), count(&log, schema::BODY_BYTES));
        prop_assert!(rows + bodies <= most, "{rows} and {bodies}");
        // No request goes while there is a body that could.
        prop_assert!(rows == stored || bodies == 0, "{rows} of {stored}, {bodies} of bodies");
        let transaction = log.file.begin_read().expect("reads");
        let table = transaction.open_table(schema::ROWS).expect("there");
        let sum: u64 = table.iter().expect("reads").map(|row| row.expect("reads").1.value().len() as u64).sum();
        prop_assert_eq!(sum, rows, "it is counted right");
    }
}

#[test]
fn bodies_go_sooner_than_requests_and_the_file_gets_smaller() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    // Ids tell when a request was made: all of them at the beginning of the day.
    let retention = Retention { bodies: Some(MINUTE), ..Retention::FOREVER };
    let settings = Settings { retention, ..Settings::default() };
    let log = Log::open_at(&path, settings, Arc::new(At(DAY + MINUTE))).expect("opens");
    write(&log, 3_000, 500);
    log.compact().expect("compacts");
    assert_eq!(log.reader().bodies(sample(7).id()).expect("reads").len(), 1, "not old yet");
    drop(log);
    let log = Log::open_at(&path, settings, Arc::new(At(DAY + MINUTE * 2))).expect("opens");
    let before = std::fs::metadata(&path).expect("a file").len();
    log.compact().expect("compacts");
    assert!(log.reader().bodies(sample(7).id()).expect("reads").is_empty());
    assert_eq!(numbers(&log, &Query::all()).len(), 3_000);
    assert_eq!(log.health().retired, 6_000, "a question and an answer each");
    assert_eq!(count(&log, schema::BODY_BYTES), 0);
    let after = std::fs::metadata(&path).expect("a file").len();
    assert!(after < before, "{before} to {after}");
}
