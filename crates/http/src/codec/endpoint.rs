//! Where a provider is and how it is addressed.

use std::fmt;

use http::{HeaderValue, Uri};
use leverframe_core::model::Dialect;
use secrecy::{ExposeSecret, SecretString};

/// The version of the Anthropic API that is asked for unless configured
/// otherwise (Anthropic API reference, versioning).
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider's address, dialect and key, checked once.
///
/// `Debug` shows neither the key nor anything of the address beyond its host.
#[derive(Clone)]
pub struct Endpoint {
    dialect: Dialect,
    /// Scheme, host, port and path without a trailing slash.
    base: String,
    key: SecretString,
    anthropic_version: HeaderValue,
}

/// Why an address or key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The base URL does not parse or is not http or https.
    #[error("{url:?} is not a base URL ({why}); expected for example https://api.anthropic.com")]
    BaseUrl {
        /// What was given, without anything before an `@`.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key is empty or cannot be sent in a header.
    #[error("the API key {0}")]
    Key(&'static str),
    /// The API version cannot be sent in a header.
    #[error("{0:?} is not an API version; expected a date such as 2023-06-01")]
    Version(String),
}

impl Endpoint {
    /// Checks an address and a key.
    ///
    /// `base_url` is what comes before `/v1/messages`, `/v1beta/models` or
    /// `/chat/completions`; for OpenAI it ends in `/v1`, as in its SDKs.
    ///
    /// # Errors
    /// [`EndpointError`], which says what is wrong and never repeats the key.
    pub fn new(dialect: Dialect, base_url: &str, key: SecretString) -> Result<Self, EndpointError> {
        let base = check_base(base_url)?;
        check_key(key.expose_secret())?;
        Ok(Self { dialect, base, key, anthropic_version: HeaderValue::from_static(ANTHROPIC_VERSION) })
    }

    /// The provider's own public address.
    pub const fn default_base_url(dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Anthropic => "https://api.anthropic.com",
            Dialect::Gemini => "https://generativelanguage.googleapis.com",
            Dialect::OpenAiChat => "https://api.openai.com/v1",
        }
    }

    /// Asks for another version of the Anthropic API.
    ///
    /// # Errors
    /// [`EndpointError::Version`] when it cannot be sent in a header.
    pub fn with_anthropic_version(mut self, version: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Version(version.to_owned());
        self.anthropic_version = HeaderValue::from_str(version).map_err(|_| wrong())?;
        Ok(self)
    }

    /// The dialect spoken there.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// `text` without this endpoint's own key, should a provider quote it back.
    pub fn without_key(&self, text: &str) -> String {
        /// A shorter key would be found in ordinary words.
        const SHORTEST: usize = 8;
        let key = self.key.expose_secret();
        match key.len() < SHORTEST {
            true => text.to_owned(),
            false => text.replace(key, "[redacted]"),
        }
    }

    pub(super) fn anthropic_version(&self) -> &HeaderValue {
        &self.anthropic_version
    }

    /// The address of `path`, which starts with a slash and is already encoded.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The key behind `prefix`, marked sensitive so that no `Debug` prints it.
    pub(super) fn credential(&self, prefix: &str) -> HeaderValue {
        let text = format!("{prefix}{}", self.key.expose_secret());
        // check_key has seen that the key is visible ASCII, and prefixes are ours.
        let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.base.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        f.debug_struct("Endpoint")
            .field("dialect", &self.dialect)
            .field("host", &host)
            .finish_non_exhaustive()
    }
}

fn check_base(url: &str) -> Result<String, EndpointError> {
    // Whatever stands before an @ may be a password, and a query may hold a key.
    let shown = url.rsplit('@').next().unwrap_or_default();
    let shown = shown.split(['?', '#']).next().unwrap_or_default().to_owned();
    let wrong = |why| EndpointError::BaseUrl { url: shown.clone(), why };
    let base = url.trim_end_matches('/');
    let uri: Uri = base.parse().map_err(|_| wrong("it does not parse"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(wrong("the scheme must be http or https")),
        None => return Err(wrong("the scheme is missing")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("the host is missing"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("credentials in the address are not supported"));
    }
    if base.contains('#') {
        return Err(wrong("it must not have a fragment"));
    }
    if uri.query().is_some() {
        return Err(wrong("it must not have a query"));
    }
    Ok(base.to_owned())
}

fn check_key(key: &str) -> Result<(), EndpointError> {
    if key.trim().is_empty() {
        return Err(EndpointError::Key("is empty"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(EndpointError::Key("has white space or characters that cannot be sent; copy it again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, key: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::new(Dialect::Anthropic, url, SecretString::from(key))
    }

    #[test]
    fn bad_addresses_say_what_is_wrong() {
        let cases = [
            ("", "parse"),
            ("localhost:80", "scheme"),
            ("ftp://x", "scheme"),
            ("/just/a/path", "scheme"),
            ("http://x y", "parse"),
            ("https://me:secret@host", "credentials"),
            ("https://host/?key=secret", "query"),
            ("https://host/v1#secret", "fragment"),
        ];
        for (url, why) in cases {
            let error = endpoint(url, "k").expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_key_never_shows() {
        let endpoint = endpoint("http://127.0.0.1:1/", "sk-secret").expect("valid");
        assert_eq!(endpoint.url("/v1"), "http://127.0.0.1:1/v1");
        assert!(!format!("{endpoint:?} {:?}", endpoint.credential("Bearer ")).contains("secret"));
        assert_eq!(check_key(""), Err(EndpointError::Key("is empty")));
        assert!(check_key("sk\n").is_err_and(|error| !error.to_string().contains("sk")));
    }
}
