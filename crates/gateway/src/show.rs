//! What people see.

use std::{fmt, time::Duration};

use crate::out::{print, println};
use anstyle::{AnsiColor, Style};
use leverframe_router::{Attempt, Outcome, Record};

const HEADING: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Something to tell the person at the terminal.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A scene's number and title, and a line on what is to be seen.
pub(crate) fn scene(number: usize, title: &str, explanation: &str) {
    println!("\n{HEADING}{number}. {title}{HEADING:#}\n{QUIET}{explanation}{QUIET:#}");
}

/// The title of a table.
pub(crate) fn heading(title: &str) {
    println!("\n{HEADING}{title}{HEADING:#}");
}

/// A remark.
pub(crate) fn note(text: &str) {
    println!("   {QUIET}{text}{QUIET:#}");
}

/// What went as it should.
pub(crate) fn good(text: &str) {
    println!("   {GOOD}{text}{GOOD:#}");
}

/// What did not.
pub(crate) fn bad(text: &str) {
    println!("   {BAD}{text}{BAD:#}");
}

/// The beginning of a line that tokens follow on.
pub(crate) fn speaker(name: &str) {
    print!("   {HEADING}{name}:{HEADING:#} ");
}

/// A token, at once.
pub(crate) fn token(text: &str) {
    print!("{text}");
}

pub(crate) fn end_line() {
    println!();
}

/// What became of each attempt, in a line each.
pub(crate) fn attempts(attempts: &[Attempt]) {
    for attempt in attempts {
        let line = format!("{} {}: {}", attempt.provider, attempt.model, outcome(attempt));
        if attempt.failure.is_some() { bad(&line) } else { good(&line) }
    }
}

fn outcome(attempt: &Attempt) -> String {
    let result = match &attempt.failure {
        Some(failure) => failure.to_string(),
        None => "answered".to_owned(),
    };
    match attempt.sent {
        true => format!("{result} ({})", time(attempt.duration())),
        false => result,
    }
}

/// A table of requests and their attempts, with the path each request took.
pub(crate) fn records<'a>(records: impl Iterator<Item = &'a Record>) {
    println!(
        "{HEADING}{:<22} {:<34} {:<26} {:>9}  {}{HEADING:#}",
        "asked for", "attempt", "outcome", "time", "request id"
    );
    for record in records {
        for (nth, attempt) in record.attempts.iter().enumerate() {
            let asked = if nth == 0 { record.model.as_str() } else { "" };
            let route = format!("{} {}", attempt.provider, attempt.model);
            let (style, word) = match &attempt.failure {
                Some(failure) => (BAD, failure.kind.to_string()),
                None => (GOOD, "answered".to_owned()),
            };
            let time = if attempt.sent { time(attempt.duration()) } else { "not sent".to_owned() };
            let id = attempt.provider_request_id.as_deref().unwrap_or("-");
            println!("{asked:<22} {route:<34} {style}{word:<26}{style:#} {time:>9}  {QUIET}{id}{QUIET:#}");
        }
        println!("{QUIET}{:22} {}{QUIET:#}", "", record.journal);
        println!("{QUIET}{:22} {}{QUIET:#}", "", summary(record));
    }
}

fn summary(record: &Record) -> String {
    let tokens = match (record.usage.input_total(), record.usage.output_total()) {
        (Some(input), Some(output)) => format!("{input} tokens in, {output} out"),
        _ => "tokens unknown".to_owned(),
    };
    let outcome = match &record.outcome {
        Outcome::Completed { .. } => "completed".to_owned(),
        Outcome::Failed { code, .. } => format!("failed: {code}"),
        Outcome::Abandoned => "abandoned".to_owned(),
    };
    let cost = record.cost().map(|cost| format!(", {cost}")).unwrap_or_default();
    format!("{outcome} in {}, {tokens}{cost}; {}", time(record.duration()), record.id)
}

/// Most characters that are shown of what somebody else said.
const MOST_SHOWN: usize = 300;

/// What somebody else said, on one line, without end or tricks of the terminal.
pub(crate) fn plain(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain: String = words.chars().filter(|c| !c.is_control()).take(MOST_SHOWN).collect();
    if words.chars().count() > MOST_SHOWN {
        plain.push_str("...");
    }
    plain
}

pub(crate) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        0..10_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
