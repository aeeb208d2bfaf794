//! What is kept of a provider.

use std::{collections::BTreeMap, fmt, time::Duration};

use leverframe_core::{
    guard::LimitKind,
    model::{Dialect, KeyLabel, ProviderName},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A provider as it is configured, with its keys in the open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// What it is, without its keys.
    pub settings: ProviderSettings,
    /// Its API keys.
    pub keys: Vec<ApiKey>,
}

/// What is kept in the open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its name, which is what it is found by.
    pub name: ProviderName,
    /// The dialect it speaks.
    pub dialect: Dialect,
    /// Whether it is used.
    pub enabled: bool,
    /// Its place among the others: lower is tried sooner.
    pub priority: u32,
    /// Where it is. `None`: where the dialect's own provider is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The model where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Most retries on one route. `None`: as for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long a whole attempt may take. `None`: as for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Limits of each key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<LimitKind, u64>,
    /// Who is asked when it fails, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<ProviderName>,
}

/// One API key of a provider.
#[derive(Clone)]
pub struct ApiKey {
    /// What it is called; part of every record.
    pub label: KeyLabel,
    /// The key.
    pub key: SecretString,
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl Eq for ApiKey {}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A row of the table.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    /// JSON of the [`ProviderSettings`], byte for byte as it was sealed with the keys.
    pub(super) settings: Box<RawValue>,
    pub(super) keys: Vec<SealedKey>,
}

/// An API key as it is stored: nonce, ciphertext and tag.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedKey {
    pub(super) label: KeyLabel,
    pub(super) sealed: Vec<u8>,
}
