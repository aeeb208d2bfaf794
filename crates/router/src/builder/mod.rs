//! Building a router: everything is checked here, once.

use std::{sync::Arc, time::Duration};

use leverframe_core::{
    catalog::Catalog,
    guard::{Breaker, BreakerConfig, ConfigError, KeyGuard, RequestsPerMinute, RetryPolicy},
    model::{NameError, ProviderName},
    record::{Desk, Recorder},
    time::Clock,
};
use leverframe_http::{
    codec::{Endpoint, EndpointError},
    sse,
    transport::{Clocks, Transport, TransportConfig, TransportError},
};

use secrecy::ExposeSecret;

use crate::{
    Provider, Router,
    clock::SystemClock,
    router::{Configured, Inner, Settings},
};

/// Collects what a [`Router`] is made of. Nothing is checked before
/// [`Builder::build`].
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    providers: Vec<Provider>,
    default_provider: Option<String>,
    fallback: Option<Vec<String>>,
    settings: Settings,
    transport: TransportConfig,
    recorders: Vec<Arc<dyn Recorder>>,
    seed: Option<u64>,
    catalog: Option<Catalog>,
}

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
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up")]
    Transport(#[from] TransportError),
}

impl Builder {
    /// Takes providers and settings from the environment.
    ///
    /// `ANTHROPIC_API_KEY`, `GEMINI_API_KEY` or `GOOGLE_AI_API_KEY`, and
    /// `OPENAI_API_KEY` configure `claude`, `gemini` and `openai`, which fall
    /// back in this order. Also read: `ANTHROPIC_BASE_URL`, `GEMINI_BASE_URL`,
    /// `OPENAI_BASE_URL`, `DEFAULT_PROVIDER`, `ENABLE_FALLBACK`,
    /// `FALLBACK_PROVIDERS` (a comma-separated list), `CLAUDE_RPM`,
    /// `GEMINI_RPM`, `OPENAI_RPM`, `OPENAI_API` (`chat`, the default, or
    /// `responses`), `LEVERFRAME_TIMEOUT_SECONDS`.
    ///
    /// # Errors
    /// [`BuildError::NoKeys`] when no key is set; [`BuildError::Variable`]
    /// naming a variable that makes no sense.
    pub fn from_env(self) -> Result<Self, BuildError> {
        crate::env::read(self, |name| std::env::var(name).ok())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Adds a provider. Providers fall back in the order they are added.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Which provider the model name `default` means. The first one, unless set.
    pub fn default_provider(mut self, name: impl Into<String>) -> Self {
        self.default_provider = Some(name.into());
        self
    }

    /// Which providers to fall back to, in order. All of them, unless set;
    /// none, if the list is empty.
    pub fn fallback<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.fallback = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Whether another provider is asked when one refuses by its content
    /// policy, before any of its answer was handed over. Off, unless set.
    pub fn fallback_on_refusal(mut self, wanted: bool) -> Self {
        self.settings.fallback_on_refusal = wanted;
        self
    }

    /// How a route is retried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Most attempts a request may make over all routes, retries included. 6, unless set.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// When breakers trip and how long they stay open.
    pub fn breaker(mut self, config: BreakerConfig) -> Self {
        self.settings.breaker = config;
        self
    }

    /// The five clocks of an attempt.
    pub fn clocks(mut self, clocks: Clocks) -> Self {
        self.settings.clocks = clocks;
        self
    }

    /// Most time a request may take when it does not say. Ten minutes, unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Limits on lines and events of streamed answers.
    pub fn stream_limits(mut self, limits: sse::Limits) -> Self {
        self.settings.stream_limits = limits;
        self
    }

    /// Connection pool and body limits.
    pub fn transport(mut self, config: TransportConfig) -> Self {
        self.transport = config;
        self
    }

    /// Hands the record of every request to `recorder` as well.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorders.push(recorder);
        self
    }

    /// What is known of models: what they can do and what they cost. The one
    /// that comes with this crate, unless set; see
    /// [`Catalog::overlaid`] for how to correct it.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Makes jitter and ids repeatable. For tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks everything and builds the router.
    ///
    /// # Errors
    /// [`BuildError`], naming what is wrong and what would be right.
    pub fn build(self) -> Result<Router, BuildError> {
        if self.providers.is_empty() {
            return Err(BuildError::NoProviders);
        }
        if self.settings.attempts == 0 {
            return Err(setting("attempts", "is 0; it must be at least 1"));
        }
        if self.settings.timeout.is_zero() {
            return Err(setting("timeout", "is zero; give a duration such as 60s"));
        }
        // Gates are made per model later; a breaker that cannot be made is found here.
        Breaker::new(self.settings.breaker, 0)?;
        let providers = configure(&self.providers)?;
        let position = |role, name: &String| {
            providers.iter().position(|provider| provider.name.as_str() == name).ok_or_else(|| {
                let names: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
                BuildError::Unknown { role, name: name.clone(), configured: names.join(", ") }
            })
        };
        let default_provider = match &self.default_provider {
            Some(name) => position("default", name)?,
            None => 0,
        };
        let mut fallback: Vec<usize> = match &self.fallback {
            Some(names) => names.iter().map(|name| position("fallback", name)).collect::<Result<_, _>>()?,
            None => (0..providers.len()).collect(),
        };
        if let Some(names) = &self.fallback
            && let Some(name) = names.iter().zip(&fallback).find_map(|(name, place)| {
                providers.get(*place).is_some_and(|provider| provider.default_model.is_none()).then_some(name)
            })
        {
            let problem =
                format!("names {name}, which has no model to fall back to; set Provider::default_model");
            return Err(BuildError::Setting(ConfigError { setting: "fallback", problem }));
        }
        // A provider named twice is still one to fall back to.
        let mut named = std::collections::HashSet::new();
        fallback.retain(|place| named.insert(*place));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let rng = self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let catalog = Arc::new(self.catalog.unwrap_or_else(|| Catalog::builtin().clone()));
        let desk = Desk::new(Arc::clone(&clock), self.recorders).with_prices(Arc::clone(&catalog));
        Ok(Router::new(Inner {
            transport: Transport::new(self.transport)?,
            desk: Arc::new(desk),
            catalog,
            clock,
            providers,
            default_provider,
            fallback,
            settings: self.settings,
            gates: Default::default(),
            rng: std::sync::Mutex::new(rng),
        }))
    }
}

fn setting(setting: &'static str, problem: &str) -> BuildError {
    BuildError::Setting(ConfigError { setting, problem: problem.to_owned() })
}

fn configure(providers: &[Provider]) -> Result<Vec<Configured>, BuildError> {
    let mut configured: Vec<Configured> = Vec::with_capacity(providers.len());
    for provider in providers {
        let name = ProviderName::new(&provider.name)?;
        if configured.iter().any(|other| other.name == name) {
            return Err(BuildError::Duplicate(provider.name.clone()));
        }
        let wrong = |error| BuildError::Endpoint { provider: provider.name.clone(), error };
        let mut endpoint =
            Endpoint::new(provider.dialect, &provider.base_url, provider.key.clone()).map_err(wrong)?;
        if let Some(version) = &provider.api_version {
            endpoint = endpoint.with_api_version(version).map_err(wrong)?;
        }
        for (header, value) in &provider.headers {
            endpoint = endpoint.with_header(header, value.expose_secret()).map_err(wrong)?;
        }
        if let Some(auth) = provider.auth {
            endpoint = endpoint.with_auth(auth);
        }
        endpoint = endpoint.with_compat(provider.compat);
        let limit = provider.requests_per_minute.map(RequestsPerMinute::new).transpose()?;
        configured.push(Configured {
            name,
            endpoint,
            default_model: provider.default_model.clone(),
            native: provider.native,
            key: Arc::new(KeyGuard::new(limit)),
        });
    }
    Ok(configured)
}
