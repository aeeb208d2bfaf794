//! `leverframe serve`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use crate::out::eprintln;
use leverframe_emulator::{Emulator, Provider as Fake};
use leverframe_gateway::{
    config::{Built, Config, ConfigError},
    metrics::{Metrics, Scraped},
    server::{Door, Server, Settings},
};
use leverframe_router::{
    Provider, Router, Timestamp,
    store::{Log, Reader},
};

use crate::{
    chain,
    configure::DEFAULT_FILE,
    reload::{self, Parts},
    show::Problem,
    trace,
};

/// What `serve` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration; leverframe.toml, if there is one and no other is named.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: 127.0.0.1:4141, unless the configuration says otherwise. Addresses that
    /// other machines can reach need keys.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Answer from emulated providers: no key, no network, nothing is real.
    #[arg(long)]
    emulated: bool,
    /// What the emulated providers say and do, call by call: see `leverframe-emulator --help`.
    #[arg(long, value_name = "FILE", requires = "emulated")]
    script: Option<PathBuf>,
    /// The log's file: leverframe.redb, unless the configuration says otherwise.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Keep no log.
    #[arg(long, conflicts_with = "log")]
    no_log: bool,
    #[command(flatten)]
    trace: trace::TraceArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Problem> {
    let emulator = match arguments.emulated {
        true => Some(Emulator::start().await.map_err(|error| chain(&error))?),
        false => None,
    };
    if let (Some(emulator), Some(script)) = (&emulator, &arguments.script) {
        read_script(emulator, script)?;
    }
    let file = file(arguments.config.as_deref());
    let mut config = configuration(arguments.config.as_deref())?;
    let tracing = trace::begin(&arguments.trace, &config.trace)?;
    let listen = arguments.listen.or(config.gateway.listen).unwrap_or_else(default_address);
    config.log.file = arguments.log.clone().or(config.log.file);
    if arguments.no_log {
        config.log.enabled = Some(false);
    }
    let build = |config: &Config| match &emulator {
        Some(emulator) => emulated(config, emulator),
        None => config.build(Router::builder()),
    };
    let built = build(&config).map_err(|error| Problem(error.to_string()))?;
    let (mut log, mut log_file) = (None, None);
    if let Some((path, settings)) = &built.log {
        log = Some(Arc::new(Log::open_with(path, *settings).map_err(|error| chain(&error))?));
        log_file = Some(path.clone());
    }
    let parts = Parts { metrics: Arc::new(Metrics::new()), log };
    let scraped = Scraped { metrics: Arc::clone(&parts.metrics), log: parts.log.clone() };
    let (settings, admin, tls) = (within_files(built.server), built.admin.clone(), built.tls.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (router, door) = parts.make(built, None)?;
    if let Some(log) = &parts.log {
        recall(door.clone(), log.reader().clone(), router.now());
    }
    let server = Server::bind(listen, router.clone(), door, settings).await;
    let server = server.map_err(|error| chain(&error))?.with_metrics(scraped).with_admin(admin).with_tls(tls);
    let address = server.local_addr().map_err(|error| chain(&error))?;
    greet(&format!("{scheme}://{address}"), arguments.emulated, log_file.as_deref());
    let reloaded = (server.handle(), router);
    let reloads = async {
        match file {
            Some(file) => reload::watch(file, build, parts, reloaded).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        () = server.run(stop()) => ExitCode::SUCCESS,
        () = stop_at_once() => ExitCode::from(crate::INTERRUPTED),
        () = reloads => ExitCode::SUCCESS,
    };
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    tracing.end().await;
    Ok(ended)
}

/// Counts what keys with limits used before, behind what is served: a day may be
/// long to read.
fn recall(door: Door, log: Reader, now: Timestamp) {
    let counting = std::thread::Builder::new().name("leverframe-recall".to_owned()).spawn(move || {
        if let Err(error) = door.recall(&log, now) {
            eprintln!("leverframe: not all that keys used before is counted: {}", chain(&error).0);
        }
    });
    if let Err(error) = counting {
        eprintln!("leverframe: what keys used before is not counted: {error}");
    }
}

fn read_script(emulator: &Emulator, script: &Path) -> Result<(), Problem> {
    let text = std::fs::read_to_string(script)
        .map_err(|error| Problem(format!("cannot read {}: {error}", script.display())))?;
    emulator.load(&text).map_err(|error| Problem(format!("{}: {error}", script.display())))
}

/// The same with no more connections than there are files for. A request may
/// take two: the client's connection and the provider's.
fn within_files(settings: Settings) -> Settings {
    // Most systems begin with fewer than a process may have.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(LEAST_FILES);
    let connections = usize::try_from(files / 2).unwrap_or(usize::MAX);
    Settings { connections: settings.connections.min(connections.max(1)), ..settings }
}

/// How many files a process may have open where nothing else is known.
const LEAST_FILES: u64 = 1024;

pub(crate) fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4141))
}

/// The configuration file, if one is named or there is one.
pub(crate) fn file(named: Option<&Path>) -> Option<PathBuf> {
    let default = Path::new(DEFAULT_FILE);
    named.or_else(|| default.exists().then_some(default)).map(Path::to_owned)
}

/// What is configured. Nothing, where no file is named and there is none.
pub(crate) fn configuration(named: Option<&Path>) -> Result<Config, Problem> {
    match file(named) {
        Some(file) => Config::read(&file).map_err(|error| Problem(error.to_string())),
        None => Ok(Config::default()),
    }
}

/// The same with providers that answer from this process.
pub(crate) fn emulated(config: &Config, emulator: &Emulator) -> Result<Built, ConfigError> {
    let builder = Router::builder()
        .provider(Provider::anthropic("emulated").base_url(emulator.base_url(Fake::Anthropic)))
        .provider(Provider::openai("emulated").base_url(format!("{}/v1", emulator.base_url(Fake::OpenAi))))
        .provider(Provider::gemini("emulated").base_url(emulator.base_url(Fake::Gemini)));
    config.build_over(builder)
}

/// Says where it is and how it is used. Goes to standard error: standard output
/// is for what is asked for.
fn greet(url: &str, emulated: bool, log: Option<&Path>) {
    eprintln!("leverframe listens on {url}");
    if emulated {
        eprintln!("Answers come from emulated providers: any model name does, and nothing is real.");
    }
    eprintln!("  OPENAI_BASE_URL={url}/v1   ANTHROPIC_BASE_URL={url}");
    eprintln!("  GOOGLE_GEMINI_BASE_URL={url}");
    match log {
        None => eprintln!("No log is kept."),
        Some(path) => eprintln!("The log is in {0}: leverframe logs {0}", path.display()),
    }
    eprintln!("Ctrl-C lets what is under way end; a second one does not.");
}

/// Ready when the process is asked to end.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Ready when whoever asked does not want to wait.
async fn stop_at_once() {
    let _ = tokio::signal::ctrl_c().await;
    eprintln!("Ending: what is under way has {} s.", Settings::default().drain_within.as_secs());
    let _ = tokio::signal::ctrl_c().await;
}
