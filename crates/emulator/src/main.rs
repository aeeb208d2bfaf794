//! The emulator as a program.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use leverframe_emulator::{Emulator, Provider};

const EXAMPLES: &str = r#"Examples:
  Start on free ports and print where:
    leverframe-emulator

  Point your service at it:
    leverframe-emulator --anthropic-port 8001 &
    ANTHROPIC_BASE_URL=http://127.0.0.1:8001 ANTHROPIC_API_KEY=emulated your-service

  Overload Claude twice, then answer; break Gemini's streams for ever:
    cat > script.json <<'END'
    [
      {"provider": "anthropic", "model": "claude-sonnet-5",
       "steps": [{"fault": "overloaded"}, {"fault": "overloaded"}, {"text": "Here I am.", "between_tokens_ms": 80}]},
      {"provider": "gemini", "always": {"close_after": 3}}
    ]
    END
    leverframe-emulator --script script.json

Script entries: provider (anthropic, gemini, openai), model (any, if left out), steps, always.
Steps: text, fault, status + body + content_type, finish (stop, length, content_filter), headers,
  before_headers_ms, before_first_token_ms, between_tokens_ms,
  end_after, close_after, stall_after, malformed_after (so many tokens).
Faults: overloaded, {"rate_limited": {"retry_after_seconds": 2}}, quota_exhausted, server, authentication,
  permission, model_not_found, context_length, invalid_request, content_filter."#;

/// Fake Anthropic, Gemini and OpenAI servers on 127.0.0.1, with scripted faults.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Arguments {
    /// Port for the Anthropic API; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    anthropic_port: u16,
    /// Port for the Gemini API; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    gemini_port: u16,
    /// Port for the OpenAI API; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    openai_port: u16,
    /// A JSON script of answers and faults; see the long help.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            anstream::eprintln!("leverframe-emulator: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let ports = [arguments.anthropic_port, arguments.gemini_port, arguments.openai_port];
    let emulator = Emulator::start_on(ports)
        .await
        .map_err(|error| format!("cannot listen on ports {ports:?}: {error}; choose others or 0"))?;
    if let Some(path) = arguments.script {
        let json = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        emulator.load(&json).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for (name, provider) in
        [("ANTHROPIC", Provider::Anthropic), ("GEMINI", Provider::Gemini), ("OPENAI", Provider::OpenAi)]
    {
        anstream::println!("export {name}_BASE_URL={} {name}_API_KEY=emulated", emulator.base_url(provider));
    }
    anstream::eprintln!("Listening. Press Ctrl-C to stop.");
    tokio::signal::ctrl_c().await.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    emulator.shutdown().await;
    Ok(())
}
