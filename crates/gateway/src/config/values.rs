//! What single settings look like.

use std::time::Duration;

use leverframe_router::Policy;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The longest time that may be configured. Far longer ones cannot be added to
/// the time of day.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A length of time: `500ms`, `10s`, `5m`, `1h 30m`. Ten years at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span: Option<jiff::SignedDuration> = text.parse().ok();
        let span = span.and_then(|span| Duration::try_from(span).ok()).filter(|span| !span.is_zero());
        match span {
            Some(span) if span > LONGEST => Err(D::Error::custom(format!("{text:?} is more than ten years"))),
            Some(span) => Ok(Self(span)),
            None => Err(D::Error::custom(format!(
                "{text:?} is no length of time; write it like 500ms, 10s, 5m or 1h"
            ))),
        }
    }
}

/// Which provider's API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Anthropic Messages.
    Anthropic,
    /// Gemini.
    Gemini,
    /// OpenAI Chat Completions.
    Openai,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Any server that speaks like OpenAI Chat Completions.
    OpenaiCompatible,
}

/// A policy by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyWord {
    /// In the configured order.
    Priority,
    /// At random by weight.
    Weighted,
    /// By the time to the first token.
    Fastest,
    /// By price.
    Cheapest,
    /// By the requests under way.
    LeastBusy,
    /// One conversation, one route.
    Sticky,
}

impl From<PolicyWord> for Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Priority => Self::Priority,
            PolicyWord::Weighted => Self::Weighted,
            PolicyWord::Fastest => Self::fastest(),
            PolicyWord::Cheapest => Self::Cheapest,
            PolicyWord::LeastBusy => Self::LeastBusy,
            PolicyWord::Sticky => Self::Sticky,
        }
    }
}
