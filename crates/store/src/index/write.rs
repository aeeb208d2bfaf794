//! Writing a run.

use redb::{Table, WriteTransaction};

use super::page;
use crate::schema;

/// That a row holds a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting {
    pub(crate) term: u64,
    pub(crate) row: u64,
}

/// Writes the postings of the rows from `first` up to `end` as a run.
pub(crate) fn write_run(
    transaction: &WriteTransaction,
    rows: (u64, u64),
    latest: u64,
    postings: &mut [Posting],
) -> Result<(), redb::Error> {
    postings.sort_unstable();
    let run = schema::take_numbers(transaction, schema::NEXT_RUN, 1)?;
    let mut pages = transaction.open_table(schema::POSTINGS)?;
    let mut rest = &*postings;
    while let Some(page) = write_page(&mut pages, run, rest)? {
        rest = rest.get(page..).unwrap_or_default();
    }
    transaction.open_table(schema::RUNS)?.insert(run, (0, rows.0, rows.1, latest))?;
    Ok(())
}

/// Writes one page of `postings`, and returns how many are in it. `None` when
/// there are none left.
pub(super) fn write_page(
    pages: &mut Table<'_, (u64, u64, u64), &[u8]>,
    run: u64,
    postings: &[Posting],
) -> Result<Option<usize>, redb::Error> {
    let Some(first) = postings.first() else { return Ok(None) };
    let (bytes, packed) = page::pack(postings);
    pages.insert((run, first.term, first.row), bytes.as_slice())?;
    Ok(Some(packed))
}
