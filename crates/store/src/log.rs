//! The log as its users see it.

use std::{
    convert::Infallible,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use leverframe_core::{
    bodies::Bodies,
    guard::{Memory, Remembers},
    record::{Record, Recorder},
    start::{Hold, NotRecorded, Start},
    time::Clock,
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    Durability, Health, Reader, Recovery, Settings, StoreError, WhenFull,
    batch::size,
    file::{File, Place, guarded},
    guards::{self, Notes, Source},
    recovery,
    settings::WallClock,
    vault::{MasterKey, Vault, VaultError},
    writer::{Counters, Job, Writer},
};

/// Why a request is held back, for a person.
const CANNOT_BE_WRITTEN: &str = "the log cannot be written; check the disk's space and health";

/// How often it is looked for room in a full queue.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(1);

/// How long after the log was opened it is first looked for what is not to be kept.
const FIRST_RETIREMENT: Duration = Duration::from_secs(5);

/// Most bytes of bodies that wait to be written.
const MOST_BODY_BYTES: u64 = 32 << 20;

/// How often who waits for a flush looks whether the disk fails.
const LOOK_AT_HEALTH: Duration = Duration::from_millis(20);

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
    /// The thread, and what is disconnected when it has ended.
    writer: Option<(JoinHandle<()>, Mutex<Receiver<Infallible>>)>,
    recovery: Recovery,
    committed: Arc<watch::Sender<u64>>,
    guards: Arc<Source>,
    pub(crate) file: Arc<File>,
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
        Self::open_at(path, settings, Arc::new(WallClock))
    }

    /// The same with a clock of one's own, by which old entries go.
    ///
    /// # Errors
    /// As of [`Log::open_with`].
    pub fn open_at(
        path: impl AsRef<Path>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::begin(Place::Path(path.as_ref().to_owned()), settings, clock)
    }

    pub(crate) fn begin(place: Place, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let file = Arc::new(File::open(place, settings.cache_bytes)?);
        let recovery = guarded(|| recovery::recover(&file))?;
        let counters = Arc::new(Counters::default());
        let (jobs, queue) = sync_channel(settings.queue.max(1));
        let committed = Arc::new(watch::Sender::new(0));
        let guards = Arc::new(Source::default());
        let writer = Writer {
            file: Arc::clone(&file),
            jobs: queue,
            counters: Arc::clone(&counters),
            durability: settings.durability,
            committed: Arc::clone(&committed),
            guards: Arc::clone(&guards),
            notes: Notes::default(),
            retention: settings.retention,
            clock,
            retire_at: Instant::now() + FIRST_RETIREMENT,
        };
        let (running, ended) = sync_channel::<Infallible>(0);
        let run = move || {
            writer.run();
            drop(running);
        };
        let writer = std::thread::Builder::new()
            .name("leverframe-log".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::open(redb::Error::Io(error)))?;
        Ok(Self {
            reader: Reader::of(Arc::clone(&file)),
            settings,
            jobs: Some(jobs),
            counters,
            writer: Some((writer, Mutex::new(ended))),
            recovery,
            committed,
            guards,
            file,
        })
    }

    /// What answers questions.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The provider configurations in the same file, sealed with `key`. The
    /// first key that is given is the one.
    ///
    /// # Errors
    /// [`VaultError::WrongMasterKey`]; [`VaultError::Store`].
    pub fn vault(&self, key: MasterKey) -> Result<Vault, VaultError> {
        Vault::open(Arc::clone(&self.file), key)
    }

    /// What was found and done when the log was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Counts the commits with new records in them, for whoever follows the log.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// From now on writes down, about once a second, what the guards of
    /// `source` have learned. One source at a time: a later one takes its place.
    pub fn remember(&self, source: Weak<dyn Remembers>) {
        self.guards.set(source);
    }

    /// Writes this down as the last that the guards have learned, whoever is
    /// asked otherwise.
    pub fn note(&self, memory: Memory) {
        let Some(jobs) = &self.jobs else { return };
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        // Where there is no room, what was written a second ago has to do.
        if jobs.try_send(Job::Guards(Box::new(memory))).is_err() {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What the guards had learned when it was last written down, and what
    /// requests took that are in the log since.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn memory(&self) -> Result<Memory, StoreError> {
        guarded(|| guards::read_and_replay(&self.file.begin_read()?))
    }

    /// Takes away all that is not to be kept, and gives the room back to the
    /// disk. For quiet times:
    /// meanwhile nothing is read, and what is recorded waits in the queue. A
    /// process that is killed meanwhile leaves a file that takes long to open.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process reads; [`StoreError::Write`];
    /// [`StoreError::Stopped`].
    pub fn compact(&self) -> Result<(), StoreError> {
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        jobs.send(Job::Compact(done)).map_err(|_| StoreError::Stopped)?;
        self.wake();
        wait.recv().map_err(|_| StoreError::Stopped)?
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counters = &*self.counters;
        Health {
            failing: counters.failing.load(Ordering::Relaxed),
            problem: counters.problem(),
            waiting: read(&counters.queued).saturating_sub(read(&counters.done)),
            written: read(&counters.written),
            shed: read(&counters.shed),
            retired: read(&counters.retired),
            shed_bodies: read(&counters.shed_bodies),
            failed: read(&counters.failed),
            set_aside: read(&counters.set_aside),
        }
    }

    /// Waits until everything recorded before is on disk, or until the disk fails.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when records were shed or could not be written
    /// since the log was opened, and while the disk fails;
    /// [`StoreError::Stopped`] when the writer is gone.
    pub fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        let mut job = Job::Flush(done);
        while let Err(error) = jobs.try_send(job) {
            job = match error {
                TrySendError::Full(job) if !self.is_failing() => job,
                TrySendError::Full(_) => {
                    self.counters.queued.fetch_sub(1, Ordering::Relaxed);
                    return Err(self.lost());
                }
                TrySendError::Disconnected(_) => return Err(StoreError::Stopped),
            };
            std::thread::park_timeout(WAIT_FOR_ROOM);
        }
        self.wake();
        let written = loop {
            match wait.recv_timeout(LOOK_AT_HEALTH) {
                Ok(written) => break written,
                Err(RecvTimeoutError::Timeout) if self.is_failing() => return Err(self.lost()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(StoreError::Stopped),
            }
        };
        let Health { shed, failed, set_aside, .. } = self.health();
        if written && shed == 0 && failed == 0 && set_aside == 0 { Ok(()) } else { Err(self.lost()) }
    }

    fn is_failing(&self) -> bool {
        self.counters.failing.load(Ordering::Relaxed)
    }

    /// What is not in the file, and what may not get there.
    fn lost(&self) -> StoreError {
        let Health { failing, waiting, shed, failed, set_aside, .. } = self.health();
        let waiting = if failing { waiting } else { 0 };
        StoreError::Lost {
            records: shed.saturating_add(failed).saturating_add(set_aside).saturating_add(waiting),
        }
    }

    /// Puts a job into the queue, if there is room. Whether it did.
    fn hand_over(&self, job: Job) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        let handed_over = match jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(job)) => self.insist(jobs, job),
            Err(TrySendError::Disconnected(_)) => false,
        };
        if !handed_over {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
            self.counters.shed.fetch_add(1, Ordering::Relaxed);
        }
        handed_over
    }

    /// Waits for room, where that is what the settings say, and gives up when
    /// the disk fails: then there may be none for long.
    #[expect(clippy::disallowed_methods, reason = "whoever chose to block wants its thread held")]
    fn insist(&self, jobs: &SyncSender<Job>, mut job: Job) -> bool {
        while self.settings.when_full == WhenFull::Block && !self.is_failing() {
            std::thread::sleep(WAIT_FOR_ROOM);
            job = match jobs.try_send(job) {
                Ok(()) => return true,
                Err(TrySendError::Full(job)) => job,
                Err(TrySendError::Disconnected(_)) => return false,
            };
        }
        false
    }

    fn wake(&self) {
        if let Some((writer, _)) = &self.writer {
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

    fn wants_bodies(&self) -> Option<usize> {
        self.settings.bodies
    }

    fn bodies(&self, bodies: &Arc<Bodies>) {
        let counters = &*self.counters;
        let waits = counters.body_bytes.fetch_add(size(bodies), Ordering::Relaxed);
        counters.queued.fetch_add(1, Ordering::Relaxed);
        let has_room = waits.saturating_add(size(bodies)) <= MOST_BODY_BYTES;
        let job = Job::Bodies(Arc::clone(bodies));
        if !(has_room && self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())) {
            counters.queued.fetch_sub(1, Ordering::Relaxed);
            counters.body_bytes.fetch_sub(size(bodies), Ordering::Relaxed);
            counters.shed_bodies.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn start(&self, start: &Arc<Start>) -> Option<Hold> {
        if self.settings.durability != Durability::Strict {
            self.hand_over(Job::Start(Arc::clone(start), None));
            return None;
        }
        if self.is_failing() {
            return Some(Hold::new(async { Err(NotRecorded(CANNOT_BE_WRITTEN.to_owned())) }));
        }
        let (done, written) = oneshot::channel();
        let handed_over = self.hand_over(Job::Start(Arc::clone(start), Some(done)));
        self.wake();
        Some(Hold::new(async move {
            match handed_over {
                false => Err(NotRecorded("the log's queue is full".to_owned())),
                true if written.await == Ok(true) => Ok(()),
                true => Err(NotRecorded(CANNOT_BE_WRITTEN.to_owned())),
            }
        }))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.counters.closing.store(true, Ordering::Relaxed);
        self.jobs = None; // the writer ends when it has written what is queued
        self.wake();
        let Some((writer, ended)) = self.writer.take() else { return };
        if writer.thread().id() == std::thread::current().id() {
            return; // it was the last to hold the log, and ends by itself
        }
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A thread that hangs on its disk is left to itself.
        let _ = ended.recv_timeout(self.settings.close_within);
    }
}
