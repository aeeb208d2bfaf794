//! OpenAI's own vocabularies.

use bpe_openai::{Tokenizer, cl100k_base, o200k_base};

/// Which vocabulary a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// GPT-4o and everything since.
    O200k,
    /// GPT-3.5 and GPT-4.
    Cl100k,
}

impl Vocabulary {
    /// By the model's name, as OpenAI's `tiktoken` has it. `None` for models
    /// of others, whose servers only speak like OpenAI.
    pub(super) fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        // Fine-tuned models carry the name of what they are made from.
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if begins(&["gpt-4o", "gpt-4.1", "gpt-4.5", "chatgpt-4o", "gpt-oss"]) {
            Some(Self::O200k)
        } else if begins(&["gpt-3.5", "gpt-35", "gpt-4"]) {
            Some(Self::Cl100k)
        } else if begins(&["gpt-", "chatgpt", "codex", "o1", "o3", "o4"]) {
            Some(Self::O200k)
        } else {
            None
        }
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::O200k => o200k_base(),
            Self::Cl100k => cl100k_base(),
        }
    }

    pub(super) fn count(self, text: &str) -> u64 {
        self.tokenizer().count(text) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_vocabulary_they_were_made_with() {
        for (model, vocabulary) in [
            ("gpt-4", Some(Vocabulary::Cl100k)),
            ("gpt-4-turbo-2024-04-09", Some(Vocabulary::Cl100k)),
            ("gpt-3.5-turbo", Some(Vocabulary::Cl100k)),
            ("gpt-4o-mini", Some(Vocabulary::O200k)),
            ("openai/gpt-4.1", Some(Vocabulary::O200k)),
            ("ft:gpt-4o:me::1", Some(Vocabulary::O200k)),
            ("gpt-5.5", Some(Vocabulary::O200k)),
            ("o3-mini", Some(Vocabulary::O200k)),
            ("llama-3.3-70b", None),
            ("", None),
        ] {
            assert_eq!(Vocabulary::of(model), vocabulary, "{model}");
        }
    }

    #[test]
    fn counts_are_exact() {
        // OpenAI's cookbook, "How to count tokens with tiktoken".
        assert_eq!(Vocabulary::Cl100k.count("tiktoken is great!"), 6);
        assert_eq!(Vocabulary::O200k.count("お誕生日おめでとう"), 8);
        assert_eq!(Vocabulary::Cl100k.count("お誕生日おめでとう"), 9);
        assert_eq!(Vocabulary::Cl100k.count("2 + 2 = 4"), 7);
        assert_eq!(Vocabulary::O200k.count(""), 0);
    }
}
