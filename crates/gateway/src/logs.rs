//! `leverframe logs`.

use std::path::Path;

use leverframe_router::store::Log;

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
    let log = Log::open(file).map_err(|error| chain(&error))?;
    let records = log.newest(limit).map_err(|error| chain(&error))?;
    show::records(records.iter());
    Ok(())
}
