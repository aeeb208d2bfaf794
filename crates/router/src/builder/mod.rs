//! Building a router: everything is checked here, once.

mod error;
mod names;
mod providers;

use std::{sync::Arc, time::Duration};

use leverframe_core::{
    catalog::Catalog,
    guard::{Breaker, BreakerConfig, HealthConfig, Memory, RetryBudgetConfig, RetryPolicy},
    model::OnBreak,
    record::{Desk, Recorder},
    time::Clock,
};
use leverframe_http::transport::{Carrier, Clocks, Transport, TransportConfig};
use leverframe_store::Log;

use crate::{
    Hedging, Model, Observer, Policy, Provider, Queueing, Router, StreamSettings,
    clock::SystemClock,
    memory::Guards,
    observer::Observers,
    router::{Configured, Inner, Settings},
    telemetry::Spans,
};
pub use error::BuildError;
use providers::Backends;

/// Collects what a [`Router`] is made of. Nothing is checked before
/// [`Builder::build`].
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    providers: Vec<Provider>,
    default_provider: Option<String>,
    fallback: Option<Vec<String>>,
    models: Vec<Model>,
    aliases: Vec<(String, String)>,
    policy: Policy,
    settings: Settings,
    transport: TransportConfig,
    carrier: Option<Arc<dyn Carrier>>,
    recorders: Vec<Arc<dyn Recorder>>,
    observers: Vec<Arc<dyn Observer>>,
    seed: Option<u64>,
    clock: Option<Arc<dyn Clock>>,
    catalog: Option<Catalog>,
    log: Option<Arc<Log>>,
    memory: Option<Memory>,
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

    /// Adds a model by a name of your own, with its routes.
    pub fn model(mut self, model: Model) -> Self {
        self.models.push(model);
        self
    }

    /// Lets a name stand for another: a model's, as callers write it
    /// (`claude/claude-opus-4-5`, `claude-opus-4-5`, `default`), that of a
    /// [`Model`], or another alias.
    pub fn alias(mut self, alias: impl Into<String>, name: impl Into<String>) -> Self {
        self.aliases.push((alias.into(), name.into()));
        self
    }

    /// How routes are ordered where a [`Model`] does not say.
    /// [`Policy::Priority`], unless set.
    ///
    /// A request that names a provider's model is for that model: there the
    /// policy orders the provider's keys, and the providers to fall back to
    /// come after them in their own order.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
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

    /// Lets requests wait their turn for the limits of a route, instead of moving
    /// on or failing at once. Off, unless set.
    pub fn queueing(mut self, queueing: Queueing) -> Self {
        self.settings.queueing = Some(queueing);
        self
    }

    /// How long keys and routes are set aside that the provider refuses.
    pub fn health(mut self, config: HealthConfig) -> Self {
        self.settings.health = config;
        self
    }

    /// Tells the time. The system's clock, unless set; for tests and simulations.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How many retries and hedges each provider may be sent.
    pub fn retry_budget(mut self, config: RetryBudgetConfig) -> Self {
        self.settings.retry_budget = config;
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

    /// How streamed answers are read and held back.
    pub fn streams(mut self, settings: StreamSettings) -> Self {
        self.settings.streams = settings;
        self
    }

    /// What happens when a streamed answer breaks off after its first content
    /// and its request does not say. It ends in an error, unless set.
    pub fn on_break(mut self, policy: OnBreak) -> Self {
        self.settings.on_break = policy;
        self
    }

    /// Asks a second route when the first one is late with a stream. Off,
    /// unless set.
    pub fn hedging(mut self, hedging: Hedging) -> Self {
        self.settings.hedging = Some(hedging);
        self
    }

    /// Connection pool and body limits.
    pub fn transport(mut self, config: TransportConfig) -> Self {
        self.transport = config;
        self
    }

    /// Carries requests over this instead of the network: for tests,
    /// simulations and recorded traffic. Clocks, limits and cancellation are
    /// those of the network; no connection is made and nothing is encrypted.
    pub fn carrier(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// Hands the record of every request to `recorder` as well.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorders.push(recorder);
        self
    }

    /// Keeps a durable log: every request is written to it when it is sent and
    /// when it is over. With [`Durability::Strict`](crate::store::Durability) a
    /// request that cannot be written down is not sent.
    ///
    /// What the guards learn is written to it too, and what is in it from an
    /// earlier process is where they begin: a restart forgets neither that a
    /// provider is down nor what of the day's budget is spent. One log is for
    /// one router at a time.
    pub fn log(mut self, log: Arc<Log>) -> Self {
        self.log = Some(Arc::clone(&log));
        self.recorder(log)
    }

    /// The guards begin with this, [another router's](Router::memory), instead
    /// of with what is in the log.
    pub fn memory(mut self, memory: Memory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Tells `observer` what happens, as it happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
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
            return Err(BuildError::setting("attempts", "is 0; it must be at least 1"));
        }
        if self.settings.timeout.is_zero() {
            return Err(BuildError::setting("timeout", "is zero; give a duration such as 60s"));
        }
        if let Some(hedging) = &self.settings.hedging {
            hedging.check()?;
        }
        self.policy.check().map_err(|problem| BuildError::setting("policy", problem))?;
        // Gates are made per route later; a breaker that cannot be made is found here.
        Breaker::new(self.settings.breaker, 0)?;
        if let Some(queueing) = &self.settings.queueing {
            queueing.check()?;
        }
        let observers = Observers(self.observers.into());
        let mut rng = self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut backends = Backends::new(self.settings, observers.clone(), rng.fork());
        let providers = providers::configure(&self.providers, &mut backends)?;
        let default_provider = match &self.default_provider {
            Some(name) => position(&providers, "default", name)?,
            None => 0,
        };
        let fallback = fallback(&providers, self.fallback.as_deref())?;
        let names = names::Given {
            models: &self.models,
            aliases: &self.aliases,
            policy: self.policy,
            providers: &providers,
            default_provider,
            default_is_set: self.default_provider.is_some(),
        }
        .check(&mut backends)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::start()));
        let catalog = Arc::new(self.catalog.unwrap_or_else(|| Catalog::builtin().clone()));
        let mut recorders: Vec<Arc<dyn Recorder>> = vec![Arc::new(Spans), Arc::new(observers.clone())];
        recorders.extend(self.recorders);
        let desk = Desk::new(Arc::clone(&clock), recorders).with_prices(Arc::clone(&catalog));
        let states = Arc::new(backends.into_states());
        let inner = Inner {
            transport: match self.carrier {
                Some(carrier) => Transport::over(carrier, self.transport),
                None => Transport::new(self.transport)?,
            },
            desk: Arc::new(desk),
            observers,
            catalog,
            guards: Arc::new(Guards::of(&providers, &states, &clock)),
            clock,
            providers,
            default_provider,
            fallback,
            policy: self.policy,
            names,
            settings: self.settings,
            states,
            log: self.log,
            rng: std::sync::Mutex::new(rng),
        };
        let memory = self.memory.or_else(|| remembered(inner.log.as_deref()?));
        memory.iter().for_each(|memory| inner.restore(memory));
        Ok(Router::new(inner))
    }
}

/// What is in the log. One that cannot be read keeps no router from serving:
/// the guards learn anew.
fn remembered(log: &Log) -> Option<Memory> {
    match log.memory() {
        Ok(memory) => Some(memory),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot read what the guards had learned"
            );
            None
        }
    }
}

fn position(providers: &[Configured], role: &'static str, name: &str) -> Result<usize, BuildError> {
    providers.iter().position(|provider| provider.name.as_str() == name).ok_or_else(|| {
        let names: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
        BuildError::Unknown { role, name: name.to_owned(), configured: names.join(", ") }
    })
}

/// The places of the providers to fall back to, in order.
fn fallback(providers: &[Configured], names: Option<&[String]>) -> Result<Vec<usize>, BuildError> {
    let Some(names) = names else { return Ok((0..providers.len()).collect()) };
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let place = position(providers, "fallback", name)?;
        if providers
            .get(place)
            .is_some_and(|provider| provider.own.is_empty() && provider.stand_ins.is_empty())
        {
            let problem = format!(
                "names {name}, which has no model to fall back to; set Provider::default_model or Provider::stands_in"
            );
            return Err(BuildError::setting("fallback", problem));
        }
        // A provider named twice is still one to fall back to.
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
