//! The router: what callers hold.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use leverframe_core::{
    catalog::{Capabilities, Catalog},
    error::Failure,
    guard::{
        Breaker, BreakerConfig, BreakerState, Gate, KeyGuard, Limits, RetryBudget, RetryBudgetConfig,
        RetryPolicy,
    },
    lifecycle::Route,
    model::{KeyLabel, OnBreak, ProviderName, Request},
    record::Desk,
    time::{Clock, Timestamp},
};
use leverframe_http::{
    codec::Endpoint,
    transport::{Clocks, Transport},
};

use crate::{
    Answer, BuildError, Builder, Error, Hedging, ResponseStream, StreamSettings, driver, observer::Observers,
};

/// Sends requests to models and stays up when a provider does not.
///
/// Cheap to clone; clones share connections, breakers and limits. Make one
/// and keep it.
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

impl Router {
    /// A router configured by environment variables alone; see
    /// [`Builder::from_env`] for which.
    ///
    /// # Errors
    /// [`BuildError`], naming the variable.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::builder().from_env()?.build()
    }

    /// A router configured by code.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// Dropping the future cancels the request: the connection is closed, what
    /// was not used is given back, and the record says so.
    ///
    /// # Errors
    /// One [`Error`], with every attempt that was made.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        driver::send(&self.inner, request).await
    }

    /// Sends a request and returns as soon as the answer begins.
    ///
    /// Until then failures are retried and fallen back from unseen. What comes
    /// after is the caller's to see: a stream that breaks off ends in an
    /// [`Error`] that holds the text so far.
    ///
    /// Dropping the future or the stream cancels the request.
    ///
    /// # Errors
    /// One [`Error`], with every attempt that was made.
    pub async fn stream(&self, request: Request) -> Result<ResponseStream, Error> {
        driver::stream(&self.inner, request).await
    }

    /// Where the breaker of a provider's model stands. `None` for a provider
    /// that is not configured.
    pub fn breaker_state(&self, provider: &str, model: &str) -> Option<BreakerState> {
        let configured = self.inner.providers.iter().find(|p| p.name.as_str() == provider)?;
        let route = Route {
            provider: configured.name.clone(),
            key: KeyLabel::default(),
            dialect: configured.endpoint.dialect(),
            model: model.to_owned(),
        };
        let gates = self.inner.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // A route that was never asked has nothing against it.
        let state = |gate: &Arc<Gate>| gate.breaker_state(self.inner.clock.now());
        Some(gates.get(&route).map_or(BreakerState::Closed, state))
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.inner.providers.iter().map(|provider| &provider.name).collect();
        f.debug_struct("Router").field("providers", &names).finish_non_exhaustive()
    }
}

/// Everything clones of a router share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) providers: Vec<Configured>,
    pub(crate) default_provider: usize,
    /// Places in `providers`, in the order of fallback.
    pub(crate) fallback: Vec<usize>,
    pub(crate) settings: Settings,
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) observers: Observers,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) gates: Mutex<HashMap<Route, Arc<Gate>>>,
    pub(crate) rng: Mutex<fastrand::Rng>,
}

/// A provider that was checked.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) name: ProviderName,
    pub(crate) endpoint: Endpoint,
    pub(crate) default_model: Option<String>,
    /// Whether it is where the models of its dialect are at home.
    pub(crate) native: bool,
    pub(crate) key: Arc<KeyGuard>,
    pub(crate) retries: Arc<RetryBudget>,
}

/// What applies to all requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) retry: RetryPolicy,
    pub(crate) retry_budget: RetryBudgetConfig,
    pub(crate) attempts: u32,
    pub(crate) breaker: BreakerConfig,
    pub(crate) clocks: Clocks,
    pub(crate) timeout: Duration,
    pub(crate) streams: StreamSettings,
    pub(crate) on_break: OnBreak,
    pub(crate) hedging: Option<Hedging>,
    pub(crate) fallback_on_refusal: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            retry_budget: RetryBudgetConfig::default(),
            attempts: 6,
            breaker: BreakerConfig::default(),
            clocks: Clocks::default(),
            timeout: Duration::from_secs(600),
            streams: StreamSettings::default(),
            on_break: OnBreak::default(),
            hedging: None,
            fallback_on_refusal: false,
        }
    }
}

/// Most routes whose guards are kept. Model names come from callers, so their
/// number is not otherwise bounded. When there are more, those with nothing to
/// remember go first.
const MAX_GATES: usize = 4096;

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A random source of its own for one request.
    pub(crate) fn fork_rng(&self) -> fastrand::Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// The provider of a route. Routes are made of configured providers only.
    pub(crate) fn provider_of(&self, route: &Route) -> &Configured {
        let found = self.providers.iter().find(|provider| provider.name == route.provider);
        let Some(provider) = found else { unreachable!("routes are made of configured providers") };
        provider
    }

    /// What is known of a route's model.
    pub(crate) fn capabilities(&self, route: &Route) -> Option<&Capabilities> {
        self.catalog.capabilities(route.dialect.family(), &route.model)
    }

    /// Takes the route's key out of a failure, should the provider have quoted it.
    pub(crate) fn without_key(&self, route: &Route, failure: &mut Failure) {
        failure.message = self.provider_of(route).endpoint.without_key(&failure.message);
    }

    /// The guards of a route, made on first use.
    pub(crate) fn gate(&self, route: &Route) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(route) {
            return Arc::clone(gate);
        }
        if gates.len() >= MAX_GATES {
            let now = self.now();
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now));
        }
        if gates.len() >= MAX_GATES
            && let Some(any) = gates.keys().next().cloned()
        {
            gates.remove(&any);
        }
        let seed = self.fork_rng().u64(..);
        // build() has made a breaker of this configuration before.
        let Ok(breaker) = Breaker::new(self.settings.breaker, seed) else { unreachable!("checked by build") };
        let key = Arc::clone(&self.provider_of(route).key);
        let Ok(gate) = Gate::new(breaker, key, Limits::default()) else {
            unreachable!("no limit is wrong where none is set")
        };
        let gate = Arc::new(gate);
        gates.insert(route.clone(), Arc::clone(&gate));
        gate
    }
}
