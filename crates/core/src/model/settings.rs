//! How an answer is to be made.

use super::{Extra, Json};

/// How the next token is drawn. `None` leaves the provider's default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// 0 to 2 (Anthropic: 0 to 1). Higher is more varied.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Draw from the `top_k` most likely tokens only.
    pub top_k: Option<u32>,
    /// Makes repeated calls alike where the provider supports it.
    pub seed: Option<i64>,
    /// -2 to 2: above 0 discourages tokens that have occurred.
    pub presence_penalty: Option<f64>,
    /// -2 to 2: above 0 discourages tokens by how often they occurred.
    pub frequency_penalty: Option<f64>,
}

/// How much a model is to think before it answers, and how much of that it is
/// to show.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reasoning {
    /// In words: OpenAI `reasoning_effort`, Anthropic `output_config.effort`,
    /// Gemini `thinkingLevel`.
    pub effort: Option<Effort>,
    /// In tokens: Anthropic `thinking`, Gemini `thinkingBudget`.
    pub thinking: Option<ThinkingMode>,
    /// What is shown of it.
    pub summary: Option<Summary>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Reasoning {
    /// So much effort.
    pub fn effort(effort: Effort) -> Self {
        Self { effort: Some(effort), ..Self::default() }
    }

    /// At most so many tokens.
    pub fn budget(tokens: u32) -> Self {
        Self { thinking: Some(ThinkingMode::Budget(tokens)), ..Self::default() }
    }

    /// No thinking before the answer.
    pub fn off() -> Self {
        Self { thinking: Some(ThinkingMode::Off), ..Self::default() }
    }

    /// With a summary of it in the answer.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.summary = Some(Summary::Auto);
        self
    }
}

/// How hard to think. Which words a model takes is its own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words are the meaning")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// All, from none to most.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The word that OpenAI and Anthropic use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort a word stands for, in either case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str().eq_ignore_ascii_case(word))
    }
}

/// How thinking is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    /// Not at all.
    Off,
    /// As the model sees fit.
    Adaptive,
    /// At most so many tokens.
    Budget(u32),
}

/// What is shown of the model's reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Nothing.
    Omitted,
    /// What the provider thinks right.
    Auto,
    /// A short summary (OpenAI Responses).
    Concise,
    /// A long one (OpenAI Responses).
    Detailed,
}

/// The form an answer must have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutputFormat {
    /// Text, which is the default everywhere.
    Text,
    /// Some JSON object. OpenAI wants the word "JSON" in the prompt.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema(Schema),
}

/// The JSON Schema of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// What it is called, where the provider wants a name (OpenAI).
    pub name: Option<String>,
    /// Tells the model what it is for (OpenAI).
    pub description: Option<String>,
    /// The schema.
    pub schema: Json,
    /// Whether to follow it to the letter (OpenAI); `None` leaves the default.
    pub strict: Option<bool>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Schema {
    /// A schema and nothing else.
    pub fn new(schema: Json) -> Self {
        Self { name: None, description: None, schema, strict: None, extra: Extra::new() }
    }
}

/// Ends a prompt cache: what comes before may be read from it next time.
///
/// Anthropic's `cache_control`. Other providers cache by themselves, and there
/// it is a loss that changes nothing but the bill.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheControl {
    /// How long it is to be kept; `None` is the provider's default.
    pub ttl: Option<CacheTtl>,
    /// What is not modelled.
    pub extra: Extra,
}

/// How long a prompt cache is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// One hour, at a higher price.
    OneHour,
}

/// From when on a kind of harmful content is blocked (Gemini).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetySetting {
    /// For example `HARM_CATEGORY_HARASSMENT`.
    pub category: String,
    /// For example `BLOCK_ONLY_HIGH`.
    pub threshold: String,
}

/// How fast and at which price an answer is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceTier {
    /// The provider's or the project's choice.
    Auto,
    /// The ordinary tier, even if a better one was paid for.
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// A tier only some provider has, in its own word.
    Other(String),
}

/// What may get lost where a dialect cannot say all of a request.
///
/// Whatever is lost is listed; see [`Loss`](crate::loss::Loss).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Losses {
    /// Nothing: the first loss is an error that names the field, and the
    /// next route is tried.
    Refuse,
    /// What leaves the question as it is: signatures and thinking of other
    /// providers, hints to caches, labels, who is asking, how tokens are drawn,
    /// how hard to think, what comes beside the answer (log probabilities).
    #[default]
    AllowMinor,
    /// Everything, down to content.
    Allow,
}
