//! What a request can be found by.

use leverframe_core::{
    error::Code,
    model::RequestId,
    record::{Outcome, Record},
};

/// How a request ended, as queries name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// With a whole answer.
    Completed,
    /// Without one.
    Failed,
    /// Nobody knows: the process ended while it was out.
    Abandoned,
}

impl State {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Abandoned];

    /// How a record ended.
    pub fn of(record: &Record) -> Self {
        match record.outcome {
            Outcome::Completed { .. } => Self::Completed,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Abandoned => Self::Abandoned,
        }
    }

    /// The state as queries write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing a request can be found by. The index holds a hash of it; what is
/// found is compared with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    Request(RequestId),
    Conversation(&'a str),
    User(&'a str),
    Tag(&'a str),
    /// A model as it was asked for, or as a provider that was asked names it.
    Model(&'a str),
    Provider(&'a str),
    ProviderModel(&'a str, &'a str),
    State(State),
    ProviderState(&'a str, State),
    Code(Code),
}

impl Term<'_> {
    /// What the index holds of it. Part of the file's format.
    pub(crate) fn hash(self) -> u64 {
        match self {
            Self::Request(id) => hash(1, &[id.as_bytes()]),
            Self::Conversation(name) => hash(2, &[name.as_bytes()]),
            Self::User(name) => hash(3, &[name.as_bytes()]),
            Self::Tag(name) => hash(4, &[name.as_bytes()]),
            Self::Model(name) => hash(5, &[name.as_bytes()]),
            Self::Provider(name) => hash(6, &[name.as_bytes()]),
            Self::ProviderModel(provider, model) => hash(7, &[provider.as_bytes(), model.as_bytes()]),
            Self::State(state) => hash(8, &[state.as_str().as_bytes()]),
            Self::ProviderState(provider, state) => {
                hash(9, &[provider.as_bytes(), state.as_str().as_bytes()])
            }
            Self::Code(code) => hash(10, &[code.as_str().as_bytes()]),
        }
    }
}

/// FNV-1a over the parts, with what no UTF-8 text holds between them.
fn hash(kind: u8, parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    };
    eat(kind);
    for part in parts {
        part.iter().for_each(|byte| eat(*byte));
        eat(0xff);
    }
    hash
}

/// The hashes of everything `record` can be found by, in order, none twice.
pub(crate) fn of(record: &Record, hashes: &mut Vec<u64>) {
    hashes.clear();
    let mut put = |term: Term<'_>| hashes.push(term.hash());
    let state = State::of(record);
    put(Term::Request(record.id));
    put(Term::State(state));
    put(Term::Model(&record.model));
    record.conversation.iter().for_each(|name| put(Term::Conversation(name)));
    record.user.iter().for_each(|name| put(Term::User(name)));
    record.tags.iter().for_each(|tag| put(Term::Tag(tag)));
    if let Outcome::Failed { code, .. } = record.outcome {
        put(Term::Code(code));
    }
    for attempt in &record.attempts {
        let provider = attempt.provider.as_str();
        put(Term::Provider(provider));
        put(Term::Model(&attempt.model));
        put(Term::ProviderModel(provider, &attempt.model));
        put(Term::ProviderState(provider, state));
    }
    hashes.sort_unstable();
    hashes.dedup();
}
