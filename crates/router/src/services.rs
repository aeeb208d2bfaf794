//! What providers offer beside answers: token counts and lists of models.
//!
//! Nothing is generated, so nothing is retried, admitted or recorded: one call
//! per question, or per page, under the router's clocks. Failures do not count
//! against a breaker.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::Deadline,
    lifecycle::Route,
    model::{KeyLabel, ProviderName, Request},
};
use leverframe_http::{
    codec::{self, ModelInfo, ModelPage},
    tokens::{self, Estimator},
    transport::Clocks,
};

use crate::{
    Router,
    plan::names,
    router::{Configured, Inner, Key},
};

/// Most bytes of one answer: a page of a thousand models takes about one.
const MAX_BODY: usize = 16 << 20;

/// Most pages of one list.
const MAX_PAGES: usize = 32;

/// Most models of one list.
const MAX_MODELS: usize = 20_000;

/// How many tokens of input a request has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenCount {
    /// The number of tokens, cached ones included.
    pub tokens: u64,
    /// Who says so.
    pub how: Counted,
    /// Why the provider could not be asked or did not say. `None` where it
    /// did, and where it counts no tokens (OpenAI Chat).
    pub failure: Option<Failure>,
}

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The provider.
    Reported,
    /// We did; see [`tokens`] for how far off that may be.
    Estimated,
}

/// What a provider made of a free question.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The provider.
    pub provider: ProviderName,
    /// Which of its keys was used.
    pub key: KeyLabel,
    /// How many models the first page of its list has, or why there is none.
    pub outcome: Result<usize, Failure>,
    /// How long the answer took.
    pub took: Duration,
}

impl Router {
    /// How many tokens of input a request has, without sending it to a model.
    ///
    /// Asks the provider of the request's model (of its first route, where it
    /// is a configured model) where it has an endpoint for
    /// that: Anthropic, Gemini and OpenAI Responses, none of which charges for
    /// it. Where it has none (OpenAI Chat) or the call fails, the number is an
    /// estimate, and says so.
    ///
    /// Takes no longer than [`Request::timeout`] and the router's clocks allow.
    pub async fn count_tokens(&self, request: &Request) -> TokenCount {
        let inner = self.inner();
        let route = names::first(inner, &request.model);
        let (family, model, counted) = match &route {
            Ok(route) => {
                let counted = Box::pin(count(inner, request, route)).await;
                (route.dialect.family(), route.model.as_str(), counted)
            }
            Err(failure) => (tokens::family_of(&request.model), request.model.as_str(), Err(failure.clone())),
        };
        let estimate = |failure| TokenCount {
            tokens: Estimator::new(family, model).input(request),
            how: Counted::Estimated,
            failure,
        };
        match counted {
            Ok(Some(tokens)) => TokenCount { tokens, how: Counted::Reported, failure: None },
            Ok(None) => estimate(None),
            Err(failure) => estimate(Some(failure)),
        }
    }

    /// The models of every configured provider, in the order of configuration.
    ///
    /// All providers are asked at the same time. A list is whole or a failure:
    /// one that breaks off between two pages, or has more than 20000 models,
    /// is not passed off as whole.
    pub async fn models(&self) -> Vec<(ProviderName, Result<Vec<ModelInfo>, Failure>)> {
        let inner = self.inner();
        let lists = inner.providers.iter().map(|provider| async move {
            let listed = match provider.keys.first() {
                Some(key) => list(inner, provider, key).await,
                None => unreachable!("a provider has a key"),
            };
            (provider.name.clone(), listed)
        });
        all(lists).await
    }

    /// Whether every provider answers, and takes each of its keys.
    ///
    /// Asks for the first page of the list of models, which is free everywhere;
    /// nothing is generated. All are asked at the same time. What comes back
    /// changes no breaker and no limit: it tells people, not the router.
    pub async fn probe(&self) -> Vec<Probe> {
        let inner = self.inner();
        let keys =
            inner.providers.iter().flat_map(|provider| provider.keys.iter().map(move |key| (provider, key)));
        let probes = keys.map(|(provider, key)| async move {
            let started = inner.now();
            let deadline = Deadline::after(started, inner.settings.timeout);
            let outcome = page(inner, provider, key, None, deadline).await.map(|page| page.models.len());
            let took = inner.now().since(started);
            Probe { provider: provider.name.clone(), key: key.label.clone(), outcome, took }
        });
        all(probes).await
    }
}

/// The provider's count; `None` when it does not count.
async fn count(inner: &Inner, request: &Request, route: &Route) -> Result<Option<u64>, Failure> {
    let (provider, key) = (inner.provider_of(route), inner.key_of(route));
    let Some(encoded) = codec::encode_count(&key.endpoint, request, &route.model)? else { return Ok(None) };
    let time = request.timeout.unwrap_or(inner.settings.timeout);
    let deadline = Deadline::after(inner.now(), time);
    let read = |headers: &http::HeaderMap, body: &[u8]| codec::decode_count(route.dialect, headers, body);
    ask(inner, provider, key, encoded.request, deadline, read).await.map(Some)
}

/// All pages of a provider's list.
async fn list(inner: &Inner, provider: &Configured, key: &Key) -> Result<Vec<ModelInfo>, Failure> {
    let deadline = Deadline::after(inner.now(), inner.settings.timeout);
    let mut models: Vec<ModelInfo> = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        let page = page(inner, provider, key, next.as_deref(), deadline).await?;
        models.extend(page.models);
        match page.next {
            None if models.len() <= MAX_MODELS => return Ok(models),
            // The same page once more: there is no end to it.
            same if same == next => break,
            _ if models.len() > MAX_MODELS => break,
            further => next = further,
        }
    }
    let message = format!("the list of models does not end after {} models", models.len());
    Err(Failure::new(ErrorKind::Unreadable, message))
}

/// One page of a provider's list: the first one, or the one after `next`.
async fn page(
    inner: &Inner,
    provider: &Configured,
    key: &Key,
    next: Option<&str>,
    deadline: Deadline,
) -> Result<ModelPage, Failure> {
    let request = codec::encode_models(&key.endpoint, next)?;
    let read = |headers: &http::HeaderMap, body: &[u8]| codec::decode_models(provider.dialect, headers, body);
    ask(inner, provider, key, request, deadline, read).await
}

/// One exchange. No failure shows the provider's key.
async fn ask<T>(
    inner: &Inner,
    provider: &Configured,
    key: &Key,
    request: http::Request<Bytes>,
    deadline: Deadline,
    read: impl FnOnce(&http::HeaderMap, &[u8]) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let answered = async {
        let response = inner.transport.send(request, &clocks(inner, provider, deadline)).await?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        if head.status.is_success() {
            let body = body.collect(MAX_BODY).await?;
            return read(&head.headers, &body).map_err(|failure| failure.with_status(status));
        }
        // What can be read of the body explains the status; the status alone is enough.
        let body = body.collect(MAX_BODY).await.unwrap_or_default();
        Err(codec::read_error(provider.dialect, status, &head.headers, &body))
    };
    answered.await.map_err(|mut failure: Failure| {
        failure.message = key.endpoint.without_key(&failure.message);
        failure
    })
}

/// The configured clocks, clipped by the deadline.
fn clocks(inner: &Inner, provider: &Configured, deadline: Deadline) -> Clocks {
    let clocks = inner.clocks_at(provider);
    let total = deadline.clip(clocks.total.unwrap_or(Duration::MAX), inner.now());
    Clocks { total: Some(total), ..clocks }
}

/// Awaits all of them at once, in one task: none goes on without its caller.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    enum Slot<F: Future> {
        Waiting(Pin<Box<F>>),
        Done(F::Output),
    }
    let mut slots: Vec<_> = futures.map(|future| Slot::Waiting(Box::pin(future))).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for slot in &mut slots {
            if let Slot::Waiting(future) = slot {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *slot = Slot::Done(output),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let output = |slot| match slot {
        Slot::Done(output) => Some(output),
        Slot::Waiting(_) => None,
    };
    slots.into_iter().filter_map(output).collect()
}
