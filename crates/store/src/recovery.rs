//! What a crash left behind.

use std::sync::Arc;

use leverframe_core::{model::RequestId, start::Start};
use redb::{ReadableDatabase, ReadableTable};

use crate::{StoreError, batch::Batch, file::File, row, schema};

/// Requests that are settled in one commit.
const STEP: usize = 1_024;

/// Newest rows whose journals are gone through again after a crash.
const CHECKED: usize = 1_024;

/// What was found and done when the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Requests that were out when the process ended. They are in the log as
    /// abandoned now, and what they cost is unknown.
    pub abandoned: u64,
    /// Starts that could not be read, and were taken out.
    pub unreadable: u64,
    /// Those of the newest records whose journal cannot have happened.
    pub corrupt: Vec<RequestId>,
}

/// Settles what was out. Each step is one commit, so nothing is settled twice.
pub(crate) fn recover(file: &File) -> Result<Recovery, StoreError> {
    let database = file.database()?;
    let mut recovery = Recovery::default();
    loop {
        let transaction = database.begin_write().map_err(StoreError::open)?;
        let mut batch = Batch::default();
        let mut unreadable = Vec::new();
        {
            let mut starts = transaction.open_table(schema::STARTS).map_err(StoreError::open)?;
            for entry in starts.iter().map_err(StoreError::open)?.take(STEP) {
                let (id, json) = entry.map_err(StoreError::open)?;
                match serde_json::from_slice::<Start>(json.value()) {
                    Ok(start) if start.id.as_bytes() == &id.value() => batch.end(Arc::new(start.abandoned())),
                    _ => unreadable.push(id.value()),
                }
            }
            for id in &unreadable {
                starts.remove(id).map_err(StoreError::open)?;
            }
        }
        let found = batch.ended() + unreadable.len();
        if found == 0 {
            transaction.abort().map_err(StoreError::open)?;
            break;
        }
        recovery.abandoned += batch.write(&transaction).map_err(StoreError::open)?.rows;
        recovery.unreadable += u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
        transaction.commit().map_err(StoreError::open)?;
        if found < STEP {
            break;
        }
    }
    if recovery != Recovery::default() {
        recovery.corrupt = corrupt(file)?;
    }
    Ok(recovery)
}

fn corrupt(file: &File) -> Result<Vec<RequestId>, StoreError> {
    let rows = file.database()?.begin_read().map_err(StoreError::open)?;
    let rows = rows.open_table(schema::ROWS).map_err(StoreError::open)?;
    let mut corrupt = Vec::new();
    for entry in rows.iter().map_err(StoreError::open)?.rev().take(CHECKED) {
        let (number, row) = entry.map_err(StoreError::open)?;
        if let Err(StoreError::Corrupt { id, .. }) = row::unpack(number.value(), row.value()) {
            corrupt.push(id);
        }
    }
    Ok(corrupt)
}
