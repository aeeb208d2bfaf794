//! The tables of the file.
//!
//! Version 2. Version 1 had one table of JSON by request id; see
//! [`crate::migrate`].

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::StoreError;

/// The version this program writes and reads.
pub(crate) const VERSION: u64 = 2;

/// Facts about the file itself, by name.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The key of [`VERSION`] in [`META`].
pub(crate) const VERSION_KEY: &str = "schema_version";
/// The number of the next row.
pub(crate) const NEXT_ROW: &str = "next_row";
/// The number of the next run of the index.
pub(crate) const NEXT_RUN: &str = "next_run";

/// When the guards were written down last (Unix nanoseconds), and the next row then.
pub(crate) const GUARDS_AT: &str = "guards_at";
pub(crate) const GUARDS_ROW: &str = "guards_row";

/// Bytes of all rows, and of all bodies, as they are stored.
pub(crate) const ROW_BYTES: &str = "row_bytes";
pub(crate) const BODY_BYTES: &str = "body_bytes";

/// Requests that are over, in the order in which they ended, by a number that
/// only grows. See [`crate::row`] for the value.
pub(crate) const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// Requests that were sent and are not over, by request id: JSON of a
/// [`Start`](leverframe_core::start::Start).
pub(crate) const STARTS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("starts");

/// The runs of the index by number: level, first row, row after the last,
/// latest end of a request in it (Unix milliseconds).
pub(crate) const RUNS: TableDefinition<'_, u64, (u8, u64, u64, u64)> = TableDefinition::new("runs");

/// Pages of postings by run, first term and first row. See [`crate::index`].
pub(crate) const POSTINGS: TableDefinition<'_, (u64, u64, u64), &[u8]> = TableDefinition::new("postings");

/// By length of time and its start (both in seconds, Unix): the lowest and the
/// highest row of a request that ended in it. See [`crate::times`].
pub(crate) const TIMES: TableDefinition<'_, (u64, u64), (u64, u64)> = TableDefinition::new("times");

/// Rollups as JSON by period, its start (Unix seconds), provider and model.
pub(crate) const ROLLUPS: TableDefinition<'_, (u8, u64, &str, &str), &[u8]> = TableDefinition::new("rollups");

/// What the guards of a key, or of one model of it, have learned, by provider,
/// key and model (empty for the key): JSON of a
/// [`GuardMemory`](leverframe_core::guard::GuardMemory), with LZ4.
pub(crate) const GUARDS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("guards");

/// What went over the wire, by request id, start of the attempt (Unix
/// nanoseconds) and side: the length of the whole body, and the bytes that are
/// kept of it, with LZ4.
pub(crate) const BODIES: TableDefinition<'_, ([u8; 16], u64, u8), &[u8]> = TableDefinition::new("bodies");

/// Provider configurations by name: JSON, with the keys sealed. See [`crate::vault`].
pub(crate) const PROVIDERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("providers");

/// What the vault keeps of itself.
pub(crate) const VAULT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vault");
/// The key of what tells a wrong master key, in [`VAULT`].
pub(crate) const VAULT_CHECK: &str = "check";

/// Makes all tables, so that readers find them.
pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(ROWS).map_err(StoreError::open)?;
    transaction.open_table(STARTS).map_err(StoreError::open)?;
    transaction.open_table(RUNS).map_err(StoreError::open)?;
    transaction.open_table(POSTINGS).map_err(StoreError::open)?;
    transaction.open_table(TIMES).map_err(StoreError::open)?;
    transaction.open_table(ROLLUPS).map_err(StoreError::open)?;
    transaction.open_table(GUARDS).map_err(StoreError::open)?;
    transaction.open_table(BODIES).map_err(StoreError::open)?;
    transaction.open_table(PROVIDERS).map_err(StoreError::open)?;
    transaction.open_table(VAULT).map_err(StoreError::open)?;
    let mut meta = transaction.open_table(META).map_err(StoreError::open)?;
    meta.insert(VERSION_KEY, VERSION).map_err(StoreError::open)?;
    Ok(())
}

/// Counts more of something in [`META`].
pub(crate) fn more(transaction: &WriteTransaction, name: &str, more: u64) -> Result<(), redb::Error> {
    take_numbers(transaction, name, more).map(|_| ())
}

/// Counts less of something in [`META`].
pub(crate) fn less(transaction: &WriteTransaction, name: &str, less: u64) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let count = meta.get(name)?.map_or(0, |count| count.value());
    meta.insert(name, count.saturating_sub(less))?;
    Ok(())
}

/// The next number of a kind, and that it is taken `count` times.
pub(crate) fn take_numbers(
    transaction: &WriteTransaction,
    name: &str,
    count: u64,
) -> Result<u64, redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let next = meta.get(name)?.map_or(0, |number| number.value());
    meta.insert(name, next.saturating_add(count))?;
    Ok(next)
}
