//! Every codec reads what providers really sent, what it reads does not
//! depend on how the bytes were split, and what their clients really asked is
//! written again without loss.
//!
//! Runs over a folder of recorded exchanges that `WIRE_CORPUS` names:
//!
//! ```text
//! $WIRE_CORPUS/{anthropic,gemini,openai_chat,openai_responses}/<case>/
//!     {meta.json,request.json,response.sse|json|txt,expected.json}
//! ```
//!
//! `expected.json` is what the provider's own SDK made of the same bytes.
//! Without `WIRE_CORPUS` the tests say that they are skipped and pass; then the
//! codecs' own fixtures are what tests them.

mod answer;
mod compare;
mod corpus;
mod known;
mod requests;
mod responses;
mod table;

use std::fmt::Write as _;

use corpus::Case;
use table::Table;

/// Runs `check` over all cases and prints how it went. A difference that is
/// not known, and a known one that is gone, fail.
fn run(what: &str, check: impl Fn(&Case) -> Option<Vec<String>>) {
    let Some(cases) = corpus::load() else {
        println!("skipped: WIRE_CORPUS does not name a folder of recordings");
        return;
    };
    let mut table = Table::default();
    let mut problems = String::new();
    for case in &cases {
        let Some(differences) = check(case) else { continue };
        let (explained, open): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(|difference| known::why(what, case, difference).is_some());
        for difference in &open {
            let _ = writeln!(problems, "{}/{}: {difference}", case.provider, case.name);
        }
        if explained.is_empty() && known::is_listed(what, case) {
            let _ = writeln!(problems, "{}/{} agrees: take it off the list", case.provider, case.name);
        }
        table.add(case, !open.is_empty(), explained);
    }
    println!("{what}\n{table}");
    assert!(table.cases() > 0, "the corpus holds no cases");
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn recorded_answers_are_read_as_the_sdks_read_them() {
    run(known::ANSWERS, responses::check);
}

#[test]
fn recorded_requests_are_written_again_without_loss() {
    run(known::REQUESTS, requests::check);
}
