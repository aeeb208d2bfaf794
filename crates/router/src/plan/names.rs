//! What a model's name stands for.
//!
//! An alias stands for another name. Then a configured [`Model`](crate::Model)
//! is its routes. Any other name is a model of one provider, which is asked
//! first, with all its keys, and then each provider to fall back to, with all
//! of its own: `default`, `provider/model`, or a name that shows whose model
//! it is.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use leverframe_core::{
    error::{ErrorKind, Failure},
    lifecycle::Route,
    model::Family,
};

use super::{Backend, Offered};
use crate::{
    policy::Policy,
    router::{Configured, Inner},
};

/// The model name that means the default provider's own choice.
pub(crate) const DEFAULT: &str = "default";

/// The names a configuration gives.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// What each alias stands for in the end, which is not an alias.
    pub(crate) aliases: HashMap<String, String>,
    pub(crate) models: HashMap<String, Pool>,
}

/// The routes of a configured model.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) policy: Policy,
    /// Never empty.
    pub(crate) backends: Vec<Backend>,
}

impl Names {
    fn unaliased<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }
}

/// The routes that serve a name, in the configured order, and the policy that
/// orders them. Never empty.
pub(super) fn offered<'a>(inner: &'a Inner, name: &'a str) -> Result<(Policy, Vec<Offered<'a>>), Failure> {
    let name = inner.names.unaliased(name);
    if let Some(pool) = inner.names.models.get(name) {
        let offer = |backend| Offered { tier: 0, backend: Cow::Borrowed(backend) };
        return Ok((pool.policy, pool.backends.iter().map(offer).collect()));
    }
    let (first, model) = provider_for(&inner.providers, inner.default_provider, name)?;
    let mut offered: Vec<Offered<'_>> = match first.default_model.as_deref() == Some(model) {
        true => borrowed(0, &first.own).collect(),
        false => first.keys.iter().map(|key| named(inner, first, &key.label, model)).collect(),
    };
    let others = inner
        .fallback
        .iter()
        .filter_map(|place| inner.providers.get(*place))
        .filter(|provider| provider.name != first.name);
    for (tier, provider) in (1..).zip(others) {
        // Without a model of its own a provider cannot stand in.
        let asked = provider.stand_ins.get(name).or_else(|| provider.stand_ins.get(model));
        offered.extend(borrowed(tier, asked.unwrap_or(&provider.own)));
    }
    Ok((inner.policy, offered))
}

/// The first route of a name in the configured order.
pub(crate) fn first(inner: &Inner, name: &str) -> Result<Arc<Route>, Failure> {
    let (_, offered) = offered(inner, name)?;
    // Nothing is offered only where a provider has no keys, and each has one.
    let Some(Offered { backend, .. }) = offered.first() else { unreachable!("a name has a route") };
    Ok(Arc::clone(&backend.route))
}

fn borrowed(tier: u32, backends: &[Backend]) -> impl Iterator<Item = Offered<'_>> {
    backends.iter().map(move |backend| Offered { tier, backend: Cow::Borrowed(backend) })
}

/// A route to a model that the configuration does not name.
fn named<'a>(
    inner: &Inner,
    provider: &Configured,
    key: &leverframe_core::model::KeyLabel,
    model: &str,
) -> Offered<'a> {
    let route = provider.route(key, model);
    let state = inner.route_state(&route);
    let tags = Arc::clone(&provider.tags);
    let backend = Backend { route: Arc::new(route), state, tags, weight: provider.weight_of_a_key() };
    Offered { tier: 0, backend: Cow::Owned(backend) }
}

/// The provider a name means, and its model there. The name is no alias and no
/// configured model's.
pub(crate) fn provider_for<'a>(
    providers: &'a [Configured],
    default_provider: usize,
    name: &'a str,
) -> Result<(&'a Configured, &'a str), Failure> {
    if name.is_empty() || name.ends_with('/') {
        let message = "model: is empty; name a model, for example claude-sonnet-5 or claude/claude-sonnet-5";
        return Err(Failure::new(ErrorKind::InvalidRequest, message));
    }
    if name == DEFAULT
        && let Some(provider) = providers.get(default_provider)
    {
        let model = provider.default_model.as_deref().ok_or_else(|| {
            let message =
                format!("provider {} has no default model; set Provider::default_model", provider.name);
            Failure::new(ErrorKind::ModelNotFound, message)
        })?;
        return Ok((provider, model));
    }
    // `provider/model` names the provider; a slash may also be part of a model's name.
    if let Some((provider, model)) = name.split_once('/')
        && let Some(provider) = providers.iter().find(|configured| configured.name.as_str() == provider)
    {
        return Ok((provider, model));
    }
    // A server that only speaks like OpenAI is not asked for OpenAI's models by accident.
    let family = family_of(name);
    let serves = |provider: &&Configured| provider.native && Some(provider.dialect.family()) == family;
    providers.iter().find(serves).map(|provider| (provider, name)).ok_or_else(|| {
        let names: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
        let message = format!(
            "no configured provider serves {:?}; write provider/model to choose one of: {}",
            shown(name),
            names.join(", "),
        );
        Failure::new(ErrorKind::ModelNotFound, message)
    })
}

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

/// The beginning of a caller's text, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
