//! Where a provider is and how it is addressed.

use std::fmt::{self, Write};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use leverframe_core::model::{Dialect, Family};
use secrecy::{ExposeSecret, SecretString};

/// A provider's address, dialect, key and habits, checked once.
///
/// `Debug` shows neither the key nor anything of the address beyond its host.
#[derive(Clone)]
pub struct Endpoint {
    dialect: Dialect,
    /// Scheme, host, port and path without a trailing slash.
    base: String,
    key: SecretString,
    auth: Auth,
    /// What the dialect makes of it: see [`Endpoint::with_api_version`].
    version: Option<String>,
    headers: HeaderMap,
    compat: Compat,
}

/// Where a provider looks for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// `authorization: Bearer KEY`: OpenAI and most servers like it, Vertex,
    /// and Anthropic's for OAuth tokens.
    Bearer,
    /// `x-api-key: KEY`: Anthropic.
    XApiKey,
    /// `x-goog-api-key: KEY`: Gemini.
    XGoogApiKey,
    /// `api-key: KEY`: Azure.
    ApiKey,
    /// Nowhere: servers of one's own, such as Ollama.
    None,
}

impl Auth {
    /// The provider's own way.
    const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Anthropic => Self::XApiKey,
            Dialect::Gemini => Self::XGoogApiKey,
            Dialect::OpenAiChat | Dialect::OpenAiResponses => Self::Bearer,
        }
    }
}

/// What a server that speaks OpenAI Chat Completions takes and does not take.
///
/// The default is OpenAI itself. Servers like it lag behind, each in its own
/// way; where one refuses a field, switch it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compat {
    /// The answer's bound is called `max_tokens`, not `max_completion_tokens`.
    pub max_tokens: bool,
    /// The role `developer` exists. Otherwise it is written as `system`.
    pub developer_role: bool,
    /// `stream_options.include_usage` may be sent. Without it OpenAI reports
    /// no usage on streams; other servers may do so unasked.
    pub stream_options: bool,
    /// Under which name earlier reasoning is taken back, if it is.
    pub reasoning: Option<ReasoningField>,
    /// `cache_control` on content parts is understood (OpenRouter).
    pub cache_control: bool,
    /// `top_k` is understood (vLLM, OpenRouter, Ollama).
    pub top_k: bool,
    /// `response_format` takes a JSON Schema.
    pub json_schema: bool,
}

impl Default for Compat {
    fn default() -> Self {
        Self {
            max_tokens: false,
            developer_role: true,
            stream_options: true,
            reasoning: None,
            cache_control: false,
            top_k: false,
            json_schema: true,
        }
    }
}

impl Compat {
    /// A server of which nothing is known: what was there from the beginning.
    pub const fn conservative() -> Self {
        Self {
            max_tokens: true,
            developer_role: false,
            stream_options: true,
            reasoning: None,
            cache_control: false,
            top_k: false,
            json_schema: true,
        }
    }
}

/// What servers call the reasoning of an assistant's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_content`: DeepSeek, Z.ai, Qwen, vLLM.
    ReasoningContent,
    /// `reasoning`: OpenRouter, Groq, newer vLLM.
    Reasoning,
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
    #[error("{0:?} is not an API version; expected for example 2023-06-01 or v1beta")]
    Version(String),
    /// A header cannot be sent.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
}

impl Endpoint {
    /// Checks an address and a key.
    ///
    /// `base_url` is what comes before `/v1/messages`, `/v1beta/models`,
    /// `/chat/completions` or `/responses`; for OpenAI it ends in `/v1`, as in
    /// its SDKs. A `{model}` in it stands for the model, for servers that want
    /// it there (Azure: `https://NAME.openai.azure.com/openai/deployments/{model}`).
    ///
    /// # Errors
    /// [`EndpointError`], which says what is wrong and never repeats the key.
    pub fn new(dialect: Dialect, base_url: &str, key: SecretString) -> Result<Self, EndpointError> {
        let base = check_base(base_url)?;
        check_key(key.expose_secret())?;
        Ok(Self {
            dialect,
            base,
            key,
            auth: Auth::of(dialect),
            version: None,
            headers: HeaderMap::new(),
            compat: Compat::default(),
        })
    }

    /// The provider's own public address.
    pub const fn default_base_url(dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Anthropic => "https://api.anthropic.com",
            Dialect::Gemini => "https://generativelanguage.googleapis.com",
            Dialect::OpenAiChat | Dialect::OpenAiResponses => "https://api.openai.com/v1",
        }
    }

    /// Asks for a version of the API, which every dialect does in its own way:
    /// Anthropic by the `anthropic-version` header (`2023-06-01`, unless set),
    /// Gemini by the path (`v1beta`, unless set; empty where the base URL has
    /// it, as for Vertex), OpenAI not at all, and Azure by the query parameter
    /// `api-version`.
    ///
    /// # Errors
    /// [`EndpointError::Version`] when it has other characters than letters,
    /// digits, `.`, `-` and `_`.
    pub fn with_api_version(mut self, version: &str) -> Result<Self, EndpointError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let empty_is_legal = self.dialect == Dialect::Gemini;
        if !version.bytes().all(legal) || (version.is_empty() && !empty_is_legal) {
            return Err(EndpointError::Version(version.to_owned()));
        }
        self.version = Some(version.to_owned());
        Ok(self)
    }

    /// Sends the key in another place than the dialect's own.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Says what a server that speaks like OpenAI takes and does not take.
    #[must_use]
    pub fn with_compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// Sends a header with every request, for example `openai-organization` or
    /// `anthropic-beta`.
    ///
    /// # Errors
    /// [`EndpointError::Header`] when its name or value cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Header(name.to_owned());
        let header = name.parse::<HeaderName>().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        // What a header holds may be a secret.
        value.set_sensitive(true);
        self.headers.append(header, value);
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

    /// What was kept of a body, without the key. Of one that is `cut`, without
    /// the beginning of a key at its end either.
    pub fn without_key_in(&self, mut bytes: Vec<u8>, cut: bool) -> Vec<u8> {
        let key = self.key.expose_secret().as_bytes();
        if cut {
            let begins = |length: &usize| key.get(..*length).is_some_and(|begin| bytes.ends_with(begin));
            let begun = (1..=key.len().min(bytes.len())).rev().find(begins).unwrap_or(0);
            bytes.truncate(bytes.len() - begun);
        }
        match memchr::memmem::find(&bytes, key) {
            None => bytes,
            Some(_) => self.without_key(&String::from_utf8_lossy(&bytes)).into_bytes(),
        }
    }

    /// The version of the API that was asked for.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What the server takes.
    pub(super) fn compat(&self) -> &Compat {
        &self.compat
    }

    /// Whether this is Google's Vertex rather than its Developer API.
    pub(super) fn is_vertex(&self) -> bool {
        self.base.contains("aiplatform.googleapis.com")
    }

    /// The address of `path`, which starts with a slash and is already encoded.
    pub(super) fn url(&self, model: &str, path: &str) -> String {
        let base = self.base.replace(MODEL, &path_segment(model));
        match (self.dialect.family(), &self.version) {
            (Family::OpenAi, Some(version)) => format!("{base}{path}?api-version={version}"),
            _ => format!("{base}{path}"),
        }
    }

    /// The headers that go with every request, the key among them.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let (name, prefix) = match self.auth {
            Auth::Bearer => (header::AUTHORIZATION, "Bearer "),
            Auth::XApiKey => (HeaderName::from_static("x-api-key"), ""),
            Auth::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), ""),
            Auth::ApiKey => (HeaderName::from_static("api-key"), ""),
            Auth::None => return headers,
        };
        let text = format!("{prefix}{}", self.key.expose_secret());
        // check_key has seen that the key is visible ASCII, and prefixes are ours.
        let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        headers.insert(name, value);
        headers
    }
}

/// What stands for the model in a base URL.
const MODEL: &str = "{model}";

/// A name as a segment of a path, percent-encoded (RFC 3986, unreserved characters).
pub(super) fn path_segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(byte.into()),
            // Writing to a string does not fail.
            _ => write!(segment, "%{byte:02X}").unwrap_or_default(),
        }
    }
    segment
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.base.replace(MODEL, "model");
        let host = base.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
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
    let uri: Uri = base.replace(MODEL, "model").parse().map_err(|_| wrong("it does not parse"))?;
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
        assert_eq!(endpoint.url("m", "/v1"), "http://127.0.0.1:1/v1");
        let endpoint = endpoint.with_header("x-org", "also-secret").expect("valid");
        for auth in [Auth::Bearer, Auth::XApiKey, Auth::XGoogApiKey, Auth::ApiKey, Auth::None] {
            let endpoint = endpoint.clone().with_auth(auth);
            assert!(!format!("{endpoint:?} {:?}", endpoint.headers()).contains("secret"));
            assert_eq!(endpoint.headers().len(), if auth == Auth::None { 1 } else { 2 });
        }
        assert_eq!(check_key(""), Err(EndpointError::Key("is empty")));
        assert!(check_key("sk\n").is_err_and(|error| !error.to_string().contains("sk")));
    }

    #[test]
    fn azure_has_the_model_in_the_path_and_the_version_in_the_query() {
        let base = "https://me.openai.azure.com/openai/deployments/{model}";
        let endpoint = Endpoint::new(Dialect::OpenAiChat, base, SecretString::from("k")).expect("valid");
        let endpoint = endpoint.with_api_version("2024-10-21").expect("valid").with_auth(Auth::ApiKey);
        assert_eq!(
            endpoint.url("my gpt", "/chat/completions"),
            "https://me.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
        );
        assert!(format!("{endpoint:?}").contains("me.openai.azure.com"));
        for version in ["", "a b", "x&y=1"] {
            assert!(endpoint.clone().with_api_version(version).is_err(), "{version}");
        }
    }
}
