//! What is written in one commit.

use std::{collections::HashMap, sync::Arc};

use leverframe_core::{bodies::Bodies, model::RequestId, record::Record, start::Start};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::{
    content,
    index::{self, Newest, Posting},
    rollup::Deltas,
    row, schema,
    terms::{self, Term},
    times::Times,
};

/// Requests that were sent and requests that are over, to be written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Sent, and not over in this batch.
    starts: HashMap<RequestId, Arc<Start>>,
    /// Over, in the order in which they were handed in.
    ended: Vec<Ended>,
    /// Where a request is in `ended`.
    places: HashMap<RequestId, usize>,
    bodies: Vec<Arc<Bodies>>,
}

#[derive(Debug)]
struct Ended {
    record: Arc<Record>,
    /// Whether its start is in this batch too: then it was not handed in before.
    begun_here: bool,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// Rows that could not be packed, and were set aside.
    pub(crate) set_aside: u64,
}

impl Batch {
    /// A request is sent.
    pub(crate) fn start(&mut self, start: Arc<Start>) {
        self.starts.insert(start.id, start);
    }

    /// A request is over.
    pub(crate) fn end(&mut self, record: Arc<Record>) {
        let begun_here = self.starts.remove(&record.id).is_some();
        match self.places.get(&record.id).and_then(|place| self.ended.get_mut(*place)) {
            // Handed in anew: the later record replaces the earlier one.
            Some(earlier) => earlier.record = record,
            None => {
                self.places.insert(record.id, self.ended.len());
                self.ended.push(Ended { record, begun_here });
            }
        }
    }

    /// What went over the wire.
    pub(crate) fn bodies(&mut self, bodies: Arc<Bodies>) {
        self.bodies.push(bodies);
    }

    /// Bytes of bodies in it.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.bodies.iter().map(|bodies| size(bodies)).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts, records and bodies in it.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() + self.ended.len() + self.bodies.len()
    }

    /// The records in it.
    pub(crate) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Writes all of it, or, should that fail, nothing: the caller drops the transaction.
    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<Written, redb::Error> {
        let mut starts = transaction.open_table(schema::STARTS)?;
        for (id, start) in &self.starts {
            // Plain data: a start that is no JSON is one that recovery will not find.
            let Ok(json) = serde_json::to_vec(start) else { continue };
            starts.insert(id.as_bytes(), json.as_slice())?;
        }
        let mut known = Vec::with_capacity(self.ended.len());
        for ended in &self.ended {
            known.push(ended.begun_here || starts.remove(ended.record.id.as_bytes())?.is_some());
        }
        drop(starts);
        self.bodies.iter().try_for_each(|bodies| content::write(bodies, transaction))?;
        let mut rows = Rows::new(transaction)?;
        for (ended, known) in self.ended.iter().zip(known) {
            if !known {
                rows.take_back(ended.record.id)?;
            }
            rows.add(&ended.record)?;
        }
        rows.finish()
    }
}

/// Bytes that are kept of an attempt's bodies.
pub(crate) fn size(bodies: &Bodies) -> u64 {
    let bytes = bodies.request.bytes.len().saturating_add(bodies.response.bytes.len());
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Rows on their way into the file.
struct Rows<'t> {
    transaction: &'t WriteTransaction,
    table: Table<'t, u64, &'static [u8]>,
    first: u64,
    next: u64,
    set_aside: u64,
    /// Bytes of the rows that are added, and of those that are taken back.
    bytes: u64,
    freed: u64,
    /// The latest end of a request, in Unix milliseconds.
    latest: u64,
    postings: Vec<Posting>,
    times: Times,
    deltas: Deltas,
    hashes: Vec<u64>,
    packer: row::Packer,
}

impl<'t> Rows<'t> {
    fn new(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let first = schema::take_numbers(transaction, schema::NEXT_ROW, 0)?;
        Ok(Self {
            transaction,
            table: transaction.open_table(schema::ROWS)?,
            first,
            next: first,
            set_aside: 0,
            bytes: 0,
            freed: 0,
            latest: 0,
            postings: Vec::new(),
            times: Times::default(),
            deltas: Deltas::default(),
            hashes: Vec::new(),
            packer: row::Packer::default(),
        })
    }

    fn add(&mut self, record: &Record) -> Result<(), redb::Error> {
        let Ok(packed) = self.packer.pack(record) else {
            self.set_aside += 1;
            return Ok(());
        };
        let row = self.next;
        self.table.insert(row, packed)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(packed.len()).unwrap_or(u64::MAX));
        self.next += 1;
        terms::of(record, &mut self.hashes);
        self.postings.extend(self.hashes.iter().map(|term| Posting { term: *term, row }));
        let millis = record.ended_at.unix_millis();
        self.latest = self.latest.max(millis);
        self.times.note(millis / 1_000, row);
        self.deltas.add(record);
        Ok(())
    }

    /// Takes away the row of a request that is handed in anew.
    ///
    /// The earlier row cannot have been written before the request was started,
    /// which its id tells, so only the newest runs are looked at.
    fn take_back(&mut self, id: RequestId) -> Result<(), redb::Error> {
        let since = id.created_at().unix_millis();
        let pages = self.transaction.open_table(schema::POSTINGS)?;
        let runs = self.transaction.open_table(schema::RUNS)?;
        let term = Term::Request(id).hash();
        let mut found = Newest::of(pages, &runs, term, (0, self.first), since)?;
        while let Some(row) = found.next()? {
            let Some(old) = self.table.get(row)?.map(|old| old.value().to_vec()) else { continue };
            // Another request may have the same hash.
            if row::id(&old) != Some(id) {
                continue;
            }
            if let Ok(record) = row::unpack(row, &old) {
                self.deltas.take_back(&record);
            }
            self.table.remove(row)?;
            self.freed = self.freed.saturating_add(u64::try_from(old.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Written, redb::Error> {
        let rows = self.next - self.first;
        if rows > 0 {
            schema::take_numbers(self.transaction, schema::NEXT_ROW, rows)?;
            let span = (self.first, self.next);
            index::write_run(self.transaction, span, self.latest, &mut self.postings)?;
            self.times.write(self.transaction)?;
            let lowest = self.table.first()?.map_or(self.next, |(row, _)| row.value());
            index::merge_full_levels(self.transaction, lowest)?;
        }
        schema::less(self.transaction, schema::ROW_BYTES, self.freed)?;
        schema::more(self.transaction, schema::ROW_BYTES, self.bytes)?;
        self.deltas.write(self.transaction)?;
        Ok(Written { rows, set_aside: self.set_aside })
    }
}
