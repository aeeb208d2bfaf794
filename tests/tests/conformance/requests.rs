//! Requests, as clients of the providers wrote them.

use std::sync::Arc;

use leverframe_core::{
    model::{Dialect, Losses},
    validate::validate,
};
use leverframe_http::codec::{self, Call, Compat, Endpoint, ReasoningField};
use serde_json::{Map, Value, json};

use crate::corpus::Case;

/// Reads a request and writes it again for the same dialect: all that was
/// said is said again. `None` where the request was not recorded whole.
pub(crate) fn check(case: &Case) -> Option<Vec<String>> {
    let answered = case.meta("kind") != "error";
    let truncated = case.meta["request_truncated"].as_bool().unwrap_or_default();
    if matches!(case.meta("op"), "count_tokens" | "countTokens" | "input_tokens" | "models") || truncated {
        return None;
    }
    let body = case.request.as_ref()?;
    let given: Value = serde_json::from_slice(body).expect("a recorded request is JSON");
    let asked = match codec::read_request(case.dialect, body) {
        Ok(asked) => asked,
        // What the provider refused may be refused here, too.
        Err(_) if !answered => return None,
        Err(failure) => return Some(vec![format!("it is not read: {failure}")]),
    };
    let mut request = asked.request.losses(Losses::Refuse);
    if request.model.is_empty() {
        request.model = "model".to_owned(); // Gemini has it in the path
    }
    let model = request.model.clone();
    match validate(Arc::new(request.clone())) {
        Ok(_) => {}
        Err(_) if !answered => return None,
        Err(error) => return Some(vec![format!("it is not valid: {error}")]),
    }
    let endpoint = Endpoint::new(case.dialect, "http://127.0.0.1", "key".into()).expect("an endpoint");
    let endpoint = endpoint.with_compat(compat(&given));
    let call = Call { request: &request, model: &model, stream: asked.stream };
    let encoded = match codec::encode(&endpoint, call) {
        Ok(encoded) => encoded,
        Err(_) if !answered => return None,
        Err(failure) => return Some(vec![format!("it is not written: {failure}")]),
    };
    let written: Value = serde_json::from_slice(encoded.request.body()).expect("what is written is JSON");
    let mut differences = Vec::new();
    covered("", &normal(case.dialect, given), &normal(case.dialect, written), &mut differences);
    Some(differences)
}

/// The server a request was made for, as far as the request shows it.
fn compat(given: &Value) -> Compat {
    let text = given.to_string();
    let reasoning = match () {
        () if text.contains("\"reasoning_content\"") => Some(ReasoningField::ReasoningContent),
        () if text.contains("\"reasoning\"") => Some(ReasoningField::Reasoning),
        () => None,
    };
    Compat {
        max_tokens: given.get("max_tokens").is_some(),
        reasoning,
        cache_control: true,
        top_k: true,
        ..Compat::default()
    }
}

/// Notes what of `given` is not in `written`. What is written beyond it is for
/// the codecs' own tests.
fn covered(at: &str, given: &Value, written: &Value, differences: &mut Vec<String>) {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            // Null and an empty list say nothing.
            for (name, value) in given.iter().filter(|(_, value)| !value.is_null() && **value != json!([])) {
                let at = format!("{at}.{name}");
                match written.get(name) {
                    Some(written) => covered(&at, value, written, differences),
                    None => differences.push(format!("{at}: is lost: {value}")),
                }
            }
        }
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => {
            for (nth, (given, written)) in given.iter().zip(written).enumerate() {
                covered(&format!("{at}[{nth}]"), given, written, differences);
            }
        }
        (Value::Number(given), Value::Number(written)) if given.as_f64() == written.as_f64() => {}
        (given, written) if given == written => {}
        (given, written) => differences.push(format!("{at}: {given} became {written}")),
    }
}

/// Two ways of saying the same are made one.
fn normal(dialect: Dialect, mut body: Value) -> Value {
    let Some(object) = body.as_object_mut() else { return body };
    match dialect {
        Dialect::Anthropic => anthropic(object),
        Dialect::Gemini => return gemini(body),
        Dialect::OpenAiChat => chat(object),
        Dialect::OpenAiResponses => responses(object),
    }
    body
}

/// Texts are blocks; a tool without a type is `custom`; `output_format` was
/// the name of `output_config.format`.
fn anthropic(body: &mut Map<String, Value>) {
    let blocks = |holder: &mut Map<String, Value>, name: &str| {
        if let Some(Value::String(text)) = holder.get(name) {
            let block = json!([{"type": "text", "text": text}]);
            holder.insert(name.to_owned(), block);
        }
    };
    blocks(body, "system");
    for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(message) = message.as_object_mut() else { continue };
        blocks(message, "content");
        for block in message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(block) = block.as_object_mut() else { continue };
            if block.get("type") == Some(&json!("tool_result")) {
                blocks(block, "content");
                block.retain(|name, value| name != "is_error" || *value != json!(false));
            }
        }
    }
    for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(tool) = tool.as_object_mut() else { continue };
        tool.retain(|name, value| name != "type" || *value != json!("custom"));
        tool.retain(|name, value| name != "strict" || *value != json!(false));
    }
    if let Some(format) = body.remove("output_format") {
        body.insert("output_config".to_owned(), json!({"format": format}));
    }
    body.retain(|name, value| name != "stream" || *value != json!(false));
    body.retain(|_, value| *value != json!([]));
}

/// A list with one text is that text, and a list with one stop sequence that.
fn chat(body: &mut Map<String, Value>) {
    for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(content) = message.get_mut("content") else { continue };
        let plain = match content.as_array().map(Vec::as_slice) {
            Some([only]) if only.as_object().is_some_and(|part| part.len() == 2) => {
                only["text"].as_str().map(Value::from)
            }
            Some([]) => Some(json!("")),
            _ => None,
        };
        *content = plain.unwrap_or_else(|| content.take());
    }
    if let Some(Value::String(one)) = body.get("stop") {
        let one = json!([one]);
        body.insert("stop".to_owned(), one);
    }
    for flag in ["stream", "logprobs"] {
        body.retain(|name, value| name != flag || *value != json!(false));
    }
    body.retain(|_, value| *value != json!([]) && *value != json!({}));
}

/// A text is a message of the user's; items are messages unless they say
/// otherwise; one text is a list with it.
fn responses(body: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = body.get("input") {
        let items = json!([{"role": "user", "content": text}]);
        body.insert("input".to_owned(), items);
    }
    for item in body.get_mut("input").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(item) = item.as_object_mut() else { continue };
        if item.contains_key("role") {
            item.insert("type".to_owned(), json!("message"));
        }
        if let Some(Value::Array(parts)) = item.get("content")
            && let [only] = parts.as_slice()
            && only["type"] == "input_text"
        {
            let text = only["text"].clone();
            item.insert("content".to_owned(), text);
        }
    }
    body.retain(|name, value| name != "stream" || *value != json!(false));
    body.retain(|_, value| *value != json!([]));
}

/// The role of the system instruction is ignored; base64 has two alphabets.
fn gemini(body: Value) -> Value {
    let mut body = camel(body);
    if let Some(system) = body["systemInstruction"].as_object_mut() {
        system.remove("role");
    }
    for content in body["contents"].as_array_mut().into_iter().flatten() {
        for part in content["parts"].as_array_mut().into_iter().flatten() {
            if let Some(Value::String(data)) = part.pointer_mut("/inlineData/data") {
                *data = data.replace('-', "+").replace('_', "/").trim_end_matches('=').to_owned();
            }
        }
    }
    body
}

/// Names in camel case, everywhere: Google's parser takes both.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| *value != json!([]) && *value != json!({}));
            fields.map(|(name, value)| (camel_name(&name), camel(value))).collect()
        }
        Value::Array(all) => all.into_iter().map(camel).collect(),
        other => other,
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let mut letters = word.chars();
        camel + &letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default() + letters.as_str()
    })
}
