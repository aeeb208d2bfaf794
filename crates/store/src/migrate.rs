//! Bringing a file of an earlier version up to date.

use std::sync::Arc;

use leverframe_core::record::Record;
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::{StoreError, batch::Batch, row, schema};

/// Version 1: JSON by request id.
const REQUESTS_1: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("requests");

/// Rows that are moved in one commit.
const STEP: usize = 1_024;

/// Makes the tables of a new file; brings an old one up to date, in steps each
/// of which leaves a file that can be gone on with.
pub(crate) fn bring_up_to_date(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(StoreError::open)?;
    let new = transaction.list_tables().map_err(StoreError::open)?.next().is_none();
    let found = match transaction.open_table(schema::META) {
        Ok(meta) => meta.get(schema::VERSION_KEY).map_err(StoreError::open)?.map(|version| version.value()),
        Err(TableError::TableTypeMismatch { .. }) => return Err(StoreError::NotALog),
        Err(error) => return Err(StoreError::open(error)),
    };
    match found {
        Some(schema::VERSION) => return transaction.abort().map_err(StoreError::open),
        None if new => {}
        Some(1) => {
            transaction.abort().map_err(StoreError::open)?;
            return from_1(database);
        }
        Some(found) => return Err(StoreError::Version { found, expected: schema::VERSION }),
        None => return Err(StoreError::NotALog),
    }
    schema::create(&transaction)?;
    transaction.commit().map_err(StoreError::open)
}

/// Whether the file is ours to read.
pub(crate) fn check(transaction: &ReadTransaction) -> Result<(), StoreError> {
    let meta = match transaction.open_table(schema::META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(StoreError::read(error)),
        Err(_) => return Err(StoreError::NotALog),
    };
    let found = meta.get(schema::VERSION_KEY).map_err(StoreError::read)?.map(|version| version.value());
    match found {
        Some(schema::VERSION) => Ok(()),
        Some(found) if found < schema::VERSION => Err(StoreError::Outdated { found }),
        Some(found) => Err(StoreError::Version { found, expected: schema::VERSION }),
        None => Err(StoreError::NotALog),
    }
}

/// Rows get numbers in the order of their ids, which is that of time. The
/// version changes with the last step.
fn from_1(database: &Database) -> Result<(), StoreError> {
    loop {
        let transaction = database.begin_write().map_err(StoreError::open)?;
        let mut step = Vec::with_capacity(STEP);
        {
            let mut old = transaction.open_table(REQUESTS_1).map_err(StoreError::open)?;
            while step.len() < STEP {
                let Some((_, json)) = old.pop_first().map_err(StoreError::open)? else { break };
                step.push(json.value().to_vec());
            }
        }
        let done = step.len() < STEP;
        let mut batch = Batch::default();
        let mut unreadable = Vec::new();
        for json in &step {
            match serde_json::from_slice::<Record>(json) {
                Ok(record) => batch.end(Arc::new(record)),
                Err(_) => unreadable.push(json),
            }
        }
        batch.write(&transaction).map_err(StoreError::open)?;
        keep(&transaction, &unreadable).map_err(StoreError::open)?;
        if done {
            transaction.delete_table(REQUESTS_1).map_err(StoreError::open)?;
            schema::create(&transaction)?;
        }
        transaction.commit().map_err(StoreError::open)?;
        if done {
            return Ok(());
        }
    }
}

/// What was not readable before is not readable now, and still there.
fn keep(transaction: &WriteTransaction, unreadable: &[&Vec<u8>]) -> Result<(), redb::Error> {
    let count = u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
    let first = schema::take_numbers(transaction, schema::NEXT_ROW, count)?;
    let mut rows = transaction.open_table(schema::ROWS)?;
    for (number, json) in (first..).zip(unreadable) {
        rows.insert(number, row::unreadable(json).as_slice())?;
    }
    Ok(())
}
