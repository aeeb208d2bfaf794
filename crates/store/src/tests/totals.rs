//! Totals against adding up by hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use leverframe_core::record::{Record, Recorder};
use proptest::prelude::*;

use super::sample::Sample;
use crate::{By, Log, Query, Rollup};

fn sample() -> impl Strategy<Value = Sample> {
    let names = (prop::option::of(0_u8..4), prop::option::of(0_u8..3), prop::option::of(0_u8..3));
    (0_u64..400_000, names, 0_usize..3, any::<bool>(), any::<bool>()).prop_map(
        |(seconds, (conversation, user, tag), place, fell_back, completed)| Sample {
            number: 0,
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

fn names(record: &Record, by: By) -> Vec<Option<String>> {
    match by {
        By::User => vec![record.user.clone()],
        By::Conversation => vec![record.conversation.clone()],
        By::Tag if record.tags.is_empty() => vec![None],
        By::Tag => record.tags.iter().cloned().map(Some).collect(),
        By::Day => vec![Some(leverframe_core::catalog::Date::of(record.ended_at).to_string())],
        By::Model | By::Provider => unreachable!("adds up by attempts"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_what_requests_add_up_to(
        samples in prop::collection::vec(sample(), 0..40),
        limit in 0_usize..5,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(folder.path().join("log.redb")).expect("opens");
        let records: Vec<Record> =
            (0..).zip(samples).map(|(number, sample)| Sample { number, ..sample }.record()).collect();
        records.iter().cloned().for_each(|record| log.record(&Arc::new(record)));
        log.flush().expect("written");
        for by in [By::User, By::Conversation, By::Tag, By::Day] {
            let mut expected: BTreeMap<Option<String>, Rollup> = BTreeMap::new();
            for record in &records {
                for name in names(record, by) {
                    expected.entry(name).or_default().merge(&Rollup::of(record));
                }
            }
            let totals = log.reader().totals(&Query::all(), by, usize::MAX).expect("adds up");
            let found: BTreeMap<_, _> =
                totals.groups.iter().map(|group| (group.name.clone(), group.rollup.clone())).collect();
            prop_assert_eq!(&found, &expected, "{:?}", by);
            prop_assert_eq!(totals.others, Rollup::default());
            // The rest is together what the groups that are not shown are.
            let few = log.reader().totals(&Query::all(), by, limit).expect("adds up");
            prop_assert_eq!(few.groups.len(), limit.min(expected.len()));
            let sum = |groups: &[crate::Group]| groups.iter().map(|group| group.rollup.requests).sum::<u64>();
            prop_assert_eq!(sum(&few.groups) + few.others.requests, sum(&totals.groups));
            let cost = |group: &crate::Group| group.rollup.cost_nanos + group.rollup.estimated_cost_nanos;
            if by != By::Day {
                prop_assert!(totals.groups.is_sorted_by_key(|group| std::cmp::Reverse(cost(group))));
            }
        }
        // By place, the same as rollups by day have it.
        for by in [By::Model, By::Provider] {
            let totals = log.reader().totals(&Query::all(), by, usize::MAX).expect("adds up");
            let mut expected: BTreeMap<Option<String>, Rollup> = BTreeMap::new();
            for day in log
                .reader()
                .rollups(crate::Period::Day, super::sample::DAY, leverframe_core::time::Timestamp::MAX)
                .expect("reads")
            {
                let name = if by == By::Model { day.model } else { day.provider };
                expected.entry(Some(name)).or_default().merge(&day.rollup);
            }
            let found: BTreeMap<_, _> =
                totals.groups.into_iter().map(|group| (group.name, group.rollup)).collect();
            prop_assert_eq!(found, expected, "{:?}", by);
        }
    }
}
