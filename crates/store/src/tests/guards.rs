//! What guards have learned.

use std::{sync::Arc, time::Duration};

use leverframe_core::{
    guard::{GuardMemory, LimitKind, Memory, Remembered},
    model::ProviderName,
    record::Recorder,
    time::Timestamp,
};

use super::sample::{DAY, PLACES, Sample};
use crate::Log;

/// As after a crash: the guards were written down, and requests came after that.
#[test]
fn what_requests_took_since_the_guards_were_written_down_is_counted_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.redb");
    let guards = GuardMemory { hold: Some(Timestamp::MAX), ..GuardMemory::default() };
    let (provider, model, _) = PLACES[0];
    let one = |model: Option<&str>| Remembered {
        provider: ProviderName::new(provider).expect("a name"),
        key: Sample::answered(0).record().attempts[0].key.clone(),
        model: model.map(str::to_owned),
        guards: guards.clone(),
    };
    let sample = |number: u64| Sample { ended: Duration::from_secs(number), ..Sample::answered(number * 3) };
    let log = Log::open(&path).expect("opens");
    log.record(&Arc::new(sample(100).record()));
    let at = DAY + Duration::from_secs(101);
    log.note(Memory { at, guards: vec![one(None), one(Some(model)), one(Some("gone"))] });
    log.flush().expect("written");
    log.record(&Arc::new(sample(100).record())); // handed in anew: it was counted before
    log.record(&Arc::new(sample(200).record()));
    log.flush().expect("written");
    drop(log);
    let log = Log::open(&path).expect("opens");
    let written = log.reader().guards().expect("reads");
    assert_eq!((written.at, written.guards.len()), (at, 3));
    assert!(written.guards.contains(&one(Some(model))));
    let memory = log.memory().expect("reads");
    let requests = |model: Option<&str>| -> u64 {
        let one = memory.guards.iter().find(|one| one.model.as_deref() == model).expect("known");
        let limits = one.guards.limits.iter();
        limits.filter(|limit| limit.kind == LimitKind::RequestsPerDay).map(|limit| limit.used(at)).sum()
    };
    assert_eq!([None, Some(model), Some("gone")].map(requests), [1, 1, 0]);
    // What is not remembered any more is not in the file any more.
    log.note(Memory { at, guards: vec![one(Some(model))] });
    log.flush().expect("written");
    assert_eq!(log.reader().guards().expect("reads").guards, [one(Some(model))]);
}
