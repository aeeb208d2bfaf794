//! Which calls a step is for, by what they say.

use serde_json::Value;

/// Where the dialects keep the conversation.
const CONVERSATIONS: [&str; 3] = ["messages", "contents", "input"];

/// What a call has to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    /// A text that was said since the model last spoke: by the user, or by a
    /// tool.
    pub(crate) says: Option<String>,
    /// Texts that are anywhere in the body, as a string or a key.
    pub(crate) with: Vec<String>,
}

impl When {
    /// Whether there is anything that calls have to say.
    pub(crate) fn asks_something(&self) -> bool {
        self.says.is_some() || !self.with.is_empty()
    }

    pub(crate) fn matches(&self, body: &Value) -> bool {
        let says = |text: &String| match CONVERSATIONS.iter().find_map(|field| body.get(field)) {
            Some(Value::Array(turns)) => newest(turns).iter().any(|turn| has(turn, text)),
            Some(said) => has(said, text),
            None => false,
        };
        self.says.as_ref().is_none_or(says) && self.with.iter().all(|text| has(body, text))
    }
}

/// What came after the model last spoke.
fn newest(turns: &[Value]) -> &[Value] {
    let last = turns.iter().rposition(is_the_models);
    last.and_then(|last| turns.get(last + 1..)).unwrap_or(turns)
}

fn is_the_models(turn: &Value) -> bool {
    let word = |field| turn.get(field).and_then(Value::as_str);
    let role = matches!(word("role"), Some("assistant" | "model"));
    // Items of Responses that have no role.
    role || matches!(word("type"), Some("function_call" | "reasoning" | "custom_tool_call"))
}

/// Whether a string or a key contains a text.
fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(values) => values.iter().any(|value| has(value, text)),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains(text) || has(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_counts_is_what_was_said_since_the_model_spoke() {
        let says = |text: &str| When { says: Some(text.to_owned()), with: Vec::new() };
        let chat = json!({"messages": [
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": "its own"},
            {"role": "tool", "tool_call_id": "1", "content": "new"},
        ]});
        let claude = json!({"system": "old", "messages": [
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": [{"type": "text", "text": "its own"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "new"}]}]},
        ]});
        let gemini = json!({"contents": [
            {"role": "user", "parts": [{"text": "old"}]},
            {"role": "model", "parts": [{"text": "its own"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "new"}}}]},
        ]});
        let responses = json!({"instructions": "old", "input": [
            {"role": "user", "content": "old"},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "its own"},
            {"type": "function_call_output", "call_id": "1", "output": "new"},
        ]});
        for body in [chat, claude, gemini, responses, json!({"input": "so new"})] {
            assert!(says("new").matches(&body), "{body}");
            assert!(!says("old").matches(&body) && !says("its own").matches(&body), "{body}");
        }
        assert!(!says("").matches(&json!({"model": "m"})), "nothing is said");
    }

    #[test]
    fn all_of_it_has_to_be_in_the_body_and_may_be_anywhere() {
        let with =
            |texts: &[&str]| When { says: None, with: texts.iter().map(|text| (*text).to_owned()).collect() };
        let body =
            json!({"tools": [{"parameters": {"properties": {"city": {"type": "string"}}}}], "input": "Hi"});
        for (texts, matches) in [(&["city", "Hi"][..], true), (&["city", "Bye"], false), (&["strin"], true)] {
            assert_eq!(with(texts).matches(&body), matches, "{texts:?}");
        }
        assert!(!with(&[]).asks_something());
    }
}
