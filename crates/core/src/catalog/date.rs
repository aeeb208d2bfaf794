//! Days, for what is known as of one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A day in the Gregorian calendar, in UTC: `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The first day of Unix time.
    pub const EPOCH: Self = Self { year: 1970, month: 1, day: 1 };

    /// A day, unless the calendar has none such.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day })
    }

    /// The day in UTC that a point in time falls on.
    pub fn of(at: Timestamp) -> Self {
        let mut days = at.unix_nanos() / 86_400_000_000_000;
        let mut date = Self::EPOCH;
        // At most 584 turns: a timestamp ends in the year 2554.
        while let Some(left) = days.checked_sub(date.days_in_year()) {
            days = left;
            date.year += 1;
        }
        while let Some(left) = days.checked_sub(date.days_in_month()) {
            days = left;
            date.month += 1;
        }
        date.day += u8::try_from(days).unwrap_or(0); // fewer days than the month has
        date
    }

    fn days_in_month(self) -> u64 {
        (28..=31).rev().find(|&day| Self::new(self.year, self.month, day).is_some()).map_or(31, u64::from)
    }

    fn days_in_year(self) -> u64 {
        Self::new(self.year, 2, 29).map_or(365, |_| 366)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let mut parts = text.split('-');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(year), Some(month), Some(day), None)
                if digits(year, 4) && digits(month, 2) && digits(day, 2) =>
            {
                year.parse()
                    .ok()
                    .zip(month.parse().ok())
                    .zip(day.parse().ok())
                    .and_then(|((year, month), day)| Self::new(year, month, day))
            }
            _ => None,
        }
        .ok_or_else(|| DateError { text: text.chars().take(40).collect() })
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A text that is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a date: write it like 2026-11-22")]
pub struct DateError {
    text: String,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn only_days_that_exist_are_dates() {
        for wrong in
            ["", "2026", "2026-11", "2026-13-01", "2026-02-29", "26-11-22", "2026-11-22-", "2026-1-02"]
        {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
    }

    #[test]
    fn known_moments_fall_on_known_days() {
        let cases = [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_798_761_599, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(Date::of(Timestamp::EPOCH + Duration::from_secs(seconds)), day(expected), "{seconds}");
        }
        assert_eq!(Date::of(Timestamp::MAX), day("2554-07-21"));
    }

    proptest! {
        #[test]
        fn days_follow_each_other(days in 0u64..200_000) {
            let at = |days| Date::of(Timestamp::EPOCH + Duration::from_secs(86_400 * days));
            prop_assert!(at(days) < at(days + 1));
            prop_assert_eq!(day(&at(days).to_string()), at(days));
        }
    }
}
