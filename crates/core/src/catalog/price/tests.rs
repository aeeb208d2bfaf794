use proptest::prelude::*;

use super::*;

fn date() -> Date {
    "2026-11-22".parse().unwrap()
}

fn reported(buckets: [u64; 8]) -> Usage {
    let [
        input,
        cache_read,
        cache_write_short,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
    ] = buckets.map(Tokens::Reported);
    Usage {
        input,
        cache_read,
        cache_write_short,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
    }
}

fn rates_from(nanos: [u32; 8]) -> Rates {
    let [
        input,
        cache_read,
        cache_write_short,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
    ] = nanos.map(|nanos| Some(Rate::new(nanos)));
    Rates {
        input,
        cache_read,
        cache_write_short,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        audio_output,
    }
}

fn nanos(amount: Amount) -> u64 {
    amount.value().unwrap().get()
}

/// Usages that stay below 272 000 input tokens.
fn short() -> impl Strategy<Value = [u64; 8]> {
    prop::array::uniform8(0u64..50_000)
}

fn any_rates() -> impl Strategy<Value = [u32; 8]> {
    prop::array::uniform8(0u32..1_000_000)
}

fn any_ratio() -> impl Strategy<Value = Ratio> {
    (0u32..40, 1u32..40).prop_map(|(n, d)| Ratio::new(n, NonZeroU32::new(d).unwrap()))
}

proptest! {
    #[test]
    fn the_cost_is_the_sum_of_the_costs_of_its_buckets(usage in short(), rates in any_rates(), times in any_ratio()) {
        let price = Price::new(date(), rates_from(rates)).service("flex", Service::new(times));
        for service in [None, Some("flex")] {
            let whole = price.cost(&reported(usage), service);
            let parts: u64 = (0..8)
                .map(|at| {
                    let mut alone = [0; 8];
                    alone[at] = usage[at];
                    nanos(price.cost(&reported(alone), service))
                })
                .sum();
            prop_assert_eq!(whole, Amount::Exact(NanoDollars::new(parts)));
        }
        let by_hand: u64 = (0..8).map(|at| usage[at] * u64::from(rates[at])).sum();
        prop_assert_eq!(nanos(price.cost(&reported(usage), None)), by_hand);
    }

    #[test]
    fn more_tokens_never_cost_less(usage in short(), rates in any_rates(), more in 0u64..400_000, at in 0usize..8, times in any_ratio()) {
        let doubled = rates.map(|rate| rate * 2);
        let price = Price::new(date(), rates_from(rates))
            .above(100_000, rates_from(doubled))
            .service("flex", Service::new(times));
        let mut larger = usage;
        larger[at] += more;
        for service in [None, Some("flex")] {
            prop_assert!(price.cost(&reported(usage), service).value() <= price.cost(&reported(larger), service).value());
        }
    }

    #[test]
    fn no_usage_overflows(usage: [u64; 8], rates: [u32; 8], numerator: u32, denominator in 1u32..) {
        let times = Ratio::new(numerator, NonZeroU32::new(denominator).unwrap());
        let price = Price::new(date(), rates_from(rates)).service("flex", Service::new(times));
        prop_assert!(price.cost(&reported(usage), Some("flex")).value().is_some());
    }

    /// Whatever is missing, the answer is "unknown" and not a smaller figure.
    #[test]
    fn unknown_is_never_a_figure(usage in prop::array::uniform8(1u64..1000), rates in any_rates(), missing in 0usize..8) {
        let bucket = Bucket::ALL[missing];
        let full = rates_from(rates);
        let mut without = full;
        for (slot, at) in [
            (&mut without.input, Bucket::Input),
            (&mut without.cache_read, Bucket::CacheRead),
            (&mut without.cache_write_short, Bucket::CacheWriteShort),
            (&mut without.cache_write_long, Bucket::CacheWriteLong),
            (&mut without.output, Bucket::Output),
            (&mut without.audio_input, Bucket::AudioInput),
            (&mut without.audio_output, Bucket::AudioOutput),
        ] {
            if at == bucket {
                *slot = None;
            }
        }
        let amount = Price::new(date(), without).cost(&reported(usage), None);
        if bucket == Bucket::Reasoning {
            prop_assert!(amount.value().is_some());
        } else {
            prop_assert_eq!(amount, Amount::Unknown(Unpriced::Bucket(bucket)));
        }
        let mut unused = usage;
        unused[missing] = 0;
        prop_assert!(Price::new(date(), without).cost(&reported(unused), None).value().is_some());
    }

    #[test]
    fn one_estimate_makes_it_an_estimate(usage in short(), rates in any_rates(), at in 0usize..8) {
        let price = Price::new(date(), rates_from(rates));
        let mut estimated = reported(usage);
        let slot = [
            &mut estimated.input, &mut estimated.cache_read, &mut estimated.cache_write_short,
            &mut estimated.cache_write_long, &mut estimated.output, &mut estimated.reasoning,
            &mut estimated.audio_input, &mut estimated.audio_output,
        ].into_iter().nth(at).unwrap();
        *slot = Tokens::Estimated(usage[at]);
        let exact = price.cost(&reported(usage), None);
        prop_assert_eq!(price.cost(&estimated, None), Amount::Estimated(exact.value().unwrap()));
    }
}

#[test]
fn without_a_count_of_input_or_output_nothing_is_known() {
    let price = Price::new(date(), rates_from([1; 8]));
    let known = reported([10, 10, 10, 10, 10, 10, 10, 10]);
    let no_input = Usage { input: Tokens::Unknown, ..known };
    let no_output = Usage { output: Tokens::Unknown, ..known };
    let neither_cached_nor_audio =
        Usage { input: Tokens::Reported(10), output: Tokens::Reported(5), ..Usage::default() };
    assert_eq!(price.cost(&no_input, None), Amount::Unknown(Unpriced::Count(Bucket::Input)));
    assert_eq!(price.cost(&no_output, None), Amount::Unknown(Unpriced::Count(Bucket::Output)));
    assert_eq!(price.cost(&Usage::default(), None), Amount::Unknown(Unpriced::Count(Bucket::Input)));
    assert_eq!(price.cost(&neither_cached_nor_audio, None), Amount::Exact(NanoDollars::new(15)));
}

#[test]
fn the_length_of_the_whole_prompt_picks_the_rates() {
    let price =
        Price::new(date(), rates_from([1; 8])).above(100, rates_from([2; 8])).above(200, rates_from([3; 8]));
    let cases = [(0, 1), (100, 1), (101, 2), (200, 2), (201, 3), (u64::MAX, 3)];
    for (tokens, rate) in cases {
        assert_eq!(price.rates(tokens).input, Some(Rate::new(rate)), "{tokens}");
    }
    // 60 cached and 41 fresh tokens make 101, and the output is dearer too.
    assert_eq!(nanos(price.cost(&reported([41, 60, 0, 0, 10, 0, 0, 0]), None)), 2 * 111);
    assert_eq!(nanos(price.cost(&reported([40, 60, 0, 0, 10, 0, 0, 0]), None)), 110);
}

#[test]
fn a_service_tier_multiplies_bucket_by_bucket() {
    let half = "1/2".parse().unwrap();
    let price = Price::new(date(), rates_from([10, 3, 0, 0, 100, 100, 0, 0]))
        .service("flex", Service::new(half).except(Bucket::CacheRead, Ratio::ONE))
        .service("priority", Service::new("9/5".parse().unwrap()).up_to(100));
    let usage = reported([10, 5, 0, 0, 1, 0, 0, 0]);
    assert_eq!(nanos(price.cost(&usage, None)), 215);
    assert_eq!(nanos(price.cost(&usage, Some("default"))), 215);
    assert_eq!(nanos(price.cost(&usage, Some("Standard"))), 215);
    assert_eq!(nanos(price.cost(&usage, Some("FLEX"))), 50 + 15 + 50);
    assert_eq!(nanos(price.cost(&usage, Some("priority"))), 180 + 27 + 180);
    let long = reported([101, 0, 0, 0, 1, 0, 0, 0]);
    for (usage, service) in [(&usage, "scale"), (&usage, "auto"), (&long, "priority")] {
        assert_eq!(price.cost(usage, Some(service)), Amount::Unknown(Unpriced::Service), "{service}");
    }
}

#[test]
fn ratios_are_read_and_written() {
    for text in ["1", "2", "1/2", "9/5", "0"] {
        assert_eq!(text.parse::<Ratio>().unwrap().to_string(), text);
    }
    for text in ["", "1/0", "-1", "0.5", "1/2/3", "a", "1/ 2"] {
        assert!(text.parse::<Ratio>().is_err(), "{text}");
    }
}
