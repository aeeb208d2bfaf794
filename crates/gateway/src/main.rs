//! The `leverframe` command.

mod chat;
mod configure;
mod demo;
mod doctor;
mod help;
mod logs;
mod out;
mod providers;
mod reload;
mod remote;
mod serve;
mod show;
mod stats;
mod trace;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::out::eprintln;
use show::Problem;

/// Call Claude, Gemini and OpenAI through one API, and stay up when they do not.
#[derive(Parser)]
#[command(name = "leverframe", version, after_help = help::ALL, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play seven short scenes: an answer, a fallback, a rate limit, a cut stream, an open breaker, the gateway, the log.
    #[command(after_help = help::DEMO)]
    Demo(demo::Arguments),
    /// Serve the OpenAI, Anthropic and Google APIs on one address, with fallback, limits and a log.
    #[command(after_help = help::SERVE)]
    Serve(serve::Arguments),
    /// Say whether everything is in place: the configuration, each provider and its keys, the log, the address.
    #[command(after_help = help::DOCTOR)]
    Doctor(doctor::Arguments),
    /// Write, check and show the configuration file.
    #[command(subcommand, after_help = help::CONFIG)]
    Config(configure::ConfigCommand),
    /// Make keys for callers, and for the operator.
    #[command(subcommand, after_help = help::KEYS)]
    Keys(configure::KeysCommand),
    /// Ask a model: one question, or a conversation.
    #[command(after_help = help::CHAT)]
    Chat(chat::Arguments),
    /// Print how each provider stands: health, breakers, and how much of its limits is used.
    #[command(after_help = help::PROVIDERS)]
    Providers(providers::Arguments),
    /// Print the newest requests of a log: attempts, outcome, every state gone through.
    #[command(after_help = help::LOGS)]
    Logs(logs::Arguments),
    /// Print what a log adds up to: success, latency and money by model, hour by hour, and what failed.
    #[command(after_help = help::STATS)]
    Stats(stats::Arguments),
    /// Tell why a request went where it went.
    #[command(after_help = help::EXPLAIN)]
    Explain {
        /// Its id: x-leverframe-request-id of the answer.
        request: String,
        /// The log's file.
        #[arg(default_value = logs::DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Write a log's requests to standard output, as CSV or JSON Lines.
    #[command(after_help = help::EXPORT)]
    Export(logs::ExportArguments),
    /// Print completions for a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What a shell expects of a command stopped by Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // A command line that is wrong ends here, with 2.
    let command = Arguments::parse().command;
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(run(command));
            // A name that is still being looked up keeps nobody waiting.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(chain(&error)),
    };
    ended.unwrap_or_else(|problem| {
        eprintln!("leverframe: {problem}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> Result<ExitCode, Problem> {
    match command {
        // These end by themselves when they are asked to.
        Command::Serve(arguments) => return serve::run(arguments).await,
        Command::Chat(arguments) => return chat::run(arguments).await,
        Command::Doctor(arguments) => return until_interrupted(doctor::run(arguments)).await,
        Command::Demo(arguments) => return until_interrupted(done(demo::run(arguments))).await,
        Command::Logs(arguments) => return until_interrupted(done(logs::run(arguments))).await,
        Command::Providers(arguments) => return until_interrupted(done(providers::run(arguments))).await,
        Command::Config(command) => configure::config(&command),
        Command::Keys(command) => configure::keys(&command),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Explain { request, file } => logs::explain(&file, &request),
        Command::Export(arguments) => logs::export(&arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "leverframe", &mut script);
            out::bytes(&script);
            Ok(())
        }
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn done(work: impl Future<Output = Result<(), Problem>>) -> Result<ExitCode, Problem> {
    work.await.map(|()| ExitCode::SUCCESS)
}

/// Does the work until Ctrl-C. Dropping it cancels what is out and removes what
/// was made.
async fn until_interrupted(
    work: impl Future<Output = Result<ExitCode, Problem>>,
) -> Result<ExitCode, Problem> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// An error with what lies beneath it, one level a line.
fn chain(error: &dyn std::error::Error) -> Problem {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!("\n  because: {cause}"));
        next = cause.source();
    }
    Problem(text)
}
