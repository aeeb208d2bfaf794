//! How one call is answered.

use std::{sync::Arc, time::Duration};

use super::{Fault, Finish};

/// How one call is answered. Methods change the plain good answer; those that
/// interrupt it replace one another.
///
/// Tokens are counted from the first one of the text; fragments of a tool
/// call's arguments (in Gemini, the call) are tokens too. "After 0 tokens" is
/// after the opening frames.
/// An answer that is not streamed has no tokens to count: it is interrupted
/// in the middle of its body, and an error is all it says.
#[derive(Clone, Debug)]
#[must_use = "a step does nothing until it is queued"]
pub struct Step {
    pub(crate) answer: Answer,
    /// After the text, in parallel. Only text has any.
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) thinking: Option<String>,
    pub(crate) finish: Finish,
    /// Input and output tokens to report instead of the counted ones.
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) before_headers: Duration,
    pub(crate) before_first_token: Duration,
    pub(crate) between_tokens: Duration,
    pub(crate) interruption: Option<Interruption>,
    pub(crate) terminal_frame: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    /// JSON text.
    pub(crate) arguments: String,
}

/// What is answered if nothing interrupts.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The default text, which quotes the question.
    Default,
    Tokens(Arc<[String]>),
    /// The model refuses in these words.
    Refusal(Arc<[String]>),
    Fault(Fault),
    Raw {
        status: u16,
        content_type: String,
        body: String,
    },
    /// The connection is closed without an answer.
    CloseBeforeHeaders,
    /// The connection is reset without an answer.
    ResetBeforeHeaders,
    /// Nothing ever comes.
    StallBeforeHeaders,
}

/// What goes wrong after so many tokens.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    pub(crate) after: usize,
    pub(crate) how: How,
}

#[derive(Clone, Debug)]
pub(crate) enum How {
    /// The body ends properly, without the terminal frame.
    End,
    /// The body breaks off.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing more comes.
    Stall,
    /// An error event of the dialect, then the end.
    Error(Fault),
    /// An error as bare, pretty-printed JSON between the events (Gemini does so).
    BareError(Fault),
    /// A frame whose JSON is broken, then the rest as if nothing had happened.
    Malformed,
    /// A line of so many bytes, then the rest.
    LongLine(usize),
}

impl Step {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            calls: Vec::new(),
            thinking: None,
            finish: Finish::default(),
            usage: None,
            headers: Vec::new(),
            before_headers: Duration::ZERO,
            before_first_token: Duration::ZERO,
            between_tokens: Duration::ZERO,
            interruption: None,
            terminal_frame: true,
        }
    }

    /// The default text, which quotes the question.
    pub fn ok() -> Self {
        Self::new(Answer::Default)
    }

    /// This text, one token a word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::tokens(text.into().split_inclusive(' '))
    }

    /// A text in exactly these tokens.
    pub fn tokens<T: Into<String>>(tokens: impl IntoIterator<Item = T>) -> Self {
        Self::new(Answer::Tokens(tokens.into_iter().map(Into::into).collect()))
    }

    /// A refusal in these words, with status 200. OpenAI's model says them, one
    /// token a word, in place of content (Chat Completions: `refusal`, and it
    /// stops as usual; Responses: a `refusal` part). Of the others the
    /// provider says them, beside no content: Anthropic explains why it stopped
    /// for `refusal`, Gemini finishes for `SAFETY` with a message.
    pub fn refusal_saying(text: impl Into<String>) -> Self {
        let tokens = text.into().split_inclusive(' ').map(str::to_owned).collect();
        Self::new(Answer::Refusal(tokens))
    }

    /// A call of this tool with these arguments, which are JSON text.
    pub fn tool_call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::tool_calls([(name, arguments)])
    }

    /// Calls of these tools in one answer, with no text. Each has a name and
    /// arguments, which are JSON text.
    pub fn tool_calls<N: Into<String>, A: Into<String>>(calls: impl IntoIterator<Item = (N, A)>) -> Self {
        let step = Self::new(Answer::Tokens(Arc::default()));
        calls.into_iter().fold(step, |step, (name, arguments)| step.calling(name, arguments))
    }

    /// This error.
    pub fn fault(fault: Fault) -> Self {
        Self::new(Answer::Fault(fault))
    }

    /// Overloaded: Anthropic 529, the others 503.
    pub fn overloaded() -> Self {
        Self::fault(Fault::Overloaded)
    }

    /// 429, with a hint on when to come back where given.
    pub fn rate_limited(retry_after_seconds: Option<u32>) -> Self {
        Self::fault(Fault::RateLimited { retry_after_seconds })
    }

    /// 429 that no waiting helps: spend limit, empty account, daily quota.
    pub fn quota_exhausted() -> Self {
        Self::fault(Fault::QuotaExhausted)
    }

    /// 500.
    pub fn server_error() -> Self {
        Self::fault(Fault::Server)
    }

    /// A bad key: 401; Gemini 400.
    pub fn authentication() -> Self {
        Self::fault(Fault::Authentication)
    }

    /// 403.
    pub fn permission() -> Self {
        Self::fault(Fault::Permission)
    }

    /// 404; Responses 400.
    pub fn model_not_found() -> Self {
        Self::fault(Fault::ModelNotFound)
    }

    /// 400, the conversation is too long.
    pub fn context_length() -> Self {
        Self::fault(Fault::ContextLength)
    }

    /// 400.
    pub fn invalid_request() -> Self {
        Self::fault(Fault::InvalidRequest)
    }

    /// Status 200 and no content: Anthropic stops for `refusal`, Gemini blocks
    /// the prompt, OpenAI finishes with `content_filter` (Responses: is
    /// incomplete for it). For one with words see [`Step::refusal_saying`].
    pub fn refusal() -> Self {
        Self::text("").finish(Finish::ContentFilter)
    }

    /// Whatever you like, with no other headers than those you add.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::new(Answer::Raw { status, content_type: content_type.into(), body: body.into() })
    }

    /// The connection is closed without an answer; over HTTP/2 the stream.
    pub fn close_before_headers() -> Self {
        Self::new(Answer::CloseBeforeHeaders)
    }

    /// The connection is reset without an answer, with all its streams.
    pub fn reset_before_headers() -> Self {
        Self::new(Answer::ResetBeforeHeaders)
    }

    /// Nothing ever comes.
    pub fn stall_before_headers() -> Self {
        Self::new(Answer::StallBeforeHeaders)
    }

    /// Calls a tool as well, after the text and the calls there are. Only text
    /// is followed by calls: errors, refusals and the like stay as they are.
    pub fn calling(mut self, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        self.calls.push(ToolCall { name: name.into(), arguments: arguments.into() });
        self
    }

    /// Thinks aloud first. Anthropic and Gemini sign it: the one signs the
    /// thought, the other the first call, or else the text. Chat Completions
    /// does not show it, and only counts it. In Responses each paragraph is a
    /// part of the summary, asked for or not; `encrypted_content` is there if
    /// `include` asks for it.
    pub fn thinking(mut self, text: impl Into<String>) -> Self {
        self.thinking = Some(text.into());
        self
    }

    /// Says that the model stopped for this reason.
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = finish;
        self
    }

    /// Reports these tokens, instead of the estimated and the counted ones.
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = Some((input, output));
        self
    }

    /// Adds or replaces a header of the answer.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits before the headers.
    pub fn before_headers(mut self, wait: Duration) -> Self {
        self.before_headers = wait;
        self
    }

    /// Waits after the opening frames, before the first token.
    pub fn before_first_token(mut self, wait: Duration) -> Self {
        self.before_first_token = wait;
        self
    }

    /// Waits before each token but the first.
    pub fn between_tokens(mut self, wait: Duration) -> Self {
        self.between_tokens = wait;
        self
    }

    /// Leaves out the frame that says "this was all", and ends properly:
    /// Anthropic's `message_stop`, Gemini's chunk with the finish reason,
    /// OpenAI's `[DONE]`, and in Responses the last event.
    pub fn without_terminal_frame(mut self) -> Self {
        self.terminal_frame = false;
        self
    }

    /// After so many tokens the body ends properly, with no finish reason or
    /// terminal frame.
    pub fn end_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::End)
    }

    /// After so many tokens the connection closes; over HTTP/2 the stream.
    pub fn close_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Close)
    }

    /// After so many tokens the connection is reset, with all its streams.
    pub fn reset_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Reset)
    }

    /// After so many tokens nothing more comes.
    pub fn stall_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Stall)
    }

    /// After so many tokens an error event comes, under status 200. In
    /// Responses `response.failed` follows it; one that is not streamed has
    /// the status `failed`.
    pub fn error_after(self, tokens: usize, fault: Fault) -> Self {
        self.interrupted(tokens, How::Error(fault))
    }

    /// After so many tokens an error comes as bare JSON, not as an event.
    pub fn bare_error_after(self, tokens: usize, fault: Fault) -> Self {
        self.interrupted(tokens, How::BareError(fault))
    }

    /// After so many tokens a frame with broken JSON comes, then the rest.
    pub fn malformed_after(self, tokens: usize) -> Self {
        self.interrupted(tokens, How::Malformed)
    }

    /// After so many tokens a line of this many bytes comes, then the rest.
    pub fn long_line_after(self, tokens: usize, bytes: usize) -> Self {
        self.interrupted(tokens, How::LongLine(bytes))
    }

    pub(crate) fn interrupted(mut self, after: usize, how: How) -> Self {
        self.interruption = Some(Interruption { after, how });
        self
    }
}
