//! What providers offer beside answers, on real sockets: token counts and
//! lists of models.

use std::{fs, path::Path, time::Duration};

use http::HeaderMap;
use leverframe_emulator::Provider as Fake;
use leverframe_http::codec;
use leverframe_router::{
    Counted, Dialect, ErrorKind, Family, Function, Json, Provider, Request, Router, TokenCount,
    tokens::Estimator,
};
use leverframe_tests::{World, ask, base, lookup, provider};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::AbortHandle,
};

/// A request with everything in it that a count must not contain.
fn question(name: &str) -> Request {
    let parameters = Json::parse(r#"{"type":"object","properties":{}}"#).expect("JSON");
    let mut request = ask(name).system("Be brief.").max_output_tokens(100).temperature(0.5).stop("END");
    request.tools.push(Function::new("look_up", parameters).into());
    request
}

fn estimated(request: &Request, family: Family) -> u64 {
    Estimator::new(family, &request.model).input(request)
}

#[tokio::test]
async fn providers_that_count_are_asked() {
    let world = World::with(&["claude", "gemini"], |builder| builder).await;
    for (name, path) in
        [("claude", "/v1/messages/count_tokens"), ("gemini", "/v1beta/models/gemini-test:countTokens")]
    {
        let counted = world.router.count_tokens(&question(name)).await;
        assert_eq!((counted.how, &counted.failure), (Counted::Reported, &None), "{name}");
        assert!(counted.tokens > 6, "the emulator counts tools and texts: {counted:?}");
        let last = world.emulator.calls().pop().expect("a call");
        assert_eq!(last.path, path);
    }
    assert!(world.records.all().is_empty(), "nothing was generated, nothing is recorded");
}

#[tokio::test]
async fn openai_counts_for_responses_and_not_for_chat() {
    let world = World::with(&["openai"], |builder| builder).await;
    let chat = world.router.count_tokens(&ask("openai")).await;
    assert_eq!(chat.how, Counted::Estimated);
    assert_eq!((chat.failure, world.calls("openai")), (None, 0), "nobody was asked");
    assert_eq!(chat.tokens, estimated(&ask("openai"), Family::OpenAi));

    let url = format!("{}/v1", world.emulator.base_url(Fake::OpenAi));
    let responses = Provider::openai_responses("test-key").base_url(url);
    let router = base().provider(responses).build().expect("valid");
    let request = ask_with_stop().model("openai/gpt-test");
    let counted = router.count_tokens(&request).await;
    assert_eq!((counted.how, counted.failure), (Counted::Reported, None));
    assert_eq!(world.emulator.calls().pop().expect("a call").path, "/v1/responses/input_tokens");
}

/// Responses has no stop sequences: a loss that is allowed here.
fn ask_with_stop() -> Request {
    question("openai").losses(leverframe_router::Losses::Allow)
}

#[tokio::test]
async fn what_cannot_be_asked_is_estimated_and_says_why() {
    let emulator = leverframe_emulator::Emulator::builder()
        .models(Fake::Anthropic, ["another"])
        .start()
        .await
        .expect("starts");
    let claude = provider(&emulator, "claude");
    let router = base().provider(claude).build().expect("valid");
    let kind = |counted: &TokenCount| counted.failure.as_ref().map(|failure| failure.kind);

    let refused = router.count_tokens(&ask("claude")).await;
    assert_eq!((refused.how, kind(&refused)), (Counted::Estimated, Some(ErrorKind::ModelNotFound)));
    assert_eq!(refused.tokens, estimated(&ask("claude"), Family::Anthropic));

    let unserved = router.count_tokens(&Request::new("gemini-test").user("Hi")).await;
    assert_eq!((unserved.how, kind(&unserved)), (Counted::Estimated, Some(ErrorKind::ModelNotFound)));

    let nobody = Provider::anthropic("test-key").base_url("http://127.0.0.1:1");
    let router = base().provider(nobody).build().expect("valid");
    let unreachable = router.count_tokens(&ask("claude")).await;
    assert_eq!((unreachable.how, kind(&unreachable)), (Counted::Estimated, Some(ErrorKind::Network)));
}

#[tokio::test]
async fn all_providers_list_their_models() {
    let world = World::new().await;
    let lists = world.router.models().await;
    let names: Vec<_> = lists.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["claude", "gemini", "openai"], "in the order of configuration");
    for (name, list) in &lists {
        let models = list.as_ref().unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(models.len() >= 5, "{name}: {models:?}");
        let described = models.iter().all(|model| model.context_window > Some(0));
        assert_eq!(described, name.as_str() != "openai", "OpenAI's list has names only: {models:?}");
    }
    let gemini = lists[1].1.as_ref().expect("listed");
    assert!(gemini.iter().any(|model| model.id == "gemini-2.5-pro"), "the name that requests take");
}

#[tokio::test]
async fn one_provider_that_fails_hides_no_other() {
    let world = World::with(&["claude"], |builder| {
        builder.provider(Provider::gemini("test-key").base_url("http://127.0.0.1:1"))
    })
    .await;
    let lists = world.router.models().await;
    assert!(lists[0].1.is_ok());
    assert_eq!(lists[1].1.as_ref().map_err(|failure| failure.kind), Err(ErrorKind::Network));
}

/// A server that answers every request with the same body, and the owner of
/// its task.
async fn serving(status: u16, body: &'static str) -> (String, Owned) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 16 << 10];
            // A GET without a body: one read has it all on loopback.
            let _ = socket.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a server of the test, which owns it")]
    let task = tokio::spawn(server);
    (format!("http://{address}"), Owned(task.abort_handle()))
}

struct Owned(AbortHandle);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn only(provider: Provider) -> Router {
    base().provider(provider).build().expect("valid")
}

#[tokio::test]
async fn a_list_without_end_is_not_passed_off_as_whole() {
    let (url, _server) = serving(200, r#"{"models":[{"name":"models/m"}],"nextPageToken":"again"}"#).await;
    let lists = only(Provider::gemini("test-key").base_url(url)).models().await;
    let failure = lists[0].1.as_ref().expect_err("no end");
    assert_eq!(failure.kind, ErrorKind::Unreadable);
}

#[tokio::test]
async fn a_key_that_is_quoted_back_is_not_shown() {
    let (url, _server) = serving(401, r#"{"error":{"message":"Bad key: secretsecret9"}}"#).await;
    let router = only(Provider::openai_compatible("mine", &url, "secretsecret9"));
    let lists = router.models().await;
    let failure = lists[0].1.as_ref().expect_err("refused");
    assert_eq!(failure.kind, ErrorKind::Authentication);
    assert!(!format!("{failure} {failure:?}").contains("secretsecret9"), "{failure}");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_keeps_nobody_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let router = only(Provider::anthropic("test-key").base_url(url));
    let request = ask("claude").timeout(Duration::from_millis(50));
    let counted = router.count_tokens(&request).await;
    assert_eq!(counted.how, Counted::Estimated);
    let kind = counted.failure.map(|failure| failure.kind);
    assert!(matches!(kind, Some(ErrorKind::Timeout(_) | ErrorKind::DeadlineExceeded)), "{kind:?}");
    drop(listener);
}

#[test]
fn the_test_models_are_of_their_families() {
    for (name, family) in
        [("claude", Dialect::Anthropic), ("gemini", Dialect::Gemini), ("openai", Dialect::OpenAiChat)]
    {
        assert_eq!(leverframe_router::tokens::family_of(lookup(name).2), family.family());
    }
}

#[test]
fn recorded_counts_and_lists_are_read() {
    let Some(root) = std::env::var_os("WIRE_CORPUS") else { return };
    let (mut counts, mut lists) = (0, 0);
    for (dialect, folder) in [
        (Dialect::Anthropic, "anthropic"),
        (Dialect::Gemini, "gemini"),
        (Dialect::OpenAiResponses, "openai_responses"),
    ] {
        let folder = Path::new(&root).join(folder);
        for entry in fs::read_dir(&folder).expect("the corpus has a folder for each dialect") {
            let case = entry.expect("readable").path();
            let json = |name: &str| -> Option<Value> {
                serde_json::from_str(&fs::read_to_string(case.join(name)).ok()?).ok()
            };
            let meta = json("meta.json").expect("meta.json");
            let (Some(200), Ok(body)) = (meta["status"].as_u64(), fs::read(case.join("response.json")))
            else {
                continue;
            };
            match meta["op"].as_str() {
                Some("count_tokens" | "countTokens" | "input_tokens") => {
                    let expected = json("expected.json").expect("expected.json");
                    let expected =
                        ["input_tokens", "total_tokens"].iter().find_map(|name| expected[name].as_u64());
                    let read = codec::decode_count(dialect, &HeaderMap::new(), &body);
                    assert_eq!(read.ok(), expected, "{}", case.display());
                    counts += 1;
                }
                Some("models") => {
                    let page = codec::decode_models(dialect, &HeaderMap::new(), &body).expect("a list");
                    assert!(page.models.len() > 5, "{}", case.display());
                    assert!(page.models.iter().all(|model| model.context_window.is_some()));
                    lists += 1;
                }
                _ => {}
            }
        }
    }
    assert!(counts >= 10 && lists >= 1, "{counts} counts, {lists} lists");
}
