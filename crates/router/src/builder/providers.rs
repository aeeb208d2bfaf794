//! Providers, their keys and their own routes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use leverframe_core::{
    guard::{ConfigError, HealthConfig, KeyGuard, RetryBudget},
    lifecycle::Route,
    model::{KeyLabel, ProviderName},
};
use leverframe_http::codec::Endpoint;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;

use super::BuildError;
use crate::{
    Provider,
    observer::Observers,
    plan::Backend,
    route_state::RouteStates,
    router::{Configured, Key, Settings},
    watch::KeyWatcher,
};

/// The highest weight: sums of many stay exact enough to draw from.
const MAX_WEIGHT: f64 = 1e6;

/// Makes routes with their states.
pub(super) struct Backends {
    states: RouteStates,
    settings: Settings,
    observers: Observers,
    rng: fastrand::Rng,
}

impl Backends {
    pub(super) fn new(settings: Settings, observers: Observers, rng: fastrand::Rng) -> Self {
        Self { states: RouteStates::default(), settings, observers, rng }
    }

    /// The route to a provider's model with one of its keys. The same route
    /// has the same state, however often it is made.
    pub(super) fn backend(
        &mut self,
        provider: &Configured,
        key: &Key,
        model: &str,
        tags: Arc<BTreeSet<String>>,
        weight: f64,
    ) -> Backend {
        let make = |route: &Route| {
            let limits = provider.limits_of(&route.model);
            self.settings.route_state(route, key, limits, &self.observers, self.rng.u64(..))
        };
        let (route, state) = self.states.configure(provider.route(&key.label, model), make);
        Backend { route, state, tags, weight }
    }

    /// The routes to a provider's model, one for each key.
    fn all_keys(&mut self, provider: &Configured, model: &str) -> Vec<Backend> {
        let (tags, weight) = (&provider.tags, provider.weight_of_a_key());
        provider.keys.iter().map(|key| self.backend(provider, key, model, Arc::clone(tags), weight)).collect()
    }

    pub(super) fn into_states(self) -> RouteStates {
        self.states
    }
}

pub(super) fn configure(
    providers: &[Provider],
    backends: &mut Backends,
) -> Result<Vec<Configured>, BuildError> {
    let mut configured: Vec<Configured> = Vec::with_capacity(providers.len());
    for provider in providers {
        let name = ProviderName::new(&provider.name)?;
        if configured.iter().any(|other| other.name == name) {
            return Err(BuildError::Duplicate(provider.name.clone()));
        }
        configured.push(one(provider, name, backends)?);
    }
    Ok(configured)
}

fn one(provider: &Provider, name: ProviderName, backends: &mut Backends) -> Result<Configured, BuildError> {
    let setting = |setting: &str| format!("provider {name}, {setting}");
    weight(provider.weight).map_err(|problem| BuildError::named(setting("weight"), problem))?;
    tags(&provider.tags).map_err(|problem| BuildError::named(setting("tags"), problem))?;
    if provider.default_model.as_deref() == Some("") {
        return Err(BuildError::named(setting("default_model"), "is empty; name a model of the provider"));
    }
    for (requested, own) in &provider.stand_ins {
        let wrong = |problem: String| Err(BuildError::named(setting("stands_in"), problem));
        if requested.is_empty() || own.is_empty() {
            let problem = format!(
                "{requested:?} to {own:?} has an empty name; give the requested model and the provider's own"
            );
            return wrong(problem);
        }
        if provider.stand_ins.iter().filter(|(other, _)| other == requested).count() > 1 {
            return wrong(format!("{requested:?} is there twice; one model can stand in for it"));
        }
    }
    for (model, limits) in &provider.model_limits {
        let wrong = |error: ConfigError| {
            BuildError::named(setting(&format!("limits of {model:?}, {}", error.setting)), error.problem)
        };
        limits.check().map_err(wrong)?;
    }
    let wrong = |error: ConfigError| BuildError::named(setting(error.setting), error.problem);
    provider.limits.check().map_err(wrong)?;
    let mut configured = Configured {
        keys: keys(provider, &setting("key"), backends.settings.health)?,
        dialect: provider.dialect,
        default_model: provider.default_model.clone(),
        native: provider.native,
        tags: Arc::new(provider.tags.clone()),
        weight: provider.weight,
        retry: provider.retry,
        retries: Arc::new(RetryBudget::new(backends.settings.retry_budget)?),
        limits: provider.limits,
        model_limits: provider.model_limits.clone(),
        clocks: provider.clocks,
        own: Vec::new(),
        stand_ins: HashMap::new(),
        name,
    };
    if let Some(model) = &provider.default_model {
        configured.own = backends.all_keys(&configured, model);
    }
    for (requested, own) in &provider.stand_ins {
        configured.stand_ins.insert(requested.clone(), backends.all_keys(&configured, own));
    }
    Ok(configured)
}

fn keys(provider: &Provider, setting: &str, health: HealthConfig) -> Result<Vec<Key>, BuildError> {
    let mut keys: Vec<Key> = Vec::with_capacity(provider.keys.len());
    for (label, secret) in &provider.keys {
        // The label itself is not shown: a secret may have been put in its place.
        let label = KeyLabel::new(label).map_err(|_| {
            let problem = format!(
                "the label of key {} is not one: use 1 to 64 letters, digits, '.', '_' or '-'",
                keys.len() + 1
            );
            BuildError::named(setting, problem)
        })?;
        if keys.iter().any(|other| other.label == label) {
            let problem = format!(
                "the labels of keys {} and another are the same; the key a provider is made with is called default",
                keys.len() + 1
            );
            return Err(BuildError::named(setting, problem));
        }
        let released = Arc::new(Notify::new());
        let guard = KeyGuard::new(provider.limits)?
            .with_health(health)?
            .with_watcher(Arc::new(KeyWatcher { released: Arc::clone(&released) }));
        keys.push(Key { label, endpoint: endpoint(provider, secret)?, guard: Arc::new(guard), released });
    }
    Ok(keys)
}

fn endpoint(provider: &Provider, key: &SecretString) -> Result<Endpoint, BuildError> {
    let wrong = |error| BuildError::Endpoint { provider: provider.name.clone(), error };
    let mut endpoint = Endpoint::new(provider.dialect, &provider.base_url, key.clone()).map_err(wrong)?;
    if let Some(version) = &provider.api_version {
        endpoint = endpoint.with_api_version(version).map_err(wrong)?;
    }
    for (header, value) in &provider.headers {
        endpoint = endpoint.with_header(header, value.expose_secret()).map_err(wrong)?;
    }
    if let Some(auth) = provider.auth {
        endpoint = endpoint.with_auth(auth);
    }
    Ok(endpoint.with_compat(provider.compat))
}

/// What is wrong with a weight.
pub(super) fn weight(weight: f64) -> Result<(), String> {
    if (0.0..=MAX_WEIGHT).contains(&weight) {
        return Ok(());
    }
    Err(format!("{weight} is not a weight; give a number from 0 (a last resort) to {MAX_WEIGHT}"))
}

/// What is wrong with tags.
pub(super) fn tags(tags: &BTreeSet<String>) -> Result<(), String> {
    match tags.iter().find(|tag| tag.is_empty() || tag.chars().any(char::is_control)) {
        Some(tag) => Err(format!("{tag:?} is not a tag; give a word such as \"eu\"")),
        None => Ok(()),
    }
}
