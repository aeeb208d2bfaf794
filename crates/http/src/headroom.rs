//! What an answer's headers say of the limits that were used for it.
//!
//! Anthropic and OpenAI say it on good answers too, so that a limit can be
//! kept to before it is hit. Sources: the OpenAI and Anthropic API references
//! on rate limits; Groq's and Mistral's, which differ in names and windows.

use std::time::Duration;

use http::{HeaderMap, header::DATE};
use leverframe_core::{
    guard::{LimitKind, Observation},
    model::Dialect,
    time::Timestamp,
};

use super::hints;

/// The headers of one limit.
struct Named {
    kind: LimitKind,
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

const fn named(kind: LimitKind, limit: &'static str, remaining: &'static str, reset: &'static str) -> Named {
    Named { kind, limit, remaining, reset }
}

const ANTHROPIC: [Named; 4] = [
    named(
        LimitKind::RequestsPerMinute,
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    named(
        LimitKind::TokensPerMinute,
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    named(
        LimitKind::InputTokensPerMinute,
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    named(
        LimitKind::OutputTokensPerMinute,
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

const OPENAI: [Named; 4] = [
    named(
        LimitKind::RequestsPerMinute,
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    named(
        LimitKind::TokensPerMinute,
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ),
    named(
        LimitKind::RequestsPerMinute,
        "x-ratelimit-limit-req-minute",
        "x-ratelimit-remaining-req-minute",
        "x-ratelimit-reset-req-minute",
    ),
    named(
        LimitKind::TokensPerMinute,
        "x-ratelimit-limit-tokens-minute",
        "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-reset-tokens-minute",
    ),
];

/// The limits the headers of an answer report, which came at `now`. Gemini
/// reports none.
pub fn read(dialect: Dialect, headers: &HeaderMap, now: Timestamp) -> impl Iterator<Item = Observation> {
    let known: &[Named] = match dialect {
        Dialect::Anthropic => &ANTHROPIC,
        Dialect::OpenAiChat | Dialect::OpenAiResponses => &OPENAI,
        Dialect::Gemini => &[],
    };
    let date = hints::text(headers, DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
    known.iter().filter_map(move |named| {
        let limit = number(headers, named.limit);
        let remaining = number(headers, named.remaining);
        // A limit of nothing is not one: some servers say 0 where there is none.
        let limit = limit.filter(|limit| *limit > 0);
        limit.or(remaining)?;
        let reset = hints::text(headers, named.reset).and_then(|value| hints::reset_after(value, date));
        let kind = match (named.kind, limit, remaining, reset) {
            (LimitKind::RequestsPerMinute, Some(_), Some(_), Some(reset)) if is_daily(reset) => {
                LimitKind::RequestsPerDay
            }
            (kind, ..) => kind,
        };
        Some(Observation { kind, limit, remaining, resets_at: reset.map(|wait| now + wait) })
    })
}

/// Longer than any limit per minute takes to be back, with a minute for clocks
/// that disagree.
const LONGER_THAN_A_MINUTE: Duration = Duration::from_secs(120);

/// Whether a limit on requests is one per day. OpenAI's and Groq's headers have
/// one name for both.
///
/// What is left and the reset do not tell the window's length: where it is
/// fixed or slides, a single request takes all of it to come back. So one per
/// day is known only once more was used than a minute brings back. Until then
/// it passes for one per minute, which holds nothing back that the day does
/// not; the other way round a minute's limit would be kept to for a day.
fn is_daily(reset: Duration) -> bool {
    reset > LONGER_THAN_A_MINUTE
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let value = hints::text(headers, name)?.trim();
    // Whole, or written as a float by servers that count in one.
    value.parse().ok().or_else(|| {
        let number: f64 = value.parse().ok()?;
        (number.is_finite() && (0.0..1e15).contains(&number)).then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// Kind, limit, remaining, and milliseconds to the reset.
    type Seen = (LimitKind, Option<u64>, Option<u64>, Option<u64>);

    fn seen(headers: &[(&'static str, &str)]) -> Vec<Seen> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).expect("valid"))
            })
            .collect();
        let millis = |at: Timestamp| at.since(Timestamp::EPOCH).as_millis() as u64;
        [Dialect::Anthropic, Dialect::OpenAiChat, Dialect::Gemini]
            .into_iter()
            .flat_map(|dialect| read(dialect, &headers, Timestamp::EPOCH).collect::<Vec<_>>())
            .map(|o| (o.kind, o.limit, o.remaining, o.resets_at.map(millis)))
            .collect()
    }

    #[test]
    fn every_provider_is_read() {
        use LimitKind::{InputTokensPerMinute, RequestsPerDay, RequestsPerMinute, TokensPerMinute};
        assert_eq!(
            seen(&[
                ("date", "Wed, 19 Aug 2026 14:34:00 GMT"),
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "2026-08-19T14:34:01Z"),
                ("anthropic-ratelimit-input-tokens-limit", "30000"),
                ("anthropic-ratelimit-input-tokens-remaining", "29000"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-08-19T14:34:02Z"),
            ]),
            [
                (RequestsPerMinute, Some(50), Some(49), Some(1000)),
                (InputTokensPerMinute, Some(30_000), Some(29_000), Some(2000)),
            ]
        );
        assert_eq!(
            seen(&[
                ("x-ratelimit-limit-requests", "10000"),
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-limit-tokens", "200000"),
                ("x-ratelimit-remaining-tokens", "199000"),
                ("x-ratelimit-reset-tokens", "300ms"),
            ]),
            [
                (RequestsPerMinute, Some(10_000), Some(9999), Some(6)),
                (TokensPerMinute, Some(200_000), Some(199_000), Some(300)),
            ]
        );
        // Groq's requests are per day, under OpenAI's name.
        assert_eq!(
            seen(&[
                ("x-ratelimit-limit-requests", "14400"),
                ("x-ratelimit-remaining-requests", "14370"),
                ("x-ratelimit-reset-requests", "3m0s"),
            ]),
            [(RequestsPerDay, Some(14_400), Some(14_370), Some(180_000))]
        );
        // A minute that begins with the first request, as servers with a counter have it.
        assert_eq!(
            seen(&[
                ("x-ratelimit-limit-requests", "600"),
                ("x-ratelimit-remaining-requests", "599"),
                ("x-ratelimit-reset-requests", "60s"),
            ]),
            [(RequestsPerMinute, Some(600), Some(599), Some(60_000))]
        );
        // xAI has no reset; Mistral has names of its own.
        assert_eq!(
            seen(&[("x-ratelimit-limit-requests", "480"), ("x-ratelimit-remaining-requests", "479")]),
            [(RequestsPerMinute, Some(480), Some(479), None)]
        );
        assert_eq!(
            seen(&[
                ("x-ratelimit-limit-tokens-minute", "500000"),
                ("x-ratelimit-remaining-tokens-minute", "499000")
            ]),
            [(TokensPerMinute, Some(500_000), Some(499_000), None)]
        );
    }

    #[test]
    fn nonsense_is_no_report() {
        let cases: [&[(&'static str, &str)]; 3] = [
            &[],
            &[("x-ratelimit-limit-requests", "many"), ("x-ratelimit-remaining-requests", "-1")],
            &[("x-ratelimit-limit-requests", "0")],
        ];
        for headers in cases {
            assert_eq!(seen(headers), [], "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 3)) {
            let names = ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
            let headers: HeaderMap = names.into_iter().zip(&values)
                .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)))
                .collect();
            prop_assert!(read(Dialect::OpenAiChat, &headers, Timestamp::EPOCH).count() <= 1);
        }
    }
}
