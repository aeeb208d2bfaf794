//! `leverframe serve`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anstream::eprintln;
use leverframe_emulator::{Emulator, Provider as Fake};
use leverframe_gateway::server::{Door, Server, Settings};
use leverframe_router::{Builder, Provider, Router, store::Log};

use crate::{chain, show::Problem};

/// What `serve` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen. Addresses that other machines can reach need keys.
    #[arg(long, default_value = "127.0.0.1:4141", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Answer from emulated providers: no key, no network, nothing is real.
    #[arg(long)]
    emulated: bool,
    /// The log's file.
    #[arg(long, default_value = "leverframe.redb", value_name = "FILE")]
    log: PathBuf,
    /// Keep no log.
    #[arg(long, conflicts_with = "log")]
    no_log: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Problem> {
    let emulator = match arguments.emulated {
        true => Some(Emulator::start().await.map_err(|error| chain(&error))?),
        false => None,
    };
    let builder = match &emulator {
        Some(emulator) => emulated(emulator),
        None => Router::builder().from_env().map_err(|error| chain(&error))?,
    };
    let builder = match arguments.no_log {
        true => builder,
        false => builder.log(Arc::new(Log::open(&arguments.log).map_err(|error| chain(&error))?)),
    };
    let router = builder.build().map_err(|error| chain(&error))?;
    let server = Server::bind(arguments.listen, router, Door::default(), Settings::default()).await;
    let server = server.map_err(|error| chain(&error))?;
    let address = server.local_addr().map_err(|error| chain(&error))?;
    greet(address, &arguments);
    let ended = tokio::select! {
        () = server.run(stop()) => ExitCode::SUCCESS,
        () = stop_at_once() => ExitCode::from(crate::INTERRUPTED),
    };
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    Ok(ended)
}

/// Providers that answer from this process.
fn emulated(emulator: &Emulator) -> Builder {
    Router::builder()
        .provider(Provider::anthropic("emulated").base_url(emulator.base_url(Fake::Anthropic)))
        .provider(Provider::openai("emulated").base_url(format!("{}/v1", emulator.base_url(Fake::OpenAi))))
        .provider(Provider::gemini("emulated").base_url(emulator.base_url(Fake::Gemini)))
}

/// Says where it is and how it is used. Goes to standard error: standard output
/// is for what is asked for.
fn greet(address: SocketAddr, arguments: &Arguments) {
    eprintln!("leverframe listens on http://{address}");
    if arguments.emulated {
        eprintln!("Answers come from emulated providers: any model name does, and nothing is real.");
    }
    eprintln!("  OPENAI_BASE_URL=http://{address}/v1   ANTHROPIC_BASE_URL=http://{address}");
    eprintln!("  GOOGLE_GEMINI_BASE_URL=http://{address}");
    match arguments.no_log {
        true => eprintln!("No log is kept."),
        false => eprintln!("The log is in {0}: leverframe logs {0}", arguments.log.display()),
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
