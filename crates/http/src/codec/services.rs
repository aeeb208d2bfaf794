//! What providers offer beside answers: counting the tokens of a request
//! before it is sent, and listing their models.
//!
//! A count is asked for with what the request writer makes of the request,
//! less the fields the counting endpoint refuses: nothing is written twice, so
//! what is counted is what would be sent. Kept are the fields the endpoint is
//! known to take; others would be a 400.
//!
//! A list of models comes in pages. Servers that speak like OpenAI leave
//! fields out and add their own, so whatever cannot be read of a model is
//! absent, and a model without a name is left out. Only a body that is no list
//! is an error.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Dialect, Request},
    time::Timestamp,
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    Call, Encoded, Endpoint, anthropic,
    failure::{position, unreadable},
    gemini,
    object::{Object, body_text},
    openai_chat, openai_responses,
    path::Path,
    post, read_error, utf8,
};

/// A model as its provider lists it. What the provider does not say is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// What requests name it by.
    pub id: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// Most tokens of input, on some servers together with the output.
    pub context_window: Option<u64>,
    /// Most tokens of output.
    pub max_output: Option<u64>,
    /// When it was made or released.
    pub created: Option<Timestamp>,
    /// Whose it is.
    pub owned_by: Option<String>,
}

impl ModelInfo {
    /// A model of which only the name is known.
    pub(super) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            display_name: None,
            context_window: None,
            max_output: None,
            created: None,
            owned_by: None,
        }
    }
}

/// One page of a list of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPage {
    /// The models, in the provider's order.
    pub models: Vec<ModelInfo>,
    /// What to ask for to get the next page. `None` on the last one.
    pub next: Option<String>,
}

/// Writes the HTTP request that asks how many tokens a request has. `None`
/// where the dialect has no endpoint for it (OpenAI Chat).
///
/// # Errors
/// As [`encode`](super::encode): a request that cannot be sent cannot be counted.
pub fn encode_count(endpoint: &Endpoint, request: &Request, model: &str) -> Result<Option<Encoded>, Failure> {
    let call = Call { request, model, stream: false };
    match endpoint.dialect() {
        Dialect::Anthropic => anthropic::count::encode(endpoint, call).map(Some),
        Dialect::Gemini => gemini::count::encode(endpoint, call).map(Some),
        Dialect::OpenAiChat => Ok(None),
        Dialect::OpenAiResponses => openai_responses::count::encode(endpoint, call).map(Some),
    }
}

/// Reads how many tokens a request has: all input, cached or not.
///
/// # Errors
/// [`ErrorKind::Unreadable`] when the body does not say it; the classified
/// error when it is an error with a successful status.
pub fn decode_count(dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<u64, Failure> {
    let text = utf8(body)?;
    let fields = object(dialect, headers, text, "a count of tokens")?;
    let counted = match dialect {
        Dialect::Anthropic => anthropic::count::decode(&fields),
        Dialect::Gemini => gemini::count::decode(&fields),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_responses::count::decode(&fields),
    };
    counted.ok_or_else(|| unreadable("a count of tokens", text))
}

/// Writes the HTTP request for a page of the provider's models: the first
/// one, or the one [`ModelPage::next`] names.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where the address has no list of models: one
/// that names the model (Azure's deployments), and Vertex.
pub fn encode_models(endpoint: &Endpoint, page: Option<&str>) -> Result<http::Request<Bytes>, Failure> {
    if endpoint.is_vertex() || endpoint.url("a", "") != endpoint.url("b", "") {
        let message = "this address has no list of models; name the models in the configuration";
        return Err(Failure::new(ErrorKind::Unsupported, message));
    }
    match endpoint.dialect() {
        Dialect::Anthropic => anthropic::models::encode(endpoint, page),
        Dialect::Gemini => gemini::models::encode(endpoint, page),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::models::encode(endpoint),
    }
}

/// Reads a page of a provider's models.
///
/// # Errors
/// [`ErrorKind::Unreadable`] when the body is no list of models; the
/// classified error when it is an error with a successful status.
pub fn decode_models(dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<ModelPage, Failure> {
    const EXPECTED: &str = "a list of models";
    let text = utf8(body)?;
    let page = match dialect {
        Dialect::Anthropic => anthropic::models::decode(&object(dialect, headers, text, EXPECTED)?),
        Dialect::Gemini => gemini::models::decode(&object(dialect, headers, text, EXPECTED)?),
        // Together's list is a bare array.
        Dialect::OpenAiChat | Dialect::OpenAiResponses if text.trim_start().starts_with('[') => {
            serde_json::from_str::<Vec<Value>>(text).ok().map(|list| openai_chat::models::list(&list))
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            openai_chat::models::decode(&object(dialect, headers, text, EXPECTED)?)
        }
    };
    page.ok_or_else(|| unreadable(EXPECTED, text))
}

/// The body as an object that is not an error.
fn object(
    dialect: Dialect,
    headers: &HeaderMap,
    text: &str,
    expected: &str,
) -> Result<Map<String, Value>, Failure> {
    let fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|source| unreadable(expected, text).with_source(position(&source)))?;
    match fields.get("error") {
        None | Some(Value::Null) => Ok(fields),
        Some(_) => Err(read_error(dialect, 200, headers, text.as_bytes())),
    }
}

/// Fields of a body, as they were written.
pub(super) type Kept = BTreeMap<&'static str, Box<RawValue>>;

/// A written request with another address, of whose body only `fields` are
/// kept, as `arrange` puts them.
pub(super) fn only(
    encoded: Encoded,
    url: String,
    fields: &[&'static str],
    arrange: impl FnOnce(Kept) -> Result<Kept, Failure>,
) -> Result<Encoded, Failure> {
    let (head, body) = encoded.request.into_parts();
    let kept = arrange(pick(body_text(&body)?, fields)?)?;
    let request = post::json(url, head.headers, false, &kept)?;
    Ok(Encoded { request, losses: encoded.losses })
}

/// These fields of a JSON object that we wrote ourselves.
pub(super) fn pick(text: &str, fields: &[&'static str]) -> Result<Kept, Failure> {
    // The dialect is only that of fields to be kept in the model: none are.
    let mut object = Object::parse(Dialect::OpenAiChat, Path::ROOT, text)?;
    Ok(fields.iter().filter_map(|name| Some((*name, object.take(name)?.to_owned()))).collect())
}

/// A GET with the dialect's own headers.
pub(super) fn get(url: String, headers: HeaderMap) -> Result<http::Request<Bytes>, Failure> {
    let mut request =
        http::Request::builder().method(Method::GET).uri(url).body(Bytes::new()).map_err(|source| {
            let message = "the provider's address cannot be requested";
            Failure::new(ErrorKind::InvalidRequest, message).with_source(source)
        })?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// A string that says something.
pub(super) fn word(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|word| !word.is_empty()).map(str::to_owned)
}

/// A number of tokens that says something: some servers write 0 for unknown.
pub(super) fn tokens(value: Option<&Value>) -> Option<u64> {
    value?.as_u64().filter(|tokens| *tokens > 0)
}

#[cfg(test)]
mod tests;
