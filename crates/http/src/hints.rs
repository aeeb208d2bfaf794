//! Every header that says when to come back.
//!
//! Providers put it in several places and several notations. All are read and
//! the longest wait holds. Nothing here reads a clock: instants are taken
//! relative to the answer's own `date` header, which also makes a skewed local
//! clock harmless. A hint is looked for only on an answer that failed:
//! Anthropic sends `retry-after` on good answers too.
//!
//! Sources: RFC 9110 section 10.2.3 (`retry-after`), the OpenAI and Anthropic
//! API references on rate limits (`retry-after-ms`, `x-ratelimit-*`,
//! `anthropic-ratelimit-*`), google.rpc.RetryInfo.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::DATE};

/// The longest hint that is believed. Daily quotas reset within it.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the provider asks us to stay away, if it says.
///
/// `retry-after` and `retry-after-ms` hold as they are. A limit's reset counts
/// only where that limit has nothing remaining.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let now = text(headers, DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
    let asked = [
        // Azure sends a zero here beside a real retry-after.
        text(headers, "retry-after-ms").and_then(|value| seconds(value, 1e-3)).filter(|wait| !wait.is_zero()),
        text(headers, "retry-after").and_then(|value| retry_after(value, now)),
    ];
    let reset = LIMITS.iter().filter_map(|limit| {
        let remaining: f64 = text(headers, limit.remaining)?.trim().parse().ok()?;
        let used_up = remaining <= 0.0;
        used_up.then(|| reset_after(text(headers, limit.reset)?, now)).flatten()
    });
    asked.into_iter().flatten().chain(reset).max().map(|wait| wait.min(LONGEST))
}

/// The headers of one limit.
struct Limit {
    remaining: &'static str,
    reset: &'static str,
}

const LIMITS: [Limit; 7] = [
    Limit { remaining: "x-ratelimit-remaining", reset: "x-ratelimit-reset" },
    Limit { remaining: "x-ratelimit-remaining-requests", reset: "x-ratelimit-reset-requests" },
    Limit { remaining: "x-ratelimit-remaining-tokens", reset: "x-ratelimit-reset-tokens" },
    Limit {
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
    },
    Limit { remaining: "anthropic-ratelimit-tokens-remaining", reset: "anthropic-ratelimit-tokens-reset" },
    Limit {
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
    },
    Limit {
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
    },
];

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A number of units of `unit` seconds. Not negative, not infinite.
fn seconds(value: &str, unit: f64) -> Option<Duration> {
    let number: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// Seconds, whole or not, or an HTTP date.
fn retry_after(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    seconds(value, 1.0).or_else(|| until(httpdate::parse_http_date(value.trim()).ok()?, now))
}

/// An RFC 3339 instant (Anthropic), a Go duration (OpenAI, Groq), seconds
/// (Azure, Together), or seconds or milliseconds since the epoch (gateways).
pub(crate) fn reset_after(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    /// Larger numbers of seconds are instants: the year 2001, or thirty years to wait.
    const EPOCH_SECONDS: Duration = Duration::from_secs(1_000_000_000);
    /// Larger numbers yet are in milliseconds: the year 1973, or 5138 in seconds.
    const EPOCH_MILLISECONDS: Duration = Duration::from_secs(100_000_000_000);
    let value = value.trim();
    if let Some(wait) = seconds(value, 1.0) {
        let since_epoch = match wait {
            _ if wait >= EPOCH_MILLISECONDS => wait / 1000,
            _ if wait >= EPOCH_SECONDS => wait,
            _ => return Some(wait),
        };
        return until(SystemTime::UNIX_EPOCH.checked_add(since_epoch)?, now);
    }
    go_duration(value).or_else(|| until(SystemTime::from(value.parse::<jiff::Timestamp>().ok()?), now))
}

/// The time from `now` to `instant`; zero when it has passed, none when the
/// answer does not say what time it is.
fn until(instant: SystemTime, now: Option<SystemTime>) -> Option<Duration> {
    Some(instant.duration_since(now?).unwrap_or_default())
}

/// A duration as Go prints it: `1m51.595s`, `6m0s`, `120ms`, `1d2h`.
pub(crate) fn go_duration(value: &str) -> Option<Duration> {
    // Longer units first: `ms` before `m`.
    const UNITS: [(&str, f64); 8] = [
        ("ms", 1e-3),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ns", 1e-9),
        ("d", 86_400.0),
        ("h", 3_600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    let mut rest = value;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let (tail, unit) = UNITS.iter().find_map(|(name, unit)| Some((tail.strip_prefix(name)?, *unit)))?;
        total = total.checked_add(seconds(number, unit)?)?;
        rest = tail;
    }
    (!value.is_empty()).then_some(total)
}

/// A `google.protobuf.Duration` in JSON: `48s`, `34.4s`.
pub(crate) fn google_duration(value: &str) -> Option<Duration> {
    seconds(value.trim().strip_suffix('s')?, 1.0).map(|wait| wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn hint(headers: &[(&'static str, &str)]) -> Option<f64> {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("valid"))
        });
        read(&headers.collect()).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_notation_is_read() {
        let date = ("date", "Wed, 19 Aug 2026 14:34:00 GMT");
        type Case<'a> = (&'a [(&'static str, &'a str)], Option<f64>);
        let cases: &[Case<'_>] = &[
            (&[], None),
            (&[("retry-after", "7")], Some(7.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "9999999")], Some(86_400.0)),
            (&[("retry-after", "soon")], None),
            (&[date, ("retry-after", "Wed, 19 Aug 2026 14:34:20 GMT")], Some(20.0)),
            (&[date, ("retry-after", "Wed, 19 Aug 2026 14:33:20 GMT")], Some(0.0)),
            (&[("retry-after", "Wed, 19 Aug 2026 14:34:20 GMT")], None),
            (&[("retry-after-ms", "1500")], Some(1.5)),
            (&[("retry-after", "1"), ("retry-after-ms", "0")], Some(1.0)),
            (&[("retry-after", "1"), ("retry-after-ms", "2500")], Some(2.5)),
            (
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m51.595s")],
                Some(111.595),
            ),
            (&[("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "1m51.595s")], None),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "192")], Some(192.0)),
            (
                &[date, ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1787150050")],
                Some(10.0),
            ),
            (&[date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1787150050000")], Some(10.0)),
            (&[("x-ratelimit-remaining", "NaN"), ("x-ratelimit-reset", "1")], None),
            (
                &[
                    date,
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-08-19T14:34:20Z"),
                    ("retry-after", "5"),
                ],
                Some(20.0),
            ),
        ];
        for (headers, wait) in cases {
            assert_eq!(hint(headers), *wait, "{headers:?}");
        }
    }

    #[test]
    fn go_durations_as_seen() {
        let cases = [
            ("0s", 0.0),
            ("1ms", 0.001),
            ("8.64s", 8.64),
            ("14m24s", 864.0),
            ("20m52.666s", 1252.666),
            ("6m0s", 360.0),
            ("1h", 3600.0),
            ("1d2h", 93_600.0),
            ("17.279999999s", 17.279_999_999),
            ("3µs", 0.000_003),
        ];
        for (text, wait) in cases {
            let read = go_duration(text).expect(text).as_secs_f64();
            assert!((read - wait).abs() < 1e-6, "{text}: {read}");
        }
        for text in ["", "s", "5", "5x", "1..2s", "m5"] {
            assert_eq!(go_duration(text), None, "{text:?}");
        }
        assert_eq!(google_duration("34.4s"), Some(Duration::from_millis(34_400)));
        assert_eq!(google_duration("34"), None);
    }

    proptest! {
        #[test]
        fn a_go_duration_is_read_as_it_was_written(hours in 0_u64..1000, minutes in 0_u64..60, millis in 0_u64..60_000) {
            let text = format!("{hours}h{minutes}m{}.{:03}s", millis / 1000, millis % 1000);
            let wait = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_millis(millis);
            let read = go_duration(&text).expect("a duration");
            prop_assert!(read.abs_diff(wait) < Duration::from_micros(1), "{} {:?}", text, read);
        }

        #[test]
        fn no_text_panics(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (go_duration(&text), google_duration(&text), reset_after(&text, Some(SystemTime::UNIX_EPOCH)));
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                for name in ["retry-after", "retry-after-ms", "date", "x-ratelimit-reset-tokens"] {
                    let headers: HeaderMap = [
                        (HeaderName::from_static(name), value.clone()),
                        (HeaderName::from_static("x-ratelimit-remaining-tokens"), HeaderValue::from_static("0")),
                    ].into_iter().collect();
                    prop_assert!(read(&headers).is_none_or(|wait| wait <= LONGEST));
                }
            }
        }
    }
}
