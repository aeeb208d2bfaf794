//! What went over the wire, where it is kept.

use leverframe_core::{
    bodies::{Bodies, Captured},
    model::RequestId,
    time::Timestamp,
};
use redb::{ReadTransaction, WriteTransaction};

use crate::{StoreError, schema};

/// Which of an attempt's two bodies. Part of the file's format.
const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;

/// Most bytes of a body when it is unpacked.
const MOST: usize = 64 << 20;

/// Writes what an attempt sent and got. Empty bodies take no room.
pub(crate) fn write(bodies: &Bodies, transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::BODIES)?;
    for (side, body) in [(REQUEST, &bodies.request), (RESPONSE, &bodies.response)] {
        if body.length > 0 {
            let mut packed = body.length.to_le_bytes().to_vec();
            packed.extend(lz4_flex::compress_prepend_size(&body.bytes));
            let key = (*bodies.id.as_bytes(), bodies.attempt.unix_nanos(), side);
            let replaced = table.insert(key, packed.as_slice())?.map_or(0, |old| old.value().len());
            schema::less(transaction, schema::BODY_BYTES, count(replaced))?;
            schema::more(transaction, schema::BODY_BYTES, count(packed.len()))?;
        }
    }
    Ok(())
}

/// What a request's attempts sent and got, in the order in which they began.
pub(crate) fn read(transaction: &ReadTransaction, id: RequestId) -> Result<Vec<Bodies>, StoreError> {
    let table = transaction.open_table(schema::BODIES).map_err(StoreError::read)?;
    let key = *id.as_bytes();
    let mut found: Vec<Bodies> = Vec::new();
    for entry in table.range((key, 0, 0)..=(key, u64::MAX, u8::MAX)).map_err(StoreError::read)? {
        let (place, packed) = entry.map_err(StoreError::read)?;
        let (_, attempt, side) = place.value();
        let attempt = Timestamp::from_unix_nanos(attempt);
        // One that is damaged is left out.
        let Some(body) = unpack(packed.value()) else { continue };
        if found.last().is_none_or(|last| last.attempt != attempt) {
            let (request, response) = (Captured::default(), Captured::default());
            found.push(Bodies { id, attempt, request, response });
        }
        match (found.last_mut(), side) {
            (Some(bodies), REQUEST) => bodies.request = body,
            (Some(bodies), _) => bodies.response = body,
            (None, _) => {}
        }
    }
    Ok(found)
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn unpack(packed: &[u8]) -> Option<Captured> {
    let (length, packed) = packed.split_first_chunk()?;
    let unpacked = u32::from_le_bytes(*packed.first_chunk()?);
    if usize::try_from(unpacked).ok()? > MOST {
        return None;
    }
    let bytes = lz4_flex::decompress_size_prepended(packed).ok()?;
    Some(Captured { bytes, length: u64::from_le_bytes(*length) })
}
