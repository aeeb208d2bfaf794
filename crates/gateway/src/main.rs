//! The `leverframe` command.

mod demo;
mod logs;
mod show;

use std::{path::PathBuf, process::ExitCode};

use anstream::eprintln;
use clap::{Parser, Subcommand};

use show::Problem;

const EXAMPLES: &str = "\
Examples:
  See what this does, without a key or a network:
    leverframe demo

  The same first scene against the real providers:
    ANTHROPIC_API_KEY=... leverframe demo --real --prompt 'Why is the sky blue?'

  Keep the demo's log and look at it afterwards:
    leverframe demo --log demo.redb
    leverframe logs demo.redb";

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
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Logs { file, limit } => logs::run(&file, limit),
        }
    };
    tokio::select! {
        outcome = work => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("leverframe: {problem}");
                ExitCode::FAILURE
            }
        },
        // Dropping the work cancels what is out and removes what was made.
        _ = tokio::signal::ctrl_c() => ExitCode::from(INTERRUPTED),
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
