//! Whether the providers answer, and take their keys.

use futures_util::future::join_all;
use leverframe_emulator::Emulator;
use leverframe_gateway::config::{Built, Config, ConfigError};
use leverframe_router::{ErrorKind, Failure, Probe, Router, TransportConfig};

use super::{Check, WITHIN};
use crate::{chain, serve, show};

/// Where [`Router::from_env`] looks for keys, by provider.
const VARIABLES: [(&str, &[&str]); 3] = [
    ("claude", &["ANTHROPIC_API_KEY"]),
    ("gemini", &["GEMINI_API_KEY", "GOOGLE_AI_API_KEY"]),
    ("openai", &["OPENAI_API_KEY"]),
];

/// A line for each provider and each of its keys. One that cannot be set up
/// keeps none of the others from being asked.
pub(super) async fn all(config: &Config, emulator: Option<&Emulator>) -> Vec<Check> {
    if let Some(emulator) = emulator {
        let built = serve::emulated(&Config::default(), emulator);
        return probe("emulated providers", built, |_, key| key.to_owned()).await;
    }
    if config.providers.is_empty() {
        let built = Config::default().build(Router::builder());
        // That there are none is told with the configuration.
        let Ok(built) = built else { return Vec::new() };
        return probe("providers", Ok(built), |provider, _| variable(provider)).await;
    }
    let each = config.providers.iter().map(|table| async move {
        let alone = Config { providers: vec![table.clone()], ..Config::default() };
        let what = format!("provider {}", table.name);
        let files = table.key_file.iter().map(|file| file.display().to_string());
        let first = table.key_env.iter().cloned().chain(files).next();
        probe(&what, alone.build(Router::builder()), |_, key| match (key, &first) {
            ("default", Some(first)) => first.clone(),
            _ => key.to_owned(),
        })
        .await
    });
    join_all(each).await.into_iter().flatten().collect()
}

/// The variable a provider's key came from.
fn variable(provider: &str) -> String {
    let names = VARIABLES.iter().find(|(name, _)| *name == provider).map_or(&[][..], |(_, names)| names);
    let set = |name: &&&str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    names.iter().find(set).or_else(|| names.first()).map(|name| (*name).to_owned()).unwrap_or_default()
}

async fn probe(
    what: &str,
    built: Result<Built, ConfigError>,
    source: impl Fn(&str, &str) -> String,
) -> Vec<Check> {
    let router = built.map_err(|error| error.to_string()).and_then(|built| {
        let transport = TransportConfig { connect_timeout: WITHIN, ..TransportConfig::default() };
        let builder = built.builder.timeout(WITHIN).transport(transport);
        builder.build().map_err(|error| chain(&error).0)
    });
    match router {
        Ok(router) => {
            let check = |probe: Probe| {
                let source = source(probe.provider.as_str(), probe.key.as_str());
                check(&probe, &source)
            };
            router.probe().await.into_iter().map(check).collect()
        }
        Err(error) => vec![Check::failed(what, error, "")],
    }
}

fn check(probe: &Probe, source: &str) -> Check {
    let what = format!("provider {} (key {source})", probe.provider);
    let took = show::time(probe.took);
    match &probe.outcome {
        Ok(models) => Check::ok(what, format!("takes the key and lists {models} models, in {took}")),
        Err(failure) => failed(what, failure, source),
    }
}

/// What is wrong, and what whoever runs this can do about it.
fn failed(what: String, failure: &Failure, source: &str) -> Check {
    use ErrorKind as Kind;
    let found = failure.to_string();
    match failure.kind {
        Kind::Authentication => Check::failed(what, found, format!("put a key that is valid into {source}")),
        Kind::Permission => {
            Check::failed(what, found, format!("give the key in {source} the right to list and use models"))
        }
        Kind::QuotaExhausted => {
            Check::failed(what, found, "add credit or raise the quota at the provider, or use another key")
        }
        Kind::RateLimited => {
            Check::doubtful(what, found, "the key is taken; wait, or lower [providers.limits]")
        }
        Kind::Network | Kind::Timeout(_) => {
            Check::failed(what, found, "a firewall may stand in between, and proxies are not used")
        }
        Kind::ModelNotFound => Check::doubtful(
            what,
            found,
            "check base_url; a server without a list of models may answer all the same",
        ),
        Kind::Unreadable | Kind::Interrupted | Kind::InvalidRequest | Kind::Unsupported => {
            Check::failed(what, found, "check that base_url is the API's, and kind is what it speaks")
        }
        Kind::Server
        | Kind::Overloaded
        | Kind::ContextLength
        | Kind::Refused
        | Kind::CircuitOpen
        | Kind::NotRecorded
        | Kind::Cancelled
        | Kind::DeadlineExceeded => {
            Check::failed(what, found, "look at the provider's status page, and try again later")
        }
    }
}
