//! Which rows hold a term: an index made of runs.
//!
//! Every commit writes one run: the postings (term, row) of its rows, in order,
//! in pages that fill the pages of the file. A run covers rows that follow each
//! other, and no row is in two. When [`FAN_IN`] runs of one level stand next to
//! each other they are merged into one of the next level, so that a term is
//! looked up in few runs. That is a log-structured merge tree (O'Neil et al.,
//! 1996) inside the file's own tree: a dozen indexes cost a commit as many page
//! writes as one, where a tree of their own for each would be written all over.
//!
//! Runs follow each other in time, so the newest rows of a term are found by
//! going through the runs backwards.

mod merge;
mod page;
mod read;
mod write;

pub(crate) use merge::merge_full_levels;
pub(crate) use read::Newest;
pub(crate) use write::{Posting, write_run};

/// Runs of one level that are merged into one.
const FAN_IN: usize = 16;

/// Most rows of a run that is merged again. Merging larger ones would hold up
/// the commits behind it for longer than a look-up gains.
const LARGEST: u64 = 1 << 18;
