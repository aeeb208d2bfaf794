//! From a request to the routes it takes, best first, and why.
//!
//! 1. `names` turns the model's name into the routes that serve it.
//! 2. `filter` leaves out what cannot serve this request: routes without its
//!    tags, models known not to take it, windows it is too long for.
//! 3. The [`policy`](crate::policy) orders the rest, healthy routes first.
//!
//! What costs time is done where something depends on it: with one route there
//! is nothing to choose, and tokens are estimated only for a price or for a
//! request that may be too long.

mod estimate;
mod filter;
pub(crate) mod names;

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use leverframe_core::{
    choice::{Choice, Considered, LeftOut, Standing},
    error::{ErrorKind, Failure},
    guard::Claim,
    lifecycle::Route,
    model::Request,
    time::Timestamp,
};

use crate::{
    policy::{self, Candidate, Policy},
    route_state::{RouteState, Snapshot},
    router::Inner,
};
use estimate::Estimates;

/// A route and what policies and filters want to know of it.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) route: Arc<Route>,
    pub(crate) state: Arc<RouteState>,
    pub(crate) tags: Arc<BTreeSet<String>>,
    pub(crate) weight: f64,
}

/// A route that serves the name a request has.
#[derive(Debug)]
struct Offered<'a> {
    /// The policy orders within a tier; the lower one goes first.
    tier: u32,
    backend: Cow<'a, Backend>,
}

/// The routes of a request, best first, and why.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Never empty.
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) choice: Choice,
}

/// Plans a request.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] for a model without a name or tags that no
/// route has, [`ErrorKind::ModelNotFound`] for a model nobody serves.
pub(crate) fn plan(
    inner: &Inner,
    request: &Request,
    streamed: bool,
    now: Timestamp,
    rng: &mut fastrand::Rng,
) -> Result<Planned, Failure> {
    let (policy, offered) = names::offered(inner, &request.model)?;
    let mut estimates = Estimates::new(request);
    let mut left_out = filter::left_out(inner, &offered, request, &mut estimates);
    if left_out.len() == offered.len() {
        keep_one(&mut left_out, request)?;
    }
    let mut candidates: Vec<Candidate> = (0..)
        .zip(&offered)
        .filter(|(position, _)| left_out.iter().all(|(place, _)| place != position))
        .map(|(position, offered)| {
            let snapshot = offered.backend.state.snapshot(streamed, now);
            candidate(inner, &policy, position, offered, snapshot, &mut estimates, now)
        })
        .collect();
    let conversation = request.conversation.as_deref();
    policy::order(&policy, &mut candidates, conversation, now, rng);

    let offered_at = |place: u32| usize::try_from(place).ok().and_then(|place| offered.get(place));
    let mut routes = Vec::with_capacity(candidates.len());
    let mut considered = Vec::with_capacity(offered.len());
    for candidate in &candidates {
        let Some(Offered { backend, .. }) = offered_at(candidate.position) else { continue };
        let measure = policy::measure(&policy, candidate, conversation);
        let standing = candidate.refusal.map_or(Standing::Planned, Standing::SetBack);
        routes.push(Arc::clone(&backend.route));
        considered.push(Considered::new(&backend.route, Some(measure), standing));
    }
    for (place, why) in left_out {
        let Some(Offered { backend, .. }) = offered_at(place) else { continue };
        considered.push(Considered::new(&backend.route, None, Standing::LeftOut(why)));
    }
    Ok(Planned { routes, choice: Choice { policy: policy.name(), at: now, considered } })
}

/// What a request is expected to take of the limits of a route. Nothing, where
/// no limit counts tokens or money: then it is not estimated.
pub(crate) fn claim(inner: &Inner, request: &Request, route: &Route, now: Timestamp) -> Claim {
    match inner.provider_of(route).counts_tokens(&route.model) {
        true => Estimates::new(request).claim(inner, route, now),
        false => Claim::default(),
    }
}

/// When nothing can serve the request, the first route that has its tags is
/// tried all the same: it says best what is wrong.
fn keep_one(left_out: &mut Vec<(u32, LeftOut)>, request: &Request) -> Result<(), Failure> {
    let untagged = |(_, why): &(u32, LeftOut)| matches!(why, LeftOut::Tag(_));
    match left_out.iter().position(|left_out| !untagged(left_out)) {
        Some(first) => {
            left_out.remove(first);
            Ok(())
        }
        None => {
            let tags: Vec<_> = request.route_tags.iter().map(String::as_str).collect();
            let message = format!(
                "route_tags: no route of {:?} has all of the tags {}; leave some out, or give them to a route with Provider::tags or Target::tags",
                names::shown(&request.model),
                names::shown(&tags.join(", ")),
            );
            Err(Failure::new(ErrorKind::InvalidRequest, message))
        }
    }
}

fn candidate(
    inner: &Inner,
    policy: &Policy,
    position: u32,
    Offered { tier, backend }: &Offered<'_>,
    snapshot: Snapshot,
    estimates: &mut Estimates<'_>,
    now: Timestamp,
) -> Candidate {
    let price = match policy {
        Policy::Cheapest => estimates.price(inner, &backend.route, now),
        _ => None,
    };
    Candidate {
        position,
        tier: *tier,
        weight: backend.weight,
        fingerprint: backend.state.fingerprint(),
        first_token: snapshot.first_token,
        price,
        in_flight: snapshot.in_flight,
        refusal: snapshot.refusal,
    }
}

#[cfg(test)]
mod tests;
