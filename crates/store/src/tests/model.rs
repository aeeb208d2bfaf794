//! The log against a plain list: whatever is written, in whatever groups, is
//! found by every question, and adds up to the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use leverframe_core::{
    record::{Record, Recorder},
    time::Timestamp,
};
use proptest::prelude::*;

use super::sample::{DAY, PLACES, Sample};
use crate::{Log, Period, Query, Rollup, Settings, State};

/// What happens to the log.
#[derive(Clone, Debug)]
enum Step {
    Start(Sample),
    End(Sample),
    Commit,
    Reopen,
}

fn sample() -> impl Strategy<Value = Sample> {
    let names = (prop::option::of(0_u8..4), prop::option::of(0_u8..4), prop::option::of(0_u8..2));
    (0_u64..60, 0_u64..400_000, names, 0_usize..3, any::<bool>(), any::<bool>()).prop_map(
        |(number, seconds, (conversation, user, tag), place, fell_back, completed)| Sample {
            number,
            ended: Duration::from_secs(seconds),
            conversation,
            user,
            tag,
            place,
            fell_back,
            completed,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => sample().prop_map(Step::Start),
        4 => sample().prop_map(Step::End),
        4 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let names = (prop::option::of(0_u8..4), prop::option::of(0_u8..4), prop::option::of(0_u8..2));
    let places = (prop::option::of(0_usize..3), prop::option::of(0_usize..3));
    let state = prop::option::of(prop::sample::select(State::ALL.to_vec()));
    let times = (prop::option::of(0_u64..400_000), prop::option::of(0_u64..400_000));
    (names, places, state, times).prop_map(|((conversation, user, tag), (provider, model), state, times)| {
        Query {
            conversation: conversation.map(|n| format!("conversation-{n}")),
            user: user.map(|n| format!("user-{n}")),
            tag: tag.map(|n| format!("tag-{n}")),
            provider: provider.map(|place| PLACES[place].0.to_owned()),
            model: model.map(|place| PLACES[place].1.to_owned()),
            state,
            since: times.0.map(|seconds| DAY + Duration::from_secs(seconds)),
            until: times.1.map(|seconds| DAY + Duration::from_secs(seconds)),
            ..Query::default()
        }
    })
}

/// The log as a list.
#[derive(Default)]
struct Model {
    /// Requests that are over, in the order in which they were handed in last.
    ended: Vec<Record>,
    out: BTreeMap<u64, Sample>,
}

impl Model {
    fn end(&mut self, record: Record) {
        self.ended.retain(|earlier| earlier.id != record.id);
        self.ended.push(record);
    }

    fn newest(&self, query: &Query) -> Vec<Record> {
        let mut found: Vec<_> = self.ended.iter().filter(|record| query.matches(record)).cloned().collect();
        found.sort_by_key(|record| record.id); // within a group the order is that of the first hand-in
        found
    }
}

fn all(log: &Log, query: &Query, limit: usize) -> Vec<Record> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = log.reader().newest(query, from, limit).expect("reads");
        found.extend(page.records.into_iter().map(|record| record.expect("whole")));
        let Some(next) = page.next else { break };
        assert!(from.is_none_or(|from| next < from), "a page does not go on");
        from = Some(next);
    }
    found.sort_by_key(|record| record.id);
    found
}

fn rollups(records: &[Record], period: Period) -> BTreeMap<(Timestamp, String, String), u64> {
    let mut requests = BTreeMap::new();
    for record in records {
        let last = record.attempts.last().expect("one at least");
        let key = (period.start(record.ended_at), last.provider.as_str().to_owned(), last.model.clone());
        *requests.entry(key).or_insert(0) += 1;
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_question_is_answered_as_by_a_list(
        steps in prop::collection::vec(step(), 1..120),
        queries in prop::collection::vec(query(), 1..8),
        limit in 1_usize..20,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.redb");
        let mut log = Some(Log::open(&path).expect("opens"));
        let mut model = Model::default();
        for step in steps {
            let open = log.as_ref().expect("open");
            match step {
                Step::Start(sample) => {
                    // Told once in a request's life, and before it is over.
                    let over = model.ended.iter().any(|record| record.id == sample.id());
                    if !over && !model.out.contains_key(&sample.number) {
                        open.start(&Arc::new(sample.start()));
                        model.out.insert(sample.number, sample);
                    }
                }
                Step::End(sample) => {
                    open.record(&Arc::new(sample.record()));
                    model.out.remove(&sample.number);
                    model.end(sample.record());
                }
                Step::Commit => open.flush().expect("written"),
                Step::Reopen => {
                    drop(log.take());
                    let open = Log::open_with(&path, Settings::default()).expect("opens");
                    prop_assert_eq!(open.recovery().abandoned, model.out.len() as u64);
                    for sample in std::mem::take(&mut model.out).into_values() {
                        model.end(sample.start().abandoned());
                    }
                    log = Some(open);
                }
            }
        }
        let log = log.expect("open");
        log.flush().expect("written");
        let out = log.reader().out(usize::MAX).expect("reads");
        prop_assert_eq!(out.len(), model.out.len());
        for query in queries.iter().chain([&Query::all()]) {
            prop_assert_eq!(all(&log, query, limit), model.newest(query), "{:?}", query);
        }
        for record in &model.ended {
            let found = log.reader().get(record.id).expect("reads");
            prop_assert_eq!(found.as_ref(), Some(record));
        }
        let mut total = Rollup::default();
        model.ended.iter().for_each(|record| total.merge(&Rollup::of(record)));
        prop_assert_eq!(&log.reader().total(&Query::all()).expect("adds up"), &total);
        for period in Period::ALL {
            let stored = log.reader().rollups(period, Timestamp::EPOCH, Timestamp::MAX).expect("reads");
            let mut sum = Rollup::default();
            stored.iter().for_each(|placed| sum.merge(&placed.rollup));
            prop_assert_eq!(&sum, &total, "{:?}", period);
            let requests: BTreeMap<_, _> = stored
                .into_iter()
                .filter(|placed| placed.rollup.requests > 0)
                .map(|placed| ((placed.start, placed.provider, placed.model), placed.rollup.requests))
                .collect();
            prop_assert_eq!(requests, rollups(&model.ended, period), "{:?}", period);
        }
    }
}

#[test]
fn many_small_groups_are_merged_and_still_found_newest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path().join("log.redb")).expect("opens");
    let samples: Vec<_> = (0..700).map(Sample::answered).collect();
    for sample in &samples {
        log.record(&Arc::new(sample.record()));
        log.flush().expect("written");
    }
    for user in 0..20 {
        let query = Query::all().user(format!("user-{user}"));
        let page = log.reader().newest(&query, None, 1_000).expect("reads");
        let found: Vec<_> = page.records.into_iter().map(|record| record.expect("whole").id).collect();
        let expected = samples.iter().rev().filter(|sample| sample.user == Some(user)).map(Sample::id);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
    let followed = log.reader().after(&Query::all(), crate::Cursor(690), 100).expect("reads");
    assert_eq!(followed.records.len(), 10);
    assert_eq!(followed.next, Some(log.reader().end().expect("reads")));
}
