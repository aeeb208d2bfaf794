//! Arguments that come in pieces, with Vertex's `streamFunctionCallArguments`.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::codec::text::Text;

/// Most levels of a path, which bounds recursion.
const MAX_DEPTH: usize = 64;

/// A piece of one argument, or a whole one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialArg<'a> {
    #[serde(borrow)]
    pub(super) json_path: Text<'a>,
    #[serde(borrow)]
    pub(super) string_value: Option<Text<'a>>,
    pub(super) number_value: Option<Number>,
    pub(super) bool_value: Option<bool>,
}

impl PartialArg<'_> {
    /// Puts the piece where its path says. `None` when the path makes no
    /// sense there.
    pub(super) fn put_into(self, arguments: &mut Map<String, Value>) -> Option<()> {
        let mut steps = steps(self.json_path.as_str())?.into_iter();
        let Some(Step::Key(first)) = steps.next() else { return None };
        let place = steps.try_fold(arguments.entry(first).or_insert(Value::Null), step_into)?;
        match (self.string_value, place) {
            (Some(text), Value::String(whole)) => whole.push_str(text.as_str()),
            (Some(text), place) => *place = Value::String(text.into_string()),
            (None, place) => {
                // What has no value is null: `nullValue`.
                let number = self.number_value.map(Value::Number);
                *place = number.or_else(|| self.bool_value.map(Value::Bool)).unwrap_or_default();
            }
        }
        Some(())
    }
}

/// One step of a path such as `$.items[0].name`.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Nth(usize),
}

fn step_into(place: &mut Value, step: Step) -> Option<&mut Value> {
    match step {
        Step::Key(key) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            Some(place.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Step::Nth(nth) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let array = place.as_array_mut()?;
            // Elements come in order: a leap would fill memory with nothing.
            if nth == array.len() {
                array.push(Value::Null);
            }
            array.get_mut(nth)
        }
    }
}

/// The steps of a JSONPath without wildcards (RFC 9535): `.key`, `['key']`, `[0]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if steps.len() >= MAX_DEPTH {
            return None;
        }
        let step;
        (step, rest) = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at_checked(end)?;
            (Step::Key(key.to_owned()), after)
        } else if let Some(quote) =
            ['\'', '"'].into_iter().find(|quote| rest.starts_with(&format!("[{quote}")))
        {
            let (key, after) = rest.get(2..)?.split_once(&format!("{quote}]"))?;
            (Step::Key(key.to_owned()), after)
        } else {
            let (nth, after) = rest.strip_prefix('[')?.split_once(']')?;
            (Step::Nth(nth.parse().ok()?), after)
        };
        steps.push(step);
    }
    Some(steps)
}
