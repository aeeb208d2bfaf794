//! `leverframe chat`.

use std::{
    io::{BufRead, IsTerminal},
    path::PathBuf,
};

use anstream::{eprintln, println};
use futures_util::StreamExt;
use leverframe_router::{Block, Message, Request, Role, Router, StreamEvent};

use crate::{
    chain,
    serve::configuration,
    show::{self, Problem},
};

/// What `chat` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask. Nothing: asks for it, again and again; or takes all that is piped in.
    prompt: Option<String>,
    /// The model: a configured name, provider/model, or a provider's own; `default` is the
    /// first provider's default.
    #[arg(long, short, default_value = "default")]
    model: String,
    /// The system prompt.
    #[arg(long)]
    system: Option<String>,
    /// Tell why the request went where it went.
    #[arg(long)]
    explain: bool,
    /// The configuration; leverframe.toml, if there is one and no other is named.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Problem> {
    let config = configuration(arguments.config.as_deref())?;
    let built = config.build(Router::builder()).map_err(|error| Problem(error.to_string()))?;
    let router = built.builder.build().map_err(|error| chain(&error))?;
    let mut request = Request::new(&arguments.model);
    if let Some(system) = &arguments.system {
        request = request.system(system.as_str());
    }
    if let Some(prompt) = &arguments.prompt {
        return say(&router, request.user(prompt), arguments.explain).await.map(|_| ());
    }
    if !std::io::stdin().is_terminal() {
        let prompt = std::io::read_to_string(std::io::stdin()).map_err(|error| chain(&error))?;
        return say(&router, request.user(prompt.trim()), arguments.explain).await.map(|_| ());
    }
    eprintln!("Ask away; an empty line, or Ctrl-C, ends it.");
    loop {
        show::speaker("you");
        let Some(line) = line().await.filter(|line| !line.trim().is_empty()) else { return Ok(()) };
        let asked = request.clone().user(line.trim());
        // What went wrong is told, and the conversation goes on as if it had not been asked.
        match say(&router, asked.clone(), arguments.explain).await {
            Ok(answer) => request = asked.message(Message::new(Role::Assistant, vec![Block::text(answer)])),
            Err(problem) => eprintln!("{problem}"),
        }
    }
}

/// The next line, read on a thread of its own: the terminal blocks.
async fn line() -> Option<String> {
    let read = || std::io::stdin().lock().lines().next()?.ok();
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// Prints an answer as it comes, and returns its text.
async fn say(router: &Router, request: Request, explain: bool) -> Result<String, Problem> {
    let told = |error: &leverframe_router::Error| {
        if let Some(explanation) = error.explain().filter(|_| explain) {
            eprintln!("{explanation}");
        }
        chain(error)
    };
    let mut stream = router.stream(request).await.map_err(|error| told(&error))?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(StreamEvent::TextDelta { text: more, .. } | StreamEvent::RefusalDelta { text: more, .. }) => {
                show::token(&more);
                text.push_str(&more);
            }
            Ok(_) => {}
            Err(error) => {
                println!();
                return Err(told(&error));
            }
        }
    }
    println!();
    if let Some(record) = stream.record().filter(|_| explain) {
        eprintln!("{}", record.explain());
    }
    Ok(text)
}
