//! The configuration file.
//!
//! TOML, and nothing in it is needed: without a file the environment's keys
//! configure the providers ([`Builder::from_env`]). What is wrong is told with
//! its line and what would be right. Keys of providers are not in it: it names
//! the environment variable or the file that holds each.

mod build;
mod file;
mod values;

use std::{collections::BTreeSet, fmt, path::Path};

pub use build::Built;
pub use file::{
    AdminTable, Config, DurabilityWord, GatewayTable, KeyTable, LimitsTable, LogTable, ModelTable,
    ProviderTable, Route, RouterTable, TraceLevel, TraceTable, TraceWord,
};
use leverframe_router::Builder;
pub use values::{Kind, PolicyWord, Span};

/// Why a configuration cannot be used, for a person.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configuration to begin with, every setting explained.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The most bytes a configuration file may have.
const MOST_BYTES: u64 = 4 << 20;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`], with the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use std::io::Read;
        let shown = path.display();
        let unread = |error: std::io::Error| ConfigError(format!("cannot read {shown}: {error}"));
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unread)?;
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(unread)?;
        Self::parse(&text).map_err(|error| ConfigError(format!("{shown}: {error}")))
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`], with the line and, for a setting that is not known, the
    /// nearest one that is.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let mut told = error.to_string();
            if let Some(nearest) = nearest(error.message()) {
                told.push_str(&format!("did you mean `{nearest}`?\n"));
            }
            ConfigError(told.trim_end().to_owned())
        })
    }

    /// The router it describes, over what the environment says where it names no
    /// provider.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn build(&self, builder: Builder) -> Result<Built, ConfigError> {
        build::build(self, builder, |name| std::env::var(name).ok())
    }

    /// The router it describes, without the keys: to look at, and not to be
    /// asked. Where the file names no provider and the environment none either,
    /// its providers are those `seen` that need no more than a key.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn outline(&self, seen: &BTreeSet<&str>) -> Result<Builder, ConfigError> {
        build::outline(self, seen)
    }

    /// The same over a builder that has its providers: those of the file, and
    /// the environment's, stay out.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn build_over(&self, builder: Builder) -> Result<Built, ConfigError> {
        build::over(self, builder)
    }
}

/// The known name that is nearest to the unknown one a message is about.
fn nearest(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown").then(|| names.next()).flatten()?;
    let near = |name: &str| strsim::jaro_winkler(unknown, name);
    let best = names.max_by(|a, b| near(a).total_cmp(&near(b)))?;
    (near(best) > 0.7).then(|| best.to_owned())
}

#[cfg(test)]
mod tests;
