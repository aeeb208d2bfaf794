//! Tests of the log as a whole.

mod crash;
mod damage;
pub(crate) mod disk;
mod frozen;
mod guards;
mod model;
mod processes;
mod retention;
pub(crate) mod sample;
mod totals;
