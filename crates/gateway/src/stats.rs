//! `leverframe stats`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::out::println;
use leverframe_router::{
    NanoDollars, Outcome,
    store::{By, Placed, Reader, Rollup},
};

use crate::{
    chain,
    logs::{self, DEFAULT_FILE, Filter},
    show::{self, Problem},
};

const HOUR: u64 = 3_600;
const BARS: [char; 8] =
    ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];

/// What `stats` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The log's file.
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Add requests up by this instead: the most expensive first.
    #[arg(long, value_parser = ["user", "conversation", "tag", "model", "provider", "day"])]
    by: Option<String>,
    /// How many lines of that.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    filter: Filter,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Problem> {
    let log = logs::open(&arguments.file)?;
    match arguments.by.as_deref() {
        Some(by) => totals(&log, arguments, by),
        None => views(&log),
    }
}

fn totals(log: &Reader, arguments: &Arguments, by: &str) -> Result<(), Problem> {
    let what = match by {
        "user" => By::User,
        "conversation" => By::Conversation,
        "tag" => By::Tag,
        "model" => By::Model,
        "provider" => By::Provider,
        _ => By::Day,
    };
    let totals =
        log.totals(&arguments.filter.query(), what, arguments.limit).map_err(|error| chain(&error))?;
    println!(
        "{:<34} {:>9} {:>9} {:>12} {:>12} {:>12}",
        by, "requests", "answered", "tokens in", "tokens out", "cost"
    );
    for group in &totals.groups {
        line(group.name.as_deref().unwrap_or("(none)"), &group.rollup);
    }
    if totals.others.requests > 0 || totals.others.attempts > 0 {
        line("(others)", &totals.others);
    }
    match totals.unreadable {
        0 => Ok(()),
        count => Err(Problem(format!("{count} requests could not be read and are not counted"))),
    }
}

fn line(name: &str, rollup: &Rollup) {
    let Rollup { requests, input_tokens, output_tokens, .. } = rollup;
    let (rate, cost) = (rate(rollup), cost(rollup));
    println!("{name:<34} {requests:>9} {rate:>9} {input_tokens:>12} {output_tokens:>12} {cost:>12}");
}

fn rate(rollup: &Rollup) -> String {
    rollup.success_rate().map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

/// What is known of it; what is not is said.
fn cost(rollup: &Rollup) -> String {
    let cost = NanoDollars::new(rollup.cost_nanos.saturating_add(rollup.estimated_cost_nanos));
    match (rollup.unpriced, rollup.estimated_cost_nanos) {
        (0, 0) => cost.to_string(),
        (0, _) => format!("~{cost}"),
        _ => format!(">{cost}"),
    }
}

fn views(log: &Reader) -> Result<(), Problem> {
    let now = logs::ago(Duration::ZERO);
    show::heading("The last seven days");
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}",
        "provider and model", "requests", "answered", "p50", "p95", "first", "cost"
    );
    let mut week = log.success_rates(now).map_err(|error| chain(&error))?;
    week.sort_by_key(|placed| std::cmp::Reverse(placed.rollup.attempts));
    for Placed { provider, model, rollup, .. } in &week {
        let name =
            if provider.is_empty() { format!("(not sent) {model}") } else { format!("{provider} {model}") };
        let time = |of: Option<Duration>| of.map_or_else(|| "-".to_owned(), show::time);
        println!(
            "{name:<44} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}",
            rollup.requests,
            rate(rollup),
            time(rollup.duration.quantile(0.5)),
            time(rollup.duration.quantile(0.95)),
            time(rollup.first_token.quantile(0.5)),
            cost(rollup)
        );
    }
    show::heading("The last 24 hours, hour by hour");
    hours(&log.hourly(now).map_err(|error| chain(&error))?, now.unix_millis() / 1_000 / HOUR);
    show::heading("The last failures");
    for record in log.failed(None, 10).map_err(|error| chain(&error))?.records {
        let record = record.map_err(|error| chain(&error))?;
        if let Outcome::Failed { code, message, .. } = &record.outcome {
            show::bad(&format!("{} {}: {code}: {message}", record.id, record.model));
        }
    }
    Ok(())
}

/// A bar for each hour, the last one now.
fn hours(hourly: &[Placed], now: u64) {
    let mut by_hour: BTreeMap<u64, Rollup> = BTreeMap::new();
    for placed in hourly {
        by_hour.entry(placed.start.unix_millis() / 1_000 / HOUR).or_default().merge(&placed.rollup);
    }
    let none = Rollup::default();
    let seen: Vec<&Rollup> =
        (0..24).rev().map(|ago| by_hour.get(&now.saturating_sub(ago)).unwrap_or(&none)).collect();
    let failed = |rollup: &Rollup| rollup.failures.values().sum::<u64>();
    let rows: [(&str, Vec<u64>); 3] = [
        ("requests", seen.iter().map(|rollup| rollup.requests).collect()),
        ("failures", seen.iter().map(|rollup| failed(rollup)).collect()),
        ("tokens", seen.iter().map(|rollup| rollup.input_tokens + rollup.output_tokens).collect()),
    ];
    for (name, values) in rows {
        let most = values.iter().copied().max().unwrap_or(0);
        let bars: String = values.iter().map(|value| bar(*value, most)).collect();
        println!("{name:<10} {bars}  most {most} an hour, {} in all", values.iter().sum::<u64>());
    }
}

fn bar(value: u64, most: u64) -> char {
    if value == 0 || most == 0 {
        return ' ';
    }
    let height = (u128::from(value) * (BARS.len() as u128 - 1)).div_ceil(u128::from(most));
    usize::try_from(height).ok().and_then(|height| BARS.get(height).copied()).unwrap_or(' ')
}
