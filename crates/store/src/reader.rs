//! Reading the log.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use leverframe_core::{
    bodies::Bodies, guard::Memory, model::RequestId, record::Record, start::Start, time::Timestamp,
};
use redb::{ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::{
    Cursor, Page, Period, Query, Rollup, StoreError, content,
    file::{self, File, guarded},
    guards,
    index::Newest,
    row, schema, times,
    views::Placed,
};

/// Most rows that are looked at for one page, so that no read transaction is
/// long: while one is open, the pages it sees cannot be used again.
const MOST_ROWS: usize = 4_096;

/// Answers questions from a log's file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// The file this process writes to.
    Own(Arc<File>),
    /// A file another process may be writing to.
    Other(Arc<ReadOnlyDatabase>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Other(_) => "Other",
        })
    }
}

impl Reader {
    pub(crate) fn of(file: Arc<File>) -> Self {
        Self { source: Source::Own(file) }
    }

    /// Opens a log for reading, whether or not another process is writing to it.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it is not of this version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { source: Source::Other(Arc::new(file::open_read_only(path.as_ref())?)) })
    }

    fn begin(&self) -> Result<ReadTransaction, StoreError> {
        match &self.source {
            Source::Own(file) => file.begin_read(),
            Source::Other(database) => database.begin_read().map_err(StoreError::read),
        }
    }

    /// The record of one request. `None` if it is not over, or there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read or the record is corrupt.
    pub fn get(&self, id: RequestId) -> Result<Option<Record>, StoreError> {
        let page = self.newest(&Query::all().request(id), None, 1)?;
        page.records.into_iter().next().transpose()
    }

    /// What a request's attempts sent and got, in the order in which they
    /// began, where bodies are kept ([`Settings::bodies`](crate::Settings::bodies)).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn bodies(&self, id: RequestId) -> Result<Vec<Bodies>, StoreError> {
        guarded(|| content::read(&self.begin()?, id))
    }

    /// Requests that a query asks for, newest first, from `from` on: `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn newest(&self, query: &Query, from: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        guarded(|| {
            let transaction = self.begin()?;
            newest(&transaction, query, from, limit)
        })
    }

    /// Requests that a query asks for and that ended after `after`, oldest
    /// first: `limit` at most. For following a log as it grows, beginning with
    /// [`Reader::end`].
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn after(&self, query: &Query, after: Cursor, limit: usize) -> Result<Page, StoreError> {
        guarded(|| {
            let rows = self.begin()?.open_table(schema::ROWS).map_err(StoreError::read)?;
            let mut page = Page { records: Vec::new(), next: None };
            for (looked_at, entry) in (1..).zip(rows.range(after.0..).map_err(StoreError::read)?) {
                let (number, row) = entry.map_err(StoreError::read)?;
                let record = row::unpack(number.value(), row.value());
                if record.as_ref().map_or(true, |record| query.matches(record)) {
                    page.records.push(record);
                }
                page.next = Some(Cursor(number.value().saturating_add(1)));
                if page.records.len() >= limit || looked_at >= MOST_ROWS {
                    break;
                }
            }
            Ok(page)
        })
    }

    /// The end of the log: what ends from now on comes after it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn end(&self) -> Result<Cursor, StoreError> {
        guarded(|| {
            let rows = self.begin()?.open_table(schema::ROWS).map_err(StoreError::read)?;
            let last = rows.last().map_err(StoreError::read)?;
            Ok(Cursor(last.map_or(0, |(number, _)| number.value().saturating_add(1))))
        })
    }

    /// Requests that are out: sent, and not over, so far as it is written down.
    /// `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn out(&self, limit: usize) -> Result<Vec<Start>, StoreError> {
        guarded(|| {
            let starts = self.begin()?.open_table(schema::STARTS).map_err(StoreError::read)?;
            let mut out = Vec::new();
            for entry in starts.iter().map_err(StoreError::read)?.take(limit) {
                let (_, json) = entry.map_err(StoreError::read)?;
                out.extend(serde_json::from_slice::<Start>(json.value()).ok());
            }
            Ok(out)
        })
    }

    /// What the guards of the router that writes the log had learned when it
    /// was last written down, which is about once a second while there is
    /// traffic: limits, breakers, benches.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn guards(&self) -> Result<Memory, StoreError> {
        guarded(|| guards::read(&self.begin()?))
    }

    /// What happened in each period from the one `since` is in until `until`,
    /// by provider and model, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn rollups(
        &self,
        period: Period,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Placed>, StoreError> {
        guarded(|| {
            let table = self.begin()?.open_table(schema::ROLLUPS).map_err(StoreError::read)?;
            let first = (period.number(), period.start_seconds(since), "", "");
            let end = until.unix_nanos().div_ceil(1_000_000_000);
            let mut found = Vec::new();
            for entry in table.range(first..(period.number(), end, "", "")).map_err(StoreError::read)? {
                let (key, json) = entry.map_err(StoreError::read)?;
                let (_, start, provider, model) = key.value();
                // One that is not readable is left out; the rows still have it all.
                let Ok(rollup) = serde_json::from_slice::<Rollup>(json.value()) else { continue };
                found.push(Placed {
                    start: Timestamp::EPOCH + Duration::from_secs(start),
                    provider: provider.to_owned(),
                    model: model.to_owned(),
                    rollup,
                });
            }
            Ok(found)
        })
    }
}

fn newest(
    transaction: &ReadTransaction,
    query: &Query,
    from: Option<Cursor>,
    limit: usize,
) -> Result<Page, StoreError> {
    let rows = transaction.open_table(schema::ROWS).map_err(StoreError::read)?;
    let (lowest, end) = span(transaction, query)?;
    let end = from.map_or(end, |from| from.0.min(end));
    let mut numbers = Numbers::of(transaction, query, (lowest, end))?;
    let mut page = Page { records: Vec::new(), next: None };
    let mut looked_at = 0_usize;
    while let Some(number) = numbers.next()? {
        looked_at += 1;
        // A row that was replaced or is too old is gone; its postings go later.
        if let Some(row) = rows.get(number).map_err(StoreError::read)?
            && row::ended_at(row.value()).is_none_or(|ended_at| query.includes(ended_at))
        {
            let record = row::unpack(number, row.value());
            if record.as_ref().map_or(true, |record| query.matches(record)) {
                page.records.push(record);
            }
        }
        if page.records.len() >= limit || looked_at >= MOST_ROWS {
            page.next = Some(Cursor(number));
            break;
        }
    }
    Ok(page)
}

/// The rows among which are all that ended in a query's time.
fn span(transaction: &ReadTransaction, query: &Query) -> Result<(u64, u64), StoreError> {
    if query.since.is_none() && query.until.is_none() {
        return Ok((0, u64::MAX));
    }
    let second = |at: Timestamp| at.unix_millis() / 1_000;
    let since = query.since.map_or(0, second);
    let until = query.until.map_or(u64::MAX, |until| second(until).saturating_add(1));
    let times = transaction.open_table(schema::TIMES).map_err(StoreError::read)?;
    times::span(&times, since..until).map_err(StoreError::read)
}

type Pages = redb::ReadOnlyTable<(u64, u64, u64), &'static [u8]>;

/// Numbers of rows to look at, highest first.
enum Numbers {
    OfTerm(Newest<Pages>),
    All(redb::Range<'static, u64, &'static [u8]>),
    None,
}

impl Numbers {
    fn of(
        transaction: &ReadTransaction,
        query: &Query,
        (lowest, end): (u64, u64),
    ) -> Result<Self, StoreError> {
        if lowest >= end {
            return Ok(Self::None);
        }
        let Some(term) = query.term() else {
            let rows = transaction.open_table(schema::ROWS).map_err(StoreError::read)?;
            return Ok(Self::All(rows.range(lowest..end).map_err(StoreError::read)?));
        };
        // A request cannot have ended before it was made, which its id tells.
        let made = query.request.map_or(0, |id| id.created_at().unix_millis());
        let pages = transaction.open_table(schema::POSTINGS).map_err(StoreError::read)?;
        let runs = transaction.open_table(schema::RUNS).map_err(StoreError::read)?;
        Newest::of(pages, &runs, term.hash(), (lowest, end), made).map(Self::OfTerm).map_err(StoreError::read)
    }

    fn next(&mut self) -> Result<Option<u64>, StoreError> {
        match self {
            Self::OfTerm(rows) => rows.next().map_err(StoreError::read),
            Self::All(rows) => {
                rows.next_back().map(|entry| Ok(entry.map_err(StoreError::read)?.0.value())).transpose()
            }
            Self::None => Ok(None),
        }
    }
}
