//! Cases that differ in a known way, each with the reason. One that is listed
//! and agrees fails the test, so that the list stays honest.

use crate::corpus::Case;

pub(crate) const ANSWERS: &str = "answers";
pub(crate) const REQUESTS: &str = "requests";

/// A known difference.
struct Known {
    of: &'static str,
    provider: &'static str,
    name: &'static str,
    /// What the difference begins with; empty for all of the case.
    what: &'static str,
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        of: ANSWERS,
        provider: "anthropic",
        name: "ai.spliced-message-start.0",
        what: "",
        why: "two messages spliced into one stream; its oracle_note says that it is none",
    },
    Known {
        of: ANSWERS,
        provider: "anthropic",
        name: "anthropic-sdk-python.incomplete-partial-json-response.0",
        what: "arguments:",
        why: "arguments cut short by max_tokens; the SDK mends the JSON, we keep what was written",
    },
    Known {
        of: ANSWERS,
        provider: "openai_responses",
        name: "ai.azure-reasoning-encrypted-content-1.0",
        what: "",
        why: "four answers one after the other in one file: the stream ends with the first, the SDK reads on",
    },
    Known {
        of: ANSWERS,
        provider: "openai_responses",
        name: "ai.openai-shell-tool-1.0",
        what: "",
        why: "two answers one after the other in one file: the stream ends with the first, the SDK reads on",
    },
    Known {
        of: ANSWERS,
        provider: "openai_chat",
        name: "pydantic-ai.test-openai-moderation-stream.0",
        what: "usage:",
        why: "a chunk without usage follows the one with it; the SDK forgets, we keep",
    },
    Known {
        of: ANSWERS,
        provider: "openai_chat",
        name: "pydantic-ai.test-snowflake-test-snowflake-thinking.0",
        what: "thinking:",
        why: "the reasoning is in reasoning_details only, which the SDK does not read",
    },
    Known {
        of: ANSWERS,
        provider: "openai_chat",
        name: "pydantic-ai.test-snowflake-thinking-streaming.0",
        what: "thinking:",
        why: "the reasoning is in reasoning_details only, which the SDK does not read",
    },
];

/// Why a case differs in this, if it may.
pub(crate) fn why(of: &str, case: &Case, difference: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| {
        known.of == of
            && known.provider == case.provider
            && known.name == case.name
            && difference.starts_with(known.what)
    });
    known.map(|known| known.why)
}

/// Whether a case is listed for a test.
pub(crate) fn is_listed(of: &str, case: &Case) -> bool {
    KNOWN.iter().any(|known| known.of == of && known.provider == case.provider && known.name == case.name)
}
