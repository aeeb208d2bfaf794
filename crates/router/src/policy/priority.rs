//! The route that was asked for first, then the fallbacks in their order.
//!
//! Invariant: the first route serves the requested model; no provider occurs
//! twice; the fallbacks keep the configured order.

use std::sync::Arc;

use leverframe_core::{
    error::{ErrorKind, Failure},
    lifecycle::Route,
    model::{Family, KeyLabel},
};

use crate::router::{Configured, Inner};

/// The model name that means the default provider's own choice.
const DEFAULT: &str = "default";

/// Whose model it is, by how the three name theirs.
fn family_of(model: &str) -> Option<Family> {
    const PREFIXES: [(&str, Family); 8] = [
        ("claude", Family::Anthropic),
        ("gemini", Family::Google),
        ("gemma", Family::Google),
        ("gpt-", Family::OpenAi),
        ("chatgpt", Family::OpenAi),
        ("o1", Family::OpenAi),
        ("o3", Family::OpenAi),
        ("o4", Family::OpenAi),
    ];
    PREFIXES.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, family)| *family)
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
        // Without a model of its own a provider cannot stand in.
        .filter_map(|provider| Some(route(provider, provider.default_model.as_deref()?)));
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
        let model = provider.default_model.as_deref().ok_or_else(|| {
            let message =
                format!("provider {} has no default model; set Provider::default_model", provider.name);
            Failure::new(ErrorKind::ModelNotFound, message)
        })?;
        return Ok((provider, model));
    }
    // `provider/model` names the provider; a slash may also be part of a model's name.
    if let Some((name, model)) = model.split_once('/')
        && let Some(provider) = inner.providers.iter().find(|provider| provider.name.as_str() == name)
    {
        return Ok((provider, model));
    }
    // A server that only speaks like OpenAI is not asked for OpenAI's models by accident.
    let family = family_of(model);
    let serves =
        |provider: &&Configured| provider.native && Some(provider.endpoint.dialect().family()) == family;
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
        key: KeyLabel::default(),
        dialect: provider.endpoint.dialect(),
        model: model.to_owned(),
    })
}
