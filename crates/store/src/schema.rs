//! The tables of the file.

use leverframe_core::{model::RequestId, record::Record};
use redb::TableDefinition;

use crate::StoreError;

/// The version this program writes and reads.
pub(crate) const VERSION: u64 = 1;

/// Facts about the file itself, by name.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The key of [`VERSION`] in [`META`].
pub(crate) const VERSION_KEY: &str = "schema_version";

/// Records as JSON, by request id. Ids sort by time of creation.
pub(crate) const REQUESTS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("requests");

/// Reads one record and checks that it can have happened.
pub(crate) fn read(key: [u8; 16], value: &[u8]) -> Result<Record, StoreError> {
    let id = RequestId::from_bytes(key);
    let record: Record =
        serde_json::from_slice(value).map_err(|error| StoreError::Unreadable { id, error })?;
    record.journal.replay().map_err(|error| StoreError::Corrupt { id, error })?;
    Ok(record)
}
