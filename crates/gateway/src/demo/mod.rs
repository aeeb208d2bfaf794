//! `leverframe demo`.

mod front_door;
mod questions;
mod scenes;
mod stage;

use std::{path::PathBuf, sync::Arc};

use crate::out::println;
use leverframe_router::{
    Request, Router,
    store::{Log, Query},
};

use crate::{
    chain,
    show::{self, Problem},
};

use stage::Stage;

/// What the demo may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Play the first scene against the real providers, with the keys in the environment.
    #[arg(long)]
    real: bool,
    /// What to ask, with --real.
    #[arg(long, requires = "real", default_value = "Say hello in five languages, one line each.")]
    prompt: String,
    /// The model to ask, with --real; `default` is the first configured provider's own.
    #[arg(long, requires = "real", default_value = "default")]
    model: String,
    /// Keep the log in this file instead of removing it.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Problem> {
    let folder = tempfile::tempdir().map_err(|error| chain(&error))?;
    let path = arguments.log.clone().unwrap_or_else(|| folder.path().join("demo.redb"));
    let log = Arc::new(Log::open(&path).map_err(|error| chain(&error))?);
    if arguments.real {
        return real(&arguments, log).await;
    }
    let stage = Stage::set(log).await?;
    println!("Three emulated providers on this machine stand in for the real ones; nothing leaves it.");
    scenes::play(&stage).await?;
    front_door::show(&stage).await?;
    println!();
    show::note("From the log, newest last; each journal was replayed against the transition table:");
    let log = stage.strike().await;
    log.flush().map_err(|error| chain(&error))?;
    let newest = log.reader().newest(&Query::all(), None, 100).map_err(|error| chain(&error))?;
    let mut records = questions::records(newest.records)?;
    records.reverse();
    show::records(records.iter());
    questions::ask(log.reader())?;
    if let Some(path) = arguments.log {
        show::note(&format!("The log is in {0}; look again with: leverframe logs {0}", path.display()));
    }
    Ok(())
}

/// The first scene, with real keys.
async fn real(arguments: &Arguments, log: Arc<Log>) -> Result<(), Problem> {
    let builder = Router::builder().from_env().map_err(|error| chain(&error))?;
    let router = builder.log(log).build().map_err(|error| chain(&error))?;
    show::scene(1, "A streamed answer", "From the real providers, with the keys in the environment.");
    let request = Request::new(&arguments.model).user(&arguments.prompt);
    match stage::tell(&router, request).await {
        Ok(record) => {
            show::attempts(&record.attempts);
            Ok(())
        }
        Err(error) => {
            show::attempts(error.attempts());
            Err(chain(&error))
        }
    }
}
