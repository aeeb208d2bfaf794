//! `docs/lifecycle.md` is what the transition table says.
//!
//! The page is drawn from the table; a copy that fell behind would lie. With
//! `UPDATE_DOCS` set the test writes the page instead of comparing it.

use std::{env, fs, path::Path};

use leverframe_core::lifecycle::render;

#[test]
fn the_page_on_the_lifecycle_is_drawn_from_its_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lifecycle.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, render()).expect("docs/lifecycle.md can be written");
        return;
    }
    let written = fs::read_to_string(&page).expect("docs/lifecycle.md can be read");
    assert!(written == render(), "docs/lifecycle.md is out of date; run this test with UPDATE_DOCS=1");
}
