//! The questions that are asked most, answered from rollups.

use std::{collections::BTreeMap, time::Duration};

use leverframe_core::{record::Record, time::Timestamp};

use crate::{Cursor, Page, Period, Query, Reader, Rollup, State, StoreError};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// A rollup, and of what it is. The provider is empty where nothing was sent;
/// the model is then the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The beginning of the period.
    pub start: Timestamp,
    /// The provider.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// What happened.
    pub rollup: Rollup,
}

impl Reader {
    /// The last seven days by provider and model, for their success rates: the
    /// hours that have begun since.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn success_rates(&self, now: Timestamp) -> Result<Vec<Placed>, StoreError> {
        let since = before(now, WEEK);
        let mut by_place: BTreeMap<(String, String), Rollup> = BTreeMap::new();
        for Placed { provider, model, rollup, .. } in self.rollups(Period::Hour, since, after(now))? {
            by_place.entry((provider, model)).or_default().merge(&rollup);
        }
        let start = Period::Hour.start(since);
        let placed = |((provider, model), rollup)| Placed { start, provider, model, rollup };
        Ok(by_place.into_iter().map(placed).collect())
    }

    /// The last 24 hours, hour by hour, by provider and model, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn hourly(&self, now: Timestamp) -> Result<Vec<Placed>, StoreError> {
        self.rollups(Period::Hour, before(now, DAY), after(now))
    }

    /// Requests that failed, with their reasons, newest first. `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn failed(&self, from: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.newest(&Query::all().state(State::Failed), from, limit)
    }

    /// Calls `take` with every request that a query asks for, newest first, in
    /// short read transactions: requests that end meanwhile are not among them.
    ///
    /// # Errors
    /// [`StoreError`] of the file, or of `take`.
    pub fn each<E: From<StoreError>>(
        &self,
        query: &Query,
        mut take: impl FnMut(Result<Record, StoreError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = Some(self.end()?);
        while from.is_some() {
            let Page { records, next } = self.newest(query, from, PAGE)?;
            records.into_iter().try_for_each(&mut take)?;
            from = next;
        }
        Ok(())
    }

    /// All requests that a query asks for, added up.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read, or a record is corrupt.
    pub fn total(&self, query: &Query) -> Result<Rollup, StoreError> {
        let mut total = Rollup::default();
        self.each(query, |record| {
            total.merge(&Rollup::of(&record?));
            Ok::<_, StoreError>(())
        })?;
        Ok(total)
    }
}

/// Records that are read in one transaction.
const PAGE: usize = 256;

fn before(now: Timestamp, time: Duration) -> Timestamp {
    Timestamp::EPOCH + now.since(Timestamp::EPOCH).saturating_sub(time)
}

/// The period of `now` is among those asked for.
fn after(now: Timestamp) -> Timestamp {
    now + Duration::from_secs(1)
}
