//! A record as the bytes of a row.
//!
//! A row is when the request ended (Unix nanoseconds, little-endian, so that
//! rows of another time are passed over unread), and the record's JSON,
//! compressed with LZ4 against a dictionary: a typical record. Most of a record is field names and the shapes between them,
//! so each row shrinks to about a fifth by itself and can be read by itself.
//! JSON, because fields may be added to a record without a migration.

use leverframe_core::{model::RequestId, record::Record, time::Timestamp};

use crate::StoreError;

/// Rows of version 2 were written against exactly these bytes. Never edit the
/// file: add another and another first byte.
const DICTIONARY: &[u8] = include_bytes!("dictionary_1.json");

/// The first byte of a row that is plain JSON.
const PLAIN: u8 = 0;

/// The first byte of a row that was written against [`DICTIONARY`].
const WITH_DICTIONARY_1: u8 = 1;

/// Most bytes a row may have when it is unpacked: a corrupt length must not
/// take the memory. A record holds no content, so none comes near.
const MOST: usize = 16 << 20;

/// Packs records, one after the other in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    json: Vec<u8>,
    row: Vec<u8>,
}

impl Packer {
    /// Packs a record.
    pub(crate) fn pack(&mut self, record: &Record) -> Result<&[u8], serde_json::Error> {
        let Self { json, row } = self;
        json.clear();
        serde_json::to_writer(&mut *json, record)?;
        row.clear();
        row.push(WITH_DICTIONARY_1);
        row.extend(record.ended_at.unix_nanos().to_le_bytes());
        if compress(json, row).is_none() {
            *row = unreadable(json);
        }
        Ok(row)
    }
}

/// Adds the length of `json`, and what it is compressed to. `None` if it cannot
/// be: not with less than 4 GiB of it, and all the room that may take.
fn compress(json: &[u8], row: &mut Vec<u8>) -> Option<()> {
    row.extend(u32::try_from(json.len()).ok()?.to_le_bytes());
    let from = row.len();
    row.resize(from + lz4_flex::block::get_maximum_output_size(json.len()), 0);
    let room = row.get_mut(from..)?;
    let packed = lz4_flex::block::compress_into_with_dict(json, room, DICTIONARY).ok()?;
    row.truncate(from + packed);
    Some(())
}

/// A row of bytes that are no record, kept for whoever can read them.
pub(crate) fn unreadable(bytes: &[u8]) -> Vec<u8> {
    [&[PLAIN], bytes].concat()
}

/// Unpacks a row, and checks that it can have happened.
pub(crate) fn unpack(number: u64, row: &[u8]) -> Result<Record, StoreError> {
    let json = json(row).ok_or(StoreError::Unreadable { row: number, error: None })?;
    let record: Record = serde_json::from_slice(&json)
        .map_err(|error| StoreError::Unreadable { row: number, error: Some(error) })?;
    match record.journal.replay() {
        Ok(_) => Ok(record),
        Err(error) => Err(StoreError::Corrupt { id: record.id, error }),
    }
}

/// The id of a row's request, whatever else is in it.
pub(crate) fn id(row: &[u8]) -> Option<RequestId> {
    #[derive(serde::Deserialize)]
    struct Identified {
        id: RequestId,
    }
    let identified: Identified = serde_json::from_slice(&json(row)?).ok()?;
    Some(identified.id)
}

/// When a row's request ended. `None` where the row does not say so apart.
pub(crate) fn ended_at(row: &[u8]) -> Option<Timestamp> {
    let (&kind, rest) = row.split_first()?;
    let nanos = rest.first_chunk().filter(|_| kind == WITH_DICTIONARY_1)?;
    Some(Timestamp::from_unix_nanos(u64::from_le_bytes(*nanos)))
}

fn json(row: &[u8]) -> Option<Vec<u8>> {
    let (&kind, rest) = row.split_first()?;
    let (_, packed) = match kind {
        PLAIN => return Some(rest.to_vec()),
        WITH_DICTIONARY_1 => rest.split_first_chunk::<8>()?,
        _ => return None,
    };
    let length = u32::from_le_bytes(*packed.first_chunk()?);
    if usize::try_from(length).ok()? > MOST {
        return None;
    }
    lz4_flex::block::decompress_size_prepended_with_dict(packed, DICTIONARY).ok()
}
