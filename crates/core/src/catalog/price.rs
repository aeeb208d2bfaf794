//! What a model costs, and what an answer of it cost.
//!
//! Every bucket of [`Usage`] has its own rate. The buckets are disjoint, so
//! nothing is charged twice: cached input is not in `input`, reasoning not in
//! `output`.
//!
//! Three things change a rate:
//!
//! - **The length of the prompt.** Above a number of input tokens, cached ones
//!   included, some models charge all of the request at a higher rate.
//! - **The service tier.** Rates are multiplied by a [`Ratio`]; it may differ
//!   by bucket, as not every discount covers cached input.
//! - **The day.** An introductory price ends (see [`Price::until`]).
//!
//! Every bucket is rounded to the nearest billionth of a dollar by itself,
//! and only where a ratio leaves a fraction. So the cost of a usage is the sum
//! of the costs of its parts, to the last digit.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, str::FromStr};

use super::{Amount, Bucket, Date, NanoDollars, Rate, Rates, Unpriced};
use crate::model::{Tokens, Usage};

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    as_of: Date,
    until: Option<Date>,
    base: Rates,
    /// By the number of input tokens above which it holds.
    above: BTreeMap<u64, Rates>,
    /// By the provider's word for it, in lower case.
    services: BTreeMap<String, Service>,
}

impl Price {
    /// The same for prompts of any length, found out on a day.
    pub fn new(as_of: Date, rates: Rates) -> Self {
        Self { as_of, until: None, base: rates, above: BTreeMap::new(), services: BTreeMap::new() }
    }

    /// Other rates for all of a request with more input tokens than this.
    #[must_use]
    pub fn above(mut self, input_tokens: u64, rates: Rates) -> Self {
        self.above.insert(input_tokens, rates);
        self
    }

    /// A service tier, under the word with which the provider reports it.
    #[must_use]
    pub fn service(mut self, word: &str, service: Service) -> Self {
        self.services.insert(word.to_ascii_lowercase(), service);
        self
    }

    /// Holds through this day (UTC), and not after it.
    #[must_use]
    pub fn ending(mut self, last_day: Date) -> Self {
        self.until = Some(last_day);
        self
    }

    /// When it was found out.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// The last day on which it holds. `None`: no end is known.
    pub fn until(&self) -> Option<Date> {
        self.until
    }

    /// The rates of the ordinary tier for a request with so many input tokens.
    pub fn rates(&self, input_tokens: u64) -> &Rates {
        self.above.range(..input_tokens).next_back().map_or(&self.base, |(_, rates)| rates)
    }

    /// What a usage costs.
    ///
    /// `service` is the provider's own word in its answer (`flex`, `priority`);
    /// `None`, `default` and `standard` are the ordinary tier. A tier without a
    /// price makes the cost unknown.
    ///
    /// It is unknown as well when nobody said how much input or output there
    /// was, and when a bucket was used that has no rate. Another bucket that
    /// nobody spoke of counts as unused.
    pub fn cost(&self, usage: &Usage, service: Option<&str>) -> Amount {
        let input_tokens = usage.input_total().unwrap_or(0);
        let service = match self.service_of(service, input_tokens) {
            Ok(service) => service,
            Err(why) => return Amount::Unknown(why),
        };
        let rates = self.rates(input_tokens);
        let (mut nanos, mut estimated) = (0u128, false);
        for bucket in Bucket::ALL {
            let tokens = match bucket.tokens(usage) {
                Tokens::Unknown if bucket.is_needed() => return Amount::Unknown(Unpriced::Count(bucket)),
                Tokens::Unknown => continue,
                Tokens::Estimated(tokens) => {
                    estimated = true;
                    tokens
                }
                Tokens::Reported(tokens) => tokens,
            };
            if tokens == 0 {
                continue;
            }
            let Some(rate) = rates.of(bucket) else { return Amount::Unknown(Unpriced::Bucket(bucket)) };
            let times = service.map_or(Ratio::ONE, |service| service.of(bucket));
            nanos = nanos.saturating_add(times.charge(tokens, rate));
        }
        let nanos = NanoDollars::new(u64::try_from(nanos).unwrap_or(u64::MAX));
        if estimated { Amount::Estimated(nanos) } else { Amount::Exact(nanos) }
    }

    /// The tier with this word; nothing for the ordinary one.
    fn service_of(&self, word: Option<&str>, input_tokens: u64) -> Result<Option<&Service>, Unpriced> {
        let Some(word) = word else { return Ok(None) };
        let word = word.to_ascii_lowercase();
        if matches!(word.as_str(), "" | "default" | "standard") {
            return Ok(None);
        }
        match self.services.get(&word) {
            Some(service) if service.up_to.is_none_or(|most| input_tokens <= most) => Ok(Some(service)),
            _ => Err(Unpriced::Service),
        }
    }
}

/// What a service tier does to the rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    times: Ratio,
    except: BTreeMap<Bucket, Ratio>,
    up_to: Option<u64>,
}

impl Service {
    /// All rates, so many times.
    pub fn new(times: Ratio) -> Self {
        Self { times, except: BTreeMap::new(), up_to: None }
    }

    /// But those of one bucket otherwise.
    #[must_use]
    pub fn except(mut self, bucket: Bucket, times: Ratio) -> Self {
        self.except.insert(bucket, times);
        self
    }

    /// Only for requests with at most so many input tokens.
    #[must_use]
    pub fn up_to(mut self, input_tokens: u64) -> Self {
        self.up_to = Some(input_tokens);
        self
    }

    fn of(&self, bucket: Bucket) -> Ratio {
        self.except.get(&bucket).copied().unwrap_or(self.times)
    }
}

/// A ratio of two whole numbers: `1/2`, `2`, `9/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: u32,
    denominator: NonZeroU32,
}

impl Ratio {
    /// As it is.
    pub const ONE: Self = Self::new(1, NonZeroU32::MIN);

    /// A ratio.
    pub const fn new(numerator: u32, denominator: NonZeroU32) -> Self {
        Self { numerator, denominator }
    }

    /// Billionths of a dollar, to the nearest. Cannot overflow: 64, 32 and 32
    /// bits make a product of less than 2^128 - 2^97, which leaves room for
    /// half a denominator.
    fn charge(self, tokens: u64, rate: Rate) -> u128 {
        let denominator = u128::from(self.denominator.get());
        let whole = u128::from(tokens) * u128::from(rate.get()) * u128::from(self.numerator);
        (whole + denominator / 2) / denominator
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        numerator
            .parse()
            .ok()
            .zip(denominator.parse().ok())
            .map(|(numerator, denominator)| Self::new(numerator, denominator))
            .ok_or_else(|| RatioError { text: text.chars().take(40).collect() })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator.get() {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

/// A text that is no ratio.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a ratio: write it like 2 or 1/2")]
pub struct RatioError {
    text: String,
}

#[cfg(test)]
mod tests;
