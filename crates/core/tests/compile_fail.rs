//! The compiler's words for the mistakes people will make. The full proof is
//! `tests/tests/lifecycle_matrix.rs`; these show what one reads.

#[test]
fn illegal_moves_are_refused_in_our_own_names() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
