//! Scripts in JSON, for the binary.
//!
//! A step is one flat object. Keys that contradict one another are an error,
//! at the line and column where the step ends.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};

use super::{Answer, Fault, Finish, How, Script, Step, When};
use crate::Provider;

/// Most steps that an entry may come to when repeated.
const MAX_STEPS: usize = 100_000;

/// Why a script cannot be used; names line and column.
#[derive(Debug, thiserror::Error)]
#[error("the script is not valid: {0}")]
pub struct ScriptError(#[from] serde_json::Error);

/// Adds the steps of a JSON script.
pub(crate) fn load(json: &str, script: &mut Script) -> Result<(), ScriptError> {
    let entries: Vec<Entry> = serde_json::from_str(json)?;
    for Entry { provider, model, when, steps, cycle } in entries {
        if when.asks_something() {
            script.when(provider, model, when, steps, cycle);
            continue;
        }
        script.queue(provider, model.as_deref(), steps);
        if !cycle.is_empty() {
            script.cycle(provider, model.as_deref(), cycle);
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "RawEntry")]
struct Entry {
    provider: Provider,
    model: Option<String>,
    when: When,
    steps: Vec<Step>,
    cycle: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    provider: Provider,
    /// Any model, if left out.
    model: Option<String>,
    /// Only calls that say this since the model last spoke.
    when: Option<String>,
    /// Only calls that have all of these somewhere in their bodies.
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    steps: Vec<Step>,
    /// How many times the steps are queued.
    repeat: Option<usize>,
    /// How calls are answered when the steps are used up.
    always: Option<Step>,
    /// The same, in turn.
    #[serde(default)]
    cycle: Vec<Step>,
}

impl TryFrom<RawEntry> for Entry {
    type Error = String;

    fn try_from(raw: RawEntry) -> Result<Self, String> {
        if raw.always.is_some() && !raw.cycle.is_empty() {
            return Err("`always` and `cycle` exclude each other; keep one of them".to_owned());
        }
        if raw.repeat.is_some() && raw.steps.is_empty() {
            return Err("`repeat` repeats `steps`, and there are none; add some".to_owned());
        }
        let times = raw.repeat.unwrap_or(1);
        if raw.steps.len().saturating_mul(times) > MAX_STEPS {
            return Err(format!("this repeats to more than {MAX_STEPS} steps; use `cycle` instead"));
        }
        let steps = std::iter::repeat_n(raw.steps, times).flatten().collect();
        let cycle = raw.always.map_or(raw.cycle, |step| vec![step]);
        let when = When { says: raw.when, with: raw.with };
        Ok(Self { provider: raw.provider, model: raw.model, when, steps, cycle })
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Line::deserialize(from)?.into_step().map_err(serde::de::Error::custom)
    }
}

/// A step as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    // What is answered: one of these, or else the default text.
    text: Option<String>,
    tokens: Option<Vec<String>>,
    fault: Option<Fault>,
    refusal: Option<Refusal>,
    body: Option<String>,
    before_headers: Option<BeforeHeaders>,
    // Alone, or after `text` or `tokens`: one of these.
    tool_call: Option<ToolCall>,
    tool_calls: Option<Vec<ToolCall>>,
    // Only beside `body`.
    status: Option<u16>,
    content_type: Option<String>,
    // Details.
    thinking: Option<String>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    headers: BTreeMap<String, String>,
    before_headers_ms: u64,
    before_first_token_ms: u64,
    between_tokens_ms: u64,
    without_terminal_frame: Option<Yes>,
    // What interrupts it: one of these.
    end_after: Option<usize>,
    close_after: Option<usize>,
    reset_after: Option<usize>,
    stall_after: Option<usize>,
    malformed_after: Option<usize>,
    error_after: Option<ErrorAfter>,
    bare_error_after: Option<ErrorAfter>,
    long_line_after: Option<LongLineAfter>,
}

/// The only value of a key that is there or is not.
#[derive(Debug, Deserialize)]
#[serde(try_from = "bool")]
struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, &'static str> {
        yes.then_some(Self).ok_or("this can only be true; leave it out instead of false")
    }
}

/// Just a refusal, or its words.
#[derive(Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
enum Refusal {
    Silent,
    Saying(String),
}

impl TryFrom<serde_json::Value> for Refusal {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, &'static str> {
        match value {
            serde_json::Value::Bool(true) => Ok(Self::Silent),
            serde_json::Value::String(words) => Ok(Self::Saying(words)),
            _ => Err("`refusal` is true or its words; leave it out for none"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCall {
    name: String,
    /// JSON text, or the JSON itself.
    arguments: serde_json::Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BeforeHeaders {
    Close,
    Reset,
    Stall,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    input: u64,
    output: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorAfter {
    tokens: usize,
    fault: Fault,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LongLineAfter {
    tokens: usize,
    bytes: usize,
}

impl Line {
    fn into_step(self) -> Result<Step, String> {
        if self.body.is_none() && (self.status.is_some() || self.content_type.is_some()) {
            return Err("`status` and `content_type` belong to a `body`; add one".to_owned());
        }
        let calls =
            one_of("tool_call, tool_calls", [self.tool_call.map(|call| vec![call]), self.tool_calls])?;
        let raw = |body| {
            let content_type = self.content_type.as_deref().unwrap_or("application/json");
            Step::raw(self.status.unwrap_or(200), content_type, body)
        };
        let answer = one_of(
            "text, tokens, fault, refusal, body, before_headers",
            [
                self.text.map(Step::text),
                self.tokens.map(Step::tokens),
                self.fault.map(Step::fault),
                self.refusal.map(|refusal| match refusal {
                    Refusal::Silent => Step::refusal(),
                    Refusal::Saying(words) => Step::refusal_saying(words),
                }),
                self.body.map(raw),
                self.before_headers.map(|what| match what {
                    BeforeHeaders::Close => Step::close_before_headers(),
                    BeforeHeaders::Reset => Step::reset_before_headers(),
                    BeforeHeaders::Stall => Step::stall_before_headers(),
                }),
            ],
        )?;
        let interruption = one_of(
            "end_after, close_after, reset_after, stall_after, malformed_after, error_after, \
             bare_error_after, long_line_after",
            [
                self.end_after.map(|after| (after, How::End)),
                self.close_after.map(|after| (after, How::Close)),
                self.reset_after.map(|after| (after, How::Reset)),
                self.stall_after.map(|after| (after, How::Stall)),
                self.malformed_after.map(|after| (after, How::Malformed)),
                self.error_after.map(|error| (error.tokens, How::Error(error.fault))),
                self.bare_error_after.map(|error| (error.tokens, How::BareError(error.fault))),
                self.long_line_after.map(|line| (line.tokens, How::LongLine(line.bytes))),
            ],
        )?;
        let answer = match calls {
            None => answer.unwrap_or_else(Step::ok),
            Some(calls) => {
                let said = answer.unwrap_or_else(|| Step::text(""));
                if !matches!(said.answer, Answer::Tokens(_)) {
                    return Err(
                        "calls of tools go with `text` or `tokens` only; make two steps of it".to_owned()
                    );
                }
                calls.into_iter().fold(said, |step, call| step.calling(call.name, text(call.arguments)))
            }
        };
        let mut step = answer
            .before_headers(Duration::from_millis(self.before_headers_ms))
            .before_first_token(Duration::from_millis(self.before_first_token_ms))
            .between_tokens(Duration::from_millis(self.between_tokens_ms));
        step.headers = self.headers.into_iter().collect();
        step.finish = self.finish.unwrap_or(step.finish);
        step.thinking = self.thinking;
        step.usage = self.usage.map(|usage| (usage.input, usage.output));
        step.terminal_frame = self.without_terminal_frame.is_none();
        Ok(match interruption {
            Some((after, how)) => step.interrupted(after, how),
            None => step,
        })
    }
}

fn one_of<T, const N: usize>(names: &str, choices: [Option<T>; N]) -> Result<Option<T>, String> {
    let mut chosen = choices.into_iter().flatten();
    let first = chosen.next();
    match chosen.next() {
        Some(_) => Err(format!("a step takes only one of {names}; make two steps of it")),
        None => Ok(first),
    }
}

fn text(json: serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = &mut Script::new(Step::ok());
        let json = r#"[
            {"provider": "anthropic", "model": "m", "repeat": 2, "steps": [
                {"fault": "overloaded"},
                {"text": "hi there", "close_after": 1, "usage": {"input": 3, "output": 4}}
            ]},
            {"provider": "gemini", "always": {"fault": {"rate_limited": {"retry_after_seconds": 2}}}},
            {"provider": "openai", "cycle": [
                {"tool_call": {"name": "f", "arguments": {"a": 1}}},
                {"text": "Let me see.", "tool_calls": [
                    {"name": "f", "arguments": {}}, {"name": "g", "arguments": "{}"}
                ]},
                {"error_after": {"tokens": 1, "fault": "server"}, "headers": {"x-a": "b"}},
                {"before_headers": "reset"},
                {"refusal": "I will not."}
            ]}
        ]"#;
        load(json, script).expect("valid");
        let mut next = |provider| script.next(provider, "m", &serde_json::Value::Null);
        for _ in 0..2 {
            assert!(matches!(next(Provider::Anthropic).answer, Answer::Fault(Fault::Overloaded)));
            let text = next(Provider::Anthropic);
            assert!(matches!(text.answer, Answer::Tokens(tokens) if *tokens == ["hi ", "there"]));
            assert!(matches!(text.interruption.expect("given").how, How::Close));
            assert_eq!(text.usage, Some((3, 4)));
        }
        assert!(matches!(next(Provider::Anthropic).answer, Answer::Default));
        let limited = Fault::RateLimited { retry_after_seconds: Some(2) };
        assert!(matches!(next(Provider::Gemini).answer, Answer::Fault(fault) if fault == limited));
        for _ in 0..2 {
            let called = next(Provider::OpenAi);
            let arguments: Vec<_> = called.calls.iter().map(|call| call.arguments.as_str()).collect();
            assert_eq!(arguments, [r#"{"a":1}"#]);
            assert!(matches!(called.answer, Answer::Tokens(tokens) if tokens.is_empty()));
            let called = next(Provider::OpenAi);
            assert_eq!(called.calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["f", "g"]);
            assert!(matches!(called.answer, Answer::Tokens(tokens) if *tokens == ["Let ", "me ", "see."]));
            assert_eq!(next(Provider::OpenAi).headers, [("x-a".to_owned(), "b".to_owned())]);
            assert!(matches!(next(Provider::OpenAi).answer, Answer::ResetBeforeHeaders));
            let refusal = next(Provider::OpenAi).answer;
            assert!(matches!(refusal, Answer::Refusal(words) if *words == ["I ", "will ", "not."]));
        }
    }

    #[test]
    fn a_wrong_script_says_where_and_what_and_changes_nothing() {
        let script = &mut Script::new(Step::ok());
        let entry = |step: &str| format!(r#"[{{"provider": "openai", "steps": [{step}]}}]"#);
        for (wrong, says) in [
            ("{}".to_owned(), "expected a sequence"),
            (r#"[{"provider": "nobody"}]"#.to_owned(), "`anthropic`"),
            (r#"[{"provider": "openai", "stepps": []}]"#.to_owned(), "`steps`"),
            (r#"[{"provider": "openai", "always": {}, "cycle": [{}]}]"#.to_owned(), "keep one"),
            (r#"[{"provider": "openai", "repeat": 3}]"#.to_owned(), "there are none"),
            (r#"[{"provider": "openai", "steps": [{}], "repeat": 1000000}]"#.to_owned(), "use `cycle`"),
            (entry(r#"{"txt": "hi"}"#), "`text`"),
            (entry(r#"{"text": "hi", "fault": "server"}"#), "only one of text"),
            (
                entry(r#"{"tool_call": {"name": "f", "arguments": {}}, "tool_calls": []}"#),
                "only one of tool_call",
            ),
            (entry(r#"{"tool_calls": [], "fault": "server"}"#), "go with `text`"),
            (entry(r#"{"end_after": 1, "stall_after": 1}"#), "only one of end_after"),
            (entry(r#"{"status": 503}"#), "belong to a `body`"),
            (entry(r#"{"refusal": false}"#), "leave it out"),
            (entry(r#"{"fault": {"rate_limited": {"after": 1}}}"#), "`retry_after_seconds`"),
        ] {
            let error = load(&wrong, script).expect_err(&wrong).to_string();
            assert!(error.contains("line 1 column") && error.contains(says), "{wrong}: {error}");
        }
        assert!(matches!(
            script.next(Provider::OpenAi, "m", &serde_json::Value::Null).answer,
            Answer::Default
        ));
    }
}
