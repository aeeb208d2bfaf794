//! What can go wrong with the file.

use leverframe_core::{lifecycle::CorruptJournal, model::RequestId};

/// Why the log cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the log; check that the folder exists, can be written to and has space left")]
    Open(#[source] Box<redb::Error>),
    /// Another process writes to the file.
    #[error(
        "another process writes to the log; stop it first, name another file, or open this one for reading only \
         with Reader::open"
    )]
    InUse,
    /// The file was written by a newer version of this program.
    #[error("the log has schema version {found}; this version reads up to {expected}: update this program")]
    Version {
        /// What the file says.
        found: u64,
        /// What this version writes.
        expected: u64,
    },
    /// The file was written by an older version of this program, and was only to be read.
    #[error(
        "the log has the older schema version {found}; open it once for writing, which brings it up to date"
    )]
    Outdated {
        /// What the file says.
        found: u64,
    },
    /// The process that wrote the file was killed, or the power went, and the
    /// file was only to be read.
    #[error(
        "the log was not closed by the process that wrote it; open it once for writing, which puts it right: start \
         the gateway"
    )]
    Unclosed,
    /// Reading failed.
    #[error("cannot read the log")]
    Read(#[source] Box<redb::Error>),
    /// Writing failed.
    #[error("cannot write the log")]
    Write(#[source] Box<redb::Error>),
    /// The file makes no sense.
    #[error("the log is damaged; move the file away, and a new one is begun")]
    Damaged,
    /// A row is no record.
    #[error("row {row} of the log is not readable")]
    Unreadable {
        /// Which.
        row: u64,
        /// Why, if it was unpacked at all.
        #[source]
        error: Option<serde_json::Error>,
    },
    /// A record's journal cannot have happened.
    #[error("record {id} is corrupt")]
    Corrupt {
        /// Which.
        id: RequestId,
        /// Why.
        #[source]
        error: CorruptJournal,
    },
    /// The file is a database, but not a log.
    #[error("the file is not a log of this program; name another")]
    NotALog,
    /// Records were lost before this one was written.
    #[error("{records} records could not be written; check the disk's space and health")]
    Lost {
        /// How many since the log was opened.
        records: u64,
    },
    /// The disk failed, and the file could not be opened again yet.
    #[error(
        "the log's disk failed, and it is being tried to open the log again; check the disk's space and health"
    )]
    Closed,
    /// Someone reads the log, so that it cannot be made smaller.
    #[error("the log is being read, so it cannot be compacted; try again when nobody reads it")]
    Busy,
    /// The writer has stopped.
    #[error("the log's writer has stopped; open the log again")]
    Stopped,
}

impl StoreError {
    pub(crate) fn open(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::RepairAborted => Self::Unclosed,
            error => Self::Open(Box::new(error)),
        }
    }

    pub(crate) fn compact(error: redb::CompactionError) -> Self {
        match error {
            redb::CompactionError::TransactionInProgress => Self::Busy,
            error => Self::Write(Box::new(error.into())),
        }
    }

    pub(crate) fn read(error: impl Into<redb::Error>) -> Self {
        Self::Read(Box::new(error.into()))
    }

    pub(crate) fn write(error: impl Into<redb::Error>) -> Self {
        Self::Write(Box::new(error.into()))
    }
}
