//! Questions to the log.

use std::{fmt, str::FromStr};

use leverframe_core::{
    error::Code,
    model::RequestId,
    record::{Outcome, Record},
    time::Timestamp,
};

use crate::{State, StoreError, terms::Term};

/// Which requests are wanted. All of them, unless said otherwise; what is said
/// must all be true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Query {
    pub(crate) request: Option<RequestId>,
    pub(crate) conversation: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) state: Option<State>,
    pub(crate) code: Option<Code>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Query {
    /// All requests.
    pub fn all() -> Self {
        Self::default()
    }

    /// The request with this id.
    pub fn request(mut self, id: RequestId) -> Self {
        self.request = Some(id);
        self
    }

    /// Those of a conversation.
    pub fn conversation(mut self, id: impl Into<String>) -> Self {
        self.conversation = Some(id.into());
        self
    }

    /// Those for a user.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// Those with this label.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Those that were tried with a provider.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Those that asked for a model, or were tried with one, by its name there.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Those that ended like this.
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Those that failed for this reason.
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Those that ended at this time or later.
    pub fn since(mut self, at: Timestamp) -> Self {
        self.since = Some(at);
        self
    }

    /// Those that ended before this time.
    pub fn until(mut self, at: Timestamp) -> Self {
        self.until = Some(at);
        self
    }

    /// Whether it asks for `record`.
    pub fn matches(&self, record: &Record) -> bool {
        let tried = |provider: Option<&str>, model: Option<&str>| {
            record.attempts.iter().any(|attempt| {
                provider.is_none_or(|name| attempt.provider.as_str() == name)
                    && model.is_none_or(|name| attempt.model == name)
            })
        };
        let (provider, model) = (self.provider.as_deref(), self.model.as_deref());
        let places = match (provider, model) {
            (None, Some(name)) => record.model == name || tried(None, Some(name)),
            (Some(provider), Some(name)) if record.model == name => tried(Some(provider), None),
            (None, None) => true,
            (provider, model) => tried(provider, model),
        };
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let failed_with =
            |code: Code| matches!(record.outcome, Outcome::Failed { code: found, .. } if found == code);
        places
            && is(&self.conversation, &record.conversation)
            && is(&self.user, &record.user)
            && self.request.is_none_or(|id| record.id == id)
            && self.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
            && self.state.is_none_or(|state| State::of(record) == state)
            && self.code.is_none_or(failed_with)
            && self.includes(record.ended_at)
    }

    /// Whether what ended then is among what it asks for.
    pub(crate) fn includes(&self, ended_at: Timestamp) -> bool {
        self.since.is_none_or(|since| ended_at >= since) && self.until.is_none_or(|until| ended_at < until)
    }

    /// What it is looked up by: what the fewest requests have. `None` where
    /// every row must be looked at.
    pub(crate) fn term(&self) -> Option<Term<'_>> {
        let of_provider = || {
            let provider = self.provider.as_deref()?;
            let with_state = self.state.map(|state| Term::ProviderState(provider, state));
            Some(with_state.unwrap_or(Term::Provider(provider)))
        };
        self.request
            .map(Term::Request)
            .or_else(|| self.conversation.as_deref().map(Term::Conversation))
            .or_else(|| self.user.as_deref().map(Term::User))
            .or_else(|| self.code.map(Term::Code))
            .or_else(|| self.tag.as_deref().map(Term::Tag))
            .or_else(of_provider)
            .or_else(|| self.model.as_deref().map(Term::Model))
            .or_else(|| self.state.map(Term::State))
    }
}

/// A place in the log: what is older than it is not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub(crate) u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Some of the requests a query asks for.
#[derive(Debug)]
pub struct Page {
    /// The requests. One that is not readable is an error in its place and does
    /// not hide the others.
    pub records: Vec<Result<Record, StoreError>>,
    /// Where to go on. `None` when there are no more.
    ///
    /// A page may be short, or empty, and still have a next one: so much is
    /// looked at for one page and no more.
    pub next: Option<Cursor>,
}
