//! Which rows ended when: the lowest and the highest row of each second,
//! minute and hour. Rows are nearly in the order of their ends, so the rows of
//! a stretch of time are nearly all between the two.

use std::{collections::BTreeMap, ops::Range};

use redb::{ReadableTable, WriteTransaction};

use crate::schema;

/// Lengths in seconds, shortest first. Each divides the next.
pub(crate) const UNITS: [u64; 3] = [1, 60, 3_600];

/// The rows of a batch by the second in which they ended.
#[derive(Debug, Default)]
pub(crate) struct Times {
    seconds: BTreeMap<u64, (u64, u64)>,
}

impl Times {
    /// A row's request ended in this second (Unix). Rows come in their order.
    pub(crate) fn note(&mut self, second: u64, row: u64) {
        self.seconds.entry(second).or_insert((row, row)).1 = row;
    }

    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(schema::TIMES)?;
        for unit in UNITS {
            let mut longer: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for (second, rows) in &self.seconds {
                widen(longer.entry(second - second % unit).or_insert(*rows), *rows);
            }
            for (start, mut rows) in longer {
                if let Some(before) = table.get((unit, start))? {
                    widen(&mut rows, before.value());
                }
                table.insert((unit, start), rows)?;
            }
        }
        Ok(())
    }
}

/// Rows from the first up to the second, among which are all that ended in one
/// of these seconds (Unix). The first is not below the second where there are none.
pub(crate) fn span(
    table: &impl ReadableTable<(u64, u64), (u64, u64)>,
    seconds: Range<u64>,
) -> Result<(u64, u64), redb::Error> {
    let mut span = (u64::MAX, 0);
    for (unit, starts) in pieces(seconds) {
        for entry in table.range((unit, starts.start)..(unit, starts.end))? {
            let (first, last) = entry?.1.value();
            span = (span.0.min(first), span.1.max(last.saturating_add(1)));
        }
    }
    Ok(span)
}

fn widen(rows: &mut (u64, u64), more: (u64, u64)) {
    *rows = (rows.0.min(more.0), rows.1.max(more.1));
}

/// A stretch of time in the longest units that fit: each with its starts.
fn pieces(seconds: Range<u64>) -> Vec<(u64, Range<u64>)> {
    let mut pieces = Vec::new();
    // What is left over on either side of what the longer units cover.
    let mut put = |unit: u64, starts: Range<u64>| {
        if starts.start < starts.end {
            pieces.push((unit, starts));
        }
    };
    let mut left = seconds;
    for (unit, longer) in UNITS.into_iter().zip(UNITS.into_iter().skip(1).chain([u64::MAX])) {
        let start = left.start.checked_next_multiple_of(longer).unwrap_or(u64::MAX);
        let end = left.end - left.end % longer;
        if start >= end {
            put(unit, left);
            break;
        }
        put(unit, left.start..start);
        put(unit, end..left.end);
        left = start..end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_every_second_once(start in 0_u64..20_000, length in 0_u64..20_000) {
            let seconds = start..start + length;
            let mut covered: Vec<u64> = pieces(seconds.clone())
                .into_iter()
                .flat_map(|(unit, starts)| {
                    assert!(starts.start % unit == 0 && starts.end % unit == 0, "{unit} {starts:?}");
                    starts
                })
                .collect();
            covered.sort_unstable();
            prop_assert_eq!(covered, seconds.collect::<Vec<_>>());
        }

        #[test]
        fn pieces_are_few(start: u64, end: u64) {
            let entries: u64 = pieces(start..end)
                .into_iter()
                .filter(|(unit, _)| *unit < 3_600)
                .map(|(unit, starts)| (starts.end - starts.start) / unit)
                .sum();
            prop_assert!(entries <= 4 * 60, "{entries}");
        }
    }
}
