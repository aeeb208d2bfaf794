//! The names of OpenTelemetry's semantic conventions for generative AI, v1.41
//! (status: development), in one place.

use leverframe_core::model::{Dialect, FinishReason, ProviderName};

/// The only operation there is.
pub(super) const CHAT: &str = "chat";

/// `gen_ai.provider.name`: a well-known value where there is one, else the
/// name the deployment gave the provider.
pub(super) fn provider_name(name: &ProviderName, dialect: Option<Dialect>) -> &str {
    match (name.as_str(), dialect) {
        ("azure", _) => "azure.ai.openai",
        ("mistral", _) => "mistral_ai",
        ("xai", _) => "x_ai",
        (name @ ("groq" | "deepseek"), _) => name,
        ("claude", Some(Dialect::Anthropic)) => "anthropic",
        ("gemini", Some(Dialect::Gemini)) => "gcp.gemini",
        (name, _) => name,
    }
}

/// An element of `gen_ai.response.finish_reasons`.
pub(super) fn finish_reason(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Error => "error",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_providers_have_their_well_known_names() {
        let name = |name: &str, dialect| {
            let name = ProviderName::new(name).expect("a name");
            provider_name(&name, Some(dialect)).to_owned()
        };
        assert_eq!(name("claude", Dialect::Anthropic), "anthropic");
        assert_eq!(name("gemini", Dialect::Gemini), "gcp.gemini");
        assert_eq!(name("openai", Dialect::OpenAiResponses), "openai");
        assert_eq!(name("azure", Dialect::OpenAiChat), "azure.ai.openai");
        assert_eq!(name("in-house", Dialect::OpenAiChat), "in-house");
    }
}
