//! A provider: where it is, how it is spoken to, what it may be asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use leverframe_core::{
    guard::{Limits, RetryPolicy},
    model::Dialect,
};
use leverframe_http::{
    codec::{Auth, Compat, Endpoint, ReasoningField},
    transport::Clocks,
};
use secrecy::SecretString;

/// How to reach one provider. Start from [`Provider::anthropic`],
/// [`Provider::gemini`] or [`Provider::openai`] and change what differs.
///
/// `Debug` does not show the keys.
#[derive(Clone)]
pub struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) base_url: String,
    /// API keys by their labels, in the order in which they are tried.
    pub(crate) keys: Vec<(String, SecretString)>,
    pub(crate) default_model: Option<String>,
    /// What it answers with for other providers' models.
    pub(crate) stand_ins: Vec<(String, String)>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) weight: f64,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) clocks: Option<Clocks>,
    /// Whether models are looked for here by their name alone.
    pub(crate) native: bool,
    /// Of each key.
    pub(crate) limits: Limits,
    /// Of single models, on each key.
    pub(crate) model_limits: BTreeMap<String, Limits>,
    pub(crate) api_version: Option<String>,
    pub(crate) auth: Option<Auth>,
    pub(crate) compat: Compat,
    /// Headers that go with every request. Their values may be secrets.
    pub(crate) headers: Vec<(String, SecretString)>,
}

/// What the key a provider is made with is called.
const FIRST_KEY: &str = "default";

impl Provider {
    fn new(name: &str, dialect: Dialect, default_model: &str, key: SecretString) -> Self {
        Self {
            name: name.to_owned(),
            dialect,
            base_url: Endpoint::default_base_url(dialect).to_owned(),
            keys: vec![(FIRST_KEY.to_owned(), key)],
            default_model: Some(default_model.to_owned()),
            stand_ins: Vec::new(),
            tags: BTreeSet::new(),
            weight: 1.0,
            retry: None,
            clocks: None,
            native: true,
            limits: Limits::default(),
            model_limits: BTreeMap::new(),
            api_version: None,
            auth: None,
            compat: Compat::default(),
            headers: Vec::new(),
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

    /// OpenAI's newer API, Responses, called `openai`. It shows reasoning, and
    /// its newest models take tools nowhere else.
    pub fn openai_responses(key: impl Into<SecretString>) -> Self {
        Self::new("openai", Dialect::OpenAiResponses, "gpt-4.1-mini", key.into())
    }

    /// A server that speaks like OpenAI Chat Completions, at `base_url`, which
    /// usually ends in `/v1`.
    ///
    /// Nothing is taken for granted that was not there from the beginning;
    /// [`compat`](Self::compat) switches on what the server has. Its models are
    /// asked for as `name/model`, and it stands in for others once it has a
    /// [`default_model`](Self::default_model).
    pub fn openai_compatible(name: &str, base_url: &str, key: impl Into<SecretString>) -> Self {
        let mut provider = Self::new(name, Dialect::OpenAiChat, "", key.into()).base_url(base_url);
        (provider.default_model, provider.native) = (None, false);
        provider.compat = Compat::conservative();
        provider
    }

    /// OpenAI's models at Azure, called `azure`. The deployment is the model;
    /// the API version is a date such as `2024-10-21`.
    pub fn azure(resource: &str, api_version: &str, key: impl Into<SecretString>) -> Self {
        let base = format!("https://{resource}.openai.azure.com/openai/deployments/{{model}}");
        let mut provider = Self::new("azure", Dialect::OpenAiChat, "", key.into()).base_url(base);
        (provider.default_model, provider.native) = (None, false);
        provider.auth = Some(Auth::ApiKey);
        provider.api_version(api_version)
    }

    /// Ollama on this machine, called `ollama`. It asks for no key.
    pub fn ollama() -> Self {
        let provider = Self::openai_compatible("ollama", "http://127.0.0.1:11434/v1", "none");
        provider.auth(Auth::None).compat(Compat { top_k: true, ..Compat::conservative() })
    }

    /// vLLM at `base_url`, called `vllm`, for example `http://127.0.0.1:8000/v1`.
    pub fn vllm(base_url: &str, key: impl Into<SecretString>) -> Self {
        let reasoning = Some(ReasoningField::ReasoningContent);
        let compat = Compat { top_k: true, reasoning, ..Compat::conservative() };
        Self::openai_compatible("vllm", base_url, key).compat(compat)
    }

    /// Groq, called `groq`.
    pub fn groq(key: impl Into<SecretString>) -> Self {
        let compat = Compat {
            max_tokens: false,
            reasoning: Some(ReasoningField::Reasoning),
            ..Compat::conservative()
        };
        Self::openai_compatible("groq", "https://api.groq.com/openai/v1", key).compat(compat)
    }

    /// Mistral, called `mistral`.
    pub fn mistral(key: impl Into<SecretString>) -> Self {
        let compat = Compat { stream_options: false, ..Compat::conservative() };
        Self::openai_compatible("mistral", "https://api.mistral.ai/v1", key).compat(compat)
    }

    /// DeepSeek, called `deepseek`.
    pub fn deepseek(key: impl Into<SecretString>) -> Self {
        let reasoning = Some(ReasoningField::ReasoningContent);
        let compat = Compat { reasoning, json_schema: false, ..Compat::conservative() };
        Self::openai_compatible("deepseek", "https://api.deepseek.com", key).compat(compat)
    }

    /// xAI, called `xai`.
    pub fn xai(key: impl Into<SecretString>) -> Self {
        let compat = Compat { max_tokens: false, ..Compat::conservative() };
        Self::openai_compatible("xai", "https://api.x.ai/v1", key).compat(compat)
    }

    /// OpenRouter, called `openrouter`.
    pub fn openrouter(key: impl Into<SecretString>) -> Self {
        let reasoning = Some(ReasoningField::Reasoning);
        let compat = Compat { reasoning, cache_control: true, top_k: true, ..Compat::conservative() };
        Self::openai_compatible("openrouter", "https://openrouter.ai/api/v1", key).compat(compat)
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
        self.default_model = Some(model.into());
        self
    }

    /// Adds another API key. Each key is a route of its own, with its own
    /// limits and breakers; the [policy](crate::Builder::policy) says which is
    /// taken. The key the provider was made with is called `default`.
    ///
    /// Every key is one more route a request may try: consider
    /// [`Builder::attempts`](crate::Builder::attempts).
    #[must_use]
    pub fn key(mut self, label: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.keys.push((label.into(), secret.into()));
        self
    }

    /// Answers with `own_model` when it stands in for a request for
    /// `requested_model`, instead of with its
    /// [`default_model`](Self::default_model). The requested model is named as
    /// callers do (`claude/claude-opus-4-5`) or as its provider does
    /// (`claude-opus-4-5`).
    #[must_use]
    pub fn stands_in(mut self, requested_model: impl Into<String>, own_model: impl Into<String>) -> Self {
        self.stand_ins.push((requested_model.into(), own_model.into()));
        self
    }

    /// Gives all its routes these tags. A request with
    /// [`route_tags`](crate::Request::route_tags) takes only routes that have
    /// all of them.
    #[must_use]
    pub fn tags<S: Into<String>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Its share of the draw for [`Policy::Weighted`](crate::Policy::Weighted),
    /// from 0 (a last resort) to a million; 1, unless set. Its keys divide it.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// How its routes are retried. As
    /// [`Builder::retry`](crate::Builder::retry) says, unless set.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// The five clocks of an attempt with it. As
    /// [`Builder::clocks`](crate::Builder::clocks) says, unless set.
    #[must_use]
    pub fn clocks(mut self, clocks: Clocks) -> Self {
        self.clocks = Some(clocks);
        self
    }

    /// Sends at most this many requests in any minute with each of its keys.
    #[must_use]
    pub fn requests_per_minute(mut self, limit: u32) -> Self {
        self.limits.requests_per_minute = Some(limit.into());
        self
    }

    /// Keeps to these limits with each of its keys, all its models together.
    /// With `adaptive` off, models without limits of their own have none, and
    /// what the provider says of its limits is not believed.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps to these limits with one of its models on each of its keys. What
    /// the provider's answers say of its limits corrects them, and where no
    /// limits are given they are learned ([`Limits::adaptive`]).
    #[must_use]
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// Asks for a version of the API: a date for Anthropic (`2023-06-01`, unless
    /// set) and Azure, `v1` or `v1beta` for Gemini.
    #[must_use]
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Some(version.into());
        self
    }

    /// Sends the key in another place than the dialect's own.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Says what a server that speaks like OpenAI Chat Completions takes.
    #[must_use]
    pub fn compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// Sends a header with every request, for example `openai-organization` or
    /// `anthropic-beta`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for Provider {
    /// Neither keys nor the address, which may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("dialect", &self.dialect)
            .field("default_model", &self.default_model)
            .finish_non_exhaustive()
    }
}
