//! Tests of the log as a whole.

mod crash;
mod damage;
mod guards;
mod model;
mod retention;
mod sample;
