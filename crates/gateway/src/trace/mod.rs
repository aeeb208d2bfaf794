//! What the process says while it runs, on standard error.
//!
//! Spans and events come from the router, through `tracing`: a request is one
//! line when it is over, an attempt that failed is one when it fails. What a
//! model was asked and what it answered is in none of them, and no key is.

#[cfg(feature = "otlp")]
mod otlp;

use std::io::IsTerminal;

use clap::ValueEnum;
use leverframe_gateway::config::{TraceLevel, TraceTable, TraceWord};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::show::Problem;

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

/// Says it until it is ended.
#[must_use]
pub(crate) struct Tracing {
    #[cfg(feature = "otlp")]
    exporting: Option<otlp::Exporting>,
}

/// Begins to say it. Once in a process.
///
/// # Errors
/// [`Problem`] where a collector is to hear it and cannot.
pub(crate) fn begin(arguments: &TraceArguments, table: &TraceTable) -> Result<Tracing, Problem> {
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
    let filter = ours(match level {
        Level::Off => LevelFilter::OFF,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    });
    let layer = fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::CLOSE).with_target(false);
    let layer = match format {
        Format::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        Format::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    };
    let (collecting, tracing) = collector(table)?;
    tracing_subscriber::registry().with(collecting).with(layer).init();
    Ok(tracing)
}

type Collecting = Option<Box<dyn Layer<Registry> + Send + Sync>>;

#[cfg(feature = "otlp")]
fn collector(table: &TraceTable) -> Result<(Collecting, Tracing), Problem> {
    let Some(collector) = &table.otlp else { return Ok((None, Tracing { exporting: None })) };
    let (layer, exporting) = otlp::layer(collector)?;
    Ok((Some(layer), Tracing { exporting: Some(exporting) }))
}

#[cfg(not(feature = "otlp"))]
fn collector(table: &TraceTable) -> Result<(Collecting, Tracing), Problem> {
    match &table.otlp {
        None => Ok((None, Tracing {})),
        Some(_) => Err(Problem(
            "trace.otlp: this leverframe was built without it; build it with --features otlp".to_owned(),
        )),
    }
}

impl Tracing {
    /// Says what is left.
    pub(crate) async fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporting) = self.exporting {
            // It waits for the collector.
            let _ = tokio::task::spawn_blocking(move || exporting.end()).await;
        }
    }
}

/// What is ours at this level, and of others what somebody should look at: what
/// libraries have to say of every connection helps nobody here.
fn ours(level: LevelFilter) -> Targets {
    const OURS: [&str; 5] =
        ["leverframe", "leverframe_gateway", "leverframe_router", "leverframe_http", "leverframe_store"];
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_targets(OURS.map(|target| (target, level)))
}
