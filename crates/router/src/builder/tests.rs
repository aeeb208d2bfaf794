use leverframe_core::guard::{Backoff, Limits, RetryPolicy};

use super::*;
use crate::Target;

fn base() -> Builder {
    Router::builder().provider(Provider::anthropic("k")).provider(Provider::gemini("k").key("second", "k2"))
}

fn claude() -> Provider {
    Provider::anthropic("k")
}

fn alone(provider: Provider) -> Builder {
    Router::builder().provider(provider)
}

fn model(name: &str) -> Model {
    Model::new(name).route("claude/claude-haiku-4-5")
}

#[test]
fn what_is_refused_is_named_with_what_would_be_valid() {
    let weighted = |weight| base().model(model("fast").route(Target::new("gemini/g").weight(weight)));
    let zero = Target::new("gemini/g").weight(0.0);
    let none = Limits::default();
    let cases = [
        // Providers.
        (alone(claude().key("second", "k").key("second", "k")), "provider claude, key", "same"),
        (alone(claude().key("default", "k")), "provider claude, key", "called default"),
        (alone(claude().key("sk-ant a secret", "k")), "provider claude, key", "letters"),
        (alone(claude().key("second", "")), "provider claude", "empty"),
        (alone(claude().weight(-1.0)), "provider claude, weight", "-1"),
        (alone(claude().weight(f64::NAN)), "provider claude, weight", "NaN"),
        (alone(claude().tags([""])), "provider claude, tags", "word"),
        (alone(claude().default_model("")), "provider claude, default_model", "name a model"),
        (alone(claude().stands_in("", "a")), "provider claude, stands_in", "empty"),
        (alone(claude().stands_in("a", "")), "provider claude, stands_in", "empty"),
        (alone(claude().stands_in("a", "b").stands_in("a", "c")), "provider claude, stands_in", "twice"),
        (alone(Provider::ollama()).fallback(["ollama"]), "fallback", "Provider::stands_in"),
        // Names.
        (base().model(model("")), "model \"\"", "1 to 256"),
        (base().model(model("a b")), "model \"a b\"", "white space"),
        (base().model(model("fast/")), "model \"fast/\"", "'/'"),
        (base().model(model("claude/fast")), "model \"claude/fast\"", "without claude/"),
        (base().model(model("fast")).model(model("fast")), "model \"fast\"", "another"),
        (base().model(model("fast")).alias("fast", "default"), "alias \"fast\"", "another"),
        (base().alias("a", "default").alias("a", "gemini/g"), "alias \"a\"", "another"),
        (base().alias("default", "gemini/g").default_provider("gemini"), "alias \"default\"", "leave out"),
        // Aliases.
        (base().alias("a", "a"), "alias \"a\"", "a -> a"),
        (base().alias("a", "b").alias("b", "c").alias("c", "b"), "alias \"a\"", "b -> c -> b"),
        (base().alias("smart", "nobody/has-it"), "alias \"smart\"", "claude, gemini"),
        (base().alias("smart", ""), "alias \"smart\"", "for example"),
        (base().alias("smart", "claude"), "alias \"smart\"", "claude/model"),
        // Models.
        (base().model(Model::new("fast")), "model \"fast\"", "Model::route"),
        (base().model(model("fast").route("nobody/x")), "route \"nobody/x\"", "claude, gemini"),
        (base().model(model("fast").route("gemini")), "route \"gemini\"", "gemini/model"),
        (
            base().model(model("fast")).model(Model::new("x").route("fast")),
            "route \"fast\"",
            "provider/model",
        ),
        (base().model(model("fast").route("claude/claude-haiku-4-5")), "model \"fast\"", "twice"),
        (
            base().model(Model::new("x").route(Target::new("gemini/g").key("third"))),
            "route \"gemini/g\"",
            "default, second",
        ),
        (
            base().model(model("fast").route(Target::new("gemini/g").tags(["\n"]))),
            "route \"gemini/g\"",
            "tag",
        ),
        (weighted(-0.5), "route \"gemini/g\"", "-0.5"),
        (weighted(f64::NAN), "route \"gemini/g\"", "NaN"),
        (weighted(f64::INFINITY), "route \"gemini/g\"", "inf"),
        (weighted(1e7), "route \"gemini/g\"", "1000000"),
        (base().model(Model::new("x").route(zero.clone()).policy(Policy::Weighted)), "model \"x\"", "all 0"),
        (base().policy(Policy::Weighted).model(Model::new("x").route(zero)), "model \"x\"", "all 0"),
        // Policies.
        (base().policy(Policy::Fastest { explore: 0.0 }), "policy", "above 0"),
        (
            base().model(model("fast").policy(Policy::Fastest { explore: f64::NAN })),
            "model \"fast\"",
            "above 0 and up to 1",
        ),
        // Guards.
        (alone(claude().requests_per_minute(0)), "provider claude, requests_per_minute", "leave it out"),
        (
            alone(claude().limits(Limits { concurrency: Some(0), ..none })),
            "provider claude, concurrency",
            "leave",
        ),
        (
            alone(claude().model_limits("m", Limits { tokens_per_minute: Some(u64::MAX), ..none })),
            "limits of \"m\", tokens_per_minute",
            "not between 1",
        ),
        (
            alone(claude()).retry_budget(RetryBudgetConfig { ratio: 11.0, floor: 1 }),
            "retry_budget.ratio",
            "0.1 is usual",
        ),
        (
            alone(claude()).hedging(Hedging { quantile: 1.0, ..Hedging::default() }),
            "hedging.quantile",
            "below 1",
        ),
        (alone(claude()).queueing(Queueing { length: 0, ..Queueing::default() }), "queue.length", "leave"),
        (
            alone(claude()).queueing(Queueing { patience: Duration::ZERO, ..Queueing::default() }),
            "queue.patience",
            "such as 5s",
        ),
        (
            alone(claude()).breaker(BreakerConfig { failure_rate: 7.0, ..BreakerConfig::default() }),
            "breaker.failure_rate",
            "up to 1",
        ),
        (alone(claude()).attempts(0), "attempts", "at least 1"),
        (alone(claude()).timeout(Duration::ZERO), "timeout", "such as 60s"),
    ];
    for (builder, named, valid) in cases {
        let error = builder.build().expect_err(named).to_string();
        assert!(error.contains(named) && error.contains(valid), "{named}, {valid}: {error}");
        assert!(!error.contains("sk-ant"), "{error}");
    }
}

#[test]
fn what_makes_sense_is_taken() {
    let cases = [
        base().model(model("fast")),
        base().model(model("default")),
        base().model(model("claude-sonnet-5")),
        base().model(model("team/fast")),
        base().model(model("fast").route(Target::new("gemini/g").weight(0.0)).policy(Policy::Weighted)),
        base().model(Model::new("x").route(Target::new("gemini/g").key("second"))),
        base().alias("a", "b").alias("b", "fast").model(model("fast")),
        base().alias("haiku", "claude/claude-haiku-4-5").model(Model::new("x").route("haiku")),
        base().alias("usual", "default"),
        alone(Provider::ollama().stands_in("claude-sonnet-5", "llama"))
            .provider(claude())
            .fallback(["ollama"]),
    ];
    for builder in cases {
        let shown = format!("{builder:?}");
        builder.build().unwrap_or_else(|error| panic!("{error}: {shown}"));
    }
}

#[test]
fn a_providers_own_settings_are_for_its_routes() {
    let retry = RetryPolicy { per_route: 7, backoff: Backoff::default(), ..RetryPolicy::default() };
    let clocks = Clocks { headers: Duration::from_millis(5), ..Clocks::default() };
    let own = Provider::gemini("k").retry(retry).clocks(clocks);
    let router = Router::builder().provider(claude()).provider(own).build().expect("valid");
    let inner = router.inner();
    let route = |place: usize| inner.providers[place].own[0].route.clone();
    assert_eq!(inner.retry_of(&route(0)), RetryPolicy::default());
    assert_eq!(inner.retry_of(&route(1)), retry);
    assert_eq!(inner.clocks_of(&route(0)).headers, Clocks::default().headers);
    assert_eq!(inner.clocks_of(&route(1)).headers, clocks.headers);
}
