//! The one thread that writes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender},
};

use leverframe_core::record::Record;
use redb::Database;

use crate::{StoreError, schema};

/// Most records that wait to be written.
pub(crate) const QUEUE: usize = 16_384;
/// Most records in one commit.
const BATCH: usize = 1_024;

/// What the thread is asked to do.
pub(crate) enum Job {
    Write(Arc<Record>),
    /// Answer when everything before it is on disk.
    Flush(SyncSender<()>),
}

/// What did not make it into the file.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// The queue was full.
    pub(crate) shed: AtomicU64,
    /// The disk or the record was at fault.
    pub(crate) failed: AtomicU64,
}

/// Writes until every sender is gone.
pub(crate) fn run(database: &Database, jobs: &Receiver<Job>, counters: &Counters) {
    while let Ok(first) = jobs.recv() {
        let mut batch = Vec::new();
        let mut waiting = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter()).take(BATCH) {
            match job {
                Job::Write(record) => batch.push(record),
                Job::Flush(done) => waiting.push(done),
            }
        }
        if write(database, &batch).is_err() {
            let lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            counters.failed.fetch_add(lost, Ordering::Relaxed);
        }
        for done in waiting {
            let _ = done.send(()); // whoever asked may have gone
        }
    }
}

fn write(database: &Database, batch: &[Arc<Record>]) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin_write().map_err(StoreError::write)?;
    // A crashed file then opens in milliseconds rather than being scanned.
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(schema::REQUESTS).map_err(StoreError::write)?;
        for record in batch {
            // A record is plain data: numbers, strings and lists of them.
            let Ok(json) = serde_json::to_vec(record) else { continue };
            table.insert(record.id.as_bytes(), json.as_slice()).map_err(StoreError::write)?;
        }
    }
    transaction.commit().map_err(StoreError::write)
}
