//! What a request is for, by its method, path and headers.

use http::{Method, StatusCode, request::Parts};
use leverframe_router::{Dialect, ErrorKind, Failure};

use super::{
    Response,
    reply::{self, Reply},
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An answer.
    Ask(Asking),
    /// How many tokens a request has.
    Count {
        /// The caller's dialect.
        dialect: Dialect,
        /// Where the path names it.
        model: Option<String>,
    },
    /// Which models there are.
    Models(Dialect),
    /// What is known of one.
    Model(Dialect, String),
    /// What was counted.
    Metrics,
    /// Whether the process runs.
    Health,
    /// Whether it serves.
    Ready,
}

/// An answer that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    /// The caller's dialect.
    pub(super) dialect: Dialect,
    /// Where the path names it (Gemini).
    pub(super) model: Option<String>,
    /// Whether it is to be streamed, where the path says so (Gemini).
    pub(super) stream: bool,
    /// Whether that stream is to be a JSON array.
    pub(super) array: bool,
}

impl Asking {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, model: None, stream: false, array: false }
    }
}

/// A request that is for nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    dialect: Dialect,
    message: String,
}

impl Refused {
    pub(super) fn reply(self) -> Response<Reply> {
        let failure = Failure::new(ErrorKind::ModelNotFound, self.message);
        reply::error_with_status(self.dialect, &failure, self.status)
    }
}

/// What a request is for.
pub(super) fn target(head: &Parts) -> Result<Target, Refused> {
    let path = head.uri.path();
    let found = match path {
        "/healthz" => Some((Method::GET, Target::Health)),
        "/metrics" => Some((Method::GET, Target::Metrics)),
        "/readyz" => Some((Method::GET, Target::Ready)),
        "/v1/chat/completions" => Some((Method::POST, Target::Ask(Asking::new(Dialect::OpenAiChat)))),
        "/v1/responses" => Some((Method::POST, Target::Ask(Asking::new(Dialect::OpenAiResponses)))),
        "/v1/messages" => Some((Method::POST, Target::Ask(Asking::new(Dialect::Anthropic)))),
        "/v1/messages/count_tokens" => {
            Some((Method::POST, Target::Count { dialect: Dialect::Anthropic, model: None }))
        }
        "/v1/responses/input_tokens" => {
            Some((Method::POST, Target::Count { dialect: Dialect::OpenAiResponses, model: None }))
        }
        "/v1/models" => Some((Method::GET, Target::Models(lister(head)))),
        "/v1beta/models" => Some((Method::GET, Target::Models(Dialect::Gemini))),
        _ => model(head, path),
    };
    let Some((method, target)) = found else {
        let message = format!(
            "there is nothing at {path}; answers are at /v1/chat/completions, /v1/responses, /v1/messages and \
             /v1beta/models/MODEL:generateContent"
        );
        return Err(Refused { status: StatusCode::NOT_FOUND, dialect: lister(head), message });
    };
    match head.method == method || (method == Method::GET && head.method == Method::HEAD) {
        true => Ok(target),
        false => Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            dialect: lister(head),
            message: format!("{path} takes {method} and not {}", head.method),
        }),
    }
}

/// What is under `models/`: one model, or one of its methods (Gemini).
fn model(head: &Parts, path: &str) -> Option<(Method, Target)> {
    let (rest, beta) = match path.strip_prefix("/v1beta/models/") {
        Some(rest) => (rest, true),
        None => (path.strip_prefix("/v1/models/")?, false),
    };
    let rest = decoded(rest);
    let Some((name, method)) = rest.rsplit_once(':') else {
        let dialect = if beta { Dialect::Gemini } else { lister(head) };
        return (!rest.is_empty()).then_some((Method::GET, Target::Model(dialect, rest)));
    };
    let model = Some(name.to_owned()).filter(|name| !name.is_empty());
    let dialect = Dialect::Gemini;
    let asking = |stream, array| Target::Ask(Asking { dialect, model: model.clone(), stream, array });
    let target = match method {
        "generateContent" => asking(false, false),
        "streamGenerateContent" => asking(true, query(head, "alt").as_deref() != Some("sse")),
        "countTokens" => Target::Count { dialect, model },
        // Some names have a colon of their own (Ollama's tags).
        _ if head.method == Method::GET => {
            return Some((Method::GET, Target::Model(if beta { dialect } else { lister(head) }, rest)));
        }
        _ => return None,
    };
    Some((Method::POST, target))
}

/// Whose list of models a client of `/v1/models` expects: three dialects have
/// it under the same path.
fn lister(head: &Parts) -> Dialect {
    let has = |name: &str| head.headers.contains_key(name);
    if has("anthropic-version") || has("x-api-key") {
        Dialect::Anthropic
    } else if has("x-goog-api-key") || query(head, "key").is_some() {
        Dialect::Gemini
    } else {
        Dialect::OpenAiChat
    }
}

/// A parameter of the query.
pub(super) fn query(head: &Parts, name: &str) -> Option<String> {
    let pairs = head.uri.query()?.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decoded(value))
}

/// Without percent-encoding. What is no encoding stays.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn gemini(model: &str, stream: bool, array: bool) -> Target {
        Target::Ask(Asking { dialect: Dialect::Gemini, model: Some(model.to_owned()), stream, array })
    }

    #[test]
    fn every_path_of_the_official_sdks_is_known() {
        use Dialect as D;
        let key = [("x-api-key", "k")];
        let google = [("x-goog-api-key", "k")];
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, &str, Headers<'_>, Target); 17] = [
            ("POST", "/v1/chat/completions", &[], Target::Ask(Asking::new(D::OpenAiChat))),
            ("POST", "/v1/responses", &[], Target::Ask(Asking::new(D::OpenAiResponses))),
            ("POST", "/v1/messages?beta=true", &[], Target::Ask(Asking::new(D::Anthropic))),
            ("POST", "/v1/messages/count_tokens", &[], Target::Count { dialect: D::Anthropic, model: None }),
            ("POST", "/v1beta/models/g-3:generateContent", &[], gemini("g-3", false, false)),
            ("POST", "/v1/models/g-3:generateContent", &[], gemini("g-3", false, false)),
            ("POST", "/v1beta/models/g-3:streamGenerateContent?alt=sse", &[], gemini("g-3", true, false)),
            ("POST", "/v1beta/models/g-3:streamGenerateContent", &[], gemini("g-3", true, true)),
            ("POST", "/v1beta/models/a%2Fb:generateContent", &[], gemini("a/b", false, false)),
            ("GET", "/v1/models", &[], Target::Models(D::OpenAiChat)),
            ("GET", "/v1/models?limit=20", &key, Target::Models(D::Anthropic)),
            ("GET", "/v1/models", &google, Target::Models(D::Gemini)),
            ("GET", "/v1beta/models?key=k", &[], Target::Models(D::Gemini)),
            ("GET", "/v1/models/gpt-5", &[], Target::Model(D::OpenAiChat, "gpt-5".to_owned())),
            ("GET", "/v1/models/llama:8b", &[], Target::Model(D::OpenAiChat, "llama:8b".to_owned())),
            ("GET", "/v1beta/models/g-3", &[], Target::Model(D::Gemini, "g-3".to_owned())),
            ("GET", "/healthz", &[], Target::Health),
        ];
        for (method, uri, headers, expected) in cases {
            assert_eq!(target(&head(method, uri, headers)), Ok(expected), "{method} {uri}");
        }
    }

    #[test]
    fn what_is_not_here_is_told_of_with_what_is() {
        let lost = target(&head("POST", "/v1/completions", &[])).expect_err("not here");
        assert_eq!(lost.status, StatusCode::NOT_FOUND);
        assert!(lost.message.contains("/v1/chat/completions"), "{}", lost.message);
        let wrong = target(&head("GET", "/v1/messages", &[])).expect_err("not like this");
        assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
        for path in ["/v1/models/", "/v1beta/models/:x", "/", "/v1beta/models/m:unknown"] {
            assert!(target(&head("POST", path, &[])).is_err(), "{path}");
        }
    }
}
