//! The log as its users see it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use leverframe_core::{
    model::RequestId,
    record::{Record, Recorder},
};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::{
    StoreError, schema,
    writer::{self, Counters, Job, QUEUE},
};

/// Memory for the file's pages. The library's default is a gibibyte.
const CACHE_BYTES: usize = 16 << 20;

/// A log of requests in one file.
///
/// Dropping it writes what is queued and closes the file.
#[derive(Debug)]
pub struct Log {
    database: Arc<Database>,
    /// `None` only while it is being dropped.
    jobs: Option<SyncSender<Job>>,
    counters: Arc<Counters>,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError::Open`] when it cannot be opened, [`StoreError::Version`]
    /// when another version wrote it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(StoreError::open)?;
        check_version(&database)?;
        let database = Arc::new(database);
        let counters = Arc::new(Counters::default());
        let (jobs, queue) = sync_channel(QUEUE);
        let writer = {
            let (database, counters) = (Arc::clone(&database), Arc::clone(&counters));
            std::thread::Builder::new()
                .name("leverframe-log".to_owned())
                .spawn(move || writer::run(&database, &queue, &counters))
                .map_err(|error| StoreError::open(redb::Error::Io(error)))?
        };
        Ok(Self { database, jobs: Some(jobs), counters, writer: Some(writer) })
    }

    /// Waits until everything recorded before is on disk.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when records were shed or could not be written
    /// since the log was opened; [`StoreError::Stopped`] when the writer is gone.
    pub fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.send(Job::Flush(done)).map_err(|_| StoreError::Stopped)?;
        wait.recv().map_err(|_| StoreError::Stopped)?;
        match self.shed().saturating_add(self.failed()) {
            0 => Ok(()),
            records => Err(StoreError::Lost { records }),
        }
    }

    /// The record of one request, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read or the record is corrupt.
    pub fn get(&self, id: RequestId) -> Result<Option<Record>, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::read)?;
        let table = transaction.open_table(schema::REQUESTS).map_err(StoreError::read)?;
        let Some(value) = table.get(id.as_bytes()).map_err(StoreError::read)? else { return Ok(None) };
        schema::read(*id.as_bytes(), value.value()).map(Some)
    }

    /// The newest records, newest first, `limit` at most. One that is corrupt
    /// is an error in its place and does not hide the others.
    ///
    /// # Errors
    /// [`StoreError::Read`] when the file cannot be read.
    pub fn newest(&self, limit: usize) -> Result<Vec<Result<Record, StoreError>>, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::read)?;
        let table = transaction.open_table(schema::REQUESTS).map_err(StoreError::read)?;
        let newest_first = table.iter().map_err(StoreError::read)?.rev().take(limit);
        newest_first
            .map(|entry| {
                let (key, value) = entry.map_err(StoreError::read)?;
                Ok(schema::read(key.value(), value.value()))
            })
            .collect()
    }

    /// How many records were dropped because the queue was full.
    pub fn shed(&self) -> u64 {
        self.counters.shed.load(Ordering::Relaxed)
    }

    /// How many records could not be written.
    pub fn failed(&self) -> u64 {
        self.counters.failed.load(Ordering::Relaxed)
    }
}

impl Recorder for Log {
    fn record(&self, record: &Arc<Record>) {
        let Some(jobs) = &self.jobs else { return };
        if jobs.try_send(Job::Write(Arc::clone(record))).is_err() {
            self.counters.shed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.jobs = None; // the writer ends when it has written what is queued
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // a panic of the writer has been printed by itself
        }
    }
}

/// Makes the tables of a new file; of an old one, checks that it is ours to read.
fn check_version(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(StoreError::open)?;
    let new = transaction.list_tables().map_err(StoreError::open)?.next().is_none();
    {
        let mut meta = transaction.open_table(schema::META).map_err(StoreError::open)?;
        let found = meta.get(schema::VERSION_KEY).map_err(StoreError::open)?.map(|version| version.value());
        match found {
            Some(schema::VERSION) => {}
            Some(found) => return Err(StoreError::Version { found, expected: schema::VERSION }),
            None if !new => return Err(StoreError::NotALog),
            None => {
                meta.insert(schema::VERSION_KEY, schema::VERSION).map_err(StoreError::open)?;
            }
        }
        transaction.open_table(schema::REQUESTS).map_err(StoreError::open)?;
    }
    transaction.commit().map_err(StoreError::open)
}
