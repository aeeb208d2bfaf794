use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;

fn names(known: &[(Family, &'static str)]) -> Names<String> {
    let mut names = Names::default();
    for &(family, name) in known {
        *names.entry(family, name) = name.to_owned();
    }
    names
}

fn some() -> Names<String> {
    let mut names = names(&[
        (Family::Anthropic, "claude-sonnet-4"),
        (Family::Anthropic, "claude-sonnet-4-5"),
        (Family::Anthropic, "claude-3-5-sonnet"),
        (Family::Google, "gemini-2.5-flash"),
        (Family::Google, "gemini-2.5-flash-lite"),
        (Family::OpenAi, "gpt-4o"),
        (Family::OpenAi, "gpt-4o-2024-05-13"),
        (Family::OpenAi, "gpt-4.1"),
        (Family::OpenAi, "gpt-4.1-mini"),
    ]);
    names.alias(Family::Anthropic, "claude-sonnet-4.5", "claude-sonnet-4-5");
    names
}

#[test]
fn a_name_is_found_as_it_is_sent() {
    use Family::{Anthropic as A, Google as G, OpenAi as O};
    use Terms::{Other, Vendor};
    let cases = [
        (O, "gpt-4.1", "gpt-4.1", Vendor),
        (O, " GPT-4.1 ", "gpt-4.1", Vendor),
        (O, "gpt-4.1-2025-04-14", "gpt-4.1", Vendor),
        (O, "gpt-4.1-mini", "gpt-4.1-mini", Vendor),
        (O, "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", Vendor),
        (O, "openai/gpt-4.1-mini", "gpt-4.1-mini", Vendor),
        (O, "gpt-4o-2024-05-13", "gpt-4o-2024-05-13", Vendor),
        (O, "gpt-4o-2024-08-06", "gpt-4o", Vendor),
        (O, "gpt-4o-latest", "gpt-4o", Vendor),
        (O, "ft:gpt-4o-2024-08-06:acme::abc123", "gpt-4o", Other),
        (O, "openai.gpt-4.1", "gpt-4.1", Other),
        (O, "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", Vendor),
        (O, "google/gemini-2.5-flash", "gemini-2.5-flash", Vendor),
        (A, "claude-sonnet-4-20250514", "claude-sonnet-4", Vendor),
        (A, "claude-sonnet-4@20250514", "claude-sonnet-4", Vendor),
        (A, "claude-sonnet-4@default", "claude-sonnet-4", Vendor),
        (A, "claude-sonnet-4-5-20250929", "claude-sonnet-4-5", Vendor),
        (A, "claude-sonnet-4-5-latest", "claude-sonnet-4-5", Vendor),
        (A, "claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet", Vendor),
        (A, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", Other),
        (A, "anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet", Other),
        (A, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", Vendor),
        (
            A,
            "projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4@20250514",
            "claude-sonnet-4",
            Vendor,
        ),
        (G, "models/gemini-2.5-flash", "gemini-2.5-flash", Vendor),
        (G, "publishers/google/models/gemini-2.5-flash-001", "gemini-2.5-flash", Vendor),
        (G, "gemini-2.5-flash-preview-05-20", "gemini-2.5-flash", Vendor),
        (G, "gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite", Vendor),
    ];
    let names = some();
    for (family, sent, found, terms) in cases {
        assert_eq!(names.find(family, sent), Some((&found.to_owned(), terms)), "{sent}");
    }
}

#[test]
fn what_only_looks_like_a_known_name_is_not_found() {
    let cases = [
        (Family::OpenAi, "gpt-4.1-foo"),
        (Family::OpenAi, "gpt-4.1-nano"),
        (Family::OpenAi, "gpt-4.1-v2"),
        (Family::OpenAi, "gpt-4.1-001"),
        (Family::OpenAi, "gpt-4.1-2025-13-14"),
        (Family::OpenAi, "gpt-4.1-20251399"),
        (Family::OpenAi, "gpt-4.1:free"),
        (Family::OpenAi, "gpt-4"),
        (Family::OpenAi, "gpt-4.10"),
        (Family::OpenAi, "acme/gpt-4.1"),
        (Family::OpenAi, "models/acme/gpt-4.1"),
        (Family::OpenAi, "claude-sonnet-4-5"),
        (Family::Anthropic, "xx.anthropic.claude-sonnet-4-5"),
        (Family::Anthropic, "claude-sonnet-4-6"),
        (Family::Google, "gemini-2.5-flash-preview-tts"),
        (Family::Google, "gemini-2.5-flash-image"),
        (Family::Google, ""),
        (Family::Google, "-latest"),
        (Family::Google, "é-2025-04-14"),
    ];
    let names = some();
    for (family, sent) in cases {
        assert_eq!(names.find(family, sent), None, "{sent}");
    }
}

#[test]
fn names_may_stand_for_names_but_not_forever() {
    let mut names = names(&[(Family::OpenAi, "real")]);
    names.alias(Family::OpenAi, "a", "b");
    names.alias(Family::OpenAi, "b", "real");
    assert_eq!(names.find(Family::OpenAi, "a"), Some((&"real".to_owned(), Terms::Vendor)));
    names.alias(Family::OpenAi, "x", "y");
    names.alias(Family::OpenAi, "y", "x");
    assert_eq!(names.find(Family::OpenAi, "x"), None);
}

/// Every known name of the file that comes with the crate.
fn known() -> Vec<(Family, String)> {
    let json: serde_json::Value = serde_json::from_str(include_str!("../../../data/models.json")).unwrap();
    [(Family::Anthropic, "anthropic"), (Family::Google, "google"), (Family::OpenAi, "openai")]
        .into_iter()
        .flat_map(|(family, key)| {
            let models = json["families"][key]["models"].as_object().unwrap();
            models.keys().map(|name| (family, name.clone())).collect::<Vec<_>>()
        })
        .collect()
}

proptest! {
    /// Words that are no mark of a version make another model of it, and
    /// another model takes nobody's facts.
    #[test]
    fn an_unknown_sibling_takes_nobodys_facts(pick: prop::sample::Index, word in "[a-z]{1,3}x[a-z]{0,4}") {
        let known = known();
        let (family, name) = pick.get(&known);
        let sibling = format!("{name}-{word}");
        prop_assert!(Catalog::builtin().capabilities(*family, &sibling).is_none());
    }

    /// A dated name is found exactly where the bare one is.
    #[test]
    fn a_date_changes_nothing(pick: prop::sample::Index, month in 1u8..=12, day in 1u8..=28) {
        let known = known();
        let (family, name) = pick.get(&known);
        let catalog = Catalog::builtin();
        let bare = catalog.capabilities(*family, name);
        prop_assert!(bare.is_some());
        for sent in [
            format!("{name}-2099-{month:02}-{day:02}"),
            format!("{name}-2099{month:02}{day:02}"),
            format!("{name}@2099{month:02}{day:02}"),
            format!("{name}-preview-{month:02}-{day:02}"),
        ] {
            prop_assert_eq!(catalog.capabilities(*family, &sent), bare, "{}", sent);
        }
    }

    #[test]
    fn no_name_panics(name in "\\PC{0,40}") {
        for family in [Family::Anthropic, Family::Google, Family::OpenAi] {
            let _ = some().find(family, &name);
        }
    }
}
