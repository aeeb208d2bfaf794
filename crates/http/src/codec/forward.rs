//! A request that goes on as its caller wrote it.
//!
//! Where the route speaks the caller's dialect there is nothing to translate:
//! the body stays what it is, byte for byte, but for the model's name and what
//! the way of answering needs. What cannot be done so is written anew.

use std::ops::Range;

use bytes::Bytes;
use leverframe_core::model::{Dialect, Request};

use super::{Call, Encoded, Endpoint, anthropic, endpoint::Compat, gemini, post, scan::Scan};

/// The request as it came, or `None` where it has to be written.
pub(super) fn forward(endpoint: &Endpoint, call: Call<'_>) -> Option<Encoded> {
    let dialect = endpoint.dialect();
    let original = call.request.original.as_ref().filter(|original| original.dialect == dialect)?;
    let body = original.body.as_ref()?;
    let (path, body) = match dialect {
        Dialect::Anthropic if endpoint.version().is_none() => {
            ("/v1/messages".to_owned(), adapted(body, call, false)?)
        }
        // What it takes otherwise is for the codec to say.
        Dialect::OpenAiChat if *endpoint.compat() == Compat::default() => {
            ("/chat/completions".to_owned(), adapted(body, call, call.stream)?)
        }
        Dialect::OpenAiResponses => ("/responses".to_owned(), adapted(body, call, false)?),
        Dialect::Gemini if !endpoint.is_vertex() => (
            gemini::request::path(endpoint, call.model, gemini::request::operation(call.stream)),
            body.clone(),
        ),
        _ => return None,
    };
    let url = endpoint.url(call.model, &path);
    let mut request = post::bytes(url, endpoint.headers(), call.stream, body).ok()?;
    if dialect == Dialect::Anthropic {
        let betas = betas(call.request)?;
        anthropic::request::add_headers(&mut request, anthropic::request::VERSION, &betas).ok()?;
    }
    Some(Encoded { request, losses: Vec::new() })
}

fn betas(request: &Request) -> Option<Vec<String>> {
    match request.extra.get(Dialect::Anthropic, "betas") {
        None => Some(Vec::new()),
        Some(betas) => serde_json::from_str(betas.as_raw().get()).ok(),
    }
}

/// Where a body says what may have to be said otherwise.
#[derive(Default)]
struct Places {
    model: Option<Range<usize>>,
    stream: Option<Range<usize>>,
    stream_options: Option<Range<usize>>,
}

impl Places {
    /// `None` for what says something twice, or is not as plain as nearly all
    /// bodies are.
    fn find(text: &str) -> Option<Self> {
        let mut places = Self::default();
        Scan::whole(text, |scan, name| {
            let value = scan.range()?;
            let place = match name {
                "model" => &mut places.model,
                "stream" => &mut places.stream,
                "stream_options" => &mut places.stream_options,
                // No part of the body but of the headers.
                "betas" => return None,
                _ => return Some(()),
            };
            place.replace(value).is_none().then_some(())
        })?;
        Some(places)
    }
}

/// The body with the route's model and the way of answering that is wanted;
/// `counted` asks for the usage at the end of the stream (OpenAI Chat).
fn adapted(body: &Bytes, call: Call<'_>, counted: bool) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let Places { model, stream, stream_options } = Places::find(text)?;
    let name = serde_json::to_string(call.model).ok()?;
    let says = |place: &Option<Range<usize>>, value: &str| {
        place.as_ref().and_then(|place| text.get(place.clone())) == Some(value)
    };
    let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
    let mut added = String::new();
    match model {
        Some(_) if says(&model, &name) => {}
        Some(place) => edits.push((place, &name)),
        None => added.push_str(&format!("\"model\":{name},")),
    }
    match (stream, call.stream) {
        (None, false) => {}
        (None, true) => added.push_str("\"stream\":true,"),
        (Some(place), wanted) => {
            let word = if wanted { "true" } else { "false" };
            if text.get(place.clone()) != Some(word) {
                edits.push((place, word));
            }
        }
    }
    match stream_options {
        _ if !counted => {}
        None => added.push_str("\"stream_options\":{\"include_usage\":true},"),
        Some(place) => asks_for_usage(text.get(place)?).then_some(())?,
    }
    if edits.is_empty() && added.is_empty() {
        return Some(body.clone());
    }
    edits.sort_unstable_by_key(|(place, _)| place.start);
    let open = text.find('{')? + 1;
    // An object with nothing in it says nothing that could be sent.
    let first = text.get(open..)?.trim_start();
    if first.starts_with('}') {
        return None;
    }
    let mut written = Vec::with_capacity(text.len() + added.len() + name.len());
    written.extend_from_slice(text.get(..open)?.as_bytes());
    written.extend_from_slice(added.as_bytes());
    let mut from = open;
    for (place, word) in edits {
        written.extend_from_slice(text.get(from..place.start)?.as_bytes());
        written.extend_from_slice(word.as_bytes());
        from = place.end;
    }
    written.extend_from_slice(text.get(from..)?.as_bytes());
    Some(written.into())
}

fn asks_for_usage(options: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<Options>(options).is_ok_and(|options| options.include_usage == Some(true))
}

#[cfg(test)]
mod tests {
    use leverframe_core::model::Original;
    use proptest::prelude::*;
    use secrecy::SecretString;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::codec::{encode, read_request};

    fn endpoint(dialect: Dialect) -> Endpoint {
        Endpoint::new(dialect, "http://127.0.0.1:1", SecretString::from("key")).expect("valid")
    }

    /// What a route of `dialect` is sent for a body.
    fn sent(dialect: Dialect, body: &str, model: &str, stream: bool) -> http::Request<Bytes> {
        let mut request = read_request(dialect, body.as_bytes()).expect("a request").request;
        request.original = Some(Original { dialect, body: Some(Bytes::from(body.to_owned())) });
        let call = Call { request: &request, model, stream };
        encode(&endpoint(dialect), call).expect("can be said").request
    }

    #[test]
    fn only_the_model_and_the_way_of_answering_change() {
        let chat = r#"{ "messages": [{"role":"user","content":"caf\u00e9"}],  "model" : "a", "temperature": 1.0, "x": {"model": 1} }"#;
        for (dialect, body, model, stream, expected) in [
            (Dialect::OpenAiChat, chat, "a", false, chat.to_owned()),
            (Dialect::OpenAiChat, chat, "b\"c", false, chat.replace("\"a\"", r#""b\"c""#)),
            (
                Dialect::OpenAiChat,
                chat,
                "a",
                true,
                chat.replacen('{', r#"{"stream":true,"stream_options":{"include_usage":true},"#, 1),
            ),
        ] {
            assert_eq!(sent(dialect, body, model, stream).body(), expected.as_bytes(), "{model} {stream}");
        }
        let claude =
            r#"{"stream":true,"model":"a","max_tokens":7,"messages":[{"role":"user","content":"x"}]}"#;
        let request = sent(Dialect::Anthropic, claude, "long-name", false);
        let expected = claude.replace("true", "false").replace("\"a\"", "\"long-name\"");
        assert_eq!(request.body(), expected.as_bytes());
        assert_eq!(request.headers()["anthropic-version"], anthropic::request::VERSION);
        assert_eq!(request.headers()["x-api-key"], "key");
        let gemini = r#"{"contents": [{"parts": [{"text": "x"}]}], "unknownField": 1e400}"#;
        let request = sent(Dialect::Gemini, gemini, "m", true);
        assert_eq!(request.body(), gemini.as_bytes());
        assert_eq!(
            request.uri().path_and_query().expect("a path"),
            "/v1beta/models/m:streamGenerateContent?alt=sse"
        );
    }

    #[test]
    fn what_is_odd_is_written_anew_and_says_the_same() {
        for body in [
            r#"{"model":"a","mod\u0065l":"b","messages":[{"role":"user","content":"x"}]}"#,
            r#"{"model":"a","messages":[{"role":"user","content":"x"}],"stream_options":{"include_usage":false}}"#,
        ] {
            let Ok(mut asked) = read_request(Dialect::OpenAiChat, body.as_bytes()) else { continue };
            asked.request.original =
                Some(Original { dialect: Dialect::OpenAiChat, body: Some(Bytes::from(body)) });
            let call = Call { request: &asked.request, model: "m", stream: true };
            assert!(forward(&endpoint(Dialect::OpenAiChat), call).is_none(), "{body}");
            let written = encode(&endpoint(Dialect::OpenAiChat), call).expect("can be said").request;
            let written: Value = serde_json::from_slice(written.body()).expect("JSON");
            assert_eq!(written["stream_options"]["include_usage"], true);
            assert_eq!(written["model"], "m");
        }
    }

    #[test]
    fn another_dialect_and_servers_with_habits_of_their_own_get_it_written() {
        let body = r#"{"model":"a","max_completion_tokens":5,"messages":[{"role":"user","content":"x"}]}"#;
        let mut request = read_request(Dialect::OpenAiChat, body.as_bytes()).expect("a request").request;
        request.original = Some(Original { dialect: Dialect::OpenAiChat, body: Some(Bytes::from(body)) });
        let call = Call { request: &request, model: "a", stream: false };
        assert!(forward(&endpoint(Dialect::OpenAiChat), call).is_some());
        let compatible = endpoint(Dialect::OpenAiChat).with_compat(Compat::conservative());
        for other in [compatible, endpoint(Dialect::OpenAiResponses), endpoint(Dialect::Gemini)] {
            assert!(forward(&other, call).is_none(), "{other:?}");
        }
        request.original = None;
        let call = Call { request: &request, model: "a", stream: false };
        assert!(forward(&endpoint(Dialect::OpenAiChat), call).is_none());
    }

    proptest! {
        /// Whatever else an object has: what is forwarded says it, and says the
        /// model and the way of answering.
        #[test]
        fn nothing_else_is_touched(
            names in prop::collection::btree_set("[a-z_]{1,8}", 0..6),
            text in ".{0,12}",
            model in ".{1,8}",
            stream in any::<bool>(),
            given in prop::option::of(any::<bool>()),
        ) {
            let mut object: Map<String, Value> =
                names.iter().map(|name| (name.clone(), json!([{name: text}]))).collect();
            object.remove("betas");
            object.insert("model".to_owned(), json!(text));
            if let Some(given) = given {
                object.insert("stream".to_owned(), json!(given));
            }
            let body = Bytes::from(serde_json::to_string_pretty(&object).expect("JSON"));
            let request = Request::new("x");
            let call = Call { request: &request, model: &model, stream };
            let written = adapted(&body, call, false).expect("nothing odd");
            object.insert("model".to_owned(), json!(model));
            if stream || given.is_some() {
                object.insert("stream".to_owned(), json!(stream));
            }
            let read: Map<String, Value> = serde_json::from_slice(&written).expect("JSON");
            prop_assert_eq!(read, object);
        }
    }
}
