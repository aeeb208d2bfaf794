//! Reading a whole message.

use http::HeaderMap;
use leverframe_core::{
    error::Failure,
    model::{Block, Response},
};

use super::{
    error,
    usage::UsageBody,
    wire::{self, Message},
};
use crate::codec::failure::{position, unreadable};

/// Reads the body of a successful answer.
pub(in crate::codec) fn decode(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    read(headers, text).map_err(|failure| {
        let id = failure.provider_request_id.clone().or_else(|| error::request_id(headers));
        failure.with_provider_request_id(id)
    })
}

fn read(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    let wrong = |source| unreadable("a message", text).with_source(position(&source));
    let body: Message<'_> = serde_json::from_str(text).map_err(wrong)?;
    if body.kind.is_some_and(|kind| kind.as_str() == "error") {
        return Err(error::read(200, headers, text));
    }
    let Some(content) = body.content else {
        return Err(unreadable("a message with content", text));
    };
    let mut blocks = Vec::with_capacity(content.len());
    for raw in content {
        match wire::block(raw).map_err(wrong)? {
            // Says nothing, and may not be sent back.
            Block::Text(text) if text.text.is_empty() && text.is_plain() => {}
            block => blocks.push(block),
        }
    }
    let raw = body.stop_reason.map(|raw| raw.into_string());

    let mut response = Response::new(blocks, wire::finish(raw.as_deref().unwrap_or_default()));
    response.id = body.id.map(|id| id.into_string());
    response.model = body.model.map(|model| model.into_string());
    response.finish_raw = raw;
    response.stop_sequence = body.stop_sequence.map(|sequence| sequence.into_string());
    response.usage = body.usage.map(UsageBody::read).unwrap_or_default().into();
    response.extra = wire::extra(text);
    response.extra.extend(body.usage.into_iter().flat_map(wire::usage_extra));
    Ok(response)
}

#[cfg(test)]
mod tests;
