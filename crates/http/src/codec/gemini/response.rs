//! Reading a whole answer.
//!
//! A stream's chunks are whole answers, so this reads a stream of one chunk:
//! both ways cannot differ. An array of them, which is what
//! `streamGenerateContent` gives without `alt=sse`, reads as a stream, too.

use std::collections::VecDeque;

use bytestring::ByteString;
use http::HeaderMap;
use leverframe_core::{
    error::Failure,
    model::{Partial, Response, StreamEvent},
};
use serde_json::value::RawValue;

use super::stream::Reader;
use crate::codec::failure::{position, unreadable};

/// What is expected of a body.
const EXPECTED: &str = "a Gemini answer with candidates";

/// Reads the body of a successful answer. Gemini's headers say nothing of it.
pub(in crate::codec) fn decode(_headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    let mut reader = Reader::default();
    let mut events = VecDeque::new();
    for chunk in chunks(text)? {
        reader.chunk(&ByteString::from(chunk), &mut events)?;
    }
    if !reader.complete(&mut events) {
        return Err(unreadable(EXPECTED, text));
    }
    let mut partial = Partial::new();
    events.into_iter().chain([StreamEvent::End]).for_each(|event| partial.push(event));
    partial.whole().ok_or_else(|| unreadable(EXPECTED, text))
}

fn chunks(text: &str) -> Result<Vec<&str>, Failure> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text]);
    }
    serde_json::from_str::<Vec<&RawValue>>(text)
        .map(|chunks| chunks.into_iter().map(RawValue::get).collect())
        .map_err(|source| unreadable(EXPECTED, text).with_source(position(&source)))
}

#[cfg(test)]
mod tests;
