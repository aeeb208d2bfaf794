//! What an answer cost, and how that is known.

use std::{fmt, ops::Add};

use serde::{Deserialize, Serialize};

use super::{Bucket, Date};

/// An amount of money: billionths of a US dollar.
///
/// Addition saturates, at about 18 thousand million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoDollars(u64);

impl NanoDollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many billionths of a dollar.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Billionths of a dollar.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Add for NanoDollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for NanoDollars {
    /// Dollars, exactly: `$0.001234`, `$12.00`. At least cents, no zeros after.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (mut digits, mut rest) = (9, nanos);
        while digits > 2 && rest.is_multiple_of(10) {
            (digits, rest) = (digits - 1, rest / 10);
        }
        write!(f, "${dollars}.{rest:0digits$}")
    }
}

/// What something cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// How much, as far as it is known.
    pub amount: Amount,
    /// The date of the prices. When there was none, that of the table.
    pub as_of: Date,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (prices of {})", self.amount, self.as_of)
    }
}

/// How much something cost, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// The provider reported every count.
    Exact(NanoDollars),
    /// Some count is our own estimate.
    Estimated(NanoDollars),
    /// Not known. Not the same as nothing.
    Unknown(Unpriced),
}

impl Amount {
    /// The figure, however it is known.
    pub const fn value(self) -> Option<NanoDollars> {
        match self {
            Self::Exact(nanos) | Self::Estimated(nanos) => Some(nanos),
            Self::Unknown(_) => None,
        }
    }

    /// Both together. One that is unknown makes the sum unknown.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown(why), _) | (_, Self::Unknown(why)) => Self::Unknown(why),
            (Self::Exact(a), Self::Exact(b)) => Self::Exact(a + b),
            (Self::Exact(a) | Self::Estimated(a), Self::Exact(b) | Self::Estimated(b)) => {
                Self::Estimated(a + b)
            }
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(nanos) => fmt::Display::fmt(nanos, f),
            Self::Estimated(nanos) => write!(f, "about {nanos}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// Why a cost is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unpriced {
    /// Nobody said how many tokens this was.
    #[error("the number of {0} tokens was not reported")]
    Count(Bucket),
    /// The table has no price for the model at that time.
    #[error("no price for this model")]
    Model,
    /// The price says nothing of this bucket, and it was used.
    #[error("no price for {0} tokens of this model")]
    Bucket(Bucket),
    /// The process ended while the request was out.
    #[error("the request was abandoned")]
    Abandoned,
    /// The price says nothing of this service tier, or not for so long a prompt.
    #[error("no price for this model in this service tier")]
    Service,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_written_exactly() {
        let cases = [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (1_234_000, "$0.001234"),
            (10_000_000, "$0.01"),
            (100_000_000, "$0.10"),
            (1_500_000_000, "$1.50"),
            (12_000_000_000, "$12.00"),
            (u64::MAX, "$18446744073.709551615"),
        ];
        for (nanos, text) in cases {
            assert_eq!(NanoDollars::new(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_back(nanos: u64) {
            let text = NanoDollars::new(nanos).to_string();
            let (dollars, rest) = text.trim_start_matches('$').split_once('.').unwrap();
            prop_assert!(rest.len() == 2 || !rest.ends_with('0'));
            let read = dollars.parse::<u128>().unwrap() * 1_000_000_000 + format!("{rest:0<9}").parse::<u128>().unwrap();
            prop_assert_eq!(read, u128::from(nanos));
        }

        #[test]
        fn one_unknown_part_makes_the_sum_unknown(nanos: u64) {
            let unknown = Amount::Unknown(Unpriced::Model);
            for known in [Amount::Exact(NanoDollars::new(nanos)), Amount::Estimated(NanoDollars::new(nanos))] {
                prop_assert_eq!(known.plus(unknown), unknown);
                prop_assert_eq!(unknown.plus(known), unknown);
            }
        }
    }

    #[test]
    fn an_estimate_makes_the_sum_an_estimate() {
        let (two, three) = (NanoDollars::new(2), NanoDollars::new(3));
        assert_eq!(Amount::Exact(two).plus(Amount::Exact(three)), Amount::Exact(NanoDollars::new(5)));
        assert_eq!(Amount::Exact(two).plus(Amount::Estimated(three)), Amount::Estimated(NanoDollars::new(5)));
    }

    #[test]
    fn a_cost_says_how_it_is_known() {
        let as_of = Date::new(2026, 11, 22).unwrap();
        let shown = |amount| Cost { amount, as_of }.to_string();
        assert_eq!(shown(Amount::Exact(NanoDollars::new(1_234_000))), "$0.001234 (prices of 2026-11-22)");
        assert_eq!(shown(Amount::Estimated(NanoDollars::ZERO)), "about $0.00 (prices of 2026-11-22)");
        assert_eq!(
            shown(Amount::Unknown(Unpriced::Bucket(Bucket::AudioInput))),
            "unknown: no price for audio input tokens of this model (prices of 2026-11-22)"
        );
    }
}
