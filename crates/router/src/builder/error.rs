//! Why a configuration is refused.

use leverframe_core::{guard::ConfigError, model::NameError};
use leverframe_http::{codec::EndpointError, transport::TransportError};

/// Why a router cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No provider was given.
    #[error("no provider is configured; add one with Router::builder().provider(Provider::anthropic(key))")]
    NoProviders,
    /// The environment holds no key.
    #[error("no API key in the environment; set ANTHROPIC_API_KEY, GEMINI_API_KEY or OPENAI_API_KEY")]
    NoKeys,
    /// An environment variable does not make sense.
    #[error("{name}={value:?} is not {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A provider's name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two providers have the same name.
    #[error("two providers are called {0}; rename one with Provider::named")]
    Duplicate(String),
    /// A default or fallback provider is not configured.
    #[error("{role} provider {name:?} is not configured; configured are: {configured}")]
    Unknown {
        /// What it was named for.
        role: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        configured: String,
    },
    /// A provider's address or key cannot be used.
    #[error("provider {provider}: {error}")]
    Endpoint {
        /// The provider.
        provider: String,
        /// What is wrong.
        error: EndpointError,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(#[from] ConfigError),
    /// A setting of something that has a name makes no sense.
    #[error("{setting}: {problem}")]
    Named {
        /// The setting, with the name of what it belongs to.
        setting: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up")]
    Transport(#[from] TransportError),
}

impl BuildError {
    pub(super) fn setting(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting(ConfigError { setting, problem: problem.into() })
    }

    pub(super) fn named(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Named { setting: setting.into(), problem: problem.into() }
    }
}
