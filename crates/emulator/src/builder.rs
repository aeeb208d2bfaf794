//! Settings that hold for an emulator's whole life.

use std::{collections::HashMap, io, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{Emulator, Provider, Step, server, server::Shared};

/// Made by [`Emulator::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    ports: HashMap<Provider, u16>,
    models: HashMap<Provider, Vec<String>>,
    default: Option<Step>,
}

impl Builder {
    /// The port of 127.0.0.1 for one provider; 0, the default, is any free one.
    pub fn port(mut self, provider: Provider, port: u16) -> Self {
        self.ports.insert(provider, port);
        self
    }

    /// The only models this provider knows, which are listed too. Calls of any
    /// other are answered with its 404 (Responses: 400). Without this every name is known.
    pub fn models<M: Into<String>>(
        mut self,
        provider: Provider,
        models: impl IntoIterator<Item = M>,
    ) -> Self {
        self.models.insert(provider, models.into_iter().map(Into::into).collect());
        self
    }

    /// What answers a call that nothing is scripted for, instead of
    /// [`Step::ok`]. It survives [`Emulator::clear`].
    pub fn default_step(mut self, step: Step) -> Self {
        self.default = Some(step);
        self
    }

    /// Binds the ports and starts.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start(self) -> io::Result<Emulator> {
        let bind = async |provider| {
            let port = self.ports.get(&provider).copied().unwrap_or_default();
            TcpListener::bind(("127.0.0.1", port)).await
        };
        let [first, second, third] = Provider::ALL;
        let bound = [bind(first).await?, bind(second).await?, bind(third).await?];
        let [first, second, third] = &bound;
        let addresses = [first.local_addr()?, second.local_addr()?, third.local_addr()?];
        let shared = Arc::new(Shared::new(self.models, self.default.unwrap_or_else(Step::ok)));
        let (stop, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        for (provider, listener) in Provider::ALL.into_iter().zip(bound) {
            listeners.spawn(server::listen(provider, listener, Arc::clone(&shared), stopped.clone()));
        }
        Ok(Emulator { shared, addresses, listeners, stop })
    }
}
