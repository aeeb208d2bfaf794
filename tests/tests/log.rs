//! The log of a router over real sockets: what was sent is in the file, however
//! it ends.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::StreamExt;
use leverframe_emulator::{Fault, Step};
use leverframe_router::{
    BreakerConfig, BreakerState, ErrorKind, Hold, Limits, Memory, NotRecorded, Record, Recorder, Start,
    store::{Durability, Log, Query, Reader, Settings, State},
};
use leverframe_tests::{World, ask};

const NAMES: [&str; 3] = ["claude", "gemini", "openai"];

fn open(path: &Path, durability: Durability) -> Arc<Log> {
    let settings = Settings { durability, ..Settings::default() };
    Arc::new(Log::open_with(path, settings).expect("opens"))
}

fn all(reader: &Reader, query: &Query) -> Vec<Record> {
    let page = reader.newest(query, None, 100).expect("reads");
    page.records.into_iter().map(|record| record.expect("whole")).collect()
}

#[tokio::test]
async fn every_request_is_in_the_file_as_it_was_recorded() {
    for durability in [Durability::Strict, Durability::Group, Durability::Off] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.redb");
        let log = open(&path, durability);
        let world = World::with(&NAMES, |builder| builder.log(Arc::clone(&log))).await;
        world.always("openai", Step::fault(Fault::InvalidRequest));
        let asked = |name| ask(name).conversation("c-1").tag("night");
        world.router.send(asked("claude")).await.expect("answered");
        world.router.stream(asked("gemini")).await.expect("begins").collect().await.expect("answered");
        world.router.send(asked("openai")).await.expect_err("refused");
        log.flush().expect("written");
        let mut expected: Vec<Record> =
            world.records.all().iter().map(|record| Record::clone(record)).collect();
        expected.reverse();
        assert_eq!(all(log.reader(), &Query::all()), expected, "{durability:?}");
        assert_eq!(all(log.reader(), &Query::all().conversation("c-1").tag("night")).len(), 3);
        assert_eq!(all(log.reader(), &Query::all().provider("claude").state(State::Completed)).len(), 1);
        let failed = log.reader().failed(None, 9).expect("reads").records;
        assert_eq!(failed.len(), 1);
        assert!(log.reader().out(9).expect("reads").is_empty());
        let health = log.health();
        assert_eq!((health.written, health.shed, health.failed, health.failing), (3, 0, 0, false));
    }
}

/// Looks into the file, through the log's reader, while the provider has the
/// request.
#[tokio::test]
async fn with_strict_durability_what_reached_a_provider_is_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(&folder.path().join("log.redb"), Durability::Strict);
    let world = World::with(&["claude"], |builder| builder.log(Arc::clone(&log))).await;
    world.always("claude", Step::ok().stall_after(2));
    let mut stream = world.router.stream(ask("claude").conversation("c-1")).await.expect("begins");
    stream.next().await.expect("an event").expect("good");
    let out = log.reader().out(9).expect("reads");
    let [start] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!((start.provider.as_str(), start.conversation.as_deref()), ("claude", Some("c-1")));
    assert!(all(log.reader(), &Query::all()).is_empty());
    drop(stream);
    log.flush().expect("written");
    assert!(log.reader().out(9).expect("reads").is_empty());
    let [record] = world.records.all().as_slice().to_owned().try_into().expect("one");
    assert_eq!(all(log.reader(), &Query::all()), [Record::clone(&record)]);
}

/// A log whose disk has failed, with strict durability.
#[derive(Debug)]
struct Broken;

impl Recorder for Broken {
    fn record(&self, _: &Arc<Record>) {}

    fn wants_starts(&self) -> bool {
        true
    }

    fn start(&self, _: &Arc<Start>) -> Option<Hold> {
        Some(Hold::new(async { Err(NotRecorded("the disk is full".to_owned())) }))
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_first_is_not_sent() {
    let world = World::with(&NAMES, |builder| builder.recorder(Arc::new(Broken))).await;
    let error = world.router.send(ask("claude")).await.expect_err("not sent");
    assert_eq!(error.kind(), ErrorKind::NotRecorded);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(world.emulator.calls().is_empty(), "no provider, this one or the next, has seen it");
    assert_eq!(error.attempts().len(), 1);
}

#[tokio::test]
async fn a_start_is_told_once_however_often_a_request_is_sent() {
    #[derive(Debug, Default)]
    struct Starts(std::sync::Mutex<Vec<Arc<Start>>>);

    impl Recorder for Starts {
        fn record(&self, _: &Arc<Record>) {}

        fn wants_starts(&self) -> bool {
            true
        }

        fn start(&self, start: &Arc<Start>) -> Option<Hold> {
            self.0.lock().expect("no panic").push(Arc::clone(start));
            None
        }
    }

    let starts = Arc::new(Starts::default());
    let world = World::with(&NAMES, |builder| builder.recorder(Arc::clone(&starts) as _)).await;
    world.always("claude", Step::fault(Fault::Overloaded));
    let answer = world.router.send(ask("claude")).await.expect("the next one answers");
    assert!(answer.record().attempts.len() > 2);
    let starts = starts.0.lock().expect("no panic");
    let [start] = starts.as_slice() else { panic!("{starts:?}") };
    assert_eq!((start.id, start.provider.as_str()), (answer.record().id, "claude"));
    assert!(start.journal.replay().expect("legal").sent);
}

/// A second router, as after a restart, begins where the first one was.
#[tokio::test]
async fn a_restart_forgets_neither_a_budget_nor_an_open_breaker() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let emulator = World::with(&NAMES, |builder| builder).await;
    let router = |log: &Arc<Log>| {
        let a_day = Limits { requests_per_day: Some(2), ..Limits::default() };
        let claude = leverframe_tests::provider(&emulator.emulator, "claude").limits(a_day);
        let gemini = leverframe_tests::provider(&emulator.emulator, "gemini");
        let breaker = BreakerConfig { open_for: Duration::from_secs(60), ..BreakerConfig::default() };
        let builder = leverframe_tests::base().provider(claude).provider(gemini).fallback(["claude"]);
        builder.breaker(breaker).log(Arc::clone(log)).build().expect("a router")
    };
    emulator.always("gemini", Step::fault(Fault::Overloaded));
    let log = open(&path, Durability::Group);
    let first = router(&log);
    first.send(ask("claude")).await.expect("answered");
    for _ in 0..5 {
        let _ = first.send(ask("gemini")).await; // falls back to claude as long as that may be used
    }
    let before = (first.memory(), first.routes());
    assert!(before.1.iter().any(|route| matches!(route.breaker, BreakerState::Open(_))), "{:?}", before.1);
    drop((first, log));
    let log = open(&path, Durability::Group);
    let second = router(&log);
    let guards = |memory: Memory| {
        let mut guards = memory.guards;
        guards.sort_by_key(|one| (one.provider.clone(), one.model.clone()));
        guards
    };
    assert_eq!(guards(second.memory()), guards(before.0.clone()));
    assert_eq!(guards(log.reader().guards().expect("reads")), guards(before.0));
    let refused = second.send(ask("claude")).await.expect_err("the day's budget is spent");
    assert!(refused.to_string().contains("requests per day"), "{refused}");
    let refusals = |routes: &[leverframe_router::RouteStatus]| -> Vec<_> {
        routes.iter().map(|route| (route.breaker, route.refusal)).collect()
    };
    assert_eq!(refusals(&second.routes()), refusals(&before.1));
}
