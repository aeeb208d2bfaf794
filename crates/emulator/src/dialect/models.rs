//! The models that are listed when no others are named, and the limits of all.

use crate::Provider;

/// A model as the lists show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model<'a> {
    /// What calls name it by.
    pub(super) name: &'a str,
    /// What people call it.
    pub(super) title: &'a str,
    /// Most tokens it reads.
    pub(super) input: u64,
    /// Most tokens it writes.
    pub(super) output: u64,
}

impl<'a> Model<'a> {
    const fn new(name: &'a str, title: &'a str, input: u64, output: u64) -> Self {
        Self { name, title, input, output }
    }
}

const CLAUDES: [Model<'static>; 5] = [
    Model::new("claude-fable-5", "Claude Fable 5", 1_000_000, 128_000),
    Model::new("claude-sonnet-5", "Claude Sonnet 5", 1_000_000, 128_000),
    Model::new("claude-opus-4-8", "Claude Opus 4.8", 1_000_000, 128_000),
    Model::new("claude-sonnet-4-5", "Claude Sonnet 4.5", 200_000, 64_000),
    Model::new("claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000),
];

const GEMINIS: [Model<'static>; 5] = [
    Model::new("gemini-3.6-flash", "Gemini 3.6 Flash", 1_048_576, 65_536),
    Model::new("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", 1_048_576, 65_536),
    Model::new("gemini-2.5-pro", "Gemini 2.5 Pro", 1_048_576, 65_536),
    Model::new("gemini-2.5-flash", "Gemini 2.5 Flash", 1_048_576, 65_536),
    Model::new("gemini-2.0-flash", "Gemini 2.0 Flash", 1_048_576, 8_192),
];

const GPTS: [Model<'static>; 5] = [
    Model::new("gpt-5.5", "GPT-5.5", 922_000, 128_000),
    Model::new("gpt-5-mini", "GPT-5 mini", 272_000, 128_000),
    Model::new("gpt-4.1", "GPT-4.1", 1_047_576, 32_768),
    Model::new("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768),
    Model::new("gpt-4o-mini", "GPT-4o mini", 128_000, 16_384),
];

/// The list: the only models a provider knows, or some of the many.
pub(super) fn listed(provider: Provider, known: Option<&[String]>) -> Vec<Model<'_>> {
    let some = match provider {
        Provider::Anthropic => CLAUDES,
        Provider::Gemini => GEMINIS,
        Provider::OpenAi => GPTS,
    };
    let Some(known) = known else { return some.into() };
    fn model<'a>(name: &'a str, some: &[Model<'a>]) -> Model<'a> {
        let usual = some.iter().find(|model| model.name == name).copied();
        usual.unwrap_or_else(|| Model::new(name, name, 128_000, 16_384))
    }
    known.iter().map(|name| model(name, &some)).collect()
}
