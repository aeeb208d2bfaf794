//! A provider: where it is, how it is spoken to, what it may be asked.

use leverframe_core::model::Dialect;
use secrecy::SecretString;

/// How to reach one provider. Start from [`Provider::anthropic`],
/// [`Provider::gemini`] or [`Provider::openai`] and change what differs.
///
/// `Debug` does not show the key.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) base_url: String,
    pub(crate) key: SecretString,
    pub(crate) default_model: String,
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) anthropic_version: Option<String>,
}

impl Provider {
    fn new(name: &str, dialect: Dialect, default_model: &str, key: SecretString) -> Self {
        Self {
            name: name.to_owned(),
            dialect,
            base_url: leverframe_http::codec::Endpoint::default_base_url(dialect).to_owned(),
            key,
            default_model: default_model.to_owned(),
            requests_per_minute: None,
            anthropic_version: None,
        }
    }

    /// Anthropic, called `claude`. Falls back to `claude-sonnet-5`.
    pub fn anthropic(key: impl Into<SecretString>) -> Self {
        Self::new("claude", Dialect::Anthropic, "claude-sonnet-5", key.into())
    }

    /// Gemini, called `gemini`. Falls back to `gemini-3.6-flash`.
    pub fn gemini(key: impl Into<SecretString>) -> Self {
        Self::new("gemini", Dialect::Gemini, "gemini-3.6-flash", key.into())
    }

    /// OpenAI, called `openai`. Falls back to `gpt-4.1-mini`.
    pub fn openai(key: impl Into<SecretString>) -> Self {
        Self::new("openai", Dialect::OpenAiChat, "gpt-4.1-mini", key.into())
    }

    /// Calls it something else: 1 to 64 letters, digits, `.`, `_` or `-`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Reaches it at another address: what its own SDKs call the base URL.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The model that stands in when another provider's model fails, and that
    /// the name `default` means for the default provider.
    #[must_use]
    pub fn default_model(mut self, model: impl Into<String>) -> Self {
        self.default_model = model.into();
        self
    }

    /// Sends at most this many requests in any minute.
    #[must_use]
    pub fn requests_per_minute(mut self, limit: u32) -> Self {
        self.requests_per_minute = Some(limit);
        self
    }

    /// Asks for another version of the Anthropic API than `2023-06-01`.
    #[must_use]
    pub fn anthropic_version(mut self, version: impl Into<String>) -> Self {
        self.anthropic_version = Some(version.into());
        self
    }
}
