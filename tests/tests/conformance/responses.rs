//! Answers and errors, as recorded.

use http::HeaderMap;
use leverframe_core::{error::ErrorKind, model::StreamEvent};
use leverframe_http::codec;
use serde_json::Value;

use crate::{
    answer::{Answer, read},
    compare::Differences,
    corpus::{Case, random_lengths, split},
};

/// Reads a case. `None` where it is no answer of a model.
pub(crate) fn check(case: &Case) -> Option<Vec<String>> {
    let mut differences = Differences::default();
    match (case.meta("op"), case.meta("kind")) {
        ("count_tokens" | "countTokens" | "input_tokens" | "models", _) => return None,
        (_, "stream") => stream(case, &mut differences),
        (_, "json") => json(case, &mut differences),
        (_, "error") => error(case, &mut differences),
        (_, other) => panic!("{} is of kind {other:?}", case.name),
    }
    Some(differences.0)
}

fn stream(case: &Case, differences: &mut Differences) {
    let whole = read(case.dialect, [case.body.clone()]);
    let splits = [
        ("bytes", split(&case.body, || 1)),
        ("16 KiB", split(&case.body, || 16 << 10)),
        ("random pieces", split(&case.body, random_lengths(0x9E37_79B9_7F4A_7C15))),
        ("other random pieces", split(&case.body, random_lengths(42))),
    ];
    for (name, chunks) in splits {
        if read(case.dialect, chunks) != whole {
            differences.0.push(format!("split into {name} it reads otherwise"));
        }
    }
    let answer = Answer::of_stream(case.dialect, &whole.events);
    let expected = case.expected.as_ref();
    let error = expected.map(|expected| &expected["error"]).filter(|error| error.is_object());
    match (&whole.failure, error) {
        (Some(failure), Some(error)) => {
            let message = error["message"].as_str().unwrap_or_default();
            if !failure.message.contains(message) {
                differences.differ("message", &failure.message, message);
            }
            if failure.kind == ErrorKind::Unreadable {
                differences.0.push(failure.to_string());
            }
            let partial = expected.map(|expected| &expected["partial"]).filter(|partial| partial.is_object());
            if let Some(partial) = partial {
                differences.texts(case.dialect, &answer, partial);
            }
        }
        (Some(failure), None) => differences.0.push(failure.to_string()),
        (None, Some(error)) => differences.0.push(format!("no failure, but the SDK reports {error}")),
        (None, None) => {
            if whole.events.last() != Some(&StreamEvent::End) {
                differences.0.push("the last event is not End".to_owned());
            }
            if let Some(expected) = expected {
                differences.answer(case.dialect, &answer, expected);
            }
        }
    }
}

fn json(case: &Case, differences: &mut Differences) {
    match (codec::decode(case.dialect, &HeaderMap::new(), &case.body), &case.expected) {
        (Err(failure), _) => differences.0.push(failure.to_string()),
        (Ok(response), Some(expected)) => {
            differences.answer(case.dialect, &Answer::of_response(case.dialect, response), expected);
        }
        (Ok(_), None) => {}
    }
}

fn error(case: &Case, differences: &mut Differences) {
    // Errors from fixtures have no status and were given to the SDKs as 400.
    let status = case.meta["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(400);
    let failure = codec::read_error(case.dialect, status, &HeaderMap::new(), &case.body);
    let body: Value = serde_json::from_slice(&case.body).unwrap_or_default();
    let body = body.get(0).unwrap_or(&body);
    let message = [&body["error"]["message"], &body["error"], &body["message"], &body["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default();
    if message.is_empty() || !failure.message.contains(message) {
        differences.differ("message", &failure.message, message);
    }
    if failure.kind == ErrorKind::Unreadable {
        differences.0.push(failure.to_string());
    }
    if failure.status != Some(status) {
        differences.differ("status", &failure.status, &status);
    }
}
