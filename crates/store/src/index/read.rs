//! Finding the rows of a term.

use redb::ReadableTable;

use super::page;

/// The rows of a term, newest first, read from the tables of a transaction.
pub(crate) struct Newest<P> {
    pages: P,
    /// Runs that were not looked at yet, oldest first.
    runs: Vec<Span>,
    term: u64,
    /// Rows of the page at hand, lowest first.
    rows: Vec<u64>,
    /// Where to look on in the run at hand.
    below: Option<(u64, u64, u64)>,
    lowest: u64,
    end: u64,
}

/// The rows a run covers.
struct Span {
    number: u64,
    first: u64,
}

impl<P: ReadableTable<(u64, u64, u64), &'static [u8]>> Newest<P> {
    /// Rows of `term` from `lowest` up to `end`, in runs with a request that
    /// ended at `since` (Unix milliseconds) or later.
    pub(crate) fn of(
        pages: P,
        runs: &impl ReadableTable<u64, (u8, u64, u64, u64)>,
        term: u64,
        (lowest, end): (u64, u64),
        since: u64,
    ) -> Result<Self, redb::Error> {
        let mut spans = Vec::new();
        for entry in runs.iter()? {
            let (number, value) = entry?;
            let (_, first, run_end, latest) = value.value();
            if first < end && run_end > lowest && latest >= since {
                spans.push(Span { number: number.value(), first });
            }
        }
        spans.sort_unstable_by_key(|run| run.first);
        Ok(Self { pages, runs: spans, term, rows: Vec::new(), below: None, lowest, end })
    }

    /// The next lower row.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, redb::Error> {
        loop {
            if let Some(row) = self.rows.pop() {
                return Ok(Some(row));
            }
            match self.below {
                Some(below) => self.page_below(below)?,
                None => {
                    let Some(run) = self.runs.pop() else { return Ok(None) };
                    // No page begins with this key: a last row has a number to spare.
                    self.below = Some((run.number, self.term, u64::MAX));
                }
            }
        }
    }

    /// The page that begins last below this key.
    fn page_below(&mut self, below: (u64, u64, u64)) -> Result<(), redb::Error> {
        let (run, ..) = below;
        let mut range = self.pages.range((run, 0, 0)..below)?;
        let Some(entry) = range.next_back() else {
            self.below = None;
            return Ok(());
        };
        let (key, bytes) = entry?;
        let (run, first_term, first_row) = key.value();
        // A page that begins with the term may have others of it before.
        self.below = (first_term == self.term).then_some((run, first_term, first_row));
        // A damaged page is left out, as in merging.
        let postings = page::unpack(first_term, bytes.value()).unwrap_or_default();
        let of_term = postings.iter().filter(|posting| posting.term == self.term).map(|posting| posting.row);
        self.rows.extend(of_term.filter(|row| (self.lowest..self.end).contains(row)));
        Ok(())
    }
}
