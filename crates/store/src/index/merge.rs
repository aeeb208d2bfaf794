//! Merging runs, so that there are few.

use redb::{ReadableTable, Table, WriteTransaction};

use super::{
    FAN_IN, LARGEST, page,
    write::{Posting, write_page},
};
use crate::schema;

/// Postings that are gathered before they are written: a few pages.
const GATHERED: usize = 16_384;

type Pages<'t> = Table<'t, (u64, u64, u64), &'static [u8]>;

/// A run that is not final.
#[derive(Clone, Copy)]
struct Run {
    number: u64,
    level: u8,
    first: u64,
    end: u64,
    latest: u64,
}

/// Merges as long as there are [`FAN_IN`] runs of one level. Rows below
/// `lowest` are gone, and their postings with them.
pub(crate) fn merge_full_levels(transaction: &WriteTransaction, lowest: u64) -> Result<(), redb::Error> {
    while let Some(runs) = full_level(transaction)? {
        merge(transaction, &runs, lowest)?;
    }
    Ok(())
}

/// The runs of the lowest level that is full, oldest first.
fn full_level(transaction: &WriteTransaction) -> Result<Option<Vec<Run>>, redb::Error> {
    let table = transaction.open_table(schema::RUNS)?;
    let mut runs = Vec::new();
    // The newest runs have the lowest levels; the first larger one ends a level.
    let mut by_row: Vec<Run> = Vec::new();
    for entry in table.iter()? {
        let (number, value) = entry?;
        let (level, first, end, latest) = value.value();
        if end.saturating_sub(first) < LARGEST {
            by_row.push(Run { number: number.value(), level, first, end, latest });
        }
    }
    by_row.sort_unstable_by_key(|run| run.first);
    for run in by_row.into_iter().rev() {
        if runs.last().is_some_and(|last: &Run| last.level != run.level || run.end != last.first) {
            runs.clear();
        }
        runs.push(run);
        if runs.len() == FAN_IN {
            runs.reverse();
            return Ok(Some(runs));
        }
    }
    Ok(None)
}

fn merge(transaction: &WriteTransaction, runs: &[Run], lowest: u64) -> Result<(), redb::Error> {
    let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else { return Ok(()) };
    let number = schema::take_numbers(transaction, schema::NEXT_RUN, 1)?;
    let mut pages = transaction.open_table(schema::POSTINGS)?;
    let mut cursors: Vec<Cursor> = runs.iter().map(|run| Cursor::new(run.number)).collect();
    for cursor in &mut cursors {
        cursor.load(&mut pages)?;
    }
    let mut gathered: Vec<Posting> = Vec::with_capacity(GATHERED + 4_096);
    // Rows of an older run are lower than those of a newer one, so what is least
    // by term, and of those the oldest run's, is the next posting.
    while let Some(next) =
        cursors.iter_mut().filter(|cursor| cursor.term().is_some()).min_by_key(|cursor| cursor.term())
    {
        next.take_term(&mut gathered, lowest);
        if next.term().is_none() {
            next.load(&mut pages)?;
        }
        while gathered.len() >= GATHERED {
            let Some(written) = write_page(&mut pages, number, &gathered)? else { break };
            gathered.drain(..written);
        }
    }
    let mut rest = gathered.as_slice();
    while let Some(written) = write_page(&mut pages, number, rest)? {
        rest = rest.get(written..).unwrap_or_default();
    }
    let mut table = transaction.open_table(schema::RUNS)?;
    for run in runs {
        table.remove(run.number)?;
    }
    let latest = runs.iter().map(|run| run.latest).max().unwrap_or(0);
    let level = newest.level.saturating_add(1);
    table.insert(number, (level, oldest.first, newest.end, latest))?;
    Ok(())
}

/// Goes through the pages of a run, and takes each away as it is read.
struct Cursor {
    run: u64,
    postings: std::vec::IntoIter<Posting>,
}

impl Cursor {
    fn new(run: u64) -> Self {
        Self { run, postings: Vec::new().into_iter() }
    }

    fn term(&self) -> Option<u64> {
        self.postings.as_slice().first().map(|posting| posting.term)
    }

    fn take_term(&mut self, into: &mut Vec<Posting>, lowest: u64) {
        let Some(term) = self.term() else { return };
        let same = self.postings.as_slice().iter().take_while(|posting| posting.term == term).count();
        into.extend(self.postings.by_ref().take(same).filter(|posting| posting.row >= lowest));
    }

    /// The next page with something in it. A damaged one is left out: its rows
    /// are still found by number and time.
    fn load(&mut self, pages: &mut Pages<'_>) -> Result<(), redb::Error> {
        while self.postings.as_slice().is_empty() {
            let next = {
                let mut range = pages.range((self.run, 0, 0)..=(self.run, u64::MAX, u64::MAX))?;
                let Some(entry) = range.next() else { return Ok(()) };
                let (key, bytes) = entry?;
                let (_, term, row) = key.value();
                (term, row, page::unpack(term, bytes.value()))
            };
            let (term, row, postings) = next;
            pages.remove((self.run, term, row))?;
            self.postings = postings.unwrap_or_default().into_iter();
        }
        Ok(())
    }
}
