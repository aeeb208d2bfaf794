//! Where a request may go, in order.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    guard::{AttemptBudget, Draw},
    model::{Dialect, KeyLabel, ProviderName},
};

/// One way to a model: a provider, a key, the model's name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The provider.
    pub provider: ProviderName,
    /// Which of the provider's API keys, by its label.
    pub key: KeyLabel,
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// The model as the provider names it.
    pub model: String,
}

/// The routes a request may take, best first. Each is handed out once.
#[derive(Debug)]
pub struct Plan {
    routes: VecDeque<Arc<Route>>,
    budget: AttemptBudget,
}

impl Plan {
    /// A plan over `routes`, each of which costs an attempt out of `budget`.
    pub fn new(routes: impl IntoIterator<Item = Arc<Route>>, budget: AttemptBudget) -> Self {
        Self { routes: routes.into_iter().collect(), budget }
    }

    /// The next route, with the attempt it costs. `None` when the routes or
    /// the attempts are used up.
    #[expect(
        clippy::should_implement_trait,
        reason = "a plan is not iterated over: it is asked when a route has failed"
    )]
    pub fn next(&mut self) -> Option<NextRoute> {
        let draw = self.budget.draw()?;
        let route = self.routes.pop_front()?;
        Some(NextRoute { route, draw })
    }

    /// The routes not handed out yet.
    pub fn remaining(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// The budget all attempts of the request share.
    pub fn budget(&self) -> &AttemptBudget {
        &self.budget
    }
}

/// A route, handed out once, with the attempt it costs. Only a [`Plan`] makes
/// one; dropped before it is sent, it gives the attempt back.
#[derive(Debug)]
#[must_use = "a dropped route gives its attempt back"]
pub struct NextRoute {
    route: Arc<Route>,
    draw: Draw,
}

impl NextRoute {
    /// Which route it is.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) fn into_parts(self) -> (Arc<Route>, Draw) {
        (self.route, self.draw)
    }
}
