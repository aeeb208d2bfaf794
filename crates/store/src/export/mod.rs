//! Taking what is in the log elsewhere: JSON Lines and CSV.

mod columns;

use std::io;

use columns::{Cell, Line, OF_ATTEMPTS, OF_REQUESTS, Tried};
use leverframe_core::record::Record;

use crate::{Query, Reader, StoreError};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line. Of requests, the whole record.
    JsonLines,
    /// RFC 4180, with a line of names. A text that a spreadsheet would take for
    /// a formula begins with an apostrophe (OWASP, "CSV Injection").
    Csv,
}

/// What a line of an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A request.
    Requests,
    /// An attempt of a request.
    Attempts,
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Lines, without the one of names.
    pub lines: u64,
    /// Requests that could not be read and were left out.
    pub unreadable: u64,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The log.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// Where it is written to.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
}

impl Reader {
    /// Writes every request that a query asks for, or each of its attempts,
    /// newest request first.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(
        &self,
        query: &Query,
        format: Format,
        lines: Lines,
        out: impl io::Write,
    ) -> Result<Exported, ExportError> {
        let mut sheet = Sheet::begin(format, lines, out).map_err(ExportError::Write)?;
        let mut exported = Exported::default();
        self.each(query, |record| match record {
            Ok(record) => {
                exported.lines += sheet.put(&record).map_err(ExportError::Write)?;
                Ok::<_, ExportError>(())
            }
            Err(_) => {
                exported.unreadable += 1;
                Ok(())
            }
        })?;
        sheet.end().map_err(ExportError::Write)?;
        Ok(exported)
    }
}

/// An export that is being written.
struct Sheet<W: io::Write> {
    out: Out<W>,
    lines: Lines,
    names: Vec<&'static str>,
}

enum Out<W: io::Write> {
    Json(io::BufWriter<W>),
    Csv(Box<csv::Writer<W>>),
}

impl<W: io::Write> Sheet<W> {
    fn begin(format: Format, lines: Lines, out: W) -> io::Result<Self> {
        let names: Vec<_> = match lines {
            Lines::Requests => OF_REQUESTS.iter().map(|(name, _)| *name).collect(),
            Lines::Attempts => OF_ATTEMPTS.iter().map(|(name, _)| *name).collect(),
        };
        let out = match format {
            Format::JsonLines => Out::Json(io::BufWriter::new(out)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
                writer.write_record(&names)?;
                Out::Csv(Box::new(writer))
            }
        };
        Ok(Self { out, lines, names })
    }

    /// Writes a request, and returns how many lines it took.
    fn put(&mut self, record: &Record) -> io::Result<u64> {
        match (self.lines, &mut self.out) {
            (Lines::Requests, Out::Json(out)) => {
                serde_json::to_writer(&mut *out, record)?;
                io::Write::write_all(out, b"\n")?;
                Ok(1)
            }
            (Lines::Requests, Out::Csv(_)) => {
                let cells: Vec<Cell> = OF_REQUESTS.iter().map(|(_, cell)| cell(record)).collect();
                self.line(&cells)?;
                Ok(1)
            }
            (Lines::Attempts, _) => {
                let mut lines = 0;
                for (number, attempt) in (1..).zip(&record.attempts) {
                    let tried = Tried { record, number, attempt };
                    let cells: Vec<Cell> = OF_ATTEMPTS.iter().map(|(_, cell)| cell(tried)).collect();
                    self.line(&cells)?;
                    lines += 1;
                }
                Ok(lines)
            }
        }
    }

    fn line(&mut self, cells: &[Cell]) -> io::Result<()> {
        match &mut self.out {
            Out::Json(out) => {
                serde_json::to_writer(&mut *out, &Line(&self.names, cells))?;
                io::Write::write_all(out, b"\n")
            }
            Out::Csv(out) => Ok(out.write_record(cells.iter().map(written))?),
        }
    }

    fn end(self) -> io::Result<()> {
        match self.out {
            Out::Json(mut out) => io::Write::flush(&mut out),
            Out::Csv(mut out) => out.flush(),
        }
    }
}

/// A cell as CSV has it.
fn written(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Nothing => String::new(),
    }
}

#[cfg(test)]
mod tests;
