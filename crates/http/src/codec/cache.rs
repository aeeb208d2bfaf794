//! `cache_control`, which Anthropic has and OpenRouter took over from it.

use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{CacheControl, CacheTtl},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    object::Object,
    path::Path,
    writer::{Fields, Writer},
};

/// The end of a prompt cache, as it is written.
#[derive(Serialize)]
pub(super) struct Cache<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

/// Writes the end of a prompt cache.
pub(super) fn write<'a>(
    at: Path<'_>,
    cache: &'a CacheControl,
    writer: &mut Writer,
) -> Result<Cache<'a>, Failure> {
    let ttl = cache.ttl.map(|ttl| match ttl {
        CacheTtl::FiveMinutes => "5m",
        CacheTtl::OneHour => "1h",
    });
    let extra = writer.fields(at.field("cache"), &cache.extra, Weight::Minor, &["type"])?;
    Ok(Cache { kind: "ephemeral", ttl, extra })
}

/// Takes the end of a prompt cache out of an object, if it has one.
pub(super) fn take(at: Path<'_>, object: &mut Object<'_>) -> Result<Option<CacheControl>, Failure> {
    let Some(mut cache) = object.object(at, "cache_control")? else { return Ok(None) };
    // `ephemeral` is the only one there is.
    cache.take("type");
    let raw = cache.take("ttl");
    let ttl = match raw.map(RawValue::get) {
        Some("\"5m\"") => Some(CacheTtl::FiveMinutes),
        Some("\"1h\"") => Some(CacheTtl::OneHour),
        _ => None,
    };
    if let Some(other) = raw.filter(|_| ttl.is_none()) {
        cache.put_back("ttl", other);
    }
    Ok(Some(CacheControl { ttl, extra: cache.rest() }))
}
