//! The recorded exchanges.

use std::{fs, path::Path};

use bytes::Bytes;
use leverframe_core::model::Dialect;
use serde_json::Value;

/// One recorded exchange.
pub(crate) struct Case {
    pub(crate) provider: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) name: String,
    pub(crate) meta: Value,
    pub(crate) request: Option<Bytes>,
    pub(crate) body: Bytes,
    pub(crate) expected: Option<Value>,
}

impl Case {
    /// A field of the description.
    pub(crate) fn meta(&self, name: &str) -> &str {
        self.meta[name].as_str().unwrap_or_default()
    }
}

/// All cases, or `None` when no corpus is named.
pub(crate) fn load() -> Option<Vec<Case>> {
    let root = std::env::var_os("WIRE_CORPUS")?;
    let folders = [
        (Dialect::Anthropic, "anthropic"),
        (Dialect::Gemini, "gemini"),
        (Dialect::OpenAiChat, "openai_chat"),
        (Dialect::OpenAiResponses, "openai_responses"),
    ];
    let cases = |(dialect, provider): (Dialect, &'static str)| {
        let folder = Path::new(&root).join(provider);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.into_iter().map(move |name| case(dialect, provider, &folder.join(&name), name))
    };
    Some(folders.into_iter().flat_map(cases).collect())
}

fn case(dialect: Dialect, provider: &'static str, folder: &Path, name: String) -> Case {
    let json = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        let parsed = serde_json::from_str(&text);
        Some(parsed.unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display())))
    };
    let body = ["response.sse", "response.json", "response.txt"]
        .iter()
        .find_map(|name| fs::read(folder.join(name)).ok())
        .unwrap_or_else(|| panic!("{} has no response", folder.display()));
    Case {
        provider,
        dialect,
        name,
        meta: json("meta.json").expect("meta.json"),
        request: fs::read(folder.join("request.json")).ok().map(Bytes::from),
        body: body.into(),
        expected: json("expected.json"),
    }
}

/// Cuts `body` into pieces of the lengths that `next` gives.
pub(crate) fn split(body: &Bytes, mut next: impl FnMut() -> usize) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = next().clamp(1, rest.len());
        chunks.push(rest.split_to(length));
    }
    chunks
}

/// Lengths from 1 to 97, the same in every run (xorshift, Marsaglia 2003).
pub(crate) fn random_lengths(mut state: u64) -> impl FnMut() -> usize {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 97).unwrap_or(0) + 1
    }
}
