//! Google's schema language, a part of OpenAPI 3.0, as JSON Schema.
//!
//! They differ in three things (API reference, `Schema`): types are in upper
//! case, `nullable` stands for a union with `null`, and counts may be strings.

use leverframe_core::model::Json;
use serde_json::{Map, Value, json, value::RawValue};

/// Deepest nesting that is translated; what is below is left as it is.
const MAX_DEPTH: usize = 64;

/// The JSON Schema that says what a schema of Google's says.
pub(super) fn json_schema(raw: &RawValue) -> Json {
    let translated = serde_json::from_str(raw.get()).map(|value| schema(value, 0));
    let text = translated.ok().and_then(|value: Value| Json::parse(value.to_string()).ok());
    text.unwrap_or_else(|| raw.into())
}

fn schema(value: Value, depth: usize) -> Value {
    let Value::Object(fields) = value else { return value };
    if depth > MAX_DEPTH {
        return Value::Object(fields);
    }
    let mut translated = Map::new();
    let mut nullable = false;
    for (name, value) in fields {
        let (name, value) = match (crate::codec::object::camel(&name), value) {
            (name, Value::String(kind)) if name == "type" => (name, kind.to_ascii_lowercase().into()),
            (name, Value::Bool(yes)) if name == "nullable" => {
                nullable = yes;
                continue;
            }
            // Google's own: the order in which properties are written.
            (name, _) if name == "propertyOrdering" => continue,
            (name, value @ Value::Object(_)) if matches!(name.as_str(), "items" | "additionalProperties") => {
                (name, schema(value, depth + 1))
            }
            (name, Value::Array(all)) if name == "anyOf" => {
                (name, all.into_iter().map(|one| schema(one, depth + 1)).collect())
            }
            (name, Value::Object(all)) if matches!(name.as_str(), "properties" | "defs") => {
                let all = all.into_iter().map(|(name, one)| (name, schema(one, depth + 1)));
                (name, Value::Object(all.collect()))
            }
            (name, Value::String(count)) if name.starts_with("min") || name.starts_with("max") => {
                let count = count.parse::<u64>().map_or(Value::String(count), Value::from);
                (name, count)
            }
            (name, value) => (name, value),
        };
        translated.insert(name, value);
    }
    if nullable && let Some(kind) = translated.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    Value::Object(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_translated() {
        let own = r#"{"type":"OBJECT","properties":{"Type":{"type":"STRING","nullable":true},
            "list":{"type":"ARRAY","items":{"any_of":[{"type":"INTEGER"}]},"minItems":"2"}},
            "required":["list"],"propertyOrdering":["list"]}"#;
        let expected = json!({"type": "object", "properties": {"Type": {"type": ["string", "null"]},
            "list": {"type": "array", "items": {"anyOf": [{"type": "integer"}]}, "minItems": 2}},
            "required": ["list"]});
        let raw = RawValue::from_string(own.to_owned()).expect("JSON");
        let translated: Value = serde_json::from_str(json_schema(&raw).as_str()).expect("JSON");
        assert_eq!(translated, expected);
    }

    #[test]
    fn what_is_no_schema_stays_as_it_is() {
        for text in ["true", "7", r#"{"type":7}"#] {
            let raw = RawValue::from_string(text.to_owned()).expect("JSON");
            assert_eq!(json_schema(&raw).as_str(), text);
        }
    }
}
