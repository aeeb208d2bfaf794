//! The `leverframe` command.

mod configure;
mod demo;
mod logs;
mod serve;
mod show;

use std::{path::PathBuf, process::ExitCode};

use anstream::eprintln;
use clap::{Parser, Subcommand};

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
    /// Play five short scenes: an answer, a fallback, a rate limit, a cut stream, an open breaker.
    Demo(demo::Arguments),
    /// Serve the OpenAI, Anthropic and Google APIs on one address, with fallback, limits and a log.
    Serve(serve::Arguments),
    /// Write, check and show the configuration file.
    #[command(subcommand)]
    Config(configure::ConfigCommand),
    /// Make keys for callers.
    #[command(subcommand)]
    Keys(configure::KeysCommand),
    /// Print the newest requests of a log: attempts, outcome, every state gone through.
    Logs {
        /// The log's file.
        file: PathBuf,
        /// How many requests, newest first.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
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
            Command::Logs { file, limit } => logs::run(&file, limit).map(|()| ExitCode::SUCCESS),
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
