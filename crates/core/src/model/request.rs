//! What a caller asks for.

use std::time::Duration;

use super::{Block, Json, Message, Role};

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
    /// The system prompt.
    pub system: Option<String>,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model must, may or must not call a tool.
    pub tool_choice: ToolChoice,
    /// Most tokens the answer may have, reasoning included.
    pub max_output_tokens: Option<u32>,
    /// How the next token is drawn.
    pub sampling: Sampling,
    /// Texts that end the answer when the model writes one.
    pub stop_sequences: Vec<String>,
    /// Most time the whole request may take, retries and fallbacks included.
    /// `None` takes the router's default.
    pub timeout: Option<Duration>,
}

impl Request {
    /// An empty request to `model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            max_output_tokens: None,
            sampling: Sampling::default(),
            stop_sequences: Vec::new(),
            timeout: None,
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
    pub fn system(mut self, prompt: impl Into<String>) -> Self {
        self.system = Some(prompt.into());
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
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Says whether the model must, may or must not call a tool.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
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

    /// Bounds the whole request in time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same request with `text` as the beginning of the answer, which the
    /// model is asked to continue (a prefilled assistant turn).
    #[must_use]
    pub(crate) fn continuing(&self, text: &str) -> Self {
        let mut request = self.clone();
        request.messages.push(Message { role: Role::Assistant, content: vec![Block::Text(text.to_owned())] });
        request
    }
}

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

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// 1 to 64 characters out of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// Tells the model when and how to use it.
    pub description: Option<String>,
    /// JSON Schema of the arguments, an object.
    pub parameters: Json,
}

/// Whether the model must, may or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named(String),
}
