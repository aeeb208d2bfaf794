//! Comparing our reading with the SDK's.

use std::fmt;

use leverframe_core::model::{Dialect, Usage};
use serde_json::Value;

use crate::answer::Answer;

#[derive(Default)]
pub(crate) struct Differences(pub Vec<String>);

impl Differences {
    pub(crate) fn differ(
        &mut self,
        what: &str,
        ours: &(impl fmt::Debug + ?Sized),
        theirs: &(impl fmt::Debug + ?Sized),
    ) {
        let short = |text: String| match text.char_indices().nth(160) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        };
        self.0.push(format!(
            "{what}: we read {}, the SDK {}",
            short(format!("{ours:?}")),
            short(format!("{theirs:?}"))
        ));
    }

    pub(crate) fn same(&mut self, what: &str, ours: &str, theirs: &Value) {
        // Absent, null and "" are the same to the SDKs.
        let theirs = theirs.as_str().unwrap_or_default();
        if ours != theirs {
            self.differ(what, ours, theirs);
        }
    }

    fn count(&mut self, what: &str, ours: u64, theirs: &Value) {
        if theirs.as_u64().is_some_and(|theirs| theirs != ours) {
            self.differ(what, &ours, theirs);
        }
    }

    pub(crate) fn texts(&mut self, dialect: Dialect, answer: &Answer, expected: &Value) {
        self.same("text", &answer.text, &expected["text"]);
        // Responses has parts, which the expectation joins by lines.
        let joint = if dialect == Dialect::OpenAiResponses { "\n" } else { "" };
        let thinking: Vec<&str> =
            answer.thinking.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        self.same("thinking", &thinking.join(joint), &expected["thinking_text"]);
        if expected.get("refusal").is_some() {
            self.same("refusal", &answer.refusal, &expected["refusal"]);
        }
    }

    pub(crate) fn answer(&mut self, dialect: Dialect, answer: &Answer, expected: &Value) {
        self.texts(dialect, answer, expected);
        self.same("id", &answer.id, &expected["response_id"]);
        self.same("model", &answer.model, &expected["model"]);
        // Gemini gives a blocked prompt a reason of its own and no finish reason.
        let mut reasons = [&expected["finish_reason_raw"], &expected["block_reason"]].into_iter();
        let finish = reasons.find(|reason| reason.is_string()).unwrap_or(&Value::Null);
        self.same("finish", &answer.finish, finish);
        if expected.get("stop_sequence").is_some() {
            self.same("stop_sequence", &answer.stop_sequence, &expected["stop_sequence"]);
        }
        self.usage(dialect, &answer.usage, &expected["usage"]);
        if expected.get("oracle_note").is_none() {
            self.calls(answer, expected);
            self.kinds(dialect, answer, expected);
            self.count("citations", answer.citations, &expected["citations"]);
            self.count("annotations", answer.citations, &expected["annotations"]);
            self.count("signatures", answer.signatures, &expected["thinking_signatures"]);
            self.count("signatures", answer.signatures, &expected["thought_signatures"]);
        }
        self.extra(dialect, answer, expected);
    }

    /// What is kept beside the content.
    fn extra(&mut self, dialect: Dialect, answer: &Answer, expected: &Value) {
        let extra = |name: &str| {
            let json = answer.extra.get(dialect, name)?;
            serde_json::from_str::<Value>(json.as_str()).ok()
        };
        if expected["finish_message"].is_string() {
            let message = extra("finishMessage").unwrap_or_default();
            self.same("finish_message", message.as_str().unwrap_or_default(), &expected["finish_message"]);
        }
        if expected["incomplete_reason"].is_string() {
            let details = extra("incomplete_details").unwrap_or_default();
            self.same(
                "incomplete_reason",
                details["reason"].as_str().unwrap_or_default(),
                &expected["incomplete_reason"],
            );
        }
        if let Some(all) = expected["all_choices"].as_array() {
            let others = extra("choices").unwrap_or_default();
            let mut indexes: Vec<_> =
                others.as_array().into_iter().flatten().map(|choice| choice["index"].clone()).collect();
            indexes.dedup();
            let others = all
                .iter()
                .filter(|choice| choice["index"] != 0)
                .all(|choice| indexes.contains(&choice["index"]));
            if !others {
                self.differ("choices", &indexes, all);
            }
        }
    }

    fn kinds(&mut self, dialect: Dialect, answer: &Answer, expected: &Value) {
        let field = match dialect {
            Dialect::Anthropic => "content_block_types",
            Dialect::Gemini => "part_kinds",
            Dialect::OpenAiResponses => "output_item_types",
            Dialect::OpenAiChat => return,
        };
        let Some(theirs) = expected[field].as_array() else { return };
        let theirs: Vec<&str> = theirs.iter().filter_map(Value::as_str).collect();
        let mut ours: Vec<&str> = answer.kinds.iter().map(String::as_str).collect();
        if dialect == Dialect::Gemini {
            ours.dedup(); // as the expectation is
        }
        // Empty texts are none of ours.
        let mut left = ours.iter().peekable();
        let agree = theirs.iter().all(|kind| left.next_if(|ours| *ours == kind).is_some() || *kind == "text");
        if !agree || left.next().is_some() {
            self.differ("kinds", &ours, &theirs);
        }
    }

    fn calls(&mut self, answer: &Answer, expected: &Value) {
        let mut theirs = expected["tool_calls"].as_array().cloned().unwrap_or_default();
        // The call of an old model, which the SDK keeps apart.
        let legacy = &expected["function_call"];
        theirs.extend(legacy["name"].as_str().filter(|name| !name.is_empty()).map(|_| legacy.clone()));
        if answer.calls.len() != theirs.len() {
            self.differ("tool calls", &answer.calls, &theirs);
            return;
        }
        for ((id, name, arguments), theirs) in answer.calls.iter().zip(&theirs) {
            self.same("tool name", name, &theirs["name"]);
            if theirs["id"].is_string() {
                self.same("tool call id", id, &theirs["id"]);
            } else if id.is_empty() {
                self.0.push("a tool call has no id".to_owned());
            }
            let parsed = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            let expected = match &theirs["arguments"] {
                Value::String(text) => parsed(text),
                Value::Null => serde_json::json!({}),
                value => value.clone(),
            };
            let ours = parsed(if arguments.is_empty() { "{}" } else { arguments });
            if ours != expected {
                self.differ("arguments", &ours, &expected);
            }
        }
    }

    /// Our buckets are disjoint; the providers' are not, each in its own way.
    fn usage(&mut self, dialect: Dialect, ours: &Usage, theirs: &Value) {
        let number = |name: &str| theirs[name].as_u64().unwrap_or(0);
        if theirs.is_null() {
            if ours.input_total().is_some() || ours.output_total().is_some() {
                self.differ("usage", ours, theirs);
            }
            return;
        }
        let (input, output, cached) = match dialect {
            Dialect::Anthropic => {
                let cached = number("cache_read");
                (number("input") + cached + number("cache_write"), number("output"), cached)
            }
            Dialect::Gemini => (
                number("input") + number("tool_use_prompt"),
                number("output") + number("thoughts"),
                number("cached"),
            ),
            Dialect::OpenAiChat | Dialect::OpenAiResponses => {
                (number("input"), number("output"), number("cached"))
            }
        };
        let reasoning = theirs["reasoning"].as_u64().or_else(|| theirs["thoughts"].as_u64()).unwrap_or(0);
        // xAI counts reasoning beside the completion; its total has both.
        let total = theirs["raw"]["total_tokens"].as_u64().filter(|_| dialect == Dialect::OpenAiChat);
        let output_agrees =
            ours.output_total().unwrap_or(0) == output || (total.is_some() && ours.total() == total);
        let reasoning_agrees = dialect == Dialect::Anthropic
            || ours.reasoning.value().unwrap_or(0) == reasoning
            // One server counts more reasoning than output; no part is more than the whole.
            || reasoning > output;
        if ours.input_total().unwrap_or(0) != input
            || !output_agrees
            || !reasoning_agrees
            || ours.cache_read.value().unwrap_or(0) != cached
        {
            self.differ("usage", ours, theirs);
        }
    }
}
