//! How long what is written is kept.
//!
//! What is too old, or too much, goes in small steps, each one commit beside
//! the traffic. Room in the file is used again; [`Log::compact`](crate::Log::compact)
//! makes the file smaller.

use std::time::Duration;

use leverframe_core::{model::RequestId, time::Timestamp};
use redb::{ReadableTable, WriteTransaction};

use crate::{Period, row, schema};

/// Entries of a kind that go in one step.
const STEP: usize = 1_024;

/// How long what is written is kept. What is older goes within a minute or so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Requests, from their end on. `None`: for ever.
    pub requests: Option<Duration>,
    /// What went over the wire, from the start of its request on. `None`: for ever.
    pub bodies: Option<Duration>,
    /// Rollups per minute.
    pub minutes: Duration,
    /// Rollups per hour. Those per day are kept for ever.
    pub hours: Duration,
    /// Bytes that requests and bodies may take, as they are stored. When there
    /// are more, the oldest bodies go, then the oldest requests. Indexes and
    /// rollups come on top: as much again at most, and mostly half. `None`: any.
    pub bytes: Option<u64>,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Retention {
    /// Requests until there are 8 GiB, bodies for a week, rollups per minute for
    /// two days and per hour for a year.
    fn default() -> Self {
        Self {
            requests: None,
            bodies: Some(7 * DAY),
            minutes: 2 * DAY,
            hours: 366 * DAY,
            bytes: Some(8 << 30),
        }
    }
}

impl Retention {
    /// Keeps everything for ever.
    pub const FOREVER: Self =
        Self { requests: None, bodies: None, minutes: Duration::MAX, hours: Duration::MAX, bytes: None };
}

/// Takes away some of what is not to be kept at `now`.
pub(crate) fn step(
    transaction: &WriteTransaction,
    keep: &Retention,
    now: Timestamp,
) -> Result<Gone, redb::Error> {
    let before = |age: Duration| Timestamp::EPOCH + now.since(Timestamp::EPOCH).saturating_sub(age);
    let mut gone = Gone::default();
    let mut over = over(transaction, keep)?;
    let bodies_before = keep.bodies.map_or(Timestamp::EPOCH, before);
    let freed = bodies(transaction, bodies_before, over, &mut gone)?;
    over = over.saturating_sub(freed);
    let rows_before = keep.requests.map_or(Timestamp::EPOCH, before);
    rows(transaction, rows_before, over, &mut gone)?;
    let lowest = lowest_row(transaction)?;
    runs(transaction, lowest, &mut gone)?;
    times(transaction, lowest, &mut gone)?;
    for (period, age) in [(Period::Minute, keep.minutes), (Period::Hour, keep.hours)] {
        rollups(transaction, period, before(age), &mut gone)?;
    }
    Ok(gone)
}

/// What a step took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) entries: usize,
    /// Whether there may be more.
    pub(crate) more: bool,
}

impl Gone {
    fn count(&mut self, entries: usize) {
        self.entries += entries;
        self.more |= entries >= STEP;
    }
}

/// Bytes there are too many.
fn over(transaction: &WriteTransaction, keep: &Retention) -> Result<u64, redb::Error> {
    let Some(most) = keep.bytes else { return Ok(0) };
    let meta = transaction.open_table(schema::META)?;
    let mut stored = 0_u64;
    for kind in [schema::ROW_BYTES, schema::BODY_BYTES] {
        stored = stored.saturating_add(meta.get(kind)?.map_or(0, |bytes| bytes.value()));
    }
    Ok(stored.saturating_sub(most))
}

/// How many bytes went.
fn bodies(
    transaction: &WriteTransaction,
    before: Timestamp,
    over: u64,
    gone: &mut Gone,
) -> Result<u64, redb::Error> {
    let mut table = transaction.open_table(schema::BODIES)?;
    let (mut bytes, mut entries) = (0_u64, 0);
    while entries < STEP {
        let key = match table.first()? {
            Some((key, body)) => {
                let (id, attempt, side) = key.value();
                if RequestId::from_bytes(id).created_at() >= before && bytes >= over {
                    break;
                }
                bytes = bytes.saturating_add(length(body.value()));
                (id, attempt, side)
            }
            None => break,
        };
        table.remove(key)?;
        entries += 1;
    }
    schema::less(transaction, schema::BODY_BYTES, bytes)?;
    gone.count(entries);
    Ok(bytes)
}

fn rows(
    transaction: &WriteTransaction,
    before: Timestamp,
    over: u64,
    gone: &mut Gone,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::ROWS)?;
    // Up to the last that is to go: one of which nobody knows the age goes with
    // those after it.
    let (mut bytes, mut seen) = (0_u64, 0_u64);
    let (mut numbers, mut end) = (Vec::new(), 0);
    for entry in table.iter()?.take(STEP) {
        let (number, row) = entry?;
        numbers.push(number.value());
        let old = row::ended_at(row.value()).is_some_and(|ended_at| ended_at < before);
        let too_much = seen < over;
        seen = seen.saturating_add(length(row.value()));
        if old || too_much {
            (bytes, end) = (seen, numbers.len());
        }
    }
    for number in numbers.iter().take(end) {
        table.remove(number)?;
    }
    schema::less(transaction, schema::ROW_BYTES, bytes)?;
    gone.count(end);
    Ok(())
}

/// The lowest row there is, or that there will be.
fn lowest_row(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    let first = transaction.open_table(schema::ROWS)?.first()?.map(|(number, _)| number.value());
    match first {
        Some(row) => Ok(row),
        None => schema::take_numbers(transaction, schema::NEXT_ROW, 0),
    }
}

/// Runs of the index whose rows are all gone. Their pages go first, so that
/// none is left without its run.
fn runs(transaction: &WriteTransaction, lowest: u64, gone: &mut Gone) -> Result<(), redb::Error> {
    let mut runs = transaction.open_table(schema::RUNS)?;
    let mut empty = Vec::new();
    for entry in runs.iter()? {
        let (number, run) = entry?;
        if run.value().2 <= lowest {
            empty.push(number.value());
        }
    }
    let mut pages = transaction.open_table(schema::POSTINGS)?;
    let mut entries = 0;
    for run in empty {
        loop {
            let next = pages.range((run, 0, 0)..=(run, u64::MAX, u64::MAX))?.next().transpose()?;
            let Some(page) = next.map(|(page, _)| page.value()) else { break };
            if entries >= STEP {
                gone.count(entries);
                return Ok(());
            }
            pages.remove(page)?;
            entries += 1;
        }
        runs.remove(run)?;
        entries += 1;
    }
    gone.count(entries);
    Ok(())
}

/// Times all of whose rows are gone.
fn times(transaction: &WriteTransaction, lowest: u64, gone: &mut Gone) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::TIMES)?;
    for unit in crate::times::UNITS {
        let mut keys = Vec::new();
        for entry in table.range((unit, 0)..=(unit, u64::MAX))?.take(STEP) {
            let (key, rows) = entry?;
            if rows.value().1 >= lowest {
                break;
            }
            keys.push(key.value());
        }
        for key in &keys {
            table.remove(key)?;
        }
        gone.count(keys.len());
    }
    Ok(())
}

fn rollups(
    transaction: &WriteTransaction,
    period: Period,
    before: Timestamp,
    gone: &mut Gone,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::ROLLUPS)?;
    let end = (period.number(), period.start_seconds(before), "", "");
    let mut keys = Vec::new();
    for entry in table.range((period.number(), 0, "", "")..end)?.take(STEP) {
        let (key, _) = entry?;
        let (number, start, provider, model) = key.value();
        keys.push((number, start, provider.to_owned(), model.to_owned()));
    }
    for (number, start, provider, model) in &keys {
        table.remove((*number, *start, provider.as_str(), model.as_str()))?;
    }
    gone.count(keys.len());
    Ok(())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
