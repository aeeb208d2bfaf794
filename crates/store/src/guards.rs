//! What the guards of a router have learned, kept beside what it did.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use leverframe_core::{
    guard::{GuardMemory, Memory, Remembered, Remembers},
    model::{KeyLabel, ProviderName},
    time::Timestamp,
};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use tokio::time::Instant;

use crate::{StoreError, row, schema};

/// How often what changed is written down.
const EVERY: Duration = Duration::from_secs(1);

/// Most rows that are counted again after a crash: what was written in the last
/// [`EVERY`].
const MOST_REPLAYED: usize = 65_536;

/// Most bytes the memory of one guard may unpack to.
const MOST_BYTES: usize = 1 << 20;

/// A key, or one model of it (empty: all).
type Place = (String, String, String);

/// Whose guards are written down: those of the router that was told of the log last.
#[derive(Default)]
pub(crate) struct Source(Mutex<Option<Weak<dyn Remembers>>>);

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Source {
    pub(crate) fn set(&self, source: Weak<dyn Remembers>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    fn memory(&self) -> Option<Memory> {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Asked with the lock open: whoever it is has locks of its own.
        source?.upgrade().map(|source| source.memory())
    }
}

/// Writes down what changed since it last did.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// A hash of what the file holds, by place. `None`: the file has to be asked.
    written: Option<HashMap<Place, u64>>,
    last: Option<Instant>,
}

impl Notes {
    /// What is to be written down now, if it is time.
    pub(crate) fn due(&mut self, source: &Source) -> Option<Memory> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        let memory = source.memory()?;
        self.last = Some(Instant::now());
        Some(memory)
    }

    /// Writes a memory. Should the transaction fail, [`Notes::forget`].
    pub(crate) fn write(
        &mut self,
        memory: &Memory,
        transaction: &WriteTransaction,
    ) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(schema::GUARDS)?;
        let mut gone = match self.written.take() {
            Some(written) => written,
            None => places(&table)?,
        };
        let mut written = HashMap::with_capacity(memory.guards.len());
        for one in memory.guards.iter().filter(|one| !one.guards.is_empty()) {
            // Plain data, which always is JSON.
            let Ok(json) = serde_json::to_vec(&one.guards) else { continue };
            let model = one.model.as_deref().unwrap_or_default();
            let place = (one.provider.as_str().to_owned(), one.key.as_str().to_owned(), model.to_owned());
            let mut hasher = DefaultHasher::new();
            json.hash(&mut hasher);
            let hash = hasher.finish();
            if gone.remove(&place) != Some(hash) {
                let packed = lz4_flex::compress_prepend_size(&json);
                table.insert((place.0.as_str(), place.1.as_str(), place.2.as_str()), packed.as_slice())?;
            }
            written.insert(place, hash);
        }
        for (provider, key, model) in gone.into_keys() {
            table.remove((provider.as_str(), key.as_str(), model.as_str()))?;
        }
        let mut meta = transaction.open_table(schema::META)?;
        let next_row = meta.get(schema::NEXT_ROW)?.map_or(0, |number| number.value());
        meta.insert(schema::GUARDS_AT, memory.at.unix_nanos())?;
        meta.insert(schema::GUARDS_ROW, next_row)?;
        self.written = Some(written);
        Ok(())
    }

    /// Nobody knows what the file holds.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Every place in the table, with a hash that nothing has.
fn places(
    table: &impl ReadableTable<(&'static str, &'static str, &'static str), &'static [u8]>,
) -> Result<HashMap<Place, u64>, redb::Error> {
    let mut places = HashMap::new();
    for entry in table.iter()? {
        let (key, _) = entry?;
        let (provider, key, model) = key.value();
        places.insert((provider.to_owned(), key.to_owned(), model.to_owned()), 0);
    }
    Ok(places)
}

/// What was written down last.
pub(crate) fn read(transaction: &ReadTransaction) -> Result<Memory, StoreError> {
    let table = transaction.open_table(schema::GUARDS).map_err(StoreError::read)?;
    let meta = transaction.open_table(schema::META).map_err(StoreError::read)?;
    let at = meta.get(schema::GUARDS_AT).map_err(StoreError::read)?.map_or(0, |nanos| nanos.value());
    let mut memory = Memory { at: Timestamp::from_unix_nanos(at), guards: Vec::new() };
    for entry in table.iter().map_err(StoreError::read)? {
        let (place, packed) = entry.map_err(StoreError::read)?;
        // What is not readable is forgotten: the guards learn it anew.
        memory.guards.extend(unpack(place.value(), packed.value()));
    }
    Ok(memory)
}

/// What was written down last, and what requests took that are in the log since.
pub(crate) fn read_and_replay(transaction: &ReadTransaction) -> Result<Memory, StoreError> {
    let mut memory = read(transaction)?;
    let meta = transaction.open_table(schema::META).map_err(StoreError::read)?;
    let Some(first) = meta.get(schema::GUARDS_ROW).map_err(StoreError::read)? else { return Ok(memory) };
    let rows = transaction.open_table(schema::ROWS).map_err(StoreError::read)?;
    let mut records = Vec::new();
    for entry in rows.range(first.value()..).map_err(StoreError::read)?.rev().take(MOST_REPLAYED) {
        let (number, row) = entry.map_err(StoreError::read)?;
        records.extend(row::unpack(number.value(), row.value()).ok());
        if records.len() >= REPLAYED_AT_ONCE {
            memory.replay(&records);
            records.clear();
        }
    }
    memory.replay(&records);
    Ok(memory)
}

/// Records that are held in memory together.
const REPLAYED_AT_ONCE: usize = 1_024;

fn unpack((provider, key, model): (&str, &str, &str), packed: &[u8]) -> Option<Remembered> {
    let length = u32::from_le_bytes(*packed.first_chunk()?);
    if usize::try_from(length).ok()? > MOST_BYTES {
        return None;
    }
    let json = lz4_flex::decompress_size_prepended(packed).ok()?;
    let guards: GuardMemory = serde_json::from_slice(&json).ok()?;
    Some(Remembered {
        provider: ProviderName::new(provider).ok()?,
        key: KeyLabel::new(key).ok()?,
        model: (!model.is_empty()).then(|| model.to_owned()),
        guards,
    })
}
