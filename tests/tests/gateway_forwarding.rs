//! Where the provider speaks the caller's dialect, what is sent to it and what
//! it answers goes through the gateway as it came.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use leverframe_gateway::server::{Door, Server, Settings};
use leverframe_router::Provider;
use leverframe_tests::{Records, base};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

/// A provider that answers everything with the same bytes, and tells what it
/// was sent; and a gateway before it.
struct Scene {
    gateway: SocketAddr,
    sent: mpsc::UnboundedReceiver<(String, String)>,
    records: Arc<Records>,
    _running: JoinSet<()>,
}

impl Scene {
    async fn new(dialect: &str, content_type: &str, body: &[u8]) -> Self {
        let mut running = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        // The body ends with the connection.
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
        let answer = [head.as_bytes(), body].concat();
        let (tell, sent) = mpsc::unbounded_channel();
        running.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let request = read_request(&mut socket).await;
                tell.send(request).expect("someone listens");
                let _ = socket.write_all(&answer).await;
            }
        });
        let provider = match dialect {
            "anthropic" => Provider::anthropic("the-providers-key").base_url(base_url),
            "gemini" => Provider::gemini("the-providers-key").base_url(base_url),
            "chat" => Provider::openai("the-providers-key").base_url(base_url),
            _ => Provider::openai_responses("the-providers-key").base_url(base_url),
        };
        let records = Arc::new(Records::default());
        let router = base().recorder(Arc::clone(&records) as _).provider(provider.named("there"));
        let router = router.attempts(1).timeout(Duration::from_secs(5)).build().expect("valid");
        let any = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(any, router, Door::default(), Settings::default()).await.expect("listens");
        let gateway = server.local_addr().expect("an address");
        running.spawn(server.run(std::future::pending()));
        Self { gateway, sent, records, _running: running }
    }

    /// The body of the gateway's answer, and what the provider was sent.
    async fn post(&mut self, path: &str, body: &str) -> (String, String, String) {
        let mut socket = TcpStream::connect(self.gateway).await.expect("connects");
        let request = format!(
            "POST {path} HTTP/1.0\r\nhost: x\r\nx-api-key: the-callers-key\r\nanthropic-beta: a-2026, b-2026\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("reads");
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(" 200 "), "{answer}");
        let (sent_head, sent) = self.sent.recv().await.expect("it was asked");
        assert!(!sent_head.contains("the-callers-key"), "{sent_head}");
        (body.to_owned(), sent_head, sent)
    }
}

async fn read_request(socket: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return (head.to_lowercase(), body.to_owned());
            }
        }
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await.expect("reads");
        assert!(read > 0, "the request broke off: {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// A whole answer and a stream of each dialect, with fields nobody knows and
/// spaces nobody needs.
struct Case {
    dialect: &'static str,
    path: &'static str,
    streaming_path: &'static str,
    request: &'static str,
    answer: &'static str,
    stream: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        dialect: "anthropic",
        path: "/v1/messages",
        streaming_path: "/v1/messages",
        request: r#"{ "model": "claude-x", "max_tokens": 50, "new_field": {"a":1.0},  "messages": [{"role":"user","content":[{"type":"text","text":"h\u00e9","cache_control":{"type":"ephemeral"}}]}] STREAM}"#,
        answer: r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x-2026","content":[{"type":"text","text":"Hi.","new":  1e2}],"stop_reason":"end_turn","stop_sequence":null,"container":null,"usage":{"input_tokens":5,"output_tokens":2,"new_count":3}}"#,
        stream: concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"},\"new\":1}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi.\"}  }\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
    },
    Case {
        dialect: "gemini",
        path: "/v1beta/models/gemini-x:generateContent",
        streaming_path: "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        request: r#"{ "contents": [{"parts":[{"text":"h\u00e9"}]}],  "newField": [1.50]}"#,
        answer: r#"{"candidates": [{"content": {"parts": [{"text": "Hi."}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 5,"candidatesTokenCount": 2,"totalTokenCount": 7},"newField":1}"#,
        stream: concat!(
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"H\"}],\"role\": \"model\"},\"index\": 0}],\"new\": 1}\r\n\r\n",
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"i.\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 5,\"candidatesTokenCount\": 2,\"totalTokenCount\": 7}}\r\n\r\n",
        ),
    },
    Case {
        dialect: "chat",
        path: "/v1/chat/completions",
        streaming_path: "/v1/chat/completions",
        request: r#"{ "model": "gpt-x",  "new_field": null, "messages": [{"role":"user","content":"h\u00e9"}] STREAM}"#,
        answer: r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-x-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hi.","annotations":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},"new":"x"}"#,
        stream: concat!(
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x\"}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi.\"},\"finish_reason\":null}],\"usage\":null}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n",
            "data: [DONE]\n\n",
        ),
    },
    Case {
        dialect: "responses",
        path: "/v1/responses",
        streaming_path: "/v1/responses",
        request: r#"{ "model": "gpt-x",  "new_field": null, "input": "h\u00e9" STREAM}"#,
        answer: r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-x-2026","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]}]}],"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":7},"new":  {}}"#,
        stream: concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi.\",\"new\":1}\n\n",
            "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":3,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi.\",\"annotations\":[]}]}}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":4,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi.\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":5,\"output_tokens\":2,\"total_tokens\":7}}}\n\n",
        ),
    },
];

impl Case {
    fn request(&self, stream: bool) -> String {
        self.request.replace("STREAM", if stream { r#", "stream": true"# } else { "" })
    }
}

#[tokio::test]
async fn what_is_in_the_callers_dialect_stays_as_it_is() {
    for case in CASES {
        let Case { dialect, path, streaming_path, answer, stream, .. } = case;
        let mut scene = Scene::new(dialect, "application/json", answer.as_bytes()).await;
        let (body, head, sent) = scene.post(path, &case.request(false)).await;
        assert_eq!((body.as_str(), sent), (answer, case.request(false)), "{dialect}");
        assert!(head.contains("the-providers-key"), "{head}");
        if dialect == "anthropic" {
            assert!(head.contains("anthropic-beta: a-2026\r\nanthropic-beta: b-2026"), "{head}");
        }
        let whole = scene.records.all();

        let mut scene = Scene::new(dialect, "text/event-stream", stream.as_bytes()).await;
        let (body, _, sent) = scene.post(streaming_path, &case.request(true)).await;
        let (mut expected, mut request) = (stream.to_owned(), case.request(true));
        if dialect == "chat" {
            // The client did not ask for the usage; we did, and it does not see it.
            let usage = stream.split_inclusive("\n\n").find(|event| event.contains("\"choices\":[]"));
            expected = expected.replace(usage.expect("it is there"), "");
            request = request.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
        }
        assert_eq!((body, sent), (expected, request), "{dialect}");
        // Seen in passing.
        for record in whole.iter().chain(&scene.records.all()) {
            let [attempt] = record.attempts.as_slice() else { panic!("{record:?}") };
            assert_eq!(
                (attempt.usage.input_total(), attempt.usage.output_total(), &attempt.failure),
                (Some(5), Some(2), &None),
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_in_an_error_after_its_last_whole_event() {
    for case in CASES {
        let Case { dialect, streaming_path, stream, .. } = case;
        let content = stream.find("Hi.").or_else(|| stream.find("\"H\"")).expect("there is some");
        let whole_until = content
            + stream[content..].find("\n\n").or_else(|| stream[content..].find("\r\n\r\n")).expect("an end");
        let ends = [whole_until + 4, whole_until + 30];
        for end in ends {
            let cut = &stream[..end];
            let mut scene = Scene::new(dialect, "text/event-stream", cut.as_bytes()).await;
            let (body, ..) = scene.post(streaming_path, &case.request(true)).await;
            let blank = cut.rfind("\n\n").map(|at| at + 2).max(cut.rfind("\r\n\r\n").map(|at| at + 4));
            let (before, after) = body.split_at(blank.expect("a whole event"));
            assert_eq!(before, &cut[..blank.expect("a whole event")], "{dialect}");
            assert!(after.contains("error") && after.contains("ended without"), "{dialect}: {after}");
            assert!(
                !body.contains("data: [DONE]") && !body.contains("event: message_stop"),
                "{dialect}: {body}"
            );
            let records = scene.records.all();
            assert!(records.iter().all(|record| record.attempts[0].failure.is_some()), "{records:?}");
        }
    }
}

#[tokio::test]
async fn a_key_is_held_to_its_limits() {
    use leverframe_gateway::server::VirtualKey;
    use leverframe_router::{ErrorKind, Limits, NanoDollars, Request, Router};

    const KEY: &str = "lf-0123456789abcdef";
    let world = leverframe_tests::World::with(&["claude"], |builder| builder).await;
    world.always("claude", leverframe_emulator::Step::text("one two three").usage(60, 50));
    let door = |limits: Limits| {
        let key = VirtualKey::new("team", KEY).expect("long enough").limits(&limits).expect("valid");
        let other = VirtualKey::new("other", "lf-another-key-altogether").expect("long enough");
        Door::locked(vec![key, other])
    };
    let any = "127.0.0.1:0".parse().expect("an address");
    let limits = Limits { tokens_per_minute: Some(200), ..Limits::default() };
    let server = Server::bind(any, world.router.clone(), door(limits), Settings::default()).await;
    let server = server.expect("listens");
    let (address, handle) = (server.local_addr().expect("an address"), server.handle());
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    let client = |key: &str| -> Router {
        let provider = Provider::anthropic(key).base_url(format!("http://{address}")).named("door");
        base().provider(provider).attempts(1).timeout(Duration::from_secs(1)).build().expect("valid")
    };
    let ask = || Request::new("door/claude-test").user("Hello there").max_output_tokens(500);
    let team = client(KEY);
    team.send(ask()).await.expect("nothing is used yet");
    team.stream(ask()).await.expect("110 of 200 are used").collect().await.expect("to its end");
    let refused = |answer: Result<leverframe_router::Answer, leverframe_router::Error>| {
        let error = answer.expect_err("220 of 200 are used");
        assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
        assert!(error.failure().retry_after.is_some(), "{error}");
    };
    refused(team.send(ask()).await);
    assert_eq!(world.calls("claude"), 2, "a refusal is not sent");
    client("lf-another-key-altogether").send(ask()).await.expect("others are not concerned");
    // The same limits after a reload: what was used stays used. Others begin anew.
    handle.reload(world.router.clone(), door(limits)).expect("on loopback");
    refused(client(KEY).send(ask()).await);
    let by_day = Limits { spend_per_day: Some(NanoDollars::new(1_000_000_000)), ..Limits::default() };
    handle.reload(world.router.clone(), door(by_day)).expect("on loopback");
    client(KEY).send(ask()).await.expect("nothing is spent yet");
}

/// A restart used to hand out a day's budget a second time.
#[tokio::test]
async fn what_a_key_used_is_not_forgotten_at_a_restart() {
    use leverframe_gateway::server::VirtualKey;
    use leverframe_router::{ErrorKind, Limits, Request, Router, store::Log};

    const KEY: &str = "lf-0123456789abcdef";
    let folder = tempfile::tempdir().expect("a folder");
    let ask = || Request::new("door/claude-test").user("Hello").max_output_tokens(5);
    // So many labels of the client's own crowded out its key's, by which it is known again.
    let tags = (0..40).map(|nth| format!("a{nth}")).collect::<Vec<_>>().join(",");
    let limits = Limits { requests_per_day: Some(3), ..Limits::default() };
    for (expected, left) in [(2, "two of three"), (1, "one of three"), (0, "none")] {
        let log = Arc::new(Log::open(folder.path().join("log.redb")).expect("a log"));
        let world = leverframe_tests::World::with(&["claude"], |builder| builder.log(Arc::clone(&log))).await;
        let key = VirtualKey::new("team", KEY).expect("long enough").limits(&limits).expect("valid");
        let door = Door::locked(vec![key]);
        door.recall(log.reader(), world.router.now()).expect("it can be read");
        let any = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(any, world.router.clone(), door, Settings::default()).await;
        let server = server.expect("listens");
        let address = server.local_addr().expect("an address");
        let mut running = JoinSet::new();
        running.spawn(server.run(std::future::pending()));
        let provider = Provider::anthropic(KEY).base_url(format!("http://{address}")).named("door");
        let provider = provider.header("x-leverframe-tags", tags.as_str());
        let client: Router =
            base().provider(provider).attempts(1).timeout(Duration::from_secs(1)).build().expect("valid");
        for _ in 0..expected {
            client.send(ask()).await.unwrap_or_else(|error| panic!("{left}: {error}"));
        }
        if expected == 0 {
            let refused = client.send(ask()).await.expect_err("all are used");
            assert_eq!(refused.kind(), ErrorKind::QuotaExhausted, "{refused}");
        }
        running.shutdown().await;
        drop((client, world));
        log.flush().expect("it is written");
    }
}
