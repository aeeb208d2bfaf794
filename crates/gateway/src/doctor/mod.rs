//! `leverframe doctor`: is everything in place?
//!
//! Every check is free: a provider is asked for the first page of its list of
//! models, which costs nothing anywhere and tells whether the address is right
//! and the key is taken. The file and the address are tried as `serve` would
//! use them, and left as they are. All checks run at once, each for a few
//! seconds at most, and each ends in one line; one that fails says what to do.

mod local;
mod providers;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anstyle::{AnsiColor, Style};
use leverframe_emulator::Emulator;
use leverframe_gateway::config::Config;
use leverframe_router::Router;
use serde::Serialize;

use crate::{
    chain,
    out::println,
    serve,
    show::{self, Problem},
};

/// Most time of a check.
const WITHIN: Duration = Duration::from_secs(5);

/// What `doctor` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration; leverframe.toml, if there is one and no other is named.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask emulated providers in the place of the configured ones: no key, no network.
    #[arg(long)]
    emulated: bool,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// It may work, and is worth a look.
    Doubtful,
    /// It will not work.
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

impl Check {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Ok, found: show::plain(&found.into()), to_do: None }
    }

    fn failed(what: impl Into<String>, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        let to_do = Some(to_do.into()).filter(|to_do| !to_do.is_empty());
        Self { to_do, state: State::Failed, ..Self::ok(what, found) }
    }

    fn doubtful(what: impl Into<String>, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { state: State::Doubtful, ..Self::failed(what, found, to_do) }
    }

    fn print(&self) {
        let (style, word) = match self.state {
            State::Ok => (AnsiColor::Green.on_default(), "ok"),
            State::Doubtful => (AnsiColor::Yellow.on_default(), "doubtful"),
            State::Failed => {
                (AnsiColor::Red.on_default().effects(Style::new().bold().get_effects()), "failed")
            }
        };
        let to_do = self.to_do.as_ref().map(|to_do| format!("; {to_do}")).unwrap_or_default();
        println!("{style}{word:<8}{style:#}  {}: {}{to_do}", self.what, self.found);
    }
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Problem> {
    let emulator = match arguments.emulated {
        true => Some(Emulator::start().await.map_err(|error| chain(&error))?),
        false => None,
    };
    let checks = checks(&arguments, emulator.as_ref()).await;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    let ok = checks.iter().all(|check| check.state != State::Failed);
    match arguments.json {
        true => {
            // Plain data, which always is JSON.
            let report = Report { ok, checks: &checks };
            println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
        }
        false => checks.iter().for_each(Check::print),
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn checks(arguments: &Arguments, emulator: Option<&Emulator>) -> Vec<Check> {
    let file = serve::file(arguments.config.as_deref());
    let what = match &file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration".to_owned(),
    };
    let config = match file.as_deref().map_or_else(|| Ok(Config::default()), Config::read) {
        Ok(config) => config,
        Err(error) => return vec![Check::failed(what, error.to_string(), "nothing else was checked")],
    };
    let of_file = configuration(what, &config, emulator);
    let (providers, log, listen) =
        tokio::join!(providers::all(&config, emulator), local::log(&config), local::listen(&config));
    [of_file].into_iter().chain(providers).chain([log, listen]).collect()
}

/// Whether all of it fits together.
fn configuration(what: String, config: &Config, emulator: Option<&Emulator>) -> Check {
    let built = match emulator {
        Some(emulator) => serve::emulated(config, emulator),
        None => config.build(Router::builder()),
    };
    let built = built.map_err(|error| error.to_string());
    let router = built.and_then(|built| built.builder.build().map_err(|error| chain(&error).0));
    match router {
        Ok(router) => {
            let (routes, models, keys) = (router.routes().len(), config.models.len(), config.keys.len());
            let found = format!("routes: {routes}, models of your own: {models}, keys for callers: {keys}");
            Check::ok(what, found)
        }
        Err(error) => Check::failed(what, error, ""),
    }
}
