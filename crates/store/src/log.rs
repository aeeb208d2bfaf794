//! The log as its users see it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use leverframe_core::{
    record::{Record, Recorder},
    start::{Hold, NotRecorded, Start},
};
use tokio::sync::{oneshot, watch};

use crate::{
    Durability, Health, Reader, Recovery, Settings, StoreError, WhenFull,
    file::{File, guarded},
    recovery,
    writer::{Counters, Job, Writer},
};

/// A log of requests in one file.
///
/// It is asked through its [`Reader`]. Dropping it writes what is queued and
/// closes the file.
#[derive(Debug)]
pub struct Log {
    reader: Reader,
    settings: Settings,
    /// `None` only while it is being dropped.
    jobs: Option<SyncSender<Job>>,
    counters: Arc<Counters>,
    writer: Option<JoinHandle<()>>,
    recovery: Recovery,
    committed: Arc<watch::Sender<u64>>,
}

impl Log {
    /// Opens the file, or makes it, with the default [`Settings`].
    ///
    /// # Errors
    /// As of [`Log::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Settings::default())
    }

    /// Opens the file, or makes it. A file of an earlier version is brought up
    /// to date. Requests that were out when the last process ended are settled:
    /// see [`Log::recovery`].
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process writes to it;
    /// [`StoreError::Version`] when a newer version has written it;
    /// [`StoreError::NotALog`], [`StoreError::Damaged`], [`StoreError::Open`].
    pub fn open_with(path: impl AsRef<Path>, settings: Settings) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(path.as_ref(), settings.cache_bytes)?);
        let recovery = guarded(|| recovery::recover(&file))?;
        let counters = Arc::new(Counters::default());
        let (jobs, queue) = sync_channel(settings.queue.max(1));
        let committed = Arc::new(watch::Sender::new(0));
        let writer = Writer {
            file: Arc::clone(&file),
            jobs: queue,
            counters: Arc::clone(&counters),
            durability: settings.durability,
            committed: Arc::clone(&committed),
        };
        let writer = std::thread::Builder::new()
            .name("leverframe-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::open(redb::Error::Io(error)))?;
        let reader = Reader::of(file);
        Ok(Self { reader, settings, jobs: Some(jobs), counters, writer: Some(writer), recovery, committed })
    }

    /// What answers questions.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What was found and done when the log was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Counts the commits with new records in them, for whoever follows the log.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counters = &*self.counters;
        Health {
            failing: counters.failing.load(Ordering::Relaxed),
            waiting: read(&counters.queued).saturating_sub(read(&counters.done)),
            written: read(&counters.written),
            shed: read(&counters.shed),
            failed: read(&counters.failed),
            set_aside: read(&counters.set_aside),
        }
    }

    /// Waits until everything recorded before is on disk.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when records were shed or could not be written
    /// since the log was opened, and while the disk fails;
    /// [`StoreError::Stopped`] when the writer is gone.
    pub fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        jobs.send(Job::Flush(done)).map_err(|_| StoreError::Stopped)?;
        self.wake();
        let written = wait.recv().map_err(|_| StoreError::Stopped)?;
        let Health { shed, failed, set_aside, waiting, .. } = self.health();
        match shed.saturating_add(failed).saturating_add(set_aside) {
            0 if written => Ok(()),
            0 => Err(StoreError::Lost { records: waiting }),
            records => Err(StoreError::Lost { records }),
        }
    }

    /// Puts a job into the queue, if there is room. Whether it did.
    fn hand_over(&self, job: Job) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        let handed_over = match jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(job)) if self.blocks() => jobs.send(job).is_ok(),
            Err(_) => false,
        };
        if !handed_over {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
            self.counters.shed.fetch_add(1, Ordering::Relaxed);
        }
        handed_over
    }

    fn blocks(&self) -> bool {
        self.settings.when_full == WhenFull::Block && !self.counters.failing.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Recorder for Log {
    fn record(&self, record: &Arc<Record>) {
        self.hand_over(Job::End(Arc::clone(record)));
    }

    fn wants_starts(&self) -> bool {
        true
    }

    fn start(&self, start: &Arc<Start>) -> Option<Hold> {
        if self.settings.durability != Durability::Strict {
            self.hand_over(Job::Start(Arc::clone(start), None));
            return None;
        }
        let (done, written) = oneshot::channel();
        let handed_over = self.hand_over(Job::Start(Arc::clone(start), Some(done)));
        self.wake();
        Some(Hold::new(async move {
            match handed_over {
                false => Err(NotRecorded("the log's queue is full".to_owned())),
                true if written.await == Ok(true) => Ok(()),
                true => Err(NotRecorded(
                    "the log cannot be written; check the disk's space and health".to_owned(),
                )),
            }
        }))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.counters.closing.store(true, Ordering::Relaxed);
        self.wake();
        self.jobs = None; // the writer ends when it has written what is queued
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // a panic of the writer has been printed by itself
        }
    }
}
