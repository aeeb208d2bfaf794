//! Reading a whole answer.

use http::HeaderMap;
use leverframe_core::{
    error::Failure,
    model::{Block, Response},
};

use super::{
    error,
    wire::{self, Response as Body},
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
    let body: Body<'_> = serde_json::from_str(text).map_err(|source| match error::read_inside(text) {
        Some(_) => error::read(200, headers, text),
        None => unreadable("a response", text).with_source(position(&source)),
    })?;
    if body.error.is_some() || (body.output.is_none() && error::read_inside(text).is_some()) {
        return Err(error::failed(&body, text));
    }
    if body.status.as_ref().is_some_and(|status| status.as_str() == "failed") {
        return Err(error::failed(&body, text));
    }
    let Some(output) = &body.output else { return Err(unreadable("a response with output", text)) };
    let content: Vec<Block> = output.iter().flat_map(|raw| wire::item(raw)).collect();
    let calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let refused = content.iter().any(|block| matches!(block, Block::Refusal(_)));
    let mut response = Response::new(content, body.finish(calls, refused));
    response.usage = body.usage().unwrap_or_default();
    response.id = body.id.map(|id| id.into_string()).filter(|id| !id.is_empty());
    response.model = body.model.map(|model| model.into_string()).filter(|model| !model.is_empty());
    response.finish_raw = body.status.map(|status| status.into_string());
    response.extra = wire::answer_extra(text);
    Ok(response)
}

#[cfg(test)]
mod tests;
