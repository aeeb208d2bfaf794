//! `leverframe logs`, `leverframe explain` and `leverframe export`.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use leverframe_router::{
    Record, RequestId, Timestamp,
    store::{Cursor, ExportError, Format, Lines, Page, Query, Reader, State},
};

use crate::{
    chain,
    show::{self, Problem},
};

/// The log's file where none is named.
pub(crate) const DEFAULT_FILE: &str = "leverframe.redb";

/// How often a log is looked at for what is new.
const LOOK: Duration = Duration::from_millis(250);

/// Which requests are wanted.
#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Tried with this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Asked for this model, or tried with it.
    #[arg(long)]
    model: Option<String>,
    /// Of this user.
    #[arg(long)]
    user: Option<String>,
    /// Of this conversation.
    #[arg(long)]
    conversation: Option<String>,
    /// With this tag.
    #[arg(long)]
    tag: Option<String>,
    /// That ended like this.
    #[arg(long, value_parser = ["completed", "failed", "abandoned"])]
    state: Option<String>,
    /// That ended within this time: 10m, 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,
}

fn span(text: &str) -> Result<Duration, String> {
    // Days are 24 hours here; the calendar's may be 23.
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    let days = days.map(|days| Duration::from_secs(days.saturating_mul(86_400)));
    let span = || Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok();
    days.or_else(span).ok_or_else(|| "write it like 10m, 24h or 7d".to_owned())
}

impl Filter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::all();
        let said = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        if let Some(name) = said(&self.provider) {
            query = query.provider(name);
        }
        if let Some(name) = said(&self.model) {
            query = query.model(name);
        }
        if let Some(name) = said(&self.user) {
            query = query.user(name);
        }
        if let Some(name) = said(&self.conversation) {
            query = query.conversation(name);
        }
        if let Some(name) = said(&self.tag) {
            query = query.tag(name);
        }
        if let Some(word) = &self.state
            && let Some(state) = State::ALL.into_iter().find(|state| state.as_str() == word)
        {
            query = query.state(state);
        }
        if let Some(since) = self.since {
            query = query.since(ago(since));
        }
        query
    }
}

/// The time of day, so long ago.
pub(crate) fn ago(time: Duration) -> Timestamp {
    let now = jiff::Timestamp::now().as_nanosecond();
    let nanos =
        u64::try_from(now).unwrap_or(0).saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    Timestamp::from_unix_nanos(nanos)
}

/// What `logs` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The log's file.
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// How many requests, newest first.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Go on with what ends from now on, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Print the records as JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
}

/// What `export` may be asked for.
#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    /// The log's file.
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// How it is written.
    #[arg(long, default_value = "csv", value_parser = ["csv", "jsonl"])]
    format: String,
    /// What a line is.
    #[arg(long, default_value = "requests", value_parser = ["requests", "attempts"])]
    lines: String,
    #[command(flatten)]
    filter: Filter,
}

/// Opens a log for reading, whoever writes to it.
pub(crate) fn open(file: &Path) -> Result<Reader, Problem> {
    if !file.exists() {
        return Err(Problem(format!(
            "{} does not exist; name the file a log was written to",
            file.display()
        )));
    }
    Reader::open(file).map_err(|error| chain(&error))
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Problem> {
    let log = open(&arguments.file)?;
    let query = arguments.filter.query();
    let mut after = log.end().map_err(|error| chain(&error))?;
    let page = log.newest(&query, None, arguments.limit).map_err(|error| chain(&error))?;
    let outcome = print(page, arguments.json);
    if !arguments.follow {
        return outcome;
    }
    loop {
        tokio::time::sleep(LOOK).await;
        if crate::out::closed() {
            return Ok(());
        }
        after = follow(&log, &query, after, arguments.json)?;
    }
}

/// Prints what has ended since, and says up to where that is.
fn follow(log: &Reader, query: &Query, mut after: Cursor, json: bool) -> Result<Cursor, Problem> {
    loop {
        let page = log.after(query, after, 100).map_err(|error| chain(&error))?;
        let Some(next) = page.next else { return Ok(after) };
        print(page, json)?;
        after = next;
    }
}

fn print(page: Page, json: bool) -> Result<(), Problem> {
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for record in page.records {
        match record {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(chain(&error).0),
        }
    }
    match json {
        true => records.iter().for_each(|record: &Record| {
            crate::out::println!("{}", serde_json::to_string(record).unwrap_or_default());
        }),
        false if records.is_empty() => {}
        false => show::records(records.iter()),
    }
    match unreadable.is_empty() {
        true => Ok(()),
        false => Err(Problem(unreadable.join("\n"))),
    }
}

/// Tells why a request went where it went.
pub(crate) fn explain(file: &Path, id: &str) -> Result<(), Problem> {
    let id: RequestId = id.parse().map_err(|_| {
        Problem(format!(
            "{id} is no request id; answers have it in x-leverframe-request-id, logs in their last line"
        ))
    })?;
    match open(file)?.get(id).map_err(|error| chain(&error))? {
        Some(record) => {
            crate::out::println!("{}", record.explain());
            Ok(())
        }
        None => {
            Err(Problem(format!("there is no request {id} in {}; it may not be over yet", file.display())))
        }
    }
}

pub(crate) fn export(arguments: &ExportArguments) -> Result<(), Problem> {
    let format = if arguments.format == "csv" { Format::Csv } else { Format::JsonLines };
    let lines = if arguments.lines == "requests" { Lines::Requests } else { Lines::Attempts };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let exported = open(&arguments.file)?.export(&arguments.filter.query(), format, lines, &mut out);
    let exported =
        match exported.and_then(|exported| out.flush().map(|()| exported).map_err(ExportError::Write)) {
            Ok(exported) => exported,
            // Whoever reads has enough.
            Err(ExportError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(chain(&error)),
        };
    match exported.unreadable {
        0 => Ok(()),
        left_out => Err(Problem(format!("{left_out} requests could not be read and are not in it"))),
    }
}
