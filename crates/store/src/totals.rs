//! What requests add up to, by whom or what they were for.

use std::collections::HashMap;

use leverframe_core::{catalog::Date, record::Record};

use crate::{Query, Reader, Rollup, StoreError, rollup};

/// Most groups that are kept apart. What belongs to a later one is added to the others.
const MOST_GROUPS: usize = 10_000;

/// What requests are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The user.
    User,
    /// The conversation.
    Conversation,
    /// The label. A request with several counts towards each.
    Tag,
    /// The model as its provider names it. Tokens and money count where they
    /// were spent, a request where it ended.
    Model,
    /// The provider, as of the model.
    Provider,
    /// The day on which requests ended, in UTC.
    Day,
}

/// Requests added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The user, conversation and so on. `None`: those without one.
    pub name: Option<String>,
    /// What they add up to.
    pub rollup: Rollup,
}

/// Requests added up by something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that cost most first; days in their order.
    pub groups: Vec<Group>,
    /// All that are in no group of these.
    pub others: Rollup,
    /// Requests that could not be read.
    pub unreadable: u64,
}

impl Reader {
    /// Adds up all requests that a query asks for, by something: the `limit`
    /// most expensive groups, or last days, and the rest together. Reads every
    /// one of them; [`Reader::rollups`] answers at once, but only by time and
    /// place.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn totals(&self, query: &Query, by: By, limit: usize) -> Result<Totals, StoreError> {
        let mut groups: HashMap<Option<String>, Rollup> = HashMap::new();
        let mut totals = Totals::default();
        self.each(query, |record| {
            let Ok(record) = record else {
                totals.unreadable += 1;
                return Ok::<_, StoreError>(());
            };
            for (name, rollup) in parts(&record, by) {
                if groups.len() >= MOST_GROUPS && !groups.contains_key(&name) {
                    totals.others.merge(&rollup);
                } else {
                    groups.entry(name).or_default().merge(&rollup);
                }
            }
            Ok(())
        })?;
        let mut groups: Vec<Group> =
            groups.into_iter().map(|(name, rollup)| Group { name, rollup }).collect();
        match by {
            By::Day => groups.sort_by(|a, b| b.name.cmp(&a.name)),
            _ => groups.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.name.cmp(&b.name))),
        }
        groups.drain(limit.min(groups.len())..).for_each(|group| totals.others.merge(&group.rollup));
        if by == By::Day {
            groups.reverse();
        }
        Ok(Totals { groups, ..totals })
    }
}

/// Money first, then how often.
fn weight(group: &Group) -> (u64, u64) {
    let Rollup { cost_nanos, estimated_cost_nanos, requests, .. } = &group.rollup;
    (cost_nanos.saturating_add(*estimated_cost_nanos), *requests)
}

/// What of a request belongs to which group.
fn parts(record: &Record, by: By) -> Vec<(Option<String>, Rollup)> {
    let whole = |name| vec![(name, Rollup::of(record))];
    match by {
        By::User => whole(record.user.clone()),
        By::Conversation => whole(record.conversation.clone()),
        By::Day => whole(Some(Date::of(record.ended_at).to_string())),
        By::Tag if record.tags.is_empty() => whole(None),
        By::Tag => record.tags.iter().map(|tag| (Some(tag.clone()), Rollup::of(record))).collect(),
        By::Model => rollup::by_place(record).map(|((_, model), rollup)| (Some(model), rollup)).collect(),
        By::Provider => {
            let named = |provider: String| (!provider.is_empty()).then_some(provider);
            rollup::by_place(record).map(|((provider, _), rollup)| (named(provider), rollup)).collect()
        }
    }
}
