//! What the process says while it runs, on standard error.
//!
//! Spans and events come from the router, through `tracing`: a request is one
//! line when it is over, an attempt that failed is one when it fails. What a
//! model was asked and what it answered is in none of them, and no key is.

use std::io::IsTerminal;

use clap::ValueEnum;
use leverframe_gateway::config::{TraceLevel, TraceTable, TraceWord};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What may be said on the command line of what is in the configuration.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TraceArguments {
    /// Say on standard error what happens: warn (unless set), info (a line for each request and each
    /// attempt that failed), debug (each attempt), off.
    #[arg(long, value_name = "LEVEL")]
    trace: Option<Level>,
    /// Say it as text or as JSON, an object a line.
    #[arg(long, value_name = "FORMAT")]
    trace_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Off,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Begins to say it. Once in a process.
pub(crate) fn begin(arguments: &TraceArguments, table: &TraceTable) {
    let level = match (arguments.trace, table.level.unwrap_or_default()) {
        (Some(level), _) => level,
        (None, TraceLevel::Off) => Level::Off,
        (None, TraceLevel::Warn) => Level::Warn,
        (None, TraceLevel::Info) => Level::Info,
        (None, TraceLevel::Debug) => Level::Debug,
    };
    let format = match (arguments.trace_format, table.format.unwrap_or_default()) {
        (Some(format), _) => format,
        (None, TraceWord::Text) => Format::Text,
        (None, TraceWord::Json) => Format::Json,
    };
    let level = match level {
        Level::Off => return,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    // What libraries have to say of every connection helps nobody here.
    let ours =
        ["leverframe", "leverframe_gateway", "leverframe_router", "leverframe_http", "leverframe_store"];
    let filter =
        Targets::new().with_default(LevelFilter::WARN).with_targets(ours.map(|target| (target, level)));
    let layer = fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::CLOSE).with_target(false);
    let layer = match format {
        Format::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        Format::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(layer).init();
}
