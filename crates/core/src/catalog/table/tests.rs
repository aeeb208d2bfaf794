use std::{fmt::Write as _, time::Duration};

use super::*;
use crate::{
    catalog::{Answer, Bucket, Control, Feature, NanoDollars, Rate, Rates},
    model::{Effort, Tokens},
};

use Family::{Anthropic, Google, OpenAi};

/// 2026-11-22, noon.
const NOW: Timestamp = Timestamp::from_unix_nanos(1_795_348_800_000_000_000);

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Tokens::Reported(input), output: Tokens::Reported(output), ..Usage::default() }
}

fn exact(nanos: u64) -> Amount {
    Amount::Exact(NanoDollars::new(nanos))
}

fn cost(family: Family, model: &str, usage: &Usage) -> Amount {
    PriceTable::builtin().cost(family, model, None, NOW, usage).amount
}

#[test]
fn the_file_that_comes_with_the_crate_can_be_read() {
    assert_eq!(Date::of(NOW), day("2026-11-22"));
    let catalog = Catalog::parse(include_str!("../../../data/models.json")).unwrap();
    assert!(catalog.capabilities.iter().count() > 100);
    assert_eq!(catalog.prices().as_of(), day("2026-11-22"));
    assert_eq!(Catalog::builtin().capabilities.iter().count(), catalog.capabilities.iter().count());
}

#[test]
fn no_name_belongs_to_two_families() {
    let catalog = Catalog::builtin();
    let mut seen = std::collections::BTreeMap::new();
    for (family, name) in catalog
        .capabilities
        .iter()
        .map(|(family, name, _)| (family, name))
        .chain(catalog.capabilities.aliases().map(|(family, alias, _)| (family, alias)))
    {
        assert_eq!(seen.insert(name, family), None, "{name}");
    }
}

/// What every list price has in common; a slip of a digit shows here.
#[test]
fn the_prices_are_plausible() {
    let mut priced = 0;
    for (family, model, prices) in PriceTable::builtin().prices.iter() {
        for price in prices {
            priced += 1;
            for tokens in [0, 150_000, 250_000, 300_000] {
                let rates = price.rates(tokens);
                if *rates == Rates::default() {
                    continue; // known not to be known
                }
                let (input, output) = (rates.input.unwrap(), rates.output.unwrap());
                assert!(input < output, "{family:?} {model}");
                assert!(rates.cache_read.is_none_or(|rate| rate < input), "{family:?} {model}");
                for write in [rates.cache_write_short, rates.cache_write_long].into_iter().flatten() {
                    assert!(write >= input, "{family:?} {model}");
                }
                for bucket in Bucket::ALL {
                    assert!(rates.of(bucket) >= price.rates(0).of(bucket), "{family:?} {model} {bucket}");
                }
            }
        }
    }
    assert!(priced > 95, "{priced}");
}

#[test]
fn list_prices_are_charged() {
    let million = usage(1_000_000, 0);
    let cases = [
        (Anthropic, "claude-opus-4-1-20250805", 15_000_000_000),
        (Anthropic, "claude-opus-4-5-20251101", 5_000_000_000),
        (Anthropic, "claude-opus-4-8", 5_000_000_000),
        (Anthropic, "claude-sonnet-4-6", 3_000_000_000),
        (Anthropic, "claude-sonnet-5", 2_000_000_000),
        (Anthropic, "claude-haiku-5-5", 500_000_000),
        (Anthropic, "claude-fable-5-2", 8_000_000_000),
        (Google, "gemini-2.5-pro", 2_500_000_000),
        (Google, "models/gemini-2.5-flash", 300_000_000),
        (Google, "gemini-3.6-flash", 750_000_000),
        (OpenAi, "gpt-4o-2024-05-13", 5_000_000_000),
        (OpenAi, "gpt-4o-2024-08-06", 2_500_000_000),
        (OpenAi, "gpt-4.1-mini-2025-04-14", 400_000_000),
        (OpenAi, "o4-mini-2025-04-16", 1_100_000_000),
        (OpenAi, "gpt-5-mini-2025-08-07", 250_000_000),
        (OpenAi, "gpt-6.2-sol", 4_000_000_000),
    ];
    for (family, model, nanos) in cases {
        assert_eq!(cost(family, model, &million), exact(nanos), "{model}");
    }
}

#[test]
fn a_whole_answer_is_charged_bucket_by_bucket() {
    // Claude Opus 4.5: 5 / 0.50 / 6.25 / 10 / 25 dollars a million.
    let claude = Usage {
        cache_read: Tokens::Reported(20_000),
        cache_write_short: Tokens::Reported(400),
        cache_write_long: Tokens::Reported(100),
        reasoning: Tokens::Reported(300),
        ..usage(1_000, 200)
    };
    let nanos = 1_000 * 5_000 + 20_000 * 500 + 400 * 6_250 + 100 * 10_000 + (200 + 300) * 25_000;
    assert_eq!(cost(Anthropic, "claude-opus-4-5-20251101", &claude), exact(nanos));
    // Gemini 2.5 Pro above 200 000: 2.50 / 0.25 / 15 dollars a million.
    let gemini = Usage { cache_read: Tokens::Reported(150_000), ..usage(50_001, 1_000) };
    assert_eq!(
        cost(Google, "gemini-2.5-pro", &gemini),
        exact(50_001 * 2_500 + 150_000 * 250 + 1_000 * 15_000)
    );
    // GPT-5 in the flex tier: half of 1.25 / 0.125 / 10.
    let gpt = Usage { cache_read: Tokens::Reported(3), ..usage(1_000, 10) };
    let flex = PriceTable::builtin().cost(OpenAi, "gpt-5", Some("flex"), NOW, &gpt);
    assert_eq!(flex, Cost { amount: exact(625_000 + 188 + 50_000), as_of: day("2026-11-22") });
}

#[test]
fn what_is_not_known_has_no_figure() {
    let nothing = usage(0, 0);
    for (family, model) in [
        (OpenAi, "gpt-4.1-foo"),
        (OpenAi, "deepseek-chat"),
        (OpenAi, "gpt-oss-120b"),
        (OpenAi, "ft:gpt-4o-2024-08-06:acme::1"),
        (Google, "gemini-flash-latest"),
        (Anthropic, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ] {
        let cost = PriceTable::builtin().cost(family, model, None, NOW, &nothing);
        assert_eq!(cost.amount, Amount::Unknown(Unpriced::Model), "{model}");
        assert_eq!(cost.as_of, day("2026-11-22"));
    }
    // Sourced for short prompts only, and without a cached rate.
    assert_eq!(cost(OpenAi, "gpt-6.2-astra", &usage(1_000, 0)), exact(8_000_000));
    let long = usage(300_000, 0);
    assert_eq!(cost(OpenAi, "gpt-6.2-astra", &long), Amount::Unknown(Unpriced::Bucket(Bucket::Input)));
    let cached = Usage { cache_read: Tokens::Reported(1), ..usage(1_000, 0) };
    assert_eq!(cost(OpenAi, "gpt-6.2-astra", &cached), Amount::Unknown(Unpriced::Bucket(Bucket::CacheRead)));
}

#[test]
fn a_price_ends_on_its_last_day() {
    let table = PriceTable::builtin();
    let input = |model, at| table.lookup(OpenAi, model, at).and_then(|price| price.rates(0).input);
    let day_before = Timestamp::from_unix_nanos(NOW.unix_nanos() - 86_400_000_000_000);
    assert_eq!(input("gpt-5.6-sol", day_before), Some(Rate::new(4_000)));
    assert_eq!(input("gpt-5.6-sol", NOW), None);

    let gemini = |at| table.lookup(Google, "gemini-3.8-flash", at).and_then(|price| price.rates(0).input);
    let new_year = Timestamp::EPOCH + Duration::from_secs(1_798_761_600);
    let before = Timestamp::from_unix_nanos(new_year.unix_nanos() - 1);
    assert_eq!((gemini(before), gemini(new_year)), (Some(Rate::new(750)), Some(Rate::new(1_500))));
}

#[test]
fn a_callers_price_wins() {
    let as_of = day("2026-12-24");
    let rates =
        |nanos| Rates { input: Some(Rate::new(nanos)), output: Some(Rate::new(nanos)), ..Rates::default() };
    let table = PriceTable::builtin()
        .clone()
        .with(OpenAi, "gpt-4.1", Price::new(as_of, rates(7)))
        .with(Anthropic, "claude-sonnet-4.5", Price::new(as_of, rates(8)))
        .with(Anthropic, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", Price::new(as_of, rates(9)))
        .with(OpenAi, "my-model", Price::new(as_of, rates(10)));
    let cases = [
        (OpenAi, "gpt-4.1", 7),
        (OpenAi, "openai/gpt-4.1-2025-04-14", 7),
        (OpenAi, "gpt-4.1-mini", 400),
        (Anthropic, "claude-sonnet-4-5-20250929", 8),
        (Anthropic, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 9),
        (OpenAi, "my-model", 10),
    ];
    for (family, model, nanos) in cases {
        let cost = table.cost(family, model, None, NOW, &usage(1, 0));
        assert_eq!(cost.amount, exact(nanos), "{model}");
        assert_eq!(cost.as_of == as_of, nanos < 400, "{model}");
    }
}

#[test]
fn a_callers_file_corrects_ours() {
    let theirs = Catalog::parse(
        r#"{"as_of": "2026-12-01", "families": {
            "openai": {"as_of": "2026-11-30", "models": {
                "GPT-4.1": {"prices": [{"input": 1, "output": 2}], "capabilities": {"max_output": 5, "refuses": ["image"]}},
                "house": {"aliases": ["gpt-4o-mini", "den"], "prices": [
                    {"until": "2026-11-22", "input": 3, "output": 3}, {"input": 4, "output": 4}
                ]}
            }},
            "google": {"models": {"gemini-2.5-pro": {"capabilities": {"context_window": 9}}}}
        }}"#,
    )
    .unwrap();
    let catalog = Catalog::builtin().clone().overlaid(&theirs);
    let first = |family, model, at| {
        catalog.prices().lookup(family, model, at).and_then(|price| price.rates(0).input).map(Rate::get)
    };
    assert_eq!(first(OpenAi, "gpt-4.1-2025-04-14", NOW), Some(1));
    assert_eq!(first(OpenAi, "gpt-4o-mini", NOW), Some(3));
    assert_eq!(first(OpenAi, "den", NOW + Duration::from_secs(86_400)), Some(4));
    assert_eq!(first(Google, "gemini-2.5-pro", NOW), Some(1_250));
    assert_eq!(catalog.prices().lookup(OpenAi, "house", NOW).unwrap().as_of(), day("2026-11-30"));

    let gpt = catalog.capabilities(OpenAi, "gpt-4.1").unwrap();
    assert_eq!((gpt.max_output, gpt.context_window), (Some(5), Some(1_047_576)));
    assert_eq!(
        (gpt.says(Feature::Image), gpt.says(Feature::Tools)),
        (Some(Answer::Refuses), Some(Answer::Accepts))
    );
    assert_eq!(catalog.capabilities(Google, "gemini-2.5-pro").unwrap().context_window, Some(9));
}

#[test]
fn a_wrong_file_names_the_entry() {
    let entry = |body: &str| {
        Catalog::parse(&format!(
            r#"{{"as_of": "2026-12-01", "families": {{"openai": {{"models": {{"m": {body}}}}}}}}}"#
        ))
        .unwrap_err()
        .to_string()
    };
    let cases = [
        (r#"{"prices": [{"inptu": 1}]}"#, "openai/m: prices[0]: unknown field `inptu`"),
        (
            r#"{"prices": [{"input": 0.003}]}"#,
            "openai/m: prices[0]: input: 0.003 is not a price: write whole nano-dollars",
        ),
        (r#"{"prices": [{"input": -1}]}"#, "openai/m: prices[0]: input: -1 is not a price"),
        (r#"{"prices": [{"input": 4294967296}]}"#, "openai/m: prices[0]: input: 4294967296 is not a price"),
        (r#"{"prices": [{"input": "3"}]}"#, "openai/m: prices[0]: input: \"3\" is not a price"),
        (r#"{"prices": [{}]}"#, "openai/m: prices[0]: a price without a rate"),
        (
            r#"{"prices": [{"input": 1, "until": "soon"}]}"#,
            "openai/m: prices[0]: until: \"soon\" is not a date",
        ),
        (
            r#"{"prices": [{"input": 1}, {"input": 2}]}"#,
            "openai/m: prices[1]: the one before it must end first",
        ),
        (
            r#"{"prices": [{"input": 1, "above": [{"input": 2}]}]}"#,
            "openai/m: prices[0]: above: \"tokens\" is missing",
        ),
        (
            r#"{"prices": [{"input": 1, "services": {"flex": {"times": "0.5"}}}]}"#,
            "openai/m: prices[0]: services.flex: \"0.5\" is not a ratio",
        ),
        (r#"{"capabilities": {"accepts": ["imagine"]}}"#, "openai/m: unknown variant `imagine`"),
        (
            r#"{"capabilities": {"accepts": ["image"], "refuses": ["image"]}}"#,
            "openai/m: capabilities: Image is listed twice",
        ),
        (
            r#"{"capabilities": {"reasoning": {"by": ["effort"], "efforts": ["hard"]}}}"#,
            "openai/m: reasoning: \"hard\" is not an effort",
        ),
        (r#"{"aliases": ["a b"]}"#, "openai/m: \"a b\" is not a model's name"),
        (r#"{"aliases": ["n"]}, "n": {}"#, "openai/n: another model is called \"n\" as well"),
        (r#"{}, "m": {}"#, "the catalog cannot be read: \"m\" is listed twice at line 1"),
    ];
    for (body, expected) in cases {
        let error = entry(body);
        assert!(error.starts_with(expected), "{body}\n{error}");
    }
    let family =
        Catalog::parse(r#"{"as_of": "2026-12-01", "families": {"acme": {"models": {}}}}"#).unwrap_err();
    assert!(family.to_string().contains("unknown variant `acme`"), "{family}");
}

#[test]
fn known_facts() {
    let of = |family, model: &str| Catalog::builtin().capabilities(family, model).unwrap();
    let old = of(Anthropic, "claude-sonnet-4-5-20250929");
    assert_eq!(old.says(Feature::Prefill), Some(Answer::WithoutReasoning));
    assert!(old.refuses(Feature::Prefill, true) && !old.refuses(Feature::Prefill, false));
    assert!(old.refuses_effort(Effort::High));
    let new = of(Anthropic, "claude-opus-4-7");
    assert!(new.refuses(Feature::Temperature, false) && new.refuses(Feature::Prefill, false));
    assert!(!new.refuses_effort(Effort::Max) && new.refuses_effort(Effort::None));
    assert!(!new.reasoning.as_ref().unwrap().takes(Control::Budget));
    let gpt = of(OpenAi, "gpt-5-2025-08-07");
    assert_eq!((gpt.input_limit(), gpt.max_output), (Some(272_000), Some(128_000)));
    assert!(gpt.refuses(Feature::Stop, false) && !gpt.refuses_effort(Effort::Minimal));
    assert!(of(OpenAi, "gpt-5.3-codex").refuses(Feature::ChatCompletions, false));
    assert!(!of(Google, "gemini-2.0-flash-001").reasoning.as_ref().unwrap().reasons());
    // Nobody says: so nothing is refused.
    assert!(!of(OpenAi, "gpt-5.4-pro").refuses_effort(Effort::Low));
    assert_eq!(Catalog::builtin().capabilities(OpenAi, "grok-4"), None);
}

/// The official models in the recordings that the project tests with.
#[test]
fn recorded_models_are_known() {
    let recorded = [
        (
            Anthropic,
            "claude-2.1 claude-3-5-haiku-20241022 claude-3-5-haiku-latest claude-3-5-sonnet-20240620 \
             claude-3-7-sonnet-20250219 claude-3-haiku-20240307 claude-3-opus-20240229 claude-3-opus-latest \
             claude-fable-5 claude-haiku-4-5-20251001 claude-opus-4-1-20250805 claude-opus-4-5-20251101 \
             claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5 claude-sonnet-4-20250514 \
             claude-sonnet-4-5-20250929 claude-sonnet-4-6 claude-sonnet-5 anthropic/claude-3.5-sonnet \
             anthropic/claude-4.6-sonnet-20260217 anthropic/claude-sonnet-4.5",
        ),
        (
            Google,
            "gemini-1.5-flash gemini-2.0-flash gemini-2.0-flash-001 gemini-2.0-flash-exp gemini-2.5-flash \
             gemini-2.5-pro gemini-3-flash-preview gemini-3-pro-preview gemini-3.1-pro-preview gemini-3.6-flash",
        ),
        (
            OpenAi,
            "gpt-3.5-turbo-0125 gpt-3.5-turbo-0613 gpt-35-turbo gpt-4-0613 gpt-4-1106-vision-preview \
             gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14 gpt-4.1-nano-2025-04-14 gpt-4o-2024-08-06 \
             gpt-4o-audio-preview-2025-06-03 gpt-4o-mini-2024-07-18 gpt-4o-mini-audio-preview-2024-12-17 \
             gpt-4o-mini-search-preview-2025-03-11 gpt-5 gpt-5-2025-08-07 gpt-5-codex gpt-5-mini \
             gpt-5-mini-2025-08-07 gpt-5-nano-2025-08-07 gpt-5.1-2025-11-13 gpt-5.1-codex-max gpt-5.2-2025-12-11 \
             gpt-5.2-codex gpt-5.3-codex gpt-5.4-2026-03-05 gpt-5.4-mini-2026-03-17 gpt-5.5-2026-04-23 \
             gpt-5.6-sol gpt-audio-2025-08-28 o3-mini-2025-01-31 o4-mini-2025-04-16 openai.gpt-5.5 \
             openai.gpt-5.6-luna openai.gpt-oss-120b openai/gpt-4o-mini openai/gpt-5.1-codex-mini \
             openai/gpt-5.6-sol openai/gpt-oss-120b openai/gpt-oss-20b",
        ),
    ];
    let mut unknown = String::new();
    for (family, models) in recorded {
        for model in models.split_whitespace() {
            if Catalog::builtin().capabilities(family, model).is_none() {
                writeln!(unknown, "{model}").unwrap();
            }
        }
    }
    assert_eq!(unknown, "");
}
