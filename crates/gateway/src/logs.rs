//! `leverframe logs`.

use std::path::Path;

use leverframe_router::store::{Query, Reader};

use crate::{
    chain,
    show::{self, Problem},
};

pub(crate) fn run(file: &Path, limit: usize) -> Result<(), Problem> {
    if !file.exists() {
        return Err(Problem(format!(
            "{} does not exist; name the file a log was written to",
            file.display()
        )));
    }
    let log = Reader::open(file).map_err(|error| chain(&error))?;
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for record in log.newest(&Query::all(), None, limit).map_err(|error| chain(&error))?.records {
        match record {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(chain(&error).0),
        }
    }
    show::records(records.iter());
    match unreadable.is_empty() {
        true => Ok(()),
        false => Err(Problem(unreadable.join("\n"))),
    }
}
