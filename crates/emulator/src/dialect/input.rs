//! The texts of a request, and how many tokens they come to.
//!
//! The count is no tokenizer's, but it is the same for usage and for the
//! endpoints that only count: each text has a token for every four bytes of
//! UTF-8, rounded up; so have the definitions of the tools, as compact JSON;
//! and the frame around it all has three.

use serde_json::Value;

/// Where the dialects keep what is said. Tools are no texts, but count.
const TEXTS: [&str; 7] =
    ["system", "systemInstruction", "system_instruction", "instructions", "messages", "contents", "input"];

/// Every text of a request, in order, wherever its dialect puts it.
pub(super) fn texts(body: &Value) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("text" | "content" | "system" | "output", Value::String(text)) => {
                            found.push(text.clone());
                        }
                        (_, value) => collect(value, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for field in TEXTS {
        match body.get(field) {
            Some(Value::String(text)) => found.push(text.clone()),
            Some(value) => collect(value, &mut found),
            None => {}
        }
    }
    found
}

/// How many tokens a request has.
pub(super) fn tokens(body: &Value) -> u64 {
    // Google may be asked to count a request inside the request.
    let body = body.get("generateContentRequest").unwrap_or(body);
    let tools = body.get("tools").filter(|tools| !tools.is_null()).map(Value::to_string);
    let counted = texts(body).into_iter().chain(tools);
    counted.map(|text| text.len().div_ceil(4) as u64).sum::<u64>() + 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_dialects_texts_are_counted_alike() {
        for body in [
            json!({"system": "Be brief", "messages": [{"role": "user", "content": "Hello"}]}),
            json!({"messages": [
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
            ]}),
            json!({"generateContentRequest": {
                "systemInstruction": {"parts": [{"text": "Be brief"}]},
                "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            }}),
            json!({"instructions": "Be brief", "input": "Hello"}),
            json!({"instructions": "Be brief", "input": [{"type": "function_call_output", "output": "Hello"}]}),
        ] {
            // 8 bytes are 2 tokens, 5 bytes are 2, and 3.
            assert_eq!(tokens(&body), 7, "{body}");
        }
        let with_tools = json!({"input": "", "tools": [{"name": "f"}]});
        assert_eq!(tokens(&with_tools), 7, "14 bytes of tools, and 3");
    }
}
