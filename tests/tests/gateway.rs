//! The gateway over real sockets, asked through our own codecs: what a client
//! of each dialect gets, whichever provider answers and however it fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;
use leverframe_emulator::{Fault, Step};
use leverframe_gateway::{
    metrics::{Metrics, Scraped},
    server::{Door, Server, ServerError, Settings, VirtualKey},
};
use leverframe_router::{
    Answer, Block, Builder, Clocks, Error, ErrorKind, Function, Json, Message, Provider, Request, Response,
    Role, Router, ToolCall, ToolResult,
};
use leverframe_tests::{DIALECTS, World, base};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
};

const KEY: &str = "lf-0123456789abcdef";

/// A gateway over emulated providers, and clients of it.
struct Gateway {
    world: World,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinSet<()>,
}

impl Gateway {
    async fn new(door: Door, settings: Settings) -> Self {
        let change = |builder: Builder| {
            let soon = Duration::from_millis(60);
            let clocks = Clocks { headers: soon, first_token: soon, idle: soon, total: None };
            // Nobody waits for a limit that is far off.
            builder.clocks(clocks).attempts(2).timeout(Duration::from_millis(500))
        };
        let world = World::with(&["claude", "gemini", "openai", "responses"], change).await;
        let any = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(any, world.router.clone(), door, settings).await.expect("listens");
        let address = server.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let mut running = JoinSet::new();
        running.spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { world, address, stop: Some(stop), server: running }
    }

    async fn open() -> Self {
        Self::new(Door::default(), Settings::default()).await
    }

    /// A client that speaks a dialect, and is tried once.
    fn client(&self, dialect: &str, key: &str) -> Router {
        let url = format!("http://{}", self.address);
        let provider = match dialect {
            "claude" => Provider::anthropic(key).base_url(url),
            "gemini" => Provider::gemini(key).base_url(url),
            "openai" => Provider::openai(key).base_url(format!("{url}/v1")),
            _ => Provider::openai_responses(key).base_url(format!("{url}/v1")),
        };
        base()
            .provider(provider.named("door"))
            .attempts(1)
            .timeout(Duration::from_secs(2))
            .build()
            .expect("valid")
    }
}

/// Asks the gateway for a model by its name there.
fn ask(model: &str) -> Request {
    Request::new(format!("door/{model}")).user("Hello there").max_output_tokens(500)
}

async fn both(client: &Router, request: Request) -> [Result<Answer, Error>; 2] {
    let streamed = async {
        let stream = client.stream(request.clone()).await?;
        stream.collect().await
    };
    [client.send(request.clone()).await, streamed.await]
}

#[tokio::test]
async fn every_dialect_is_answered_by_every_provider() {
    let gateway = Gateway::open().await;
    for (dialect, ..) in DIALECTS {
        let client = gateway.client(dialect, "any");
        for (provider, _, model) in DIALECTS {
            gateway.world.always(provider, Step::text("An answer, of s\u{e9}ven words.").usage(21, 9));
            for answer in both(&client, ask(model)).await {
                let answer = answer.unwrap_or_else(|error| panic!("{dialect} of {provider}: {error}"));
                assert_eq!(answer.text(), "An answer, of s\u{e9}ven words.", "{dialect} of {provider}");
                let usage = answer.response.usage;
                assert_eq!(
                    (usage.input_total(), usage.output_total()),
                    (Some(21), Some(9)),
                    "{dialect} of {provider}"
                );
            }
        }
    }
}

fn weather() -> Request {
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    let schema = Json::parse(schema).expect("JSON");
    ask("").tool(Function::new("weather", schema).describe("Says what the weather is"))
}

fn calls(response: &Response) -> Vec<ToolCall> {
    let call = |block: &Block| match block {
        Block::ToolCall(call) => Some(call.clone()),
        _ => None,
    };
    response.content.iter().filter_map(call).collect()
}

#[tokio::test]
async fn tools_are_called_side_by_side_over_two_turns() {
    let gateway = Gateway::open().await;
    for (dialect, ..) in DIALECTS {
        let client = gateway.client(dialect, "any");
        for (provider, _, model) in DIALECTS {
            let first = weather().model(format!("door/{model}"));
            for (streamed, thinks) in [(false, false), (true, false), (false, true), (true, true)] {
                let case = format!("{dialect} of {provider}, streamed: {streamed}, thinks: {thinks}");
                let step = Step::tool_call("weather", r#"{"city":"Paris"}"#)
                    .calling("weather", r#"{"city":"Oslo"}"#);
                gateway.world.always(provider, if thinks { step.thinking("let me look") } else { step });
                let [whole, stream] = both(&client, first.clone()).await;
                let answer = if streamed { stream } else { whole };
                let answer = answer.unwrap_or_else(|error| panic!("{case}: {error}"));
                let called = calls(&answer.response);
                let [paris, oslo] = called.as_slice() else { panic!("{case}: {called:?}") };
                for (call, city) in [(paris, "Paris"), (oslo, "Oslo")] {
                    let arguments: serde_json::Value = serde_json::from_str(&call.arguments).expect("JSON");
                    assert_eq!((call.name.as_str(), &arguments["city"]), ("weather", &city.into()), "{case}");
                }
                assert_ne!(paris.id, oslo.id, "{case}");
                gateway.world.always(provider, Step::text("Rain here, snow there."));
                let result = |call: &ToolCall, text: &str| Block::ToolResult(ToolResult::new(&call.id, text));
                let results = vec![result(paris, "rain"), result(oslo, "snow")];
                let second = first
                    .clone()
                    .message(answer.response.to_message())
                    .message(Message::new(Role::User, results));
                for answer in both(&client, second).await {
                    let answer = answer.unwrap_or_else(|error| panic!("{case}: {error}"));
                    assert_eq!(answer.text(), "Rain here, snow there.", "{case}");
                }
                let calls = gateway.world.emulator.calls();
                let body = calls.last().expect("it was asked").body.to_string();
                assert!(body.contains("rain") && body.contains("snow"), "{case}: {body}");
            }
        }
    }
}

/// Two calls in one answer: each keeps its place, its arguments and its id, and
/// the provider gets a result for each.
#[tokio::test]
async fn parallel_calls_are_answered_together() {
    let gateway = Gateway::open().await;
    let two = [("weather", r#"{"city":"Paris"}"#), ("weather", r#"{"city":"Tokyo"}"#)];
    for (dialect, ..) in DIALECTS {
        let client = gateway.client(dialect, "any");
        for (provider, _, model) in DIALECTS {
            let first = weather().model(format!("door/{model}"));
            for streamed in [false, true] {
                let step = two.into_iter().fold(Step::text("Let me look."), |step, (name, arguments)| {
                    step.calling(name, arguments)
                });
                gateway.world.always(provider, step);
                let [whole, stream] = both(&client, first.clone()).await;
                let answer = if streamed { stream } else { whole };
                let answer = answer.unwrap_or_else(|error| panic!("{dialect} of {provider}: {error}"));
                assert_eq!(answer.text(), "Let me look.", "{dialect} of {provider}");
                let called = calls(&answer.response);
                let cities: Vec<serde_json::Value> = called
                    .iter()
                    .map(|call| serde_json::from_str(&call.arguments).expect("JSON"))
                    .map(|arguments: serde_json::Value| arguments["city"].clone())
                    .collect();
                assert_eq!(cities, ["Paris", "Tokyo"], "{dialect} of {provider}");
                assert_ne!(called[0].id, called[1].id, "{dialect} of {provider}");
                gateway.world.always(provider, Step::text("Rain and sun."));
                let result = |call: &ToolCall, text: &str| Block::ToolResult(ToolResult::new(&call.id, text));
                let results = vec![result(&called[0], "the rain"), result(&called[1], "the sun")];
                let second = first
                    .clone()
                    .message(answer.response.to_message())
                    .message(Message::new(Role::User, results));
                for answer in both(&client, second).await {
                    let answer = answer.unwrap_or_else(|error| panic!("{dialect} of {provider}: {error}"));
                    assert_eq!(answer.text(), "Rain and sun.");
                }
                let body = gateway.world.emulator.calls().pop().expect("asked").body.to_string();
                let (rain, sun) = (body.find("the rain"), body.find("the sun"));
                assert!(rain.is_some() && rain < sun, "{dialect} of {provider}: {body}");
            }
        }
    }
}

/// Gemini signs calls, and refuses them unsigned in the next turn. The dialects
/// that sign only thoughts, or nothing, lost that signature.
#[tokio::test]
async fn a_signed_call_comes_back_signed_whatever_the_client_speaks() {
    let gateway = Gateway::open().await;
    for (dialect, ..) in DIALECTS {
        let client = gateway.client(dialect, "any");
        let first = weather().model("door/gemini-test");
        for streamed in [false, true] {
            let city = |city: &str| ("weather", format!(r#"{{"city":"{city}"}}"#));
            let step = Step::tool_calls([city("Paris"), city("Tokyo")]).thinking("Both at once");
            gateway.world.always("gemini", step);
            let [whole, stream] = both(&client, first.clone()).await;
            let answer = if streamed { stream } else { whole };
            let answer = answer.unwrap_or_else(|error| panic!("{dialect}: {error}"));
            let results = calls(&answer.response)
                .into_iter()
                .map(|call| Block::ToolResult(ToolResult::new(call.id, "rain")))
                .collect();
            let second = first
                .clone()
                .message(answer.response.to_message())
                .message(Message::new(Role::User, results));
            gateway.world.always("gemini", Step::text("Rain."));
            client.send(second).await.unwrap_or_else(|error| panic!("{dialect}: {error}"));
            let body = gateway.world.emulator.calls().pop().expect("asked").body;
            let parts = body["contents"][1]["parts"].as_array().expect("parts").iter();
            let signed: Vec<_> = parts
                .filter(|part| part["functionCall"].is_object())
                .map(|part| part["thoughtSignature"].is_string())
                .collect();
            assert_eq!(signed, [true, false], "{dialect}, streamed {streamed}: {body}");
        }
    }
}

/// Every way in which a provider can fail: a whole answer from the next one, or
/// one error; never the beginning of an answer as all of it.
#[tokio::test]
async fn whatever_a_provider_does_a_caller_gets_an_answer_or_an_error() {
    let text = "one two three four five six";
    let steps = || {
        [
            Step::overloaded(),
            Step::server_error(),
            Step::rate_limited(Some(60)),
            Step::quota_exhausted(),
            Step::authentication(),
            Step::model_not_found(),
            Step::invalid_request(),
            Step::context_length(),
            Step::raw(200, "text/html", "<html>no</html>"),
            Step::close_before_headers(),
            Step::reset_before_headers(),
            Step::text(text).without_terminal_frame(),
            Step::text(text).close_after(3),
            Step::text(text).reset_after(3),
            Step::text(text).end_after(3),
            Step::text(text).error_after(3, Fault::Overloaded),
            Step::text(text).malformed_after(2),
            Step::text(text).stall_after(2),
        ]
    };
    for (dialect, ..) in DIALECTS {
        for (provider, _, model) in DIALECTS {
            for step in steps() {
                for streamed in [false, true] {
                    // Anew each time: guards remember what happened before.
                    let gateway = Gateway::open().await;
                    gateway.world.always(provider, step.clone());
                    let client = gateway.client(dialect, "any");
                    let answer = match streamed {
                        false => client.send(ask(model)).await,
                        true => match client.stream(ask(model)).await {
                            Ok(stream) => stream.collect().await,
                            Err(error) => Err(error),
                        },
                    };
                    assert!(gateway.world.calls(provider) > 0, "it was asked");
                    match answer {
                        Ok(answer) => {
                            let answered = answer.text();
                            let whole = answered == text || answered.contains("emulated. You said");
                            assert!(whole, "{dialect} of {provider}, {step:?}: {answered:?}");
                        }
                        Err(error) => {
                            let said = error.to_string();
                            let ours = [ErrorKind::Unreadable, ErrorKind::Interrupted];
                            let clear = !ours.contains(&error.kind()) || said.contains("the");
                            assert!(clear && !said.is_empty(), "{dialect} of {provider}, {step:?}: {said}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_providers_call_with_it() {
    let gateway = Gateway::open().await;
    for (dialect, ..) in DIALECTS {
        let client = gateway.client(dialect, "any");
        gateway.world.always("claude", Step::text("one two three").stall_after(2));
        let mut stream = client.stream(ask("claude-test")).await.expect("begins");
        stream.next().await.expect("an event").expect("good");
        drop(stream);
        gateway.world.all_connections_closed().await;
        gateway.world.always("claude", Step::stall_before_headers());
        let waiting = tokio::time::timeout(Duration::from_millis(30), client.send(ask("claude-test"))).await;
        assert!(waiting.is_err(), "it stalls");
        gateway.world.all_connections_closed().await;
    }
}

#[tokio::test]
async fn a_locked_door_opens_to_its_keys_only() {
    let keys = vec![VirtualKey::new("team", KEY).expect("long enough").models(["claude-test"])];
    let gateway = Gateway::new(Door::locked(keys), Settings::default()).await;
    for (dialect, ..) in DIALECTS {
        let known = gateway.client(dialect, KEY);
        assert!(known.send(ask("claude-test")).await.is_ok(), "{dialect}");
        let error = known.send(ask("gemini-test")).await.expect_err("not its model");
        assert_eq!(error.kind(), ErrorKind::Permission, "{dialect}");
        let error = gateway.client(dialect, "lf-fedcba9876543210").send(ask("claude-test")).await;
        assert_eq!(error.expect_err("not known").kind(), ErrorKind::Authentication, "{dialect}");
    }
    let tags: Vec<_> =
        gateway.world.records.all().iter().filter(|record| record.model == "claude-test").cloned().collect();
    assert!(tags.iter().all(|record| record.tags == ["key:team"]), "{tags:?}");
}

#[tokio::test]
async fn an_address_others_can_reach_needs_keys() {
    let world = World::new().await;
    let any = "0.0.0.0:0".parse().expect("an address");
    let open = Server::bind(any, world.router.clone(), Door::default(), Settings::default()).await;
    assert!(matches!(open, Err(ServerError::OpenToAll(_))));
    let keys = vec![VirtualKey::new("team", KEY).expect("long enough")];
    assert!(Server::bind(any, world.router.clone(), Door::locked(keys), Settings::default()).await.is_ok());
}

/// Sends bytes as they are and reads what comes until the end.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("connects");
    let _ = socket.write_all(bytes).await; // it may be closed before all is sent
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_breaks() {
    let settings = Settings {
        max_body: 10_000,
        max_head: 8_192,
        head_within: Duration::from_millis(200),
        body_within: Duration::from_millis(200),
        ..Settings::default()
    };
    let gateway = Gateway::new(Door::default(), settings).await;
    let post = |body: &str| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let cases: [(String, &str); 9] = [
        (post("{"), "400"),
        (post("[]"), "400"),
        (post(r#"{"model": 7}"#), "400"),
        (post(&"x".repeat(10_001)), "413"),
        ("\x16\x03\x01garbage\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000)), "431"),
        // Two lengths, and a length beside chunks: what request smuggling is made of.
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"
                .to_owned(),
            "400",
        ),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\nconnection: close\r\n\r\n{}"
                .to_owned(),
            "408",
        ),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "200"),
    ];
    for (bytes, status) in cases {
        let answer = raw(gateway.address, bytes.as_bytes()).await;
        let shown: String = bytes.chars().take(80).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {answer:?}");
    }
    // A head that never ends.
    let answer = raw(gateway.address, b"GET / HTTP/1.1\r\nhost: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(gateway.client("claude", "any").send(ask("claude-test")).await.is_ok(), "healthy afterwards");
}

#[tokio::test]
async fn the_end_of_the_server_lets_answers_end() {
    let mut gateway = Gateway::open().await;
    let slow = Step::text("one two three").between_tokens(Duration::from_millis(40));
    gateway.world.always("claude", slow);
    let client = gateway.client("claude", "any");
    let stream = client.stream(ask("claude-test")).await.expect("begins");
    drop(gateway.stop.take());
    assert_eq!(stream.collect().await.expect("answered to its end").text(), "one two three");
    gateway.server.join_next().await.expect("it was started").expect("ended");
}

#[tokio::test]
async fn what_happened_is_told_to_prometheus() {
    let metrics = Arc::new(Metrics::new());
    let change = |builder: Builder| builder.observer(Arc::clone(&metrics) as _);
    let world = World::with(&["claude", "gemini"], change).await;
    let any = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(any, world.router.clone(), Door::default(), Settings::default()).await;
    let scraped = Scraped { metrics: Arc::clone(&metrics), log: None };
    let server = server.expect("listens").with_metrics(scraped);
    let address = server.local_addr().expect("an address");
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    world.always("claude", Step::server_error());
    world.always("gemini", Step::text("Hi.").usage(30, 4));
    world.router.send(leverframe_tests::ask("claude")).await.expect("gemini answers");
    world.always("gemini", Step::invalid_request());
    world.router.send(leverframe_tests::ask("gemini")).await.expect_err("refused");
    let text = raw(address, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    for line in [
        r#"leverframe_requests_total{provider="gemini",model="gemini-test",outcome="ok"} 1"#,
        r#"leverframe_requests_total{provider="gemini",model="gemini-test",outcome="invalid_request"} 1"#,
        r#"leverframe_attempts_total{provider="claude",model="claude-test",outcome="server_error"} 3"#,
        r#"leverframe_tokens_total{provider="gemini",model="gemini-test",kind="input"} 30"#,
        r#"leverframe_request_duration_seconds_count{provider="gemini",model="gemini-test"} 1"#,
        r#"leverframe_breaker_open{provider="claude",model="claude-test"} 0"#,
        "# EOF",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn a_reload_is_for_the_requests_that_come_after_it() {
    let world = World::with(&["claude"], |builder| builder).await;
    let any = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(any, world.router.clone(), Door::default(), Settings::default()).await;
    let server = server.expect("listens");
    let (address, handle) = (server.local_addr().expect("an address"), server.handle());
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    let client = |key: &str| {
        let provider = Provider::anthropic(key).base_url(format!("http://{address}")).named("door");
        base().provider(provider).attempts(1).build().expect("valid")
    };
    world.always("claude", Step::text("one two three").between_tokens(Duration::from_millis(30)));
    let begun = client("any").stream(ask("claude-test")).await.expect("begins");
    let keys = vec![VirtualKey::new("team", KEY).expect("long enough")];
    let changed = base().provider(leverframe_tests::provider(&world.emulator, "claude"));
    let changed = changed.memory(world.router.memory()).build().expect("valid");
    handle.reload(changed, Door::locked(keys)).expect("on loopback");
    assert_eq!(begun.collect().await.expect("ends as it began").text(), "one two three");
    let refused = client("any").send(ask("claude-test")).await.expect_err("locked now");
    assert_eq!(refused.kind(), ErrorKind::Authentication);
    assert!(client(KEY).send(ask("claude-test")).await.is_ok());
}
