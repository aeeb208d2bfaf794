//! The router as a [`tower_service::Service`], for middleware written for tower.
//!
//! [`Router`] itself answers whole; [`Router::streaming`] gives streams. Both are
//! always ready: what limits requests is inside, where it can be told apart and
//! given back. Do not put tower's retry around it: retries belong to the
//! router's budgets.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tower_service::Service;

use crate::{Answer, Error, Request, ResponseStream, Router};

type Answering<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Service<Request> for Router {
    type Response = Answer;
    type Error = Error;
    type Future = Answering<Answer>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { router.send(request).await })
    }
}

/// A [`Router`] that answers in streams.
#[derive(Clone, Debug)]
pub struct Streaming(Router);

impl Router {
    /// The router as a service that answers in streams.
    pub fn streaming(&self) -> Streaming {
        Streaming(self.clone())
    }
}

impl Service<Request> for Streaming {
    type Response = ResponseStream;
    type Error = Error;
    type Future = Answering<ResponseStream>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let router = self.0.clone();
        Box::pin(async move { router.stream(request).await })
    }
}
