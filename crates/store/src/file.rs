//! Opening the file, and keeping its faults from being ours.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction,
};

use crate::{StoreError, migrate};

/// Memory for the file's pages, unless configured. The library's default is a gibibyte.
pub(crate) const CACHE_BYTES: usize = 16 << 20;

/// Does something with the database. It panics on some damaged pages, which is
/// an error of the file to us and no reason to end the process.
pub(crate) fn guarded<T>(act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // The database is given up by whoever hears of the damage: nothing half made is used on.
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(StoreError::Damaged))
}

fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Database::builder();
    // Other processes may read while one writes.
    builder.set_cache_size(cache_bytes).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// How often, and how far apart, it is tried to be alone with the file.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

fn compact(database: &mut Database) -> Result<(), StoreError> {
    // Each pass moves what it can; the last one moves nothing.
    while database.compact().map_err(StoreError::compact)? {}
    Ok(())
}

/// The file, opened for writing. It is closed and opened again when the disk
/// has failed, as the database asks for.
#[derive(Debug)]
pub(crate) struct File {
    place: Place,
    cache_bytes: usize,
    database: RwLock<Option<Arc<Database>>>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum Place {
    Path(PathBuf),
    #[cfg(test)]
    Disk(crate::tests::disk::Disk),
}

impl Place {
    fn open(&self, builder: &Builder) -> Result<Database, redb::DatabaseError> {
        match self {
            Self::Path(path) => builder.create(path),
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.clone()),
        }
    }
}

impl File {
    /// Opens the file, or makes it, and brings it up to date.
    pub(crate) fn open(place: Place, cache_bytes: usize) -> Result<Self, StoreError> {
        let file = Self { place, cache_bytes, database: RwLock::new(None) };
        file.reopen()?;
        Ok(file)
    }

    /// Closes it and opens it again.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *slot = None; // whoever reads still holds it open; then the next try is the one
        *slot = Some(guarded(|| {
            let database = self.place.open(&builder(self.cache_bytes)).map_err(StoreError::open)?;
            migrate::bring_up_to_date(&database)?;
            Ok(Arc::new(database))
        })?);
        Ok(())
    }

    /// Makes the file as small as what is in it. Nobody can read meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process reads; [`StoreError`].
    pub(crate) fn compact(&self) -> Result<(), StoreError> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..TRIES {
            let Some(database) = &mut *slot else { return Err(StoreError::Closed) };
            // Whoever reads holds it for as long as one question takes.
            let compacted = Arc::get_mut(database).map(|database| guarded(|| compact(database)));
            match compacted {
                None | Some(Err(StoreError::Busy)) => std::thread::park_timeout(PAUSE),
                Some(compacted) => return compacted,
            }
        }
        Err(StoreError::Busy)
    }

    /// The database, unless it could not be opened again.
    pub(crate) fn database(&self) -> Result<Arc<Database>, StoreError> {
        let slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        slot.clone().ok_or(StoreError::Closed)
    }

    /// Begins to write.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.database()?.begin_write().map_err(StoreError::write)
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        guarded(|| self.database()?.begin_read().map_err(StoreError::read))
    }
}

/// The file, opened for reading only, while another process may write to it.
pub(crate) fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase, StoreError> {
    guarded(|| {
        let database = builder(CACHE_BYTES).open_read_only(path).map_err(StoreError::open)?;
        migrate::check(&database.begin_read().map_err(StoreError::read)?)?;
        Ok(database)
    })
}
