//! `leverframe chat`.
//!
//! The answer goes to standard output as it comes, everything else to standard
//! error. Asked once, Ctrl-C ends the program; in a conversation it ends the
//! answer under way, whose connection is closed, and Ctrl-D ends the program.

use std::{
    io::{BufRead, IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use futures_util::StreamExt;
use leverframe_emulator::Emulator;
use leverframe_router::{Block, Error, Message, Request, Role, Router, StreamEvent};
use tokio::{signal::ctrl_c, sync::mpsc};

use crate::{
    INTERRUPTED, chain,
    out::{self, eprintln, println},
    serve,
    show::{self, Problem},
};

/// Most bytes of a question that is piped in.
const MOST_PIPED: u64 = 32 << 20;

/// What `chat` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask. Without it: all that is piped in, or else a conversation.
    prompt: Option<String>,
    /// The model: a configured name, provider/model, or a provider's own; `default` is the
    /// first provider's default.
    #[arg(long, short, default_value = "default")]
    model: String,
    /// The system prompt.
    #[arg(long)]
    system: Option<String>,
    /// Tell why each request went where it went.
    #[arg(long)]
    explain: bool,
    /// Ask emulated providers: no key, no network, nothing is real.
    #[arg(long)]
    emulated: bool,
    /// The configuration; leverframe.toml, if there is one and no other is named.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Problem> {
    let emulator = match arguments.emulated {
        true => Some(Emulator::start().await.map_err(|error| chain(&error))?),
        false => None,
    };
    let ended = chat(&arguments, emulator.as_ref()).await;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    ended
}

async fn chat(arguments: &Arguments, emulator: Option<&Emulator>) -> Result<ExitCode, Problem> {
    let config = serve::configuration(arguments.config.as_deref())?;
    let built = match emulator {
        Some(emulator) => serve::emulated(&config, emulator),
        None => config.build(Router::builder()),
    };
    let built = built.map_err(|error| Problem(error.to_string()))?;
    let router = built.builder.build().map_err(|error| chain(&error))?;
    let chat = Chat { router, explain: arguments.explain };
    let mut request = Request::new(&arguments.model);
    if let Some(system) = &arguments.system {
        request = request.system(system.as_str());
    }
    let prompt = match &arguments.prompt {
        Some(prompt) => prompt.clone(),
        None if std::io::stdin().is_terminal() => return chat.converse(request).await,
        None => match until_interrupted(tokio::task::spawn_blocking(piped)).await {
            Some(Ok(prompt)) => prompt?,
            Some(Err(error)) => return Err(chain(&error)),
            None => return Ok(ExitCode::from(INTERRUPTED)),
        },
    };
    if prompt.trim().is_empty() {
        return Err(Problem("there is no question; give one, or pipe it in".to_owned()));
    }
    match chat.ask(request.user(prompt.trim())).await? {
        Said::All(_) => Ok(ExitCode::SUCCESS),
        Said::Stopped(_) => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// All that is piped in.
fn piped() -> Result<String, Problem> {
    let mut prompt = String::new();
    let read = std::io::stdin().lock().take(MOST_PIPED + 1).read_to_string(&mut prompt);
    match read {
        Ok(bytes) if u64::try_from(bytes).unwrap_or(u64::MAX) > MOST_PIPED => {
            Err(Problem(format!("what is piped in has more than {MOST_PIPED} bytes; ask with less")))
        }
        Ok(_) => Ok(prompt),
        Err(error) => Err(Problem(format!("what is piped in cannot be read: {error}"))),
    }
}

/// `None`: Ctrl-C came first, and what was under way is dropped.
async fn until_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = ctrl_c() => None,
    }
}

/// What came of a question.
enum Said {
    /// The answer to its end.
    All(String),
    /// As much of it as there was until Ctrl-C.
    Stopped(String),
}

struct Chat {
    router: Router,
    explain: bool,
}

impl Chat {
    /// Asks and answers until there are no more lines.
    async fn converse(&self, mut request: Request) -> Result<ExitCode, Problem> {
        eprintln!("Ask away; Ctrl-C stops an answer, Ctrl-D ends it all.");
        let mut lines = lines();
        let mut impatient = false;
        loop {
            show::speaker("you");
            let Some(line) = until_interrupted(lines.recv()).await else {
                if impatient {
                    println!();
                    return Ok(ExitCode::from(INTERRUPTED));
                }
                eprintln!("\nNothing is under way; Ctrl-D, or Ctrl-C again, ends it.");
                impatient = true;
                continue;
            };
            impatient = false;
            let Some(line) = line.filter(|_| !out::closed()) else {
                println!();
                return Ok(ExitCode::SUCCESS);
            };
            if line.trim().is_empty() {
                continue;
            }
            let asked = request.clone().user(line.trim());
            let said = match self.ask(asked.clone()).await {
                Ok(Said::All(said) | Said::Stopped(said)) => said,
                // It is told, and the conversation goes on as if it had not been asked.
                Err(problem) => {
                    eprintln!("{problem}");
                    continue;
                }
            };
            if !said.is_empty() {
                request = asked.message(Message::new(Role::Assistant, vec![Block::text(said)]));
            }
        }
    }

    /// Asks, and prints the answer, until Ctrl-C.
    async fn ask(&self, request: Request) -> Result<Said, Problem> {
        let mut text = String::new();
        match until_interrupted(self.answer(request, &mut text)).await {
            Some(answered) => answered.map(|()| Said::All(text)),
            None => {
                println!();
                Ok(Said::Stopped(text))
            }
        }
    }

    /// Prints an answer as it comes.
    async fn answer(&self, request: Request, text: &mut String) -> Result<(), Problem> {
        let mut stream = self.router.stream(request).await.map_err(|error| self.told(&error))?;
        while let Some(event) = stream.next().await {
            match event {
                Ok(
                    StreamEvent::TextDelta { text: more, .. } | StreamEvent::RefusalDelta { text: more, .. },
                ) => {
                    show::token(&more);
                    text.push_str(&more);
                }
                Ok(_) => {}
                Err(error) => {
                    println!();
                    return Err(self.told(&error));
                }
            }
            if out::closed() {
                // Nobody reads what comes, and it costs money.
                return Ok(());
            }
        }
        println!();
        if let Some(record) = stream.record().filter(|_| self.explain) {
            eprintln!("{}", record.explain());
        }
        Ok(())
    }

    fn told(&self, error: &Error) -> Problem {
        if let Some(explanation) = error.explain().filter(|_| self.explain) {
            eprintln!("{explanation}");
        }
        chain(error)
    }
}

/// The lines that are typed. The terminal blocks whoever reads it, so that is a
/// thread of its own, which ends with the process.
fn lines() -> mpsc::Receiver<String> {
    let (typed, lines) = mpsc::channel(1);
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    };
    // Should there be no thread to be had, there are no lines, and the conversation ends.
    let _ = std::thread::Builder::new().name("typed lines".to_owned()).spawn(read);
    lines
}
