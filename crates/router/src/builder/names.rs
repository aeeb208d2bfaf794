//! Configured models and aliases.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use leverframe_core::validate::MAX_MODEL_NAME;

use super::{
    BuildError,
    providers::{self, Backends},
};
use crate::{
    Model, Policy, Target,
    plan::{
        Backend,
        names::{DEFAULT, Names, Pool, provider_for},
    },
    router::Configured,
};

/// What was given, unchecked, and what it is checked against.
pub(super) struct Given<'a> {
    pub(super) models: &'a [Model],
    pub(super) aliases: &'a [(String, String)],
    /// For models without one of their own.
    pub(super) policy: Policy,
    pub(super) providers: &'a [Configured],
    pub(super) default_provider: usize,
    /// Whether somebody said which it is.
    pub(super) default_is_set: bool,
}

impl Given<'_> {
    pub(super) fn check(&self, backends: &mut Backends) -> Result<Names, BuildError> {
        let names = self.models.iter().map(|model| ("model", &model.name));
        let names = names.chain(self.aliases.iter().map(|(alias, _)| ("alias", alias)));
        let mut seen = BTreeSet::new();
        for (kind, name) in names {
            self.check_name(name)
                .map_err(|problem| BuildError::named(format!("{kind} {name:?}"), problem))?;
            if !seen.insert(name) {
                let problem = "another model or alias has this name; every name stands for one thing";
                return Err(BuildError::named(format!("{kind} {name:?}"), problem));
            }
        }
        let mut aliases = HashMap::with_capacity(self.aliases.len());
        for (alias, name) in self.aliases {
            let wrong = |problem| BuildError::named(format!("alias {alias:?}"), problem);
            let end = self.unaliased(name).map_err(wrong)?;
            if !self.is_model(end) {
                self.provider_for(end).map_err(wrong)?;
            }
            aliases.insert(alias.clone(), end.to_owned());
        }
        let mut models = HashMap::with_capacity(self.models.len());
        for model in self.models {
            models.insert(model.name.clone(), self.pool(model, backends)?);
        }
        Ok(Names { aliases, models })
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if name.is_empty() || name.len() > MAX_MODEL_NAME || name.ends_with('/') {
            return Err(format!("is not a name; use 1 to {MAX_MODEL_NAME} bytes, the last of them not '/'"));
        }
        if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("is not a name; leave white space out".to_owned());
        }
        if name == DEFAULT && self.default_is_set {
            return Err("means the default provider's model, as Builder::default_provider says; leave out one of the two".to_owned());
        }
        if let Some((provider, model)) = name.split_once('/')
            && self.providers.iter().any(|configured| configured.name.as_str() == provider)
        {
            return Err(format!(
                "would hide {model:?} of provider {provider}; use a name without {provider}/"
            ));
        }
        Ok(())
    }

    fn is_model(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.name == name)
    }

    /// What a name stands for in the end, which is not an alias.
    fn unaliased<'n>(&'n self, name: &'n str) -> Result<&'n str, String> {
        let mut path = vec![name];
        let mut name = name;
        while let Some((_, next)) = self.aliases.iter().find(|(alias, _)| alias == name) {
            if path.contains(&next.as_str()) {
                path.push(next);
                return Err(format!(
                    "goes round in a circle: {}; let one of them stand for a model",
                    path.join(" -> ")
                ));
            }
            path.push(next);
            name = next;
        }
        Ok(name)
    }

    /// The provider a name means, and its model there.
    fn provider_for<'n>(&'n self, name: &'n str) -> Result<(&'n Configured, &'n str), String> {
        if let Some(provider) = self.providers.iter().find(|provider| provider.name.as_str() == name) {
            return Err(format!("{name} is a provider; name one of its models: {}/model", provider.name));
        }
        provider_for(self.providers, self.default_provider, name)
            .map_err(|failure| format!("{name:?} leads nowhere: {}", failure.message))
    }

    fn pool(&self, model: &Model, backends: &mut Backends) -> Result<Pool, BuildError> {
        let wrong = |problem| BuildError::named(format!("model {:?}", model.name), problem);
        let policy = model.policy.unwrap_or(self.policy);
        policy.check().map_err(|problem| wrong(format!("its policy's {problem}")))?;
        let mut pool: Vec<Backend> = Vec::with_capacity(model.targets.len());
        for target in &model.targets {
            let setting = |problem| {
                BuildError::named(format!("model {:?}, route {:?}", model.name, target.name), problem)
            };
            for backend in self.target(target, backends).map_err(setting)? {
                if pool.iter().any(|other| other.route == backend.route) {
                    let problem = format!("is there twice (key {}); leave one out", backend.route.key);
                    return Err(setting(problem));
                }
                pool.push(backend);
            }
        }
        if pool.is_empty() {
            return Err(wrong("has no route; add one with Model::route(\"provider/model\")".to_owned()));
        }
        if policy == Policy::Weighted && pool.iter().all(|backend| backend.weight == 0.0) {
            return Err(wrong("the weights of its routes are all 0; give one of them more".to_owned()));
        }
        Ok(Pool { policy, backends: pool })
    }

    /// The routes of a target, one for each key it takes.
    fn target(&self, target: &Target, backends: &mut Backends) -> Result<Vec<Backend>, String> {
        let name = self.unaliased(&target.name)?;
        if self.is_model(name) {
            return Err(format!("{name:?} is a model of this configuration; a route is provider/model"));
        }
        let (provider, model) = self.provider_for(name)?;
        let keys: Vec<_> = match &target.key {
            None => provider.keys.iter().collect(),
            Some(label) => provider.keys.iter().filter(|key| key.label.as_str() == label).collect(),
        };
        if keys.is_empty() {
            let labels: Vec<_> = provider.keys.iter().map(|key| key.label.as_str()).collect();
            return Err(format!(
                "provider {} has no key of this label; it has: {}",
                provider.name,
                labels.join(", ")
            ));
        }
        let weight = target.weight.unwrap_or(provider.weight);
        providers::weight(weight)?;
        providers::tags(&target.tags)?;
        let tags = Arc::new(provider.tags.union(&target.tags).cloned().collect::<BTreeSet<_>>());
        let share = weight / f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        Ok(keys
            .into_iter()
            .map(|key| backends.backend(provider, key, model, Arc::clone(&tags), share))
            .collect())
    }
}
