//! Configuration by environment variables alone.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use secrecy::SecretString;

use crate::{BuildError, Builder, Provider};

/// One provider's variables.
struct Variables {
    keys: &'static [&'static str],
    base_url: &'static str,
    requests_per_minute: &'static str,
    provider: fn(SecretString) -> Provider,
}

/// In the order in which they fall back.
const PROVIDERS: [Variables; 3] = [
    Variables {
        keys: &["ANTHROPIC_API_KEY"],
        base_url: "ANTHROPIC_BASE_URL",
        requests_per_minute: "CLAUDE_RPM",
        provider: |key| Provider::anthropic(key),
    },
    Variables {
        keys: &["GEMINI_API_KEY", "GOOGLE_AI_API_KEY"],
        base_url: "GEMINI_BASE_URL",
        requests_per_minute: "GEMINI_RPM",
        provider: |key| Provider::gemini(key),
    },
    Variables {
        keys: &["OPENAI_API_KEY"],
        base_url: "OPENAI_BASE_URL",
        requests_per_minute: "OPENAI_RPM",
        provider: |key| Provider::openai(key),
    },
];

/// Reads the variables through `lookup`; see [`Builder::from_env`].
pub(crate) fn read(
    mut builder: Builder,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Builder, BuildError> {
    // An empty variable is how shells and compose files say "not set".
    let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let mut found = false;
    for variables in &PROVIDERS {
        let Some(key) = variables.keys.iter().find_map(|name| lookup(name)) else { continue };
        let mut provider = match lookup(OPENAI_API) {
            Some(api) if variables.keys.contains(&"OPENAI_API_KEY") => openai(key.into(), api)?,
            _ => (variables.provider)(key.into()),
        };
        if let Some(url) = lookup(variables.base_url) {
            provider = provider.base_url(url);
        }
        if let Some(limit) = lookup(variables.requests_per_minute) {
            let expected = "a whole number of requests per minute, at least 1";
            let limit: NonZeroU32 = parse(variables.requests_per_minute, &limit, expected)?;
            provider = provider.requests_per_minute(limit.get());
        }
        builder = builder.provider(provider);
        found = true;
    }
    if !found && builder.is_empty() {
        return Err(BuildError::NoKeys);
    }
    if let Some(name) = lookup("DEFAULT_PROVIDER") {
        builder = builder.default_provider(name.trim());
    }
    if let Some(names) = lookup("FALLBACK_PROVIDERS") {
        builder = builder.fallback(names.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    if let Some(enabled) = lookup("ENABLE_FALLBACK")
        && !flag("ENABLE_FALLBACK", &enabled)?
    {
        builder = builder.fallback::<&str>([]);
    }
    if let Some(seconds) = lookup("LEVERFRAME_TIMEOUT_SECONDS") {
        let expected = "a whole number of seconds, at least 1";
        let seconds: NonZeroU64 = parse("LEVERFRAME_TIMEOUT_SECONDS", &seconds, expected)?;
        builder = builder.timeout(Duration::from_secs(seconds.get()));
    }
    Ok(builder)
}

/// Which of OpenAI's two APIs is used.
const OPENAI_API: &str = "OPENAI_API";

fn openai(key: SecretString, api: String) -> Result<Provider, BuildError> {
    match api.trim() {
        "chat" => Ok(Provider::openai(key)),
        "responses" => Ok(Provider::openai_responses(key)),
        _ => Err(BuildError::Variable { name: OPENAI_API, value: api, expected: "chat or responses" }),
    }
}

fn parse<T: std::str::FromStr>(
    name: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, BuildError> {
    value.trim().parse().map_err(|_| BuildError::Variable { name, value: value.to_owned(), expected })
}

fn flag(name: &'static str, value: &str) -> Result<bool, BuildError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(BuildError::Variable { name, value: value.to_owned(), expected: "true or false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Router;

    fn router(variables: &[(&str, &str)]) -> Result<Router, BuildError> {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        read(Router::builder(), lookup)?.build()
    }

    #[test]
    fn a_key_is_all_it_takes() {
        for key in ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_AI_API_KEY", "OPENAI_API_KEY"] {
            assert!(router(&[(key, "k")]).is_ok(), "{key}");
        }
        assert!(router(&[("OPENAI_API_KEY", "k"), ("OPENAI_API", "responses")]).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let key = ("ANTHROPIC_API_KEY", "k");
        let cases = [
            (vec![], "ANTHROPIC_API_KEY"),
            (vec![("ANTHROPIC_API_KEY", " ")], "ANTHROPIC_API_KEY"),
            (vec![key, ("CLAUDE_RPM", "many")], "CLAUDE_RPM"),
            (vec![key, ("CLAUDE_RPM", "0")], "CLAUDE_RPM"),
            (vec![key, ("LEVERFRAME_TIMEOUT_SECONDS", "0")], "LEVERFRAME_TIMEOUT_SECONDS"),
            (vec![("OPENAI_API_KEY", "k"), ("OPENAI_API", "newest")], "OPENAI_API"),
            (vec![key, ("ENABLE_FALLBACK", "maybe")], "ENABLE_FALLBACK"),
            (vec![key, ("DEFAULT_PROVIDER", "gemini")], "gemini"),
            (vec![key, ("FALLBACK_PROVIDERS", "nobody")], "nobody"),
            (vec![key, ("ANTHROPIC_BASE_URL", "nonsense")], "nonsense"),
        ];
        for (variables, named) in cases {
            let error = router(&variables).expect_err(named).to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
