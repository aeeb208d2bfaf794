//! What a good answer carries, for each dialect.

use futures_util::StreamExt;
use leverframe_emulator::{Finish, Provider as Fake, Step};
use leverframe_router::{Block, FinishReason, Provider, Request, StreamEvent, Tokens};
use leverframe_tests::{DIALECTS, World, ask, base, lookup};

#[tokio::test]
async fn a_stream_collects_to_what_a_plain_call_gives() {
    let steps = [
        Step::text("Grüße aus \"Łódź\" 👋 and a\nline"),
        Step::text("cut short").finish(Finish::Length),
        Step::tool_call("weather", r#"{"city": "Łódź", "days": 3}"#),
        Step::tool_call("now", "{}"),
        Step::text(""),
    ];
    for (name, ..) in DIALECTS {
        for step in steps.clone() {
            let world = World::with(&[name], |builder| builder).await;
            world.always(name, step);
            let whole = world.router.send(ask(name)).await.expect("answers").response;
            let streamed = world.router.stream(ask(name)).await.expect("begins").collect().await;
            let streamed = streamed.expect("ends").response;
            assert_eq!(streamed.text(), whole.text(), "{name}");
            assert_eq!(streamed.finish, whole.finish, "{name}");
            assert_eq!(streamed.usage, whole.usage, "{name}");
            let calls = |content: &[Block]| -> Vec<(String, serde_json::Value)> {
                let call = |block: &Block| match block {
                    Block::ToolCall(call) => Some((call.name.clone(), call.arguments.parse().expect("JSON"))),
                    _ => None,
                };
                content.iter().filter_map(call).collect()
            };
            assert_eq!(calls(&streamed.content), calls(&whole.content), "{name}");
        }
    }
}

#[tokio::test]
async fn finish_reasons_and_usage_are_read() {
    for (name, ..) in DIALECTS {
        let world = World::with(&[name], |builder| builder).await;
        world.always(name, Step::text("one two three").finish(Finish::Length));
        let answer = world.router.send(ask(name)).await.expect("answers");
        assert_eq!(answer.response.finish, FinishReason::Length, "{name}");
        assert_eq!(answer.response.usage.output, Tokens::Reported(3), "{name}");
        assert!(answer.response.usage.total().is_some_and(|total| total > 3), "{name}");
        assert_eq!(answer.text(), "one two three", "{name}");
        assert_eq!(answer.record().usage, answer.response.usage, "{name}");
    }
}

#[tokio::test]
async fn a_conversation_with_all_settings_reaches_each_provider() {
    for (name, ..) in DIALECTS {
        let world = World::with(&[name], |builder| builder).await;
        let request = ask(name)
            .system("Be brief.")
            .assistant("Hello!")
            .user("How are you?")
            .temperature(0.5)
            .top_p(0.9)
            .max_output_tokens(50);
        // Responses has no stop sequences.
        let request = if name == "responses" { request } else { request.stop("END") };
        world.router.send(request).await.expect("answers");
        let body = world.emulator.calls()[0].body.to_string();
        let stop = if name == "responses" { "gpt-test" } else { "END" };
        for said in ["Be brief.", "Hello there", "Hello!", "How are you?", "0.5", "0.9", "50", stop] {
            assert!(body.contains(said), "{name}: {said} is missing in {body}");
        }
    }
}

#[tokio::test]
async fn events_come_one_by_one_and_the_last_one_ends_the_stream() {
    for (name, ..) in DIALECTS {
        let world = World::with(&[name], |builder| builder).await;
        world.always(name, Step::text("a b c d"));
        let mut stream = world.router.stream(ask(name)).await.expect("begins");
        assert_eq!(stream.route().map(|route| route.provider.as_str().to_owned()), Some(name.to_owned()));
        assert!(stream.record().is_none());
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.expect("no failure"));
        }
        let texts: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                StreamEvent::TextDelta { text, .. } if !text.is_empty() => Some(text.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["a ", "b ", "c ", "d"], "{name}");
        assert_eq!(events.last(), Some(&StreamEvent::End), "{name}");
        assert!(stream.next().await.is_none());
        let record = stream.record().expect("the stream has ended");
        assert!(record.attempts[0].first_chunk_at.is_some(), "{name}");
        assert_eq!(world.records.all().len(), 1);
    }
}

#[tokio::test]
async fn models_find_their_providers() {
    let world = World::new().await;
    let cases = [
        ("claude-sonnet-5", "claude", "claude-sonnet-5"),
        ("gemini-3.6-flash", "gemini", "gemini-3.6-flash"),
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("openai/claude-shim", "openai", "claude-shim"),
        ("default", "claude", lookup("claude").2),
    ];
    for (asked, provider, model) in cases {
        let answer = world.router.send(Request::new(asked).user("Hi")).await.expect("answers");
        let attempt = &answer.attempts()[0];
        assert_eq!((attempt.provider.as_str(), attempt.model.as_str()), (provider, model), "{asked}");
    }
}

#[tokio::test]
async fn the_providers_own_id_of_the_call_is_kept() {
    let world = World::new().await;
    for (name, id) in [("claude", true), ("gemini", false), ("openai", true)] {
        let answer = world.router.send(ask(name)).await.expect("answers");
        assert_eq!(answer.attempts()[0].provider_request_id.is_some(), id, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_streamed_for() {
    let body = r#"{"id": "x", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "All at once."}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}}"#;
    let world = World::new().await;
    world.always("openai", Step::raw(200, "application/json", body));
    let mut stream = world.router.stream(ask("openai")).await.expect("answers");
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        if let StreamEvent::TextDelta { text: more, .. } = event.expect("no failure") {
            text.push_str(&more);
        }
    }
    assert_eq!(text, "All at once.");
    assert_eq!(stream.collect().await.expect("ended well").response.usage.total(), Some(4));
}

/// Found in review: a model's name alone found neither Responses nor always OpenAI.
#[tokio::test]
async fn a_models_name_alone_finds_where_it_is_at_home() {
    let world = World::with(&["responses"], |builder| builder).await;
    let answer = world.router.send(Request::new("gpt-test").user("hi")).await.expect("responses serves it");
    assert_eq!(answer.attempts()[0].provider.as_str(), "responses");

    let emulator = leverframe_emulator::Emulator::start().await.expect("loopback has free ports");
    let compatible = |name: &str| {
        let url = format!("{}/v1", emulator.base_url(Fake::OpenAi));
        Provider::openai_compatible(name, &url, "k")
    };
    let build = |fallback: Option<&str>, own: Provider| {
        let builder = base().provider(own).provider(leverframe_tests::provider(&emulator, "openai"));
        let builder = fallback.into_iter().fold(builder, |builder, name| builder.fallback([name]));
        builder.build()
    };
    let router = build(None, compatible("mine")).expect("valid");
    let answer = router.send(Request::new("gpt-test").user("hi")).await.expect("openai serves it");
    assert_eq!(answer.attempts()[0].provider.as_str(), "openai");
    let answer = router.send(Request::new("mine/gpt-test").user("hi")).await.expect("it was named");
    assert_eq!(answer.attempts()[0].provider.as_str(), "mine");
    let error = router.send(Request::new("default").user("hi")).await.expect_err("mine has no default");
    assert!(error.to_string().contains("default_model"), "{error}");
    let error = build(Some("mine"), compatible("mine")).expect_err("nothing to fall back to");
    assert!(error.to_string().contains("default_model"), "{error}");
    assert!(build(Some("mine"), compatible("mine").default_model("llama")).is_ok());
}
