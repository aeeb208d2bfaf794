//! What to answer, and what to break.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::Deserialize;

use crate::Provider;

/// How one call is answered. Methods change the plain good answer.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) answer: Answer,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) before_headers: Duration,
    pub(crate) before_first_token: Duration,
    pub(crate) between_tokens: Duration,
    pub(crate) interruption: Option<Interruption>,
    pub(crate) finish: Finish,
}

/// What is answered if nothing interrupts.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The default text, which quotes the question.
    Default,
    Text(String),
    ToolCall {
        name: String,
        arguments: String,
    },
    Fault(Fault),
    Raw {
        status: u16,
        content_type: String,
        body: String,
    },
    /// The connection is closed without an answer.
    CloseBeforeHeaders,
    /// Nothing ever comes.
    StallBeforeHeaders,
}

/// What goes wrong after so many tokens. An answer that is not streamed is
/// cut in the middle instead.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    pub(crate) after: usize,
    pub(crate) how: How,
}

#[derive(Clone, Debug)]
pub(crate) enum How {
    /// The body ends properly, without the terminal frame.
    End,
    /// The connection closes inside the body.
    Close,
    /// Nothing more comes.
    Stall,
    /// An error event of the dialect, then the end.
    Error(Fault),
    /// An error as bare, pretty-printed JSON between the events (Gemini does so).
    BareError(Fault),
    /// A frame whose JSON is broken, then the rest as if nothing had happened.
    Malformed,
    /// A line of so many bytes.
    LongLine(usize),
}

/// Why the model says it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The answer is complete.
    #[default]
    Stop,
    /// The limit was reached.
    Length,
    /// The provider's filter stepped in.
    ContentFilter,
}

/// Errors as the providers report them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Too much to do: Anthropic 529, the others 503.
    Overloaded,
    /// 429, with a hint on when to come back where given.
    RateLimited {
        /// The hint: a header, or Google's RetryInfo.
        #[serde(default)]
        retry_after_seconds: Option<u32>,
    },
    /// The account is empty or its daily quota used up: 429.
    QuotaExhausted,
    /// 500.
    Server,
    /// A bad key: 401; Gemini 400.
    Authentication,
    /// 403.
    Permission,
    /// 404.
    ModelNotFound,
    /// The conversation is too long: 400.
    ContextLength,
    /// 400.
    InvalidRequest,
    /// The prompt is refused: OpenAI and Azure 400; the others answer 200 and say so.
    ContentFilter,
}

impl Step {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            headers: Vec::new(),
            before_headers: Duration::ZERO,
            before_first_token: Duration::ZERO,
            between_tokens: Duration::ZERO,
            interruption: None,
            finish: Finish::default(),
        }
    }

    /// The default text, which quotes the question.
    pub fn ok() -> Self {
        Self::new(Answer::Default)
    }

    /// This text, one token a word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Answer::Text(text.into()))
    }

    /// A call of this tool with these arguments, which are JSON text.
    pub fn tool_call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::new(Answer::ToolCall { name: name.into(), arguments: arguments.into() })
    }

    /// This error.
    pub fn fault(fault: Fault) -> Self {
        Self::new(Answer::Fault(fault))
    }

    /// Whatever you like.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::new(Answer::Raw { status, content_type: content_type.into(), body: body.into() })
    }

    /// The connection is closed without an answer.
    pub fn close_before_headers() -> Self {
        Self::new(Answer::CloseBeforeHeaders)
    }

    /// Nothing ever comes.
    pub fn stall_before_headers() -> Self {
        Self::new(Answer::StallBeforeHeaders)
    }

    /// Adds or replaces a header of the answer.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits before the headers.
    #[must_use]
    pub fn before_headers(mut self, wait: Duration) -> Self {
        self.before_headers = wait;
        self
    }

    /// Waits after the opening frames, before the first token.
    #[must_use]
    pub fn before_first_token(mut self, wait: Duration) -> Self {
        self.before_first_token = wait;
        self
    }

    /// Waits before each token but the first.
    #[must_use]
    pub fn between_tokens(mut self, wait: Duration) -> Self {
        self.between_tokens = wait;
        self
    }

    /// Says that the model stopped for this reason.
    #[must_use]
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self
    }

    /// After so many tokens the body ends properly, but without the terminal frame.
    #[must_use]
    pub fn end_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::End)
    }

    /// After so many tokens the connection closes.
    #[must_use]
    pub fn close_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Close)
    }

    /// After so many tokens nothing more comes.
    #[must_use]
    pub fn stall_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Stall)
    }

    /// After so many tokens an error event comes, under status 200.
    #[must_use]
    pub fn error_after(self, tokens: usize, fault: Fault) -> Self {
        self.interrupted(tokens, How::Error(fault))
    }

    /// After so many tokens an error comes as bare JSON, not as an event.
    #[must_use]
    pub fn bare_error_after(self, tokens: usize, fault: Fault) -> Self {
        self.interrupted(tokens, How::BareError(fault))
    }

    /// After so many tokens a frame with broken JSON comes.
    #[must_use]
    pub fn malformed_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Malformed)
    }

    /// After so many tokens a line of this many bytes comes.
    #[must_use]
    pub fn long_line_after(self, tokens: usize, bytes: usize) -> Self {
        self.interrupted(tokens, How::LongLine(bytes))
    }

    pub(crate) fn interrupted(mut self, after: usize, how: How) -> Self {
        self.interruption = Some(Interruption { after, how });
        self
    }
}

/// The steps that wait for their calls.
#[derive(Debug, Default)]
pub(crate) struct Script {
    queues: HashMap<(Provider, Option<String>), VecDeque<Step>>,
    always: HashMap<Provider, Step>,
}

impl Script {
    pub(crate) fn queue(
        &mut self,
        provider: Provider,
        model: Option<&str>,
        steps: impl IntoIterator<Item = Step>,
    ) {
        self.queues.entry((provider, model.map(str::to_owned))).or_default().extend(steps);
    }

    pub(crate) fn always(&mut self, provider: Provider, step: Step) {
        self.always.insert(provider, step);
    }

    pub(crate) fn clear(&mut self, provider: Provider) {
        self.queues.retain(|(of, _), _| *of != provider);
        self.always.remove(&provider);
    }

    /// The step for the next call of this model.
    pub(crate) fn next(&mut self, provider: Provider, model: &str) -> Step {
        let mut queued = |model: Option<&str>| {
            self.queues.get_mut(&(provider, model.map(str::to_owned))).and_then(VecDeque::pop_front)
        };
        queued(Some(model))
            .or_else(|| queued(None))
            .or_else(|| self.always.get(&provider).cloned())
            .unwrap_or_else(Step::ok)
    }
}
