//! Bad input of every sort gives one clear typed error; nothing hangs and
//! nothing panics.

use std::time::Duration;

use leverframe_emulator::{Emulator, Provider as Fake, Step};
use leverframe_router::{
    Amount, BuildError, Catalog, ErrorKind, Losses, OutputFormat, Provider, Request, Router,
};
use leverframe_tests::{PROVIDERS, World, ask, base, provider};

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let cases = [
        (Request::new("claude-x"), ErrorKind::InvalidRequest, "messages: is empty"),
        (
            Request::new("claude-x").user("hi").temperature(9.0),
            ErrorKind::InvalidRequest,
            "temperature: is 9",
        ),
        (Request::new("").user("hi"), ErrorKind::InvalidRequest, "model: is empty"),
        (Request::new("claude/").user("hi"), ErrorKind::InvalidRequest, "model: is empty"),
        (Request::new("llama-9").user("hi"), ErrorKind::ModelNotFound, "claude, gemini, openai"),
        (Request::new("claude-x").user("hi").timeout(Duration::ZERO), ErrorKind::InvalidRequest, "timeout"),
    ];
    for (request, kind, says) in cases {
        let error = world.router.send(request).await.expect_err(says);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(world.emulator.calls().is_empty());
}

#[tokio::test]
async fn what_one_dialect_cannot_say_goes_to_one_that_can() {
    let world = World::with(&["responses", "claude"], |builder| builder).await;
    // Responses has no stop sequences, and an answer that goes on is another one.
    let answer = world.router.send(ask("responses").stop("END")).await.expect("claude takes it");
    assert_eq!((world.calls("openai"), world.calls("claude")), (0, 1));
    let failure = answer.attempts()[0].failure.as_ref().expect("responses cannot");
    assert_eq!(failure.kind, ErrorKind::Unsupported);
    assert!(failure.message.starts_with("stop_sequences: "), "{failure}");
    assert!(answer.losses().is_empty());
}

#[tokio::test]
async fn losses_are_listed_allowed_or_refused() {
    let world = World::with(&["claude"], |builder| builder).await;
    let hot = ask("claude").temperature(1.5);
    let answer = world.router.send(hot.clone()).await.expect("a minor loss");
    let fields: Vec<_> = answer.losses().iter().map(|loss| loss.field.as_str()).collect();
    assert_eq!(fields, ["temperature"]);
    assert_eq!(world.emulator.calls()[0].body["temperature"], 1.0);
    let error = world.router.send(hot.losses(Losses::Refuse)).await.expect_err("strict");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("temperature: "), "{error}");
    let choosy = ask("claude").output(OutputFormat::JsonObject);
    let error = world.router.send(choosy.clone()).await.expect_err("a major loss");
    assert!(error.to_string().contains("output: "), "{error}");
    let answer = world.router.send(choosy.losses(Losses::Allow)).await.expect("all is allowed");
    assert_eq!(answer.losses()[0].field, "output");
    assert_eq!(world.calls("claude"), 2);
}

#[tokio::test]
async fn what_a_model_is_known_to_refuse_is_not_sent_and_the_cost_is_known() {
    let catalog = r#"{"as_of": "2026-11-23", "families": {"anthropic": {"source": "test", "models": {
        "claude-test": {"capabilities": {"refuses": ["top_p"]}}}}}}"#;
    let parsed = Catalog::parse(catalog);
    let catalog = parsed.unwrap_or_else(|error| panic!("{error}"));
    let world = World::with(&["claude"], |builder| builder.catalog(catalog)).await;
    let answer = world.router.send(ask("claude").top_p(0.5)).await.expect("a minor loss");
    assert_eq!(answer.losses()[0].field, "top_p");
    assert!(world.emulator.calls()[0].body.get("top_p").is_none());
    assert_eq!(answer.cost().and_then(Amount::value), None, "a model without a price has no known cost");
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused_with_its_name() {
    let build = |provider: Provider| base().provider(provider).build();
    let cases = [
        (base().build(), "no provider"),
        (build(Provider::anthropic("")), "key is empty"),
        (build(Provider::anthropic("sk-a b")), "API key has white space"),
        (build(Provider::openai("k").base_url("not a url")), "not a url"),
        (build(Provider::openai("k").base_url("ftp://x")), "http or https"),
        (build(Provider::gemini("k").named("a name")), "a name"),
        (build(Provider::gemini("k").requests_per_minute(0)), "requests_per_minute"),
        (base().provider(Provider::gemini("k")).provider(Provider::gemini("k")).build(), "called gemini"),
        (base().provider(Provider::gemini("k")).fallback(["claude"]).build(), "claude"),
        (base().provider(Provider::gemini("k")).attempts(0).build(), "attempts"),
        (base().provider(Provider::gemini("k")).timeout(Duration::ZERO).build(), "timeout"),
    ];
    for (built, says) in cases {
        let error: BuildError = built.map(drop).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("sk-a"), "{error:?}");
    }
}

/// Each answer is broken in its own way. No other provider can step in.
#[tokio::test]
async fn a_broken_answer_is_one_typed_error() {
    let megabyte = 1 << 20;
    let cases = [
        ("a 10 MB line", Step::ok().long_line_after(0, 10 * megabyte), ErrorKind::Unreadable),
        ("a 10 MB line after content", Step::ok().long_line_after(2, 10 * megabyte), ErrorKind::Unreadable),
        ("a truncated stream", Step::ok().end_after(2), ErrorKind::Interrupted),
        ("text with status 200", Step::raw(200, "text/plain", "hello"), ErrorKind::Unreadable),
        ("an empty body", Step::raw(200, "application/json", ""), ErrorKind::Unreadable),
        ("a stream of nothing", Step::raw(200, "text/event-stream", ""), ErrorKind::Interrupted),
        (
            "a stream of nonsense",
            Step::raw(200, "text/event-stream", "data: nonsense\n\n"),
            ErrorKind::Unreadable,
        ),
        ("JSON of another kind", Step::raw(200, "application/json", "[1, 2]"), ErrorKind::Unreadable),
        ("a web page with status 500", Step::raw(500, "text/html", "<h1>Sorry</h1>"), ErrorKind::Server),
        ("a web page with status 404", Step::raw(404, "text/html", "nginx"), ErrorKind::ModelNotFound),
    ];
    for (name, ..) in PROVIDERS {
        for (what, step, kind) in cases.clone() {
            let world = World::with(&[name], |builder| builder).await;
            world.always(name, step);
            let error = match world.router.stream(ask(name)).await {
                Ok(stream) => stream.collect().await.expect_err(what),
                Err(error) => error,
            };
            assert_eq!(error.kind(), kind, "{name}, {what}: {error}");
            if what.starts_with("a 10 MB line") {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                assert!(cause.contains("8388608 bytes"), "{name}, {what}: {cause}");
            }
            assert!(!error.failure().message.is_empty());
        }
    }
}

#[tokio::test]
async fn a_body_larger_than_the_limit_is_not_read_to_its_end() {
    let limit = 64 << 10;
    for (name, ..) in PROVIDERS {
        let world = World::with(&[name], |builder| {
            builder.transport(leverframe_router::TransportConfig { max_body: limit, ..Default::default() })
        })
        .await;
        world.always(name, Step::text("word ".repeat(100_000)));
        let error = world.router.send(ask(name)).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::Unreadable);
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_network_failure_that_says_where_to_look() {
    let emulator = Emulator::start().await.expect("loopback has free ports");
    let gone = provider(&emulator, "claude");
    emulator.shutdown().await;
    let router = base().provider(gone).build().expect("valid");
    let error = router.send(ask("claude")).await.expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("base URL"), "{error}");
    assert_eq!(error.attempts().len(), 3, "retried, then given up");
}

#[tokio::test]
async fn no_key_shows_in_any_error_or_debug() {
    // Without a prefix that tells it is one.
    let secret = "3f9averysecretkey77c0";
    let emulator = Emulator::start().await.expect("loopback has free ports");
    let quote = format!(
        r#"{{"type":"error","error":{{"type":"authentication_error","message":"bad key {secret}"}}}}"#
    );
    emulator.always(Fake::Anthropic, Step::raw(401, "application/json", quote));
    let provider = Provider::anthropic(secret).base_url(emulator.base_url(Fake::Anthropic));
    let router: Router = base().provider(provider.clone()).build().expect("valid");
    let error = router.send(ask("claude")).await.expect_err("rejected");
    let record = serde_json::to_string(error.record().expect("recorded").as_ref()).expect("JSON");
    for shown in [error.to_string(), format!("{error:?} {router:?} {provider:?}"), record] {
        assert!(!shown.contains("verysecret"), "{shown}");
    }
}
