//! The one thread that writes.
//!
//! It takes what waits in the queue, writes all of it in one commit, and tells
//! whoever waits for it. Between two commits it sleeps for the length of the
//! group window instead of waiting on the queue, so that a request that hands
//! something over wakes nobody and pays for no system call; only the first one
//! after a quiet time does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use leverframe_core::{bodies::Bodies, guard::Memory, record::Record, start::Start, time::Clock};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Durability, Retention, StoreError,
    batch::{Batch, Written},
    file::{File, guarded},
    guards::{Notes, Source},
    retention::{self, Gone},
};

/// Most starts and records in one commit.
const BATCH: usize = 1_024;
/// The same where nobody minds losing some.
const LARGE_BATCH: usize = 8_192;

/// How long records are gathered between two commits.
const GROUP_WINDOW: Duration = Duration::from_millis(20);
/// The same where nobody minds losing some.
const LONG_WINDOW: Duration = Duration::from_secs(1);

/// Commits in a row without anything to write before the thread waits on the queue.
const QUIET: u32 = 50;

/// How often it is looked for what is not to be kept, and how long the traffic
/// has the disk for itself between two steps of taking it away.
const RETIRE_EVERY: Duration = Duration::from_secs(30);
const RETIRE_ON: Duration = Duration::from_millis(50);

/// How long the disk is left alone after it failed, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the thread is asked to do.
pub(crate) enum Job {
    /// A request is sent. Who waits for it to be on disk is told.
    Start(Arc<Start>, Option<oneshot::Sender<bool>>),
    /// A request is over.
    End(Arc<Record>),
    /// What went over the wire in an attempt.
    Bodies(Arc<Bodies>),
    /// What the guards have learned.
    Guards(Box<Memory>),
    /// Make the file as small as what is in it.
    Compact(std::sync::mpsc::SyncSender<Result<(), StoreError>>),
    /// Answer when everything before it is on disk, or cannot be put there.
    Flush(std::sync::mpsc::SyncSender<bool>),
}

/// What became of what was handed over.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Records that are in the file.
    pub(crate) written: AtomicU64,
    /// The queue was full.
    pub(crate) shed: AtomicU64,
    /// Entries that were taken away.
    pub(crate) retired: AtomicU64,
    /// Bodies there was no room for.
    pub(crate) shed_bodies: AtomicU64,
    /// Bytes of bodies that were handed over and not written yet.
    pub(crate) body_bytes: AtomicU64,
    /// The disk was at fault when the log was closed.
    pub(crate) failed: AtomicU64,
    /// The record was at fault.
    pub(crate) set_aside: AtomicU64,
    /// Jobs that were handed over.
    pub(crate) queued: AtomicU64,
    /// Jobs that were done.
    pub(crate) done: AtomicU64,
    /// Whether the last commit failed.
    pub(crate) failing: AtomicBool,
    /// Why, or why the last one did that failed.
    problem: Mutex<Option<String>>,
    /// Whether the log is being closed.
    pub(crate) closing: AtomicBool,
}

impl Counters {
    fn fails_with(&self, error: &StoreError) {
        let reason = std::error::Error::source(error).map(|source| format!(": {source}"));
        let text = format!("{error}{}", reason.unwrap_or_default());
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// Why the last commit failed that did.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct Writer {
    pub(crate) file: Arc<File>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) durability: Durability,
    /// Told of every commit.
    pub(crate) committed: Arc<tokio::sync::watch::Sender<u64>>,
    pub(crate) guards: Arc<Source>,
    pub(crate) notes: Notes,
    pub(crate) retention: Retention,
    pub(crate) clock: Arc<dyn Clock>,
    /// When it is looked next for what is not to be kept.
    pub(crate) retire_at: Instant,
}

/// What waits for one commit.
#[derive(Default)]
struct Group {
    batch: Batch,
    guards: Option<Box<Memory>>,
    jobs: u64,
    strict: Vec<oneshot::Sender<bool>>,
    flushes: Vec<std::sync::mpsc::SyncSender<bool>>,
    compactions: Vec<std::sync::mpsc::SyncSender<Result<(), StoreError>>>,
}

impl Group {
    fn add(&mut self, job: Job) {
        self.jobs += 1;
        match job {
            Job::Start(start, done) => {
                self.batch.start(start);
                self.strict.extend(done);
            }
            Job::End(record) => self.batch.end(record),
            Job::Bodies(bodies) => self.batch.bodies(bodies),
            Job::Guards(memory) => self.guards = Some(memory),
            Job::Compact(done) => self.compactions.push(done),
            Job::Flush(done) => self.flushes.push(done),
        }
    }

    fn tell(self, written: bool) {
        // Whoever asked may have gone.
        for done in self.strict {
            let _ = done.send(written);
        }
        for done in self.flushes {
            let _ = done.send(written);
        }
    }
}

impl Writer {
    /// Writes until every sender is gone.
    pub(crate) fn run(mut self) {
        let mut quiet = 0;
        loop {
            let mut group = Group::default();
            if quiet >= QUIET {
                match self.jobs.recv_timeout(RETIRE_EVERY) {
                    Ok(first) => group.add(first),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let open = self.gather(&mut group);
            quiet = if group.jobs == 0 { quiet.saturating_add(1) } else { 0 };
            let urgent = self.is_full(&group) || self.durability == Durability::Strict;
            let compactions = std::mem::take(&mut group.compactions);
            self.commit(group);
            if !open {
                return;
            }
            self.retire();
            for done in compactions {
                while self.retire_some().more {}
                let _ = done.send(self.file.compact()); // whoever asked may have gone
            }
            if !urgent {
                self.pause();
            }
        }
    }

    /// Lets records gather. Whoever is in a hurry wakes it.
    fn pause(&self) {
        std::thread::park_timeout(match self.durability {
            Durability::Strict | Durability::Group => GROUP_WINDOW,
            Durability::Off => LONG_WINDOW,
        });
    }

    fn is_full(&self, group: &Group) -> bool {
        let most = match self.durability {
            Durability::Strict | Durability::Group => BATCH,
            Durability::Off => LARGE_BATCH,
        };
        group.batch.len() >= most
    }

    /// Takes what waits. Whether more may come.
    fn gather(&self, group: &mut Group) -> bool {
        while !self.is_full(group) {
            match self.jobs.try_recv() {
                Ok(job) => group.add(job),
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Writes a group, as often as it takes. While the disk fails, whoever
    /// waits is told so, and the rest is kept.
    fn commit(&mut self, mut group: Group) {
        let mut pause = FIRST_PAUSE;
        let (jobs, body_bytes) = (group.jobs, group.batch.body_bytes());
        loop {
            match self.try_commit(&group) {
                Ok(written) => {
                    self.counters.failing.store(false, Ordering::Relaxed);
                    self.counters.written.fetch_add(written.rows, Ordering::Relaxed);
                    self.counters.set_aside.fetch_add(written.set_aside, Ordering::Relaxed);
                    group.tell(true);
                    if written.rows > 0 {
                        self.committed.send_modify(|commits| *commits += 1);
                    }
                    break;
                }
                Err(error) => {
                    // That it is closed says nothing of why.
                    if !matches!(error, StoreError::Closed) {
                        self.counters.fails_with(&error);
                    }
                    self.counters.failing.store(true, Ordering::Relaxed);
                    self.notes.forget();
                    let (batch, guards) = (std::mem::take(&mut group.batch), group.guards.take());
                    group.tell(false);
                    group = Group { batch, guards, ..Group::default() };
                    if self.counters.closing.load(Ordering::Relaxed) {
                        let lost = u64::try_from(group.batch.ended()).unwrap_or(u64::MAX);
                        self.counters.failed.fetch_add(lost, Ordering::Relaxed);
                        break;
                    }
                    std::thread::park_timeout(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    // The database asks to be opened again after a failure. A file that
                    // cannot be opened is tried again in the next turn.
                    if let Err(error) = self.file.reopen() {
                        self.counters.fails_with(&error);
                    }
                }
            }
        }
        self.counters.done.fetch_add(jobs, Ordering::Relaxed);
        self.counters.body_bytes.fetch_sub(body_bytes, Ordering::Relaxed);
    }

    /// Takes away some of what is not to be kept, if it is time.
    fn retire(&mut self) {
        if Instant::now() >= self.retire_at {
            let gone = self.retire_some();
            self.retire_at = Instant::now() + if gone.more { RETIRE_ON } else { RETIRE_EVERY };
        }
    }

    fn retire_some(&self) -> Gone {
        let (file, retention, now) = (&self.file, &self.retention, self.clock.now());
        let step = guarded(|| {
            let mut transaction = file.begin_write()?;
            transaction.set_quick_repair(true);
            let gone = retention::step(&transaction, retention, now).map_err(StoreError::write)?;
            match gone.entries {
                0 => transaction.abort().map_err(StoreError::write)?,
                _ => transaction.commit().map_err(StoreError::write)?,
            }
            Ok(gone)
        });
        // A disk that fails is told of by the next commit.
        let gone = step.unwrap_or_default();
        self.counters.retired.fetch_add(u64::try_from(gone.entries).unwrap_or(u64::MAX), Ordering::Relaxed);
        gone
    }

    fn try_commit(&mut self, Group { batch, guards, .. }: &Group) -> Result<Written, StoreError> {
        if batch.is_empty() && guards.is_none() {
            return Ok(Written::default());
        }
        // Asked after the batch was gathered: what its requests took is among what was learned.
        let due = match guards {
            Some(_) => None,
            None => self.notes.due(&self.guards),
        };
        let (file, notes) = (&self.file, &mut self.notes);
        guarded(|| {
            let mut transaction = file.begin_write()?;
            // A crashed file then opens in milliseconds rather than being scanned.
            transaction.set_quick_repair(true);
            let written = batch.write(&transaction).map_err(StoreError::write)?;
            if let Some(memory) = guards.as_deref().or(due.as_ref()) {
                notes.write(memory, &transaction).map_err(StoreError::write)?;
            }
            transaction.commit().map_err(StoreError::write)?;
            Ok(written)
        })
    }
}
