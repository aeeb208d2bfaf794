//! Who cannot serve a request, and why.
//!
//! Only what is known counts: a model the catalog does not have is tried, and
//! so is one that may just be large enough.

use leverframe_core::{
    catalog::{Capabilities, Feature},
    choice::LeftOut,
    model::{Dialect, Request},
};

use super::{Backend, Offered, estimate::Estimates};
use crate::router::Inner;

/// The places of those that are left out.
pub(super) fn left_out(
    inner: &Inner,
    offered: &[Offered<'_>],
    request: &Request,
    estimates: &mut Estimates<'_>,
) -> Vec<(u32, LeftOut)> {
    // The only route is tried anyway, and says itself what it does not take.
    let alone = offered.len() == 1;
    if alone && request.route_tags.is_empty() {
        return Vec::new();
    }
    let why = |Offered { backend, .. }: &Offered<'_>, estimates: &mut Estimates<'_>| {
        if let Some(tag) = request.route_tags.difference(&backend.tags).next() {
            return Some(LeftOut::Tag(tag.clone()));
        }
        let known = inner.capabilities(&backend.route).filter(|_| !alone)?;
        unfit(inner, backend, known, request).or_else(|| too_long(backend, known, estimates))
    };
    (0..).zip(offered).filter_map(|(place, offered)| Some((place, why(offered, estimates)?))).collect()
}

fn unfit(inner: &Inner, backend: &Backend, known: &Capabilities, request: &Request) -> Option<LeftOut> {
    let route = &backend.route;
    if route.dialect == Dialect::OpenAiChat
        && inner.provider_of(route).native
        && known.refuses(Feature::ChatCompletions, false)
    {
        let message = format!("model: {} is to be had over OpenAI Responses only", route.model);
        return Some(LeftOut::Capability(message));
    }
    known.fit(request).err().map(|failure| LeftOut::Capability(failure.message))
}

/// The estimate is off by a quarter and more at times: what is left out has to
/// be too long even so.
fn too_long(backend: &Backend, known: &Capabilities, estimates: &mut Estimates<'_>) -> Option<LeftOut> {
    let limit = known.input_limit()?;
    if !estimates.may_exceed(limit) {
        return None;
    }
    let estimated = estimates.input(&backend.route);
    let at_least = estimated / 4 * 3;
    (at_least > limit).then_some(LeftOut::ContextWindow { estimated, limit })
}
