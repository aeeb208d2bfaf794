//! Tests of the log as a whole.

mod crash;
mod damage;
mod model;
mod sample;
