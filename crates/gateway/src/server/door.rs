//! Who may ask, and for what.

use std::{sync::Arc, time::Duration};

use http::{header::AUTHORIZATION, request::Parts};
use leverframe_router::{
    Allowance, ConfigError, Dialect, ErrorKind, Failure, LimitKind, Limits, Timestamp,
    store::{Query, Reader, StoreError},
};
use ring::{
    digest::{SHA256, digest},
    rand::SecureRandom,
};
use subtle::ConstantTimeEq;

use super::{allowance::took, paths::query};

/// Bytes of a SHA-256 digest.
const DIGEST: usize = 32;

/// A key that callers are given, to be told apart, limited and taken away
/// without touching a provider's key.
#[derive(Clone, Debug)]
pub struct VirtualKey {
    /// What it is called; the user of its requests in the log.
    pub name: String,
    /// SHA-256 of the key. The key itself is not kept.
    digest: [u8; DIGEST],
    /// The models that may be asked for by their names here. Empty: all.
    pub models: Vec<String>,
    limits: Option<(Limits, Arc<Allowance>)>,
}

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It could be guessed.
    #[error("a key has at least {least} characters; make one with `leverframe keys new`")]
    TooShort {
        /// How many it must have.
        least: usize,
    },
    /// The system has no randomness to give.
    #[error("the system gives no randomness to make a key of")]
    NoRandomness,
    /// It is no digest.
    #[error("a key's hash is 64 hexadecimal digits; make one with `leverframe keys new`")]
    NotADigest,
}

/// What the tag of a key begins with.
pub(super) const OF_KEY: &str = "key:";

/// Requests that are read from the log at once.
const AT_ONCE: usize = 1_000;

/// Fewest characters of a key.
const LEAST: usize = 16;

impl VirtualKey {
    /// A key in the open.
    ///
    /// # Errors
    /// [`KeyError::TooShort`].
    pub fn new(name: impl Into<String>, key: &str) -> Result<Self, KeyError> {
        if key.len() < LEAST {
            return Err(KeyError::TooShort { least: LEAST });
        }
        Ok(Self { name: name.into(), digest: hashed(key), models: Vec::new(), limits: None })
    }

    /// A key by its SHA-256, in hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::NotADigest`].
    pub fn from_sha256(name: impl Into<String>, hex: &str) -> Result<Self, KeyError> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        let digest = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        let digest = digest.ok_or(KeyError::NotADigest)?;
        Ok(Self { name: name.into(), digest, models: Vec::new(), limits: None })
    }

    /// Only these models may be asked for with it.
    #[must_use]
    pub fn models<T: Into<String>>(mut self, models: impl IntoIterator<Item = T>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// What all requests with it may use together. What a request uses is counted
    /// when it is over: those under way may go beyond the limits on tokens and
    /// money.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that makes no sense.
    pub fn limits(mut self, limits: &Limits) -> Result<Self, ConfigError> {
        self.limits = Some((*limits, Allowance::new(limits)?));
        Ok(self)
    }

    /// What is left of its limits, if it has any.
    pub fn allowance(&self) -> Option<&Arc<Allowance>> {
        self.limits.as_ref().map(|(_, allowance)| allowance)
    }

    /// What its requests are marked with in the log.
    pub(super) fn tag(&self) -> String {
        format!("{OF_KEY}{}", self.name)
    }

    /// The longest time over which one of its limits counts. `None` if none does.
    fn counted_over(&self) -> Option<Duration> {
        let (limits, _) = self.limits.as_ref()?;
        LimitKind::ALL
            .into_iter()
            .filter(|kind| limits.of(*kind).is_some())
            .filter_map(LimitKind::window)
            .max()
    }

    /// A key to be given away: 256 random bits.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random() -> Result<String, KeyError> {
        let mut bytes = [0; DIGEST];
        ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
        Ok(format!("lf-{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// SHA-256 of a key in hexadecimal digits, as configurations have it.
    pub fn sha256(key: &str) -> String {
        hashed(key).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn allows(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|allowed| allowed == model)
    }
}

fn hashed(key: &str) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    bytes
}

/// The keys that open it. None: it is open to all who reach it.
#[derive(Clone, Debug, Default)]
pub struct Door {
    keys: Vec<VirtualKey>,
}

impl Door {
    /// Opens to these keys only.
    pub fn locked(keys: Vec<VirtualKey>) -> Self {
        Self { keys }
    }

    /// The keys that open it.
    pub fn keys(&self) -> &[VirtualKey] {
        &self.keys
    }

    /// With what the keys of another one have used, where they have the same name
    /// and the same limits.
    #[must_use]
    pub(super) fn in_place_of(mut self, other: &Self) -> Self {
        for key in &mut self.keys {
            let same = other.keys.iter().find(|known| known.name == key.name);
            if let (Some((limits, allowance)), Some((known, used))) =
                (&mut key.limits, same.and_then(|known| known.limits.as_ref()))
                && limits == known
            {
                *allowance = Arc::clone(used);
            }
        }
        self
    }

    /// Counts what the keys used before this process began, as far as the log
    /// has it: a restart hands no day's budget out a second time. Takes as long as
    /// it takes to read a day's requests; meanwhile less is counted.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read. What was read until then counts.
    pub fn recall(&self, log: &Reader, now: Timestamp) -> Result<(), StoreError> {
        for key in &self.keys {
            let (Some(allowance), Some(window)) = (key.allowance(), key.counted_over()) else { continue };
            let since = Timestamp::EPOCH + now.since(Timestamp::EPOCH).saturating_sub(window);
            // What ends from now on is counted when it ends.
            let query = Query::all().tag(key.tag()).since(since).until(now);
            let mut next = None;
            loop {
                let page = log.newest(&query, next, AT_ONCE)?;
                // What cannot be read is passed over: it says so to whoever looks at it.
                for record in page.records.iter().flatten() {
                    allowance.recall(&took(record), record.started_at, now);
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether no key is asked for.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whose key a request has. `None` where none is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`].
    pub(super) fn enter(&self, head: &Parts) -> Result<Option<&VirtualKey>, Failure> {
        if self.is_open() {
            return Ok(None);
        }
        let Some(key) = credential(head) else {
            return Err(Failure::new(
                ErrorKind::Authentication,
                "a key is needed; send it as your SDK sends its API key",
            ));
        };
        let digest = hashed(&key);
        // All are compared, whichever fits, so that the time taken says nothing.
        let fits = |key: &&VirtualKey| bool::from(key.digest.as_slice().ct_eq(digest.as_slice()));
        let found = self.keys.iter().filter(fits).fold(None, |_, key| Some(key));
        found.map(Some).ok_or_else(|| {
            Failure::new(
                ErrorKind::Authentication,
                "the key is not known here; ask whoever runs this gateway",
            )
        })
    }
}

/// Whether a key may ask for a model.
pub(super) fn check_model(key: Option<&VirtualKey>, model: &str) -> Result<(), Failure> {
    match key.filter(|key| !key.allows(model)) {
        None => Ok(()),
        Some(key) => {
            let message =
                format!("the key {} may not ask for {model}; it may for {}", key.name, key.models.join(", "));
            Err(Failure::new(ErrorKind::Permission, message))
        }
    }
}

/// The key a request has, wherever its SDK puts it.
fn credential(head: &Parts) -> Option<String> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::trim);
    let bearer = || {
        let (scheme, key) = header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    };
    let key = header("x-api-key").or_else(|| header("x-goog-api-key")).or_else(bearer);
    key.map(str::to_owned).or_else(|| query(head, "key")).filter(|key| !key.is_empty())
}

/// Where a request's caller says which dialect its errors are to be in.
pub(super) fn refuse(dialect: Dialect, failure: &Failure) -> http::Response<super::Reply> {
    super::reply::error(dialect, failure, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "lf-0123456789abcdef";

    fn head(uri: &str, header: Option<(&str, &str)>) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_key_is_read_from_every_place_the_sdks_put_it() {
        let door = Door::locked(vec![
            VirtualKey::new("other", "lf-another-key-altogether").expect("long enough"),
            VirtualKey::from_sha256("mine", &VirtualKey::sha256(KEY)).expect("a digest"),
        ]);
        let bearer = format!("Bearer {KEY}");
        let query = format!("/v1beta/models?key={KEY}");
        for (uri, header) in [
            ("/", Some(("authorization", bearer.as_str()))),
            ("/", Some(("x-api-key", KEY))),
            ("/", Some(("x-goog-api-key", KEY))),
            (query.as_str(), None),
        ] {
            let key = door.enter(&head(uri, header)).expect("enters").expect("a key");
            assert_eq!(key.name, "mine");
        }
        for header in [None, Some(("x-api-key", "lf-0123456789abcdee")), Some(("authorization", KEY))] {
            let failure = door.enter(&head("/", header)).expect_err("stays outside");
            assert_eq!(failure.kind, ErrorKind::Authentication);
        }
        assert!(Door::default().enter(&head("/", None)).expect("open to all").is_none());
    }

    #[test]
    fn no_key_is_kept_and_none_is_short() {
        let key = VirtualKey::new("mine", KEY).expect("long enough");
        assert!(!format!("{key:?}").contains(KEY));
        assert!(VirtualKey::new("mine", "short").is_err());
        for digest in ["", "00", &"g0".repeat(32), &"00".repeat(33)] {
            assert!(VirtualKey::from_sha256("mine", digest).is_err(), "{digest}");
        }
    }

    #[test]
    fn a_key_with_models_asks_for_no_other() {
        let key = VirtualKey::new("mine", KEY).expect("long enough").models(["fast", "cheap"]);
        assert!(check_model(Some(&key), "fast").is_ok());
        let failure = check_model(Some(&key), "best").expect_err("not allowed");
        assert!(failure.message.contains("fast, cheap"), "{}", failure.message);
        assert!(check_model(None, "best").is_ok());
    }
}
