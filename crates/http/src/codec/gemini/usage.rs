//! Usage, as Gemini and Vertex count it.

use std::fmt;

use leverframe_core::model::{Tokens, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use serde_json::value::RawValue;

use super::wire::Word;
use crate::codec::scan::Scan;

/// Usage as Gemini counts it: `promptTokenCount` includes what was cached but
/// not the input of built-in tools; `candidatesTokenCount` excludes thoughts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsageMetadata {
    #[serde(deserialize_with = "count")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    cached_content_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    thoughts_token_count: Option<u64>,
    prompt_tokens_details: Option<Audio>,
    cache_tokens_details: Option<Audio>,
    candidates_tokens_details: Option<Audio>,
}

/// What a `usageMetadata` says that counts nothing but text. `None` where it
/// may say more.
pub(super) fn scan(scan: &mut Scan<'_>) -> Option<Usage> {
    let mut usage = UsageMetadata::default();
    scan.object(|scan, name| {
        let count = match name {
            "promptTokenCount" => &mut usage.prompt_token_count,
            "toolUsePromptTokenCount" => &mut usage.tool_use_prompt_token_count,
            "cachedContentTokenCount" => &mut usage.cached_content_token_count,
            "candidatesTokenCount" => &mut usage.candidates_token_count,
            "thoughtsTokenCount" => &mut usage.thoughts_token_count,
            // Modalities are words here, which are numbers elsewhere.
            _ if name.ends_with("Details") => {
                let details = scan.raw()?;
                let words = details.matches("\"modality\":\"").count();
                let plain = words == details.matches("\"modality\"").count();
                return (plain && !details.contains("AUDIO")).then_some(());
            }
            _ => return scan.skip().map(|_| ()),
        };
        *count = Some(scan.count()?);
        Some(())
    })?;
    usage.said()
}

/// What a `usageMetadata` says. One in a shape nobody knows says nothing.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    serde_json::from_str::<UsageMetadata>(raw.get()).ok()?.said()
}

impl UsageMetadata {
    /// `None` when no figure is given.
    fn said(&self) -> Option<Usage> {
        let usage = self.buckets();
        (usage != Usage::default()).then_some(usage)
    }

    /// Disjoint buckets that add up to `totalTokenCount`.
    fn buckets(&self) -> Usage {
        let prompt = match (self.prompt_token_count, self.tool_use_prompt_token_count) {
            (Some(prompt), Some(tools)) => Some(prompt.saturating_add(tools)),
            (prompt, tools) => prompt.or(tools),
        };
        let audio = |details: &Option<Audio>| details.as_ref().and_then(|audio| audio.0);
        // Audio that was cached is counted with what was cached.
        let cached_audio = audio(&self.cache_tokens_details).unwrap_or(0);
        let heard = audio(&self.prompt_tokens_details).map(|heard| heard.saturating_sub(cached_audio));
        let (rest, cache_read) = apart(prompt, self.cached_content_token_count);
        let (input, audio_input) = apart(rest, heard);
        let (output, audio_output) =
            apart(self.candidates_token_count, audio(&self.candidates_tokens_details));
        Usage {
            input: input.into(),
            cache_read,
            output: output.into(),
            reasoning: self.thoughts_token_count.into(),
            audio_input,
            audio_output,
            ..Usage::default()
        }
    }
}

/// A count: a number, or one in a string, which is how protocol buffers write
/// 64 bits. Anything else is unknown, for an answer is worth more than its bill.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Count;

    impl<'de> Visitor<'de> for Count {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a count")
        }

        fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
            Ok(Some(count))
        }

        fn visit_i64<E>(self, count: i64) -> Result<Self::Value, E> {
            Ok(u64::try_from(count).ok())
        }

        fn visit_f64<E>(self, count: f64) -> Result<Self::Value, E> {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
            Ok((count.fract() == 0.0 && (0.0..9e15).contains(&count)).then_some(count as u64))
        }

        fn visit_str<E>(self, count: &str) -> Result<Self::Value, E> {
            Ok(count.parse().ok())
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }

    deserializer.deserialize_any(Count)
}

/// Takes a part out of a total that includes it, and no more than is there.
fn apart(total: Option<u64>, part: Option<u64>) -> (Option<u64>, Tokens) {
    let part = match (part, total) {
        (Some(part), Some(total)) => Some(part.min(total)),
        (part, _) => part,
    };
    (total.map(|total| total.saturating_sub(part.unwrap_or(0))), part.into())
}

/// The audio among a list of counts by modality.
#[derive(Debug)]
struct Audio(Option<u64>);

impl<'de> Deserialize<'de> for Audio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count<'a> {
            #[serde(borrow)]
            modality: Option<Word<'a>>,
            #[serde(default, deserialize_with = "count")]
            token_count: Option<u64>,
        }
        struct Counts;

        impl<'de> Visitor<'de> for Counts {
            type Value = Audio;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of token counts by modality")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audio, A::Error> {
                let mut audio = None;
                while let Some(count) = seq.next_element::<Count<'de>>()? {
                    // 4 is AUDIO's number.
                    if count.modality.is_some_and(|word| matches!(word.0.as_str(), "AUDIO" | "4")) {
                        audio = audio.or(count.token_count);
                    }
                }
                Ok(Audio(audio))
            }
        }

        deserializer.deserialize_seq(Counts)
    }
}
