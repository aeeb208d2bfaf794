//! What happens when a streamed answer breaks off: `terminate`, `resume`,
//! `buffer`, by what it broke off in.

use futures_util::StreamExt;
use leverframe_emulator::Step;
use leverframe_router::{
    Catalog, Error, ErrorKind, OnBreak, OutputFormat, Partial, Request, StateKind, StreamEvent,
    StreamSettings,
};
use leverframe_tests::{World, ask};

const NAMES: [&str; 3] = ["claude", "gemini", "openai"];

/// Gemini's test model goes on with a text, OpenAI's refuses to, and of
/// Claude's nothing is known.
fn catalog() -> Catalog {
    let catalog = r#"{"as_of": "2026-11-23", "families": {
        "google": {"source": "test", "models": {"gemini-test": {"capabilities": {"accepts": ["prefill"]}}}},
        "openai": {"source": "test", "models": {"gpt-test": {"capabilities": {"refuses": ["prefill"]}}}}}}"#;
    Catalog::parse(catalog).expect("a catalog")
}

async fn world() -> World {
    World::with(&NAMES, |builder| builder.catalog(catalog())).await
}

/// Everything a stream gives, and the error it ends in.
async fn read(world: &World, request: Request) -> (Vec<StreamEvent>, Option<Error>) {
    let mut stream = world.router.stream(request).await.expect("begins");
    let (mut events, mut error) = (Vec::new(), None);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(failed) => error = Some(failed),
        }
    }
    (events, error)
}

fn text(events: &[StreamEvent]) -> String {
    let mut partial = Partial::new();
    events.iter().cloned().for_each(|event| partial.push(event));
    partial.text()
}

fn switched<'a>(events: &'a [StreamEvent]) -> Vec<&'a str> {
    let to = |event: &'a StreamEvent| match event {
        StreamEvent::Switched(route) => Some(route),
        _ => None,
    };
    events.iter().filter_map(to).map(|route| route.provider.as_str()).collect()
}

#[tokio::test]
async fn plain_text_goes_on_where_a_model_accepts_its_beginning() {
    let world = world().await;
    world.always("openai", Step::text("from the start"));
    for broken in [Step::text("Once upon a time").end_after(2), Step::text("Once upon a time").stall_after(2)]
    {
        world.always("claude", broken);
        world.always("gemini", Step::text(" a midnight").thinking("hm"));
        let (events, error) = read(&world, ask("claude").on_break(OnBreak::Resume)).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(switched(&events), ["gemini"]);
        let first =
            events.iter().position(|event| matches!(event, StreamEvent::Switched(_))).expect("switched");
        let begun = text(&events[..first]);
        assert!(!begun.trim().is_empty() && "Once upon a time".starts_with(&begun), "{begun:?}");
        assert_eq!(text(&events), format!("{begun} a midnight"));
        assert_eq!(events.last(), Some(&StreamEvent::End));
    }
    let record = world.records.all().pop().expect("recorded");
    assert_eq!(record.attempts.len(), 2);
    assert!(record.journal.replay().expect("legal").is_terminal());
    // The beginning was sent as the last turn, without the white space at its end.
    let call = world.emulator.calls().into_iter().next_back().expect("a call");
    assert!(call.body.to_string().contains("\"Once upon"), "{}", call.body);
}

#[tokio::test]
async fn the_answer_of_a_stream_that_went_on_is_the_whole_text() {
    let world = world().await;
    world.always("claude", Step::text("one two three").end_after(2));
    world.always("gemini", Step::text(" and four"));
    let stream = world.router.stream(ask("claude").on_break(OnBreak::Resume)).await.expect("begins");
    let answer = stream.collect().await.expect("goes on");
    assert!(answer.text().starts_with("one") && answer.text().ends_with(" and four"), "{}", answer.text());
    let path: Vec<_> = answer.journal().path().collect();
    assert!(path.windows(2).any(|pair| pair == [StateKind::Failed, StateKind::Validating]), "{path:?}");
}

#[tokio::test]
async fn a_text_may_be_gone_on_with_twice() {
    let catalog = r#"{"as_of": "2026-11-23", "families": {
        "google": {"source": "test", "models": {"gemini-test": {"capabilities": {"accepts": ["prefill"]}}}},
        "openai": {"source": "test", "models": {"gpt-test": {"capabilities": {"accepts": ["prefill"]}}}}}}"#;
    let catalog = Catalog::parse(catalog).expect("a catalog");
    let world = World::with(&NAMES, |builder| builder.catalog(catalog).on_break(OnBreak::Resume)).await;
    world.always("claude", Step::tokens(["a", " b", " c"]).end_after(2));
    world.always("gemini", Step::tokens([" C", " D", " E"]).end_after(2));
    world.always("openai", Step::tokens([" 5", " 6"]));
    let (events, error) = read(&world, ask("claude")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(switched(&events), ["gemini", "openai"]);
    assert_eq!(text(&events), "a b C D 5 6");
}

#[tokio::test]
async fn nothing_but_plain_text_is_gone_on_with() {
    let cases = [
        ("terminate", ask("claude"), Step::text("one two three").end_after(2)),
        (
            "a tool call",
            ask("claude").on_break(OnBreak::Resume),
            Step::tool_call("f", r#"{"a": 1}"#).end_after(1),
        ),
        (
            "thinking",
            ask("claude").on_break(OnBreak::Resume),
            Step::text("one two three").thinking("I wonder").end_after(2),
        ),
        (
            "JSON",
            // Gemini would go on with a text.
            ask("openai").on_break(OnBreak::Resume).output(OutputFormat::JsonObject),
            Step::text("{\"one\": 2}").end_after(1),
        ),
    ];
    for (what, request, broken) in cases {
        let world = world().await;
        world.always("claude", broken.clone());
        world.always("openai", broken.clone());
        let (events, error) = read(&world, request).await;
        let error = error.unwrap_or_else(|| panic!("{what}: {events:?}"));
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{what}");
        assert!(error.partial().is_some(), "{what}");
        assert_eq!((switched(&events).len(), error.attempts().len()), (0, 1), "{what}");
        assert_eq!(world.calls("gemini"), 0, "{what}");
    }
}

#[tokio::test]
async fn what_could_not_go_on_does_not_hide_what_broke() {
    // A refusal of the beginning, a refusal of everything, and a route that is not reached.
    let worlds = [Step::invalid_request(), Step::authentication(), Step::close_before_headers()];
    for refusal in worlds {
        let world = world().await;
        world.always("claude", Step::tokens(["one", " two", " three"]).end_after(2));
        world.always("gemini", refusal.clone());
        let (events, error) = read(&world, ask("claude").on_break(OnBreak::Resume)).await;
        let error = error.expect("nobody could go on");
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{refusal:?}: {error}");
        assert_eq!(error.partial().expect("what was seen").text(), "one two");
        assert_eq!(text(&events), "one two");
        assert_eq!(error.attempts().len(), 2, "{error}");
        assert_eq!(world.calls("openai"), 0, "its model is known to refuse a beginning");
    }
}

#[tokio::test]
async fn a_buffered_answer_starts_over_unseen() {
    let cases = [
        Step::text("one two three").end_after(2),
        Step::text("one two three").reset_after(2),
        Step::tool_call("f", r#"{"a": 1}"#).end_after(1),
    ];
    for broken in cases {
        let world = world().await;
        world.always("claude", broken.clone());
        world.always("gemini", Step::text("from the start"));
        let (events, error) = read(&world, ask("claude").on_break(OnBreak::Buffer)).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!((text(&events).as_str(), switched(&events).len()), ("from the start", 0), "{broken:?}");
        let record = world.records.all().pop().expect("recorded");
        assert!(record.attempts.len() >= 2, "{broken:?}");
        assert!(record.journal.replay().expect("legal").is_terminal());
    }
}

#[tokio::test]
async fn what_is_buffered_has_a_bound() {
    let streams = StreamSettings { buffer_bytes: 2000, ..StreamSettings::default() };
    let world = World::with(&["claude"], |builder| builder.streams(streams)).await;
    world.always("claude", Step::text("word ".repeat(1000)));
    let error = world.router.stream(ask("claude").on_break(OnBreak::Buffer)).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.to_string().contains("buffer_bytes"), "{error}");
}

#[tokio::test]
async fn what_comes_before_the_first_content_has_a_bound() {
    let comments = ": nothing yet\n\n".repeat(2000);
    let chunk = |n| {
        format!(
            "data: {{\"id\": \"{n}\", \"model\": \"m\", \"choices\": [], \"usage\": {{\"prompt_tokens\": {n}}}}}\n\n"
        )
    };
    let starts: String = (0..500).map(chunk).collect();
    let streams =
        StreamSettings { hold_back_events: 100, hold_back_bytes: 100_000, ..StreamSettings::default() };
    let world = World::with(&["openai"], |builder| builder.streams(streams)).await;
    world.always("openai", Step::raw(200, "text/event-stream", starts));
    let error = world.router.stream(ask("openai")).await.expect_err("no content");
    assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
    // Keep-alives alone are no events: what ends them is the first-token clock, or the body.
    world.always("openai", Step::raw(200, "text/event-stream", comments));
    let error = world.router.stream(ask("openai")).await.expect_err("no content");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
}
