//! What a request may say. Codes, parameters and messages are the API's.

use serde_json::Value;

use super::super::super::{Asked, Problem, input::texts, is_empty_array, word};
use super::input;

type Checked = Result<(), Problem>;

/// All parameters of a request for an answer.
const TO_ANSWER: [&str; 34] = [
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// All parameters of a request to count its input.
const TO_COUNT: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];

/// Parameters of Chat Completions that have another name here.
const MOVED: [(&str, &str); 5] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
];

/// What `reasoning` and `text` may have.
const INNER: [(&str, &[&str]); 2] = [
    ("reasoning", &["context", "effort", "generate_summary", "mode", "summary"]),
    ("text", &["format", "verbosity"]),
];

/// Decimals, and the most they may be. The least is 0.
const DECIMALS: [(&str, f64); 2] = [("temperature", 2.0), ("top_p", 1.0)];

/// The least that `max_output_tokens` may be.
const LEAST_OUTPUT: i64 = 16;

pub(super) fn to_answer(asked: &Asked) -> Checked {
    if asked.model.is_empty() {
        return Err(missing("model"));
    }
    parameters(&asked.body, &TO_ANSWER)?;
    numbers(&asked.body)?;
    given(&asked.body)?;
    shared(&asked.body)
}

pub(super) fn to_count(asked: &Asked) -> Checked {
    parameters(&asked.body, &TO_COUNT)?;
    shared(&asked.body)
}

/// What both kinds of request have.
fn shared(body: &Value) -> Checked {
    input::check(body)?;
    tools(body)?;
    format(body)
}

pub(super) fn missing(field: impl Into<String>) -> Problem {
    let field = field.into();
    let message = format!("Missing required parameter: '{field}'.");
    Problem::coded("missing_required_parameter", field, message)
}

/// A word that is none of `known`, which are at least two.
pub(super) fn unsupported(field: impl Into<String>, value: &str, known: &[&str]) -> Problem {
    let quoted: Vec<String> = known.iter().map(|word| format!("'{word}'")).collect();
    let list = match quoted.split_last() {
        Some((last, [only])) => format!("{only} and {last}"),
        Some((last, others)) => format!("{}, and {last}", others.join(", ")),
        None => String::new(),
    };
    let message = format!("Invalid value: '{value}'. Supported values are: {list}.");
    Problem::coded("invalid_value", field.into(), message)
}

fn parameters(body: &Value, known: &[&str]) -> Checked {
    for field in body.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if let Some((_, name)) = MOVED.iter().find(|(old, _)| old == field) {
            let message = format!(
                "Unsupported parameter: '{field}'. In the Responses API, this parameter has moved to \
                 '{name}'. Try again with the new parameter."
            );
            return Err(Problem::coded("unsupported_parameter", field.clone(), message));
        }
        if !known.contains(&field.as_str()) {
            return Err(unknown(field.clone()));
        }
    }
    for (outer, known) in INNER {
        let fields = body.get(outer).and_then(Value::as_object);
        let other = fields.and_then(|fields| fields.keys().find(|field| !known.contains(&field.as_str())));
        if let Some(field) = other {
            return Err(unknown(format!("{outer}.{field}")));
        }
    }
    Ok(())
}

fn unknown(field: String) -> Problem {
    let message = format!("Unknown parameter: '{field}'.");
    Problem::coded("unknown_parameter", field, message)
}

fn numbers(body: &Value) -> Checked {
    let given = |field| body.get(field).filter(|value| !value.is_null());
    for (field, most) in DECIMALS {
        let Some(value) = given(field) else { continue };
        let Some(number) = value.as_f64() else {
            return Err(wrong_type(field, "a decimal", value));
        };
        let (code, end, at, bound) = if number < 0.0 {
            ("decimal_below_min_value", "below minimum", ">=", 0.0)
        } else if number > most {
            ("decimal_above_max_value", "above maximum", "<=", most)
        } else {
            continue;
        };
        let message = format!(
            "Invalid '{field}': decimal {end} value. Expected a value {at} {bound}, but got {number} instead."
        );
        return Err(Problem::coded(code, field, message));
    }
    let field = "max_output_tokens";
    let Some(value) = given(field) else { return Ok(()) };
    match value.as_i64() {
        None => Err(wrong_type(field, "an integer", value)),
        Some(number) if number < LEAST_OUTPUT => {
            let message = format!(
                "Invalid '{field}': integer below minimum value. Expected a value >= {LEAST_OUTPUT}, but got \
                 {number} instead."
            );
            Err(Problem::coded("integer_below_min_value", field, message))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn wrong_type(field: &'static str, expected: &str, value: &Value) -> Problem {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{field}': expected {expected}, but got {got} instead.");
    Problem::coded("invalid_type", field, message)
}

/// Something has to be answered.
fn given(body: &Value) -> Checked {
    let something = ["previous_response_id", "prompt", "conversation"]
        .iter()
        .any(|field| body.get(field).is_some_and(|value| !value.is_null()));
    let input = body.get("input").is_some_and(|input| !input.is_null()) && !is_empty_array(body, "input");
    if something || input {
        return Ok(());
    }
    let message = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be \
                   provided.";
    Err(Problem::coded("missing_required_parameter", "input", message))
}

/// Tools are flat here: a function's name is beside its type.
fn tools(body: &Value) -> Checked {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (nth, tool) in tools.iter().enumerate() {
        let Some(kind) = word(tool, "type") else { return Err(missing(format!("tools[{nth}].type"))) };
        if matches!(kind, "function" | "custom") && word(tool, "name").is_none() {
            return Err(missing(format!("tools[{nth}].name")));
        }
        if let (Some(_), "function") = (tool.get("function"), kind) {
            return Err(unknown(format!("tools[{nth}].function")));
        }
    }
    let field = "tool_choice";
    match body.get(field) {
        Some(Value::String(mode)) if !matches!(mode.as_str(), "none" | "auto" | "required") => {
            Err(unsupported(field, mode, &["none", "auto", "required"]))
        }
        Some(Value::String(mode)) if mode == "required" && tools.is_empty() => {
            let message = "Tool choice 'required' must be specified with 'tools' parameter.";
            Err(Problem::invalid(field, message))
        }
        Some(choice) if word(choice, "type") == Some("function") && word(choice, "name").is_none() => {
            Err(missing("tool_choice.name"))
        }
        _ => Ok(()),
    }
}

/// A schema is flat as well.
fn format(body: &Value) -> Checked {
    let Some(format) = body.pointer("/text/format") else { return Ok(()) };
    match word(format, "type") {
        None => Err(missing("text.format.type")),
        Some("text") => Ok(()),
        Some("json_schema") => {
            let lacking = ["name", "schema"].into_iter().find(|field| format.get(field).is_none());
            lacking.map_or(Ok(()), |field| Err(missing(format!("text.format.{field}"))))
        }
        Some("json_object") => {
            if texts(body).iter().any(|text| text.to_lowercase().contains("json")) {
                return Ok(());
            }
            let message = "Response input messages must contain the word 'json' in some form to use \
                           'text.format' of type 'json_object'.";
            Err(Problem::invalid("input", message))
        }
        Some(other) => Err(unsupported("text.format.type", other, &["text", "json_object", "json_schema"])),
    }
}
