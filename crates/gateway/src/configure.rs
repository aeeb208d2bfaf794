//! `leverframe config` and `leverframe keys`.

use std::path::{Path, PathBuf};

use crate::out::{eprintln, println};
use leverframe_gateway::{
    config::{Config, EXAMPLE},
    server::VirtualKey,
};
use leverframe_router::Router;

use crate::{chain, show::Problem};

/// The file that is read where none is named and there is one.
pub(crate) const DEFAULT_FILE: &str = "leverframe.toml";

/// What `config` may be asked for.
#[derive(clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a configuration to begin with, every setting explained.
    Init {
        /// Where to; never over a file that is there.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Say whether a configuration would work, without serving.
    Check {
        /// Which.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Print what a configuration comes to: its routes, its log, its door.
    Show {
        /// Which.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
}

/// What `keys` may be asked for.
#[derive(clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key for callers: printed once, and kept nowhere.
    New {
        /// What it is called: a team, a service.
        #[arg(required_unless_present = "admin")]
        name: Option<String>,
        /// Make the operator's key instead, for leverframe providers --url.
        #[arg(long, conflicts_with = "name")]
        admin: bool,
    },
}

pub(crate) fn config(command: &ConfigCommand) -> Result<(), Problem> {
    match command {
        ConfigCommand::Init { file } => init(file),
        ConfigCommand::Check { file } => {
            router(file)?;
            println!("{} works.", file.display());
            Ok(())
        }
        ConfigCommand::Show { file } => show(file),
    }
}

/// What a file describes, checked to its end.
fn router(file: &Path) -> Result<(Config, Router), Problem> {
    let config = Config::read(file).map_err(|error| Problem(error.to_string()))?;
    let built = config.build(Router::builder()).map_err(|error| Problem(error.to_string()))?;
    let router = built.builder.build().map_err(|error| chain(&error))?;
    Ok((config, router))
}

fn init(file: &Path) -> Result<(), Problem> {
    use std::io::Write;
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    written
        .and_then(|mut opened| opened.write_all(EXAMPLE.as_bytes()))
        .map_err(|error| Problem(format!("cannot write {}: {error}", file.display())))?;
    println!("Wrote {0}. Change it, then: leverframe config check {0}", file.display());
    Ok(())
}

fn show(file: &Path) -> Result<(), Problem> {
    let (config, router) = router(file)?;
    println!("routes, in the order of configuration:");
    for route in router.routes() {
        let model = route.model.as_deref().unwrap_or("any model callers name");
        let models = match route.models.is_empty() {
            true => String::new(),
            false => format!(", for {}", route.models.join(", ")),
        };
        println!("  {}/{model} (key {}, {}){models}", route.provider, route.key, route.dialect);
    }
    match config.keys.is_empty() {
        true => println!("door: open to all who reach it"),
        false => {
            let names: Vec<_> = config.keys.iter().map(|key| key.name.as_str()).collect();
            println!("door: opens to the keys {}", names.join(", "));
        }
    }
    Ok(())
}

pub(crate) fn keys(command: &KeysCommand) -> Result<(), Problem> {
    let KeysCommand::New { name, .. } = command;
    let key = VirtualKey::random().map_err(|error| chain(&error))?;
    let sha256 = VirtualKey::sha256(&key);
    println!("{key}");
    match name {
        Some(name) => {
            // A JSON string is a TOML string.
            let quoted = serde_json::to_string(name).unwrap_or_default();
            eprintln!("Give the key above to {name}; it is shown once. In the configuration:");
            eprintln!("\n[[keys]]\nname = {quoted}\nsha256 = \"{sha256}\"");
        }
        None => {
            eprintln!("The operator's key is above; it is shown once. In the configuration:");
            eprintln!("\n[admin]\nkey_sha256 = \"{sha256}\"");
        }
    }
    Ok(())
}
