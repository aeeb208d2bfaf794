//! What the items of the input may be, and which need one another.

use serde_json::Value;

use super::{
    super::super::{Problem, word},
    checks::{missing, unsupported, wrong_type},
};

/// Roles of a message.
const ROLES: [&str; 4] = ["assistant", "system", "developer", "user"];

/// Parts of what the model said.
const SAID: [&str; 2] = ["output_text", "refusal"];

/// Parts of any other message.
const ASKED: [&str; 7] = [
    "input_text",
    "input_image",
    "output_text",
    "refusal",
    "input_file",
    "computer_screenshot",
    "summary_text",
];

pub(super) fn check(body: &Value) -> Result<(), Problem> {
    let items = match body.get("input") {
        None | Some(Value::Null | Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("input", "one of a string or array of items", other)),
    };
    for (nth, item) in items.iter().enumerate() {
        // Only a message may leave out what it is.
        match word(item, "type") {
            Some("message") => message(nth, item)?,
            None if item.get("role").is_some() => message(nth, item)?,
            None => return Err(missing(format!("input[{nth}].type"))),
            Some("function_call") => fields(nth, item, &["call_id", "name", "arguments"])?,
            Some("function_call_output") => {
                fields(nth, item, &["call_id"])?;
                if item.get("output").is_none() {
                    return Err(missing(format!("input[{nth}].output")));
                }
            }
            Some(_) => {}
        }
    }
    // The server may know calls that it was not sent again.
    let goes_on = ["previous_response_id", "conversation"]
        .iter()
        .any(|field| body.get(field).is_some_and(|id| !id.is_null()));
    pairs(items, goes_on)
}

/// Fields that have to be there, as text.
fn fields(nth: usize, item: &Value, names: &[&str]) -> Result<(), Problem> {
    let lacking = names.iter().find(|name| word(item, name).is_none());
    lacking.map_or(Ok(()), |name| Err(missing(format!("input[{nth}].{name}"))))
}

fn message(nth: usize, message: &Value) -> Result<(), Problem> {
    let Some(role) = word(message, "role") else { return Err(missing(format!("input[{nth}].role"))) };
    if !ROLES.contains(&role) {
        return Err(unsupported(format!("input[{nth}].role"), role, &ROLES));
    }
    let parts = match message.get("content") {
        None => return Err(missing(format!("input[{nth}].content"))),
        Some(content) => content.as_array().map_or(&[][..], Vec::as_slice),
    };
    let known: &[&str] = if role == "assistant" { &SAID } else { &ASKED };
    for (part_nth, part) in parts.iter().enumerate() {
        let field = format!("input[{nth}].content[{part_nth}].type");
        match word(part, "type") {
            None => return Err(missing(field)),
            Some(kind) if !known.contains(&kind) => return Err(unsupported(field, kind, known)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Calls and their outputs go together, and reasoning with what follows it.
fn pairs(items: &[Value], goes_on: bool) -> Result<(), Problem> {
    let ids = |kind: &'static str| {
        let of_kind = items.iter().filter(move |item| word(item, "type") == Some(kind));
        of_kind.filter_map(|item| word(item, "call_id"))
    };
    let unanswered = ids("function_call").find(|id| !ids("function_call_output").any(|of| of == *id));
    if let Some(id) = unanswered {
        return Err(Problem::invalid("input", format!("No tool output found for function call {id}.")));
    }
    let uncalled = ids("function_call_output").find(|id| !ids("function_call").any(|of| of == *id));
    if let (Some(id), false) = (uncalled, goes_on) {
        let message = format!("No tool call found for function call output with call_id {id}.");
        return Err(Problem::invalid("input", message));
    }
    let mut following = items.iter().skip(1);
    for item in items {
        let next = following.next();
        let by_user = |next: &Value| matches!(word(next, "role"), Some("user" | "system" | "developer"));
        if word(item, "type") == Some("reasoning") && next.is_none_or(by_user) {
            let id = word(item, "id").unwrap_or_default();
            let message =
                format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
            return Err(Problem::invalid("input", message));
        }
    }
    Ok(())
}
