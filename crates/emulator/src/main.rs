//! The emulator as a program.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use leverframe_emulator::{Emulator, Provider, Step};

const MORE: &str = r#"Examples:
  Start on free ports and print where:
    leverframe-emulator

  Point your service at it (the lines it prints do just that):
    leverframe-emulator --anthropic-port 8001 &
    ANTHROPIC_BASE_URL=http://127.0.0.1:8001 ANTHROPIC_API_KEY=emulated your-service

  As slow as the real ones:
    leverframe-emulator --first-token-ms 600 --between-tokens-ms 20

  Overload Claude twice, then answer once; break every third stream of Gemini's:
    cat > script.json <<'END'
    [
      {"provider": "anthropic", "model": "claude-sonnet-5",
       "steps": [{"fault": "overloaded"}, {"fault": "overloaded"},
                 {"text": "Here I am.", "between_tokens_ms": 80}]},
      {"provider": "gemini", "cycle": [{}, {}, {"close_after": 3}]}
    ]
    END
    leverframe-emulator --script script.json

A script is a list of entries:
  provider     anthropic, gemini or openai
  model        any, if left out
  when         for calls only that say this text since the model last spoke
  with         for calls only that have all these texts in their bodies, in a string or a key
  steps        one call takes one step, in order
  repeat       so many times (1)
  always       the step for calls when there are none left
  cycle        the same, going round several steps

Entries with `when` or `with` come first, in their order; steps that are used up count as not there.

A step may have one of these answers (the default text, if none):
  text, tokens ["a ", "b"], refusal (true or its words), fault, body (with status, content_type),
  before_headers (close, reset, stall)
calls of tools, alone or after text or tokens:
  tool_call {name, arguments}, tool_calls [{name, arguments}, ...]
one of these interruptions, after so many tokens:
  end_after, close_after, reset_after, stall_after, malformed_after,
  error_after {tokens, fault}, bare_error_after {tokens, fault}, long_line_after {tokens, bytes}
and any of these:
  before_headers_ms, before_first_token_ms, between_tokens_ms, headers {name: value}, thinking,
  finish (stop, length, content_filter), usage {input, output}, without_terminal_frame true

Faults, as the provider reports them:
  overloaded, {"rate_limited": {"retry_after_seconds": 2}}, quota_exhausted, server, authentication,
  permission, model_not_found, context_length, invalid_request, content_filter"#;

/// Fake Anthropic, Gemini and OpenAI servers on 127.0.0.1, with scripted faults.
///
/// Any key is accepted and, unless told otherwise, any model. Answers quote
/// the question. OpenAI is Chat Completions and Responses. Nothing leaves this
/// machine.
#[derive(Parser)]
#[command(version, after_help = "Examples and the script's format: --help", after_long_help = MORE)]
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
    /// Wait before the first token of answers that are not scripted.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    first_token_ms: u64,
    /// Wait between the tokens of answers that are not scripted.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    between_tokens_ms: u64,
    /// Know only this model, and answer 404 for others; may be repeated.
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// A JSON script of answers and faults; `--help` describes it.
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
    let default = Step::ok()
        .before_first_token(Duration::from_millis(arguments.first_token_ms))
        .between_tokens(Duration::from_millis(arguments.between_tokens_ms));
    let mut builder = Emulator::builder().default_step(default);
    for (provider, port) in Provider::ALL.into_iter().zip(ports) {
        builder = builder.port(provider, port);
        if !arguments.model.is_empty() {
            builder = builder.models(provider, arguments.model.clone());
        }
    }
    let emulator = builder.start().await.map_err(|error| {
        format!("cannot listen on ports {ports:?}: {error}; choose others, or 0 for free ones")
    })?;
    if let Some(path) = arguments.script {
        let at = path.display();
        let json = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {at}: {error}; give --script the path of a JSON file"))?;
        emulator
            .load(&json)
            .map_err(|error| format!("{at}: {error}; `leverframe-emulator --help` describes scripts"))?;
    }
    for (name, url) in [
        ("ANTHROPIC", emulator.base_url(Provider::Anthropic)),
        ("GEMINI", emulator.base_url(Provider::Gemini)),
        // The SDKs' base URL contains the version.
        ("OPENAI", format!("{}/v1", emulator.base_url(Provider::OpenAi))),
    ] {
        anstream::println!("export {name}_BASE_URL={url} {name}_API_KEY=emulated");
    }
    anstream::eprintln!("Listening. Press Ctrl-C to stop.");
    tokio::signal::ctrl_c().await.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    emulator.shutdown().await;
    Ok(())
}
