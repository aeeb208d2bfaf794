//! What can go wrong with the file.

use leverframe_core::{lifecycle::CorruptJournal, model::RequestId};

/// Why the log cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened.
    #[error(
        "cannot open the log; check that the folder exists, can be written to and is not in use by another process"
    )]
    Open(#[source] Box<redb::Error>),
    /// The file was written by another version of this program.
    #[error("the log has schema version {found}; this version reads {expected}")]
    Version {
        /// What the file says.
        found: u64,
        /// What this version writes.
        expected: u64,
    },
    /// Reading failed.
    #[error("cannot read the log")]
    Read(#[source] Box<redb::Error>),
    /// Writing failed.
    #[error("cannot write the log")]
    Write(#[source] Box<redb::Error>),
    /// A record is not one.
    #[error("record {id} is not readable")]
    Unreadable {
        /// Which.
        id: RequestId,
        /// Why.
        #[source]
        error: serde_json::Error,
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
    /// The writer has stopped.
    #[error("the log's writer has stopped; open the log again")]
    Stopped,
}

impl StoreError {
    pub(crate) fn open(error: impl Into<redb::Error>) -> Self {
        Self::Open(Box::new(error.into()))
    }

    pub(crate) fn read(error: impl Into<redb::Error>) -> Self {
        Self::Read(Box::new(error.into()))
    }

    pub(crate) fn write(error: impl Into<redb::Error>) -> Self {
        Self::Write(Box::new(error.into()))
    }
}
