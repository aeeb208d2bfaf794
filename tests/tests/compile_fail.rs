//! What the compiler says to someone who tries an illegal move.
//!
//! `lifecycle_matrix.rs` proves that all illegal moves are refused. These few
//! show the refusals as a person meets them, and fail when a message stops
//! naming our types. `TRYBUILD=overwrite` writes the messages anew.

#[test]
fn illegal_moves_are_refused_with_a_message_that_names_them() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
