//! A disk in memory that remembers the order of what happened to it, and can
//! be full, fail or hang.

use std::{
    io,
    ops::Bound,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use redb::{BackendError, StorageBackend};

use crate::{Log, Settings, StoreError, file::Place, settings::WallClock};

/// Something that happened to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Write(usize, Vec<u8>),
    SetLength(usize),
    Sync,
}

/// What the disk does instead of what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It has this many bytes and no more.
    Full(usize),
    /// Nothing can be written.
    ReadOnly,
    /// What is to be made safe waits until that is over.
    Hangs,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    events: Vec<Event>,
    fault: Fault,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Disk {
    /// A disk with something on it.
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().bytes = bytes;
        disk
    }

    pub(super) fn open(&self, settings: Settings) -> Result<Log, StoreError> {
        Log::begin(Place::Disk(self.clone()), settings, Arc::new(WallClock))
    }

    pub(super) fn set(&self, fault: Fault) {
        self.lock().fault = fault;
        self.state.1.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    /// How much has happened.
    pub(super) fn happened(&self) -> usize {
        self.lock().events.len()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does to `bytes` what happened to the disk.
pub(super) fn replay(bytes: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(at, data) => {
            // What made the disk longer may not have reached it.
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[*at..*at + data.len()].copy_from_slice(data);
        }
        Event::SetLength(length) => bytes.resize(*length, 0),
        Event::Sync => {}
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a small disk")
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl State {
    fn happens(&mut self, event: Event) -> io::Result<()> {
        let end = match &event {
            Event::Write(at, data) => at + data.len(),
            Event::SetLength(length) => *length,
            Event::Sync => 0,
        };
        match self.fault {
            Fault::Full(most) if end > most => return Err(full()),
            Fault::ReadOnly => return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)),
            Fault::Full(_) | Fault::None | Fault::Hangs => {}
        }
        replay(&mut self.bytes, &event);
        self.events.push(event);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let from = state.bytes.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.lock().happens(Event::SetLength(place(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let (_, waiting) = &*self.state;
        let mut state =
            waiting.wait_while(self.lock(), |state| state.fault == Fault::Hangs).expect("no panic under it");
        state.happens(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().happens(Event::Write(place(offset), data.to_vec()))
    }

    // One process has the disk.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
