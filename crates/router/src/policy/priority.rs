//! The route that was asked for first, then the fallbacks in their order.
//!
//! Invariant: the first route serves the requested model; no provider occurs
//! twice; the fallbacks keep the configured order.

use std::sync::Arc;

use leverframe_core::{
    error::{ErrorKind, Failure},
    lifecycle::Route,
    model::Dialect,
};

use crate::router::{Configured, Inner};

/// The model name that means the default provider's own choice.
const DEFAULT: &str = "default";

/// Which provider serves a model, by how the providers name their models.
fn dialect_of(model: &str) -> Option<Dialect> {
    const PREFIXES: [(&str, Dialect); 8] = [
        ("claude", Dialect::Anthropic),
        ("gemini", Dialect::Gemini),
        ("gemma", Dialect::Gemini),
        ("gpt-", Dialect::OpenAiChat),
        ("chatgpt", Dialect::OpenAiChat),
        ("o1", Dialect::OpenAiChat),
        ("o3", Dialect::OpenAiChat),
        ("o4", Dialect::OpenAiChat),
    ];
    PREFIXES.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, dialect)| *dialect)
}

/// The routes for `model`, best first. Never empty.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] for an empty name and
/// [`ErrorKind::ModelNotFound`] for one that no provider serves.
pub(crate) fn plan(inner: &Inner, model: &str) -> Result<Vec<Arc<Route>>, Failure> {
    let (first, name) = primary(inner, model)?;
    let fallbacks = inner
        .fallback
        .iter()
        .filter_map(|place| inner.providers.get(*place))
        .filter(|provider| provider.name != first.name)
        .map(|provider| route(provider, &provider.default_model));
    Ok(std::iter::once(route(first, name)).chain(fallbacks).collect())
}

fn primary<'a>(inner: &'a Inner, model: &'a str) -> Result<(&'a Configured, &'a str), Failure> {
    if model.is_empty() || model.ends_with('/') {
        let message = "model: is empty; name a model, for example claude-sonnet-5 or claude/claude-sonnet-5";
        return Err(Failure::new(ErrorKind::InvalidRequest, message));
    }
    if model == DEFAULT
        && let Some(provider) = inner.providers.get(inner.default_provider)
    {
        return Ok((provider, &provider.default_model));
    }
    // `provider/model` names the provider; a slash may also be part of a model's name.
    if let Some((name, model)) = model.split_once('/')
        && let Some(provider) = inner.providers.iter().find(|provider| provider.name.as_str() == name)
    {
        return Ok((provider, model));
    }
    let serves = |provider: &&Configured| Some(provider.endpoint.dialect()) == dialect_of(model);
    inner.providers.iter().find(serves).map(|provider| (provider, model)).ok_or_else(|| {
        let names: Vec<_> = inner.providers.iter().map(|provider| provider.name.as_str()).collect();
        let message = format!(
            "no configured provider serves {:?}; write provider/model to choose one of: {}",
            model.chars().take(80).collect::<String>(),
            names.join(", "),
        );
        Failure::new(ErrorKind::ModelNotFound, message)
    })
}

fn route(provider: &Configured, model: &str) -> Arc<Route> {
    Arc::new(Route {
        provider: provider.name.clone(),
        dialect: provider.endpoint.dialect(),
        model: model.to_owned(),
    })
}
