//! Names and identifiers.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// The wire protocol a provider speaks.
///
/// Several providers may share one: any OpenAI-compatible server speaks
/// [`Dialect::OpenAiChat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Anthropic Messages, `POST /v1/messages`.
    Anthropic,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI Responses, `POST /v1/responses`.
    OpenAiResponses,
}

/// Who defines a dialect. Files and model names belong to a family; what the
/// JSON looks like, to a [`Dialect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Claude.
    Anthropic,
    /// Gemini.
    Google,
    /// OpenAI, and whoever speaks like it.
    #[serde(rename = "openai")]
    OpenAi,
}

impl Dialect {
    /// All dialects, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Anthropic, Self::Gemini, Self::OpenAiChat, Self::OpenAiResponses];

    /// Who defines it.
    pub const fn family(self) -> Family {
        match self {
            Self::Anthropic => Family::Anthropic,
            Self::Gemini => Family::Google,
            Self::OpenAiChat | Self::OpenAiResponses => Family::OpenAi,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anthropic => "Anthropic Messages",
            Self::Gemini => "Gemini generateContent",
            Self::OpenAiChat => "OpenAI Chat Completions",
            Self::OpenAiResponses => "OpenAI Responses",
        })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to 64 characters out of `a-z A-Z 0-9 . _ -`. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps a name.
            ///
            /// # Errors
            /// [`NameError`] when the name is empty, too long or has other characters.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check(name).map(|()| Self(name.into()))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// What a deployment calls a provider: `claude`, `gemini`, `openai`, or any
    /// name a configuration gives.
    ProviderName;
    /// What a deployment calls one of a provider's API keys. Never the key itself.
    KeyLabel;
}

impl Default for KeyLabel {
    /// `default`: the only key of a provider that has one.
    fn default() -> Self {
        Self("default".into())
    }
}

fn check(name: &str) -> Result<(), NameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return Err(NameError { name: name.chars().take(80).collect() });
    }
    Ok(())
}

/// A name that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name: use 1 to 64 letters, digits, '.', '_' or '-'")]
pub struct NameError {
    name: String,
}

/// Identifies one request through all its attempts.
///
/// A version 7 UUID (RFC 9562), so that ids sort by time of creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Makes an id from the time of creation and ten random bytes.
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.unix_millis(), &random).into_uuid())
    }

    /// The sixteen bytes, which sort like the ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// When it was made, to the millisecond (RFC 9562, section 5.7). The epoch
    /// for an id that does not say.
    pub fn created_at(&self) -> Timestamp {
        let Some(at) = self.0.get_timestamp().filter(|_| self.0.get_version_num() == 7) else {
            return Timestamp::EPOCH;
        };
        let (seconds, nanos) = at.to_unix();
        Timestamp::EPOCH + Duration::new(seconds, nanos)
    }
}

impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
