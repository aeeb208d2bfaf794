//! Why a request went where it went: the routes that were considered, the
//! number each was ordered by, and who turned one away.
//!
//! What then became of the routes that were tried is in the record's attempts.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    catalog::NanoDollars,
    guard::Refusal,
    lifecycle::Route,
    model::{KeyLabel, ProviderName},
    time::Timestamp,
};

/// The routes that were considered for a request, in the order of the plan;
/// those that were left out come last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The policy that ordered them.
    pub policy: PolicyName,
    /// When it did.
    pub at: Timestamp,
    /// The routes.
    pub considered: Vec<Considered>,
}

/// A policy by name. Policies order routes and do nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// In the configured order.
    #[default]
    Priority,
    /// Drawn at random, in proportion to weights.
    Weighted,
    /// By the time to the first token.
    Fastest,
    /// By the price of this request.
    Cheapest,
    /// By the requests under way.
    LeastBusy,
    /// One route for one conversation.
    Sticky,
}

impl PolicyName {
    /// All policies.
    pub const ALL: [Self; 6] =
        [Self::Priority, Self::Weighted, Self::Fastest, Self::Cheapest, Self::LeastBusy, Self::Sticky];

    /// The name as configurations write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::Fastest => "fastest",
            Self::Cheapest => "cheapest",
            Self::LeastBusy => "least_busy",
            Self::Sticky => "sticky",
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One route that was considered, and where it stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// The provider.
    pub provider: ProviderName,
    /// Which of its keys.
    pub key: KeyLabel,
    /// The model as the provider names it.
    pub model: String,
    /// What the policy ordered it by. `None` for one that was left out before.
    pub measure: Option<Measure>,
    /// Where it stood.
    pub standing: Standing,
}

impl Considered {
    /// A route, before anything was said of it.
    pub fn new(route: &Route, measure: Option<Measure>, standing: Standing) -> Self {
        Self {
            provider: route.provider.clone(),
            key: route.key.clone(),
            model: route.model.clone(),
            measure,
            standing,
        }
    }
}

/// The number a policy ordered a route by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Its place in the configuration, from 0.
    Position(u32),
    /// Its share of the draw.
    Weight(f64),
    /// The expected time to its first token. `None`: never measured.
    FirstToken(Option<Duration>),
    /// The expected price of this request. `None`: its model has no price.
    Price(Option<NanoDollars>),
    /// Requests under way on it.
    InFlight(u32),
    /// How strongly the conversation is bound to it; the highest is first.
    Affinity(u64),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(place) => write!(f, "place {place}"),
            Self::Weight(weight) => write!(f, "weight {weight}"),
            Self::FirstToken(Some(time)) => {
                write!(f, "first token in about {:.0} ms", time.as_secs_f64() * 1e3)
            }
            Self::FirstToken(None) => f.write_str("never measured"),
            Self::Price(Some(price)) => write!(f, "about {price}"),
            Self::Price(None) => f.write_str("no price known"),
            Self::InFlight(requests) => write!(f, "{requests} under way"),
            Self::Affinity(affinity) => write!(f, "affinity {affinity:016x}"),
        }
    }
}

/// Where a route stood when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Healthy: to be tried in its turn.
    Planned,
    /// A guard would refuse it: tried after all healthy ones.
    SetBack(Refusal),
    /// Not to be tried.
    LeftOut(LeftOut),
}

/// Why a route is not to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// Its model is known not to take this of the request.
    Capability(String),
    /// The request is longer than its model can read.
    ContextWindow {
        /// Tokens the request is estimated to have.
        estimated: u64,
        /// Tokens the model takes.
        limit: u64,
    },
    /// It lacks a tag the request asks for.
    Tag(String),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("to be tried"),
            Self::SetBack(refusal) => write!(f, "set back: {}", refusal.by),
            Self::LeftOut(LeftOut::Capability(what)) => write!(f, "left out: {what}"),
            Self::LeftOut(LeftOut::ContextWindow { estimated, limit }) => {
                write!(f, "left out: about {estimated} tokens, and its model takes {limit}")
            }
            Self::LeftOut(LeftOut::Tag(tag)) => write!(f, "left out: it has no tag {tag:?}"),
        }
    }
}

impl fmt::Display for Choice {
    /// One line a route.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy {}", self.policy)?;
        for Considered { provider, key, model, measure, standing } in &self.considered {
            write!(f, "  {provider}/{model} (key {key}): ")?;
            if let Some(measure) = measure {
                write!(f, "{measure}; ")?;
            }
            write!(f, "{standing}")?;
            if let Standing::SetBack(refusal) = standing {
                write!(f, " for another {:.1} s", refusal.until.since(self.at).as_secs_f64())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
