//! Schemas as models are shown them.
//!
//! OpenAI writes a function as a type in TypeScript, Gemini in a form of its
//! own: names, types and descriptions are left of the JSON, and the words that
//! make it a schema are not.

use leverframe_core::model::Json;
use serde_json::Value;

use super::{Estimator, rates::Schemas};

/// Tokens of a function's parameters.
pub(super) fn tokens(estimator: &Estimator, schema: &Json) -> u64 {
    match (estimator.frame.schemas, serde_json::from_str(schema.as_str())) {
        (Schemas::Types, Ok(schema)) => of_type(estimator, &schema),
        (Schemas::Json, _) | (Schemas::Types, Err(_)) => estimator.text(schema.as_str()),
    }
}

/// Recursion ends where that of the parser ended: at 128.
fn of_type(estimator: &Estimator, schema: &Value) -> u64 {
    /// A colon, a type, a comma.
    const PROPERTY: u64 = 3;
    let Value::Object(fields) = schema else { return 0 };
    let mut sum: u64 = 0;
    for (name, value) in fields {
        let tokens = match (name.as_str(), value) {
            ("description", Value::String(text)) => estimator.text(text).saturating_add(1),
            ("enum", Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map_or(1, |word| estimator.text(word)).saturating_add(2))
                .fold(0, u64::saturating_add),
            ("properties" | "$defs" | "definitions", Value::Object(named)) => named
                .iter()
                .map(|(name, schema)| {
                    let tokens = estimator.text(name).saturating_add(of_type(estimator, schema));
                    tokens.saturating_add(PROPERTY)
                })
                .fold(0, u64::saturating_add),
            ("items", schema) => of_type(estimator, schema).saturating_add(1),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => schemas
                .iter()
                .map(|schema| of_type(estimator, schema).saturating_add(2))
                .fold(0, u64::saturating_add),
            _ => 0,
        };
        sum = sum.saturating_add(tokens);
    }
    sum
}
