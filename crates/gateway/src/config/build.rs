//! From a file to what runs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use leverframe_router::{
    BuildError, Builder, Limits, Model, NanoDollars, Provider,
    store::{Retention, Settings as LogSettings},
};

use super::{Config, ConfigError, Kind, LimitsTable, ModelTable, ProviderTable, Route};
use crate::server::{Admin, Door, Settings, Tls, VirtualKey};

/// What a configuration describes.
#[derive(Debug)]
pub struct Built {
    /// The router, but for its log.
    pub builder: Builder,
    /// Who may ask.
    pub door: Door,
    /// The operator's key, if there is one.
    pub admin: Option<Admin>,
    /// How the server treats its clients.
    pub server: Settings,
    /// Whether it speaks TLS with them.
    pub tls: Option<Tls>,
    /// The log's file and settings. `None`: none is kept.
    pub log: Option<(PathBuf, LogSettings)>,
}

pub(super) fn build(
    config: &Config,
    builder: Builder,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Built, ConfigError> {
    over(config, providers(config, builder, &env)?)
}

/// Without the keys.
pub(super) fn outline(config: &Config, seen: &BTreeSet<&str>) -> Result<Builder, ConfigError> {
    const NO_KEY: &str = "none";
    let mut builder = Builder::default();
    if config.providers.is_empty() {
        builder = match Builder::default().from_env() {
            Ok(builder) => builder,
            Err(BuildError::NoKeys) => {
                let known = [
                    ("claude", Provider::anthropic(NO_KEY)),
                    ("gemini", Provider::gemini(NO_KEY)),
                    ("openai", Provider::openai(NO_KEY)),
                ];
                let known = known.into_iter().filter(|(name, _)| seen.contains(name));
                known.fold(builder, |builder, (_, provider)| builder.provider(provider))
            }
            Err(error) => return Err(ConfigError(error.to_string())),
        };
    }
    for table in &config.providers {
        let mut table = table.clone();
        // A key has the same name wherever it is kept.
        table.key_env.extend(table.key_file.drain(..).map(|path| label(&path)));
        builder = builder.provider(provider(&table, &|_| Some(NO_KEY.to_owned()))?);
    }
    Ok(router(config, builder))
}

/// Over a builder that has its providers.
pub(super) fn over(config: &Config, builder: Builder) -> Result<Built, ConfigError> {
    Ok(Built {
        builder: router(config, builder),
        door: door(config)?,
        admin: admin(config)?,
        server: server(config),
        tls: tls(config)?,
        log: log(config),
    })
}

fn providers(
    config: &Config,
    mut builder: Builder,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Builder, ConfigError> {
    if config.providers.is_empty() {
        builder = builder.from_env().map_err(|error| ConfigError(error.to_string()))?;
    }
    for table in &config.providers {
        builder = builder.provider(provider(table, env)?);
    }
    Ok(builder)
}

fn router(config: &Config, mut builder: Builder) -> Builder {
    for table in &config.models {
        builder = builder.model(model(table));
    }
    for (alias, name) in &config.aliases {
        builder = builder.alias(alias, name);
    }
    let table = &config.router;
    if let Some(name) = &table.default_provider {
        builder = builder.default_provider(name);
    }
    if let Some(names) = &table.fallback {
        builder = builder.fallback(names.clone());
    }
    if let Some(word) = table.policy {
        builder = builder.policy(word.into());
    }
    if let Some(timeout) = table.timeout {
        builder = builder.timeout(timeout.0);
    }
    if let Some(attempts) = table.attempts {
        builder = builder.attempts(attempts);
    }
    builder
}

fn provider(table: &ProviderTable, env: &impl Fn(&str) -> Option<String>) -> Result<Provider, ConfigError> {
    let name = &table.name;
    let mut keys = keys(table, env)?.into_iter();
    let key = match (keys.next(), table.kind) {
        // The first goes by the default label.
        (Some((_, key)), _) => key,
        // A server of one's own may need none.
        (None, Kind::OpenaiCompatible) => "none".to_owned(),
        (None, _) => {
            return Err(ConfigError(format!(
                "provider {name} has no key; set key_env to the variable, or key_file to the file, that holds it"
            )));
        }
    };
    let mut provider = match (table.kind, &table.base_url) {
        (Kind::Anthropic, _) => Provider::anthropic(key),
        (Kind::Gemini, _) => Provider::gemini(key),
        (Kind::Openai, _) => Provider::openai(key),
        (Kind::OpenaiResponses, _) => Provider::openai_responses(key),
        (Kind::OpenaiCompatible, Some(url)) => Provider::openai_compatible(name, url, key),
        (Kind::OpenaiCompatible, None) => {
            return Err(ConfigError(format!("provider {name} is openai-compatible and has no base_url")));
        }
    };
    provider = provider.named(name);
    for (label, key) in keys {
        provider = provider.key(label, key);
    }
    if let Some(url) = &table.base_url {
        provider = provider.base_url(url);
    }
    if let Some(model) = &table.default_model {
        provider = provider.default_model(model);
    }
    if let Some(weight) = table.weight {
        provider = provider.weight(weight);
    }
    for (asked, own) in &table.stands_in {
        provider = provider.stands_in(asked, own);
    }
    provider = provider.tags(table.tags.clone()).limits(limits(&table.limits)?);
    for (model, table) in &table.model_limits {
        provider = provider.model_limits(model, limits(table)?);
    }
    Ok(provider)
}

/// A provider's keys with their labels: the variable's or the file's name.
fn keys(
    table: &ProviderTable,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut keys = Vec::new();
    for variable in &table.key_env {
        let key = env(variable).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            ConfigError(format!("provider {}: the environment variable {variable} is not set", table.name))
        })?;
        keys.push((variable.clone(), key));
    }
    for path in &table.key_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!(
                "provider {}: cannot read the key in {}: {error}",
                table.name,
                path.display()
            ))
        })?;
        keys.push((label(path), text.trim().to_owned()));
    }
    Ok(keys)
}

fn label(path: &Path) -> String {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    name.chars().map(legal).take(64).collect()
}

fn limits(table: &LimitsTable) -> Result<Limits, ConfigError> {
    let spend = table.dollars_per_day.map(|dollars| match dollars > 0.0 && dollars < 1e9 {
        true => Ok(NanoDollars::new((dollars * 1e9) as u64)),
        false => Err(ConfigError(format!("dollars_per_day = {dollars} is no amount above 0"))),
    });
    Ok(Limits {
        requests_per_minute: table.requests_per_minute,
        tokens_per_minute: table.tokens_per_minute,
        input_tokens_per_minute: table.input_tokens_per_minute,
        output_tokens_per_minute: table.output_tokens_per_minute,
        requests_per_day: table.requests_per_day,
        spend_per_day: spend.transpose()?,
        concurrency: table.concurrency,
        ..Limits::default()
    })
}

fn model(table: &ModelTable) -> Model {
    let mut model = Model::new(&table.name);
    for route in &table.routes {
        let target = match route {
            Route::Name(to) => leverframe_router::Target::new(to),
            Route::Full { to, weight, key } => {
                let mut target = leverframe_router::Target::new(to);
                if let Some(weight) = weight {
                    target = target.weight(*weight);
                }
                if let Some(key) = key {
                    target = target.key(key);
                }
                target
            }
        };
        model = model.route(target);
    }
    match table.policy {
        Some(word) => model.policy(word.into()),
        None => model,
    }
}

fn door(config: &Config) -> Result<Door, ConfigError> {
    let keys = config.keys.iter().map(|table| {
        let key = VirtualKey::from_sha256(&table.name, &table.sha256);
        let key = key.map_err(|error| ConfigError(format!("key {}: {error}", table.name)))?;
        let key = key.models(table.models.clone());
        let Some(given) = &table.limits else { return Ok(key) };
        key.limits(&limits(given)?).map_err(|error| ConfigError(format!("key {}: {error}", table.name)))
    });
    Ok(Door::locked(keys.collect::<Result<_, ConfigError>>()?))
}

fn admin(config: &Config) -> Result<Option<Admin>, ConfigError> {
    let key = config.admin.key_sha256.as_deref().map(|sha256| VirtualKey::from_sha256("admin", sha256));
    let key = key.transpose().map_err(|error| ConfigError(format!("admin.key_sha256: {error}")))?;
    Ok(key.map(Admin::new))
}

fn tls(config: &Config) -> Result<Option<Tls>, ConfigError> {
    match (&config.gateway.tls_certificate, &config.gateway.tls_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let tls = Tls::from_pem_files(certificate, key);
            tls.map(Some).map_err(|error| ConfigError(format!("gateway: {error}")))
        }
        (Some(_), None) => Err(ConfigError("gateway.tls_certificate needs gateway.tls_key".to_owned())),
        (None, Some(_)) => Err(ConfigError("gateway.tls_key needs gateway.tls_certificate".to_owned())),
    }
}

fn server(config: &Config) -> Settings {
    let (table, default) = (&config.gateway, Settings::default());
    Settings {
        max_body: table.max_body.unwrap_or(default.max_body),
        max_bodies: table.max_bodies.unwrap_or(default.max_bodies),
        body_within: table.body_within.map_or(default.body_within, |span| span.0),
        write_within: table.write_within.map_or(default.write_within, |span| span.0),
        idle_within: table.idle_within.map_or(default.idle_within, |span| span.0),
        drain_within: table.drain_within.map_or(default.drain_within, |span| span.0),
        connections: table.connections.unwrap_or(default.connections),
        ..default
    }
}

fn log(config: &Config) -> Option<(PathBuf, LogSettings)> {
    let table = &config.log;
    if table.enabled == Some(false) {
        return None;
    }
    let (default, keep) = (LogSettings::default(), Retention::default());
    let settings = LogSettings {
        durability: table.durability.map_or(default.durability, Into::into),
        bodies: table.bodies,
        retention: Retention {
            requests: table.keep_requests.map(|span| span.0).or(keep.requests),
            bodies: table.keep_bodies.map(|span| span.0).or(keep.bodies),
            bytes: table.max_bytes.or(keep.bytes),
            ..keep
        },
        ..default
    };
    Some((table.file.clone().unwrap_or_else(|| PathBuf::from("leverframe.redb")), settings))
}
