//! The log keeps what it is handed, over restarts, and says so when it cannot.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers as well")]

use std::{path::Path, sync::Arc, time::Duration};

use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::AttemptBudget,
    lifecycle::{InitiateRequest, Lifecycle, On, Plan, RequestFailed, Route},
    model::{Dialect, ProviderName, Request, RequestId},
    record::{Desk, Record, Recorder},
    time::{Clock, Timestamp},
};
use leverframe_store::{Log, Query, Reader, StoreError};
use redb::{Database, TableDefinition};

const REQUESTS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("requests");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn second(n: u64) -> Timestamp {
    Timestamp::EPOCH + Duration::from_secs(n)
}

/// The record of a request that failed at second `n`, by way of a real lifecycle.
fn record(n: u64) -> Arc<Record> {
    let route = Route {
        provider: ProviderName::new("claude").expect("a name"),
        key: Default::default(),
        dialect: Dialect::Anthropic,
        model: "m".to_owned(),
    };
    let mut plan = Plan::new([Arc::new(route)], AttemptBudget::new(1));
    let id = RequestId::new(second(n), [7; 10]);
    let desk = Arc::new(Desk::new(Arc::new(At(second(n))), Vec::new()));
    let request = Arc::new(Request::new("m").user("hi"));
    let route = plan.next().expect("one route, one attempt");
    let failure = Failure::new(ErrorKind::Server, "boom");
    let failed = Lifecycle::new(id, desk)
        .on(InitiateRequest { request, route, at: second(n) })
        .on(RequestFailed { failure, at: second(n) });
    let (_, _, record) = failed.finish(second(n + 1));
    record
}

fn open(path: &Path) -> Log {
    Log::open(path).expect("opens")
}

#[test]
fn what_was_recorded_is_there_after_a_restart_newest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let records: Vec<_> = (0..500).map(record).collect();
    let log = open(&path);
    records.iter().for_each(|record| log.record(record));
    drop(log); // writes what is queued
    let log = open(&path);
    let newest: Vec<_> = log
        .reader()
        .newest(&Query::all(), None, 3)
        .expect("reads")
        .records
        .into_iter()
        .map(|record| record.expect("whole"))
        .collect();
    let expected: Vec<Record> = records.iter().rev().take(3).map(|record| Record::clone(record)).collect();
    assert_eq!(newest, expected);
    assert_eq!(log.reader().get(records[0].id).expect("reads").as_ref(), Some(records[0].as_ref()));
    assert_eq!(log.reader().get(RequestId::from_bytes([0; 16])).expect("reads"), None);
    assert_eq!(
        (
            log.reader().newest(&Query::all(), None, usize::MAX).expect("reads").records.len(),
            log.health().shed,
            log.health().failed
        ),
        (500, 0, 0)
    );
}

#[test]
fn a_flushed_record_can_be_read_while_the_log_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(&folder.path().join("log.redb"));
    assert!(log.reader().newest(&Query::all(), None, 9).expect("reads").records.is_empty());
    log.record(&record(1));
    log.flush().expect("the writer is there");
    assert_eq!(log.reader().newest(&Query::all(), None, 9).expect("reads").records.len(), 1);
}

/// A file as version 1 wrote it.
fn version_1(path: &Path, rows: &[(RequestId, String)]) {
    let database = Database::create(path).expect("opens");
    let write = database.begin_write().expect("begins");
    write.open_table(META).expect("the table").insert("schema_version", 1).expect("inserts");
    let mut table = write.open_table(REQUESTS).expect("the table");
    for (id, json) in rows {
        table.insert(id.as_bytes(), json.as_bytes()).expect("inserts");
    }
    drop(table);
    write.commit().expect("commits");
}

#[test]
fn a_file_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let records: Vec<_> = (0..3_000).map(record).collect();
    let json = |record: &Arc<Record>| (record.id, serde_json::to_string(&**record).expect("JSON"));
    version_1(&path, &records.iter().map(json).collect::<Vec<_>>());
    assert!(matches!(Reader::open(&path), Err(StoreError::Outdated { found: 1 })), "not changed by reading");
    let log = open(&path);
    for record in &records {
        assert_eq!(log.reader().get(record.id).expect("reads").as_ref(), Some(&**record));
    }
    let all = log.reader().newest(&Query::all(), None, usize::MAX).expect("reads");
    assert_eq!(all.records.len(), 3_000);
    assert_eq!(log.reader().total(&Query::all()).expect("adds up").requests, 3_000);
}

#[test]
fn a_journal_that_cannot_have_happened_is_reported_and_what_is_not_readable_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = record(1);
    let json = serde_json::to_string(record.as_ref()).expect("JSON");
    let cases = [
        (json.replace("request_failed", "stream_complete"), "corrupt"),
        (json.replace("\"times\":1", "\"times\":0"), "corrupt"),
        (json.replace("journal", "jurnal"), "readable"),
        (String::new(), "readable"),
    ];
    for (number, (json, says)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.redb"));
        version_1(&path, &[(record.id, json)]);
        let log = open(&path);
        let page = log.reader().newest(&Query::all(), None, 9).expect("reads");
        let [Err(error)] = page.records.as_slice() else { panic!("{page:?}") };
        assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Unreadable { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_file_of_another_version_or_no_file_of_ours_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    drop(open(&path));
    let database = Database::create(&path).expect("opens");
    let write = database.begin_write().expect("begins");
    write.open_table(META).expect("the table").insert("schema_version", 99).expect("inserts");
    write.commit().expect("commits");
    drop(database);
    assert!(matches!(Log::open(&path), Err(StoreError::Version { found: 99, .. })));

    let foreign = folder.path().join("foreign.redb");
    let database = Database::create(&foreign).expect("opens");
    let write = database.begin_write().expect("begins");
    write.open_table(TableDefinition::<u64, u64>::new("theirs")).expect("the table");
    write.commit().expect("commits");
    drop(database);
    assert!(matches!(Log::open(&foreign), Err(StoreError::NotALog)));

    let other = folder.path().join("text");
    std::fs::write(&other, "hello").expect("writes");
    assert!(matches!(Log::open(&other), Err(StoreError::Open(_))));
    assert!(matches!(Log::open(folder.path().join("no/such/folder")), Err(StoreError::Open(_))));
}

#[test]
fn a_file_that_is_in_use_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let _held = open(&path);
    let error = Log::open(&path).expect_err("in use");
    assert!(matches!(error, StoreError::InUse), "{error:?}");
    // In a process of its own a second one may read; within this one it is the same file.
    assert!(error.to_string().contains("Reader::open"), "{error}");
}
