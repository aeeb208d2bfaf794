//! The `leverframe` command.

mod chat;
mod configure;
mod demo;
mod logs;
mod reload;
mod serve;
mod show;
mod stats;

use std::{path::PathBuf, process::ExitCode};

use anstream::eprintln;
use clap::{CommandFactory, Parser, Subcommand};

use show::Problem;

const EXAMPLES: &str = r#"Examples:
  See what this does, without a key or a network:
    leverframe demo

  The same first scene against the real providers:
    ANTHROPIC_API_KEY=... leverframe demo --real --prompt 'Why is the sky blue?'

  Point any OpenAI, Anthropic or Google SDK at it:
    leverframe serve --emulated
    curl http://127.0.0.1:4141/v1/chat/completions -d '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}'

  Keep the demo's log and look at it afterwards:
    leverframe demo --log demo.redb
    leverframe logs demo.redb"#;

/// Call Claude, Gemini and OpenAI through one API, and stay up when they do not.
#[derive(Parser)]
#[command(name = "leverframe", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play seven short scenes: an answer, a fallback, a rate limit, a cut stream, an open breaker, the gateway, the log.
    Demo(demo::Arguments),
    /// Serve the OpenAI, Anthropic and Google APIs on one address, with fallback, limits and a log.
    Serve(serve::Arguments),
    /// Write, check and show the configuration file.
    #[command(subcommand)]
    Config(configure::ConfigCommand),
    /// Make keys for callers.
    #[command(subcommand)]
    Keys(configure::KeysCommand),
    /// Ask a model: one question, or a conversation.
    Chat(chat::Arguments),
    /// Print the newest requests of a log: attempts, outcome, every state gone through.
    Logs(logs::Arguments),
    /// Print what a log adds up to: success, latency and money by model, hour by hour, and what failed.
    Stats(stats::Arguments),
    /// Tell why a request went where it went.
    Explain {
        /// Its id: x-leverframe-request-id of the answer.
        request: String,
        /// The log's file.
        #[arg(default_value = logs::DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Write a log's requests to standard output, as CSV or JSON Lines.
    Export(logs::ExportArguments),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What a shell expects of a command stopped by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let work = async {
        match Arguments::parse().command {
            // Ends by itself when it is asked to.
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Demo(arguments) => until_interrupted(demo::run(arguments)).await,
            Command::Config(command) => configure::config(&command).map(|()| ExitCode::SUCCESS),
            Command::Keys(command) => configure::keys(&command).map(|()| ExitCode::SUCCESS),
            Command::Chat(arguments) => until_interrupted(chat::run(arguments)).await,
            Command::Logs(arguments) => until_interrupted(logs::run(arguments)).await,
            Command::Stats(arguments) => stats::run(&arguments).map(|()| ExitCode::SUCCESS),
            Command::Explain { request, file } => logs::explain(&file, &request).map(|()| ExitCode::SUCCESS),
            Command::Export(arguments) => logs::export(&arguments).map(|()| ExitCode::SUCCESS),
            Command::Completions { shell } => {
                clap_complete::generate(
                    shell,
                    &mut Arguments::command(),
                    "leverframe",
                    &mut std::io::stdout(),
                );
                Ok(ExitCode::SUCCESS)
            }
        }
    };
    work.await.unwrap_or_else(|problem| {
        eprintln!("leverframe: {problem}");
        ExitCode::FAILURE
    })
}

/// Does the work until Ctrl-C. Dropping it cancels what is out and removes what
/// was made.
async fn until_interrupted(work: impl Future<Output = Result<(), Problem>>) -> Result<ExitCode, Problem> {
    tokio::select! {
        done = work => done.map(|()| ExitCode::SUCCESS),
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
