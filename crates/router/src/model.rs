//! Models as callers name them, and the routes behind the names.

use std::collections::BTreeSet;

use crate::Policy;

/// A name callers use, the routes it stands for, and the policy that orders
/// them. Given to [`Builder::model`](crate::Builder::model), which checks it.
///
/// A request for the name takes one of its routes and no other: the providers
/// to fall back to are for requests that name a provider's model.
///
/// ```
/// use leverframe_router::{Model, Policy, Target};
///
/// let fast = Model::new("fast")
///     .route("claude/claude-haiku-4-5")
///     .route(Target::new("gemini/gemini-3.6-flash").weight(2.0).tags(["eu"]))
///     .policy(Policy::Weighted);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a model does nothing until a builder has it"]
pub struct Model {
    pub(crate) name: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) policy: Option<Policy>,
}

impl Model {
    /// A model that callers ask for by this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), targets: Vec::new(), policy: None }
    }

    /// Adds a route, or as many as its provider has keys.
    pub fn route(mut self, target: impl Into<Target>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// How the routes are ordered. As [`Builder::policy`](crate::Builder::policy)
    /// says, unless set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// A provider's model as a route of a [`Model`].
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a target does nothing until a model has it"]
pub struct Target {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    pub(crate) weight: Option<f64>,
    pub(crate) tags: BTreeSet<String>,
}

impl Target {
    /// `provider/model`, a model's own name such as `claude-haiku-4-5`, or an
    /// alias of one of these.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), key: None, weight: None, tags: BTreeSet::new() }
    }

    /// Takes one of the provider's keys only, by its label. All, unless set.
    pub fn key(mut self, label: impl Into<String>) -> Self {
        self.key = Some(label.into());
        self
    }

    /// Its share of the draw for [`Policy::Weighted`], from 0 (a last resort)
    /// to a million. The provider's, unless set. Several keys divide it.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Tags it has beside those of its provider. A request with
    /// [`route_tags`](crate::Request::route_tags) takes only routes that have
    /// all of them.
    pub fn tags<S: Into<String>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Target {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}
