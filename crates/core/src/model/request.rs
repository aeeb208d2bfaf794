//! What a caller asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Block, CacheControl, Dialect, Extra, Field, Json, Losses, Message, Original, OutputFormat, Reasoning,
    Role, SafetySetting, Sampling, ServiceTier, Text, Tool, ToolChoice,
};

/// A request to a model, in no provider's dialect.
///
/// Built with methods that read like a sentence; checked by
/// [`validate`](crate::validate::validate), never before.
///
/// ```
/// use leverframe_core::model::Request;
///
/// let request = Request::new("claude-sonnet-5")
///     .system("Answer in one sentence.")
///     .user("Why is the sky blue?")
///     .temperature(0.2);
/// assert_eq!(request.messages.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The model's name as the caller knows it.
    pub model: String,
    /// The system prompt, in one piece or several.
    pub system: Vec<Text>,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model must, may or must not call a tool. `None` leaves the
    /// provider's default: the model decides.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn. `None` leaves the
    /// provider's default: they may.
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens the answer may have, reasoning included.
    pub max_output_tokens: Option<u32>,
    /// How the next token is drawn.
    pub sampling: Sampling,
    /// Texts that end the answer when the model writes one.
    pub stop_sequences: Vec<String>,
    /// How much the model is to think.
    pub reasoning: Option<Reasoning>,
    /// The form the answer must have.
    pub output: Option<OutputFormat>,
    /// Log probabilities of the answer's tokens, and of so many others in the
    /// place of each.
    pub logprobs: Option<u32>,
    /// From when on harmful content is blocked (Gemini).
    pub safety: Vec<SafetySetting>,
    /// How fast and at which price.
    pub service_tier: Option<ServiceTier>,
    /// Who the caller asks for, in a form that tells the provider nothing of
    /// the person. For the provider's abuse detection.
    pub user: Option<String>,
    /// Labels to find the request by in the provider's records.
    pub metadata: BTreeMap<String, String>,
    /// Requests with the same key are more likely to find the same prompt
    /// cache (OpenAI).
    pub cache_key: Option<String>,
    /// A prompt cache whose end the provider chooses (Anthropic).
    pub cache: Option<CacheControl>,
    /// What is not modelled, for the dialects that know it.
    pub extra: Extra,
    /// What may get lost where a dialect cannot say all of this.
    pub losses: Losses,
    /// Most time the whole request may take, retries and fallbacks included.
    /// `None` takes the router's default.
    pub timeout: Option<Duration>,
    /// Which conversation the request belongs to. Requests of one are kept on
    /// one route by the `sticky` policy, for its prompt cache. Not sent.
    pub conversation: Option<String>,
    /// Labels to find the request by in our own records, such as a team or a
    /// feature. Not sent.
    pub tags: BTreeSet<String>,
    /// Only routes that have all of these tags may be taken. Not sent.
    pub route_tags: BTreeSet<String>,
    /// What happens when a streamed answer breaks off after its first content.
    /// `None` takes the router's default. Not sent.
    pub on_break: Option<OnBreak>,
    /// The same as its caller wrote it, for the routes that understand that.
    pub original: Option<Original>,
}

/// What happens when a streamed answer breaks off after its first content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnBreak {
    /// The stream ends in an error that holds what had arrived.
    #[default]
    Terminate,
    /// Plain text is continued by the next route whose model is known to accept
    /// the beginning of its answer; the stream says so with
    /// [`StreamEvent::Switched`](super::StreamEvent::Switched). Anything else
    /// ends as with `Terminate`.
    Resume,
    /// Nothing is handed over before the answer is whole, so that it can be
    /// started over unseen.
    Buffer,
}

impl Request {
    /// An empty request to `model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            system: Vec::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            max_output_tokens: None,
            sampling: Sampling::default(),
            stop_sequences: Vec::new(),
            reasoning: None,
            output: None,
            logprobs: None,
            safety: Vec::new(),
            service_tier: None,
            user: None,
            metadata: BTreeMap::new(),
            cache_key: None,
            cache: None,
            extra: Extra::new(),
            losses: Losses::default(),
            timeout: None,
            conversation: None,
            tags: BTreeSet::new(),
            route_tags: BTreeSet::new(),
            on_break: None,
            original: None,
        }
    }

    /// Asks another model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// Sets the system prompt.
    #[must_use]
    pub fn system(mut self, prompt: impl Into<Text>) -> Self {
        self.system = vec![prompt.into()];
        self
    }

    /// Adds a user turn of plain text.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::user(text))
    }

    /// Adds an assistant turn of plain text.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.message(Message::assistant(text))
    }

    /// Adds a turn.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Offers a tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<Tool>) -> Self {
        self.tools.push(tool.into());
        self
    }

    /// Says whether the model must, may or must not call a tool.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// Bounds the answer, reasoning included.
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Sets the sampling temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.sampling.temperature = Some(temperature);
        self
    }

    /// Samples only from the most likely tokens whose probabilities add up to `top_p`.
    #[must_use]
    pub fn top_p(mut self, top_p: f64) -> Self {
        self.sampling.top_p = Some(top_p);
        self
    }

    /// Adds a text that ends the answer.
    #[must_use]
    pub fn stop(mut self, sequence: impl Into<String>) -> Self {
        self.stop_sequences.push(sequence.into());
        self
    }

    /// Says how much the model is to think.
    #[must_use]
    pub fn reasoning(mut self, reasoning: Reasoning) -> Self {
        self.reasoning = Some(reasoning);
        self
    }

    /// Says which form the answer must have.
    #[must_use]
    pub fn output(mut self, format: OutputFormat) -> Self {
        self.output = Some(format);
        self
    }

    /// Says what may get lost where a dialect cannot say all of this.
    #[must_use]
    pub fn losses(mut self, losses: Losses) -> Self {
        self.losses = losses;
        self
    }

    /// Sets a field that only one dialect has, by its name there.
    ///
    /// ```
    /// use leverframe_core::model::{Dialect, Json, Request};
    ///
    /// let request = Request::new("gpt-4.1-mini")
    ///     .user("Hello!")
    ///     .extra(Dialect::OpenAiChat, "verbosity", Json::parse("\"low\"")?);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn extra(mut self, dialect: Dialect, name: impl Into<String>, value: Json) -> Self {
        self.extra.set(Field { dialect, name: name.into(), value });
        self
    }

    /// Bounds the whole request in time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Says which conversation the request belongs to.
    #[must_use]
    pub fn conversation(mut self, id: impl Into<String>) -> Self {
        self.conversation = Some(id.into());
        self
    }

    /// Labels the request in our own records.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.insert(tag.into());
        self
    }

    /// Takes only routes that have this tag, and every other asked for.
    #[must_use]
    pub fn route_tag(mut self, tag: impl Into<String>) -> Self {
        self.route_tags.insert(tag.into());
        self
    }

    /// Says what happens when a streamed answer breaks off after its first
    /// content.
    #[must_use]
    pub fn on_break(mut self, policy: OnBreak) -> Self {
        self.on_break = Some(policy);
        self
    }

    /// Keeps what the caller wrote itself. Whoever changes the request afterwards,
    /// other than its model, takes it out again.
    #[must_use]
    pub fn original(mut self, original: Original) -> Self {
        self.original = Some(original);
        self
    }

    /// The same request with `text` as the beginning of the answer, which the
    /// model is asked to continue (a prefilled assistant turn).
    #[must_use]
    pub(crate) fn continuing(&self, text: &str) -> Self {
        let mut request = Self { original: None, ..self.clone() };
        request.messages.push(Message::new(Role::Assistant, vec![Block::text(text)]));
        request
    }
}
