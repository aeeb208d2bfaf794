//! Scripts in JSON, for the binary.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    Fault, Finish, Provider, Step,
    script::{How, Script},
};

/// Why a script cannot be used; names line and column.
#[derive(Debug, thiserror::Error)]
#[error("the script is not valid: {0}")]
pub struct ScriptError(#[from] serde_json::Error);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: Provider,
    /// Any model, if left out.
    model: Option<String>,
    #[serde(default)]
    steps: Vec<Line>,
    /// How calls are answered when the steps are used up.
    always: Option<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    text: Option<String>,
    fault: Option<Fault>,
    status: Option<u16>,
    body: Option<String>,
    content_type: Option<String>,
    finish: Finish,
    headers: Vec<(String, String)>,
    before_headers_ms: u64,
    before_first_token_ms: u64,
    between_tokens_ms: u64,
    end_after: Option<usize>,
    close_after: Option<usize>,
    stall_after: Option<usize>,
    malformed_after: Option<usize>,
}

impl Line {
    fn into_step(self) -> Step {
        let mut step = match (self.fault, self.body, self.text) {
            (Some(fault), ..) => Step::fault(fault),
            (None, Some(body), _) => {
                let content_type = self.content_type.unwrap_or_else(|| "application/json".to_owned());
                Step::raw(self.status.unwrap_or(200), content_type, body)
            }
            (None, None, Some(text)) => Step::text(text),
            (None, None, None) => Step::ok(),
        };
        step = step
            .finish(self.finish)
            .before_headers(Duration::from_millis(self.before_headers_ms))
            .before_first_token(Duration::from_millis(self.before_first_token_ms))
            .between_tokens(Duration::from_millis(self.between_tokens_ms));
        for (name, value) in self.headers {
            step = step.header(name, value);
        }
        let interruptions = [
            (self.end_after, How::End),
            (self.close_after, How::Close),
            (self.stall_after, How::Stall),
            (self.malformed_after, How::Malformed),
        ];
        for (after, how) in interruptions {
            if let Some(after) = after {
                step = step.interrupted(after, how);
            }
        }
        step
    }
}

/// Adds the steps of a JSON script.
pub(crate) fn load(json: &str, script: &mut Script) -> Result<(), ScriptError> {
    let entries: Vec<Entry> = serde_json::from_str(json)?;
    for entry in entries {
        script.queue(entry.provider, entry.model.as_deref(), entry.steps.into_iter().map(Line::into_step));
        if let Some(always) = entry.always {
            script.always(entry.provider, always.into_step());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_and_a_wrong_one_says_where() {
        let script = &mut Script::default();
        let json = r#"[
            {"provider": "anthropic", "model": "m", "steps": [{"fault": "overloaded"}, {"text": "hi", "close_after": 1}]},
            {"provider": "gemini", "always": {"fault": {"rate_limited": {"retry_after_seconds": 2}}}}
        ]"#;
        load(json, script).expect("valid");
        let (first, second, third) = (
            script.next(Provider::Anthropic, "m"),
            script.next(Provider::Anthropic, "m"),
            script.next(Provider::Gemini, "x"),
        );
        assert!(matches!(first.answer, crate::script::Answer::Fault(Fault::Overloaded)));
        assert!(second.interruption.is_some());
        assert!(matches!(third.answer, crate::script::Answer::Fault(Fault::RateLimited { .. })));
        for wrong in ["{}", "[{\"provider\": \"nobody\"}]", "[{\"provider\": \"openai\", \"stepps\": []}]"] {
            let error = load(wrong, script).expect_err(wrong).to_string();
            assert!(error.contains("line 1"), "{error}");
        }
    }
}
