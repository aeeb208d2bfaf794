//! What the operator's key opens, and what it does not, over real sockets.

use std::net::SocketAddr;

use bytes::Bytes;
use leverframe_emulator::{Fault, Step};
use leverframe_gateway::{
    server::{Admin, Door, Handle, Server, Settings, VirtualKey},
    standing::Standing,
};
use leverframe_http::transport::{Clocks, Transport, TransportConfig};
use leverframe_router::{BreakerConfig, Limits};
use leverframe_tests::{World, ask, provider};
use tokio::task::JoinSet;

const OPERATOR: &str = "lf-operator-0123456789";
const CALLER: &str = "lf-caller-0123456789";

struct Gateway {
    address: SocketAddr,
    handle: Handle,
    _server: JoinSet<()>,
}

fn key(key: &str) -> VirtualKey {
    VirtualKey::new("a-key", key).expect("long enough")
}

async fn gateway(world: &World, admin: Option<Admin>) -> Gateway {
    let any = "127.0.0.1:0".parse().expect("an address");
    let door = Door::locked(vec![key(CALLER)]);
    let server = Server::bind(any, world.router.clone(), door, Settings::default()).await;
    let server = server.expect("listens").with_admin(admin);
    let (address, handle) = (server.local_addr().expect("an address"), server.handle());
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    Gateway { address, handle, _server: running }
}

impl Gateway {
    async fn ask(&self, method: &str, path: &str, key: Option<&str>) -> (u16, Bytes) {
        let mut request =
            http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let transport = Transport::new(TransportConfig::default()).expect("valid");
        let request = request.body(Bytes::new()).expect("a request");
        let (head, body) = transport.send(request, &Clocks::default()).await.expect("answers").into_parts();
        (head.status.as_u16(), body.collect(1 << 20).await.expect("whole"))
    }
}

#[tokio::test]
async fn without_a_key_for_it_there_is_nothing_there() {
    let world = World::with(&["claude"], |builder| builder).await;
    let gateway = gateway(&world, None).await;
    for with in [None, Some(CALLER), Some(OPERATOR)] {
        let (status, body) = gateway.ask("GET", "/admin/providers", with).await;
        let (other, elsewhere) = gateway.ask("GET", "/admin/elsewhere", with).await;
        assert_eq!((status, other), (404, 404));
        let same = String::from_utf8_lossy(&elsewhere).replace("elsewhere", "providers");
        assert_eq!(String::from_utf8_lossy(&body), same, "as any other path where there is nothing");
    }
}

#[tokio::test]
async fn the_operators_key_opens_that_and_nothing_else() {
    let world = World::with(&["claude"], |builder| builder).await;
    let gateway = gateway(&world, Some(Admin::new(key(OPERATOR)))).await;
    let cases = [
        ("GET", "/admin/providers", None, 401),
        ("GET", "/admin/providers", Some(CALLER), 401),
        ("GET", "/admin/elsewhere", Some(CALLER), 401),
        ("GET", "/admin/providers", Some(OPERATOR), 200),
        ("HEAD", "/admin/providers", Some(OPERATOR), 200),
        ("POST", "/admin/providers", Some(OPERATOR), 405),
        ("GET", "/admin/elsewhere", Some(OPERATOR), 404),
        ("GET", "/v1/models", Some(OPERATOR), 401),
        ("GET", "/v1/models", Some(CALLER), 200),
    ];
    for (method, path, with, expected) in cases {
        let (status, body) = gateway.ask(method, path, with).await;
        assert_eq!(status, expected, "{method} {path} {with:?}: {}", String::from_utf8_lossy(&body));
    }
    // A reload may give it to somebody else, or take it away.
    gateway.handle.administer(Some(Admin::new(key("lf-another-0123456789"))));
    assert_eq!(gateway.ask("GET", "/admin/providers", Some(OPERATOR)).await.0, 401);
    gateway.handle.administer(None);
    assert_eq!(gateway.ask("GET", "/admin/providers", Some(OPERATOR)).await.0, 404);
}

#[tokio::test]
async fn it_says_who_turns_requests_away_and_how_much_of_each_limit_is_used() {
    let world = World::with(&["gemini"], |builder| builder).await;
    let limits = Limits { requests_per_minute: Some(40), ..Limits::default() };
    let router = leverframe_tests::base()
        .breaker(BreakerConfig { consecutive_failures: 2, ..BreakerConfig::default() })
        .attempts(4)
        .provider(provider(&world.emulator, "gemini"))
        .provider(provider(&world.emulator, "claude").limits(limits))
        .build()
        .expect("valid");
    let gateway = gateway(&world, Some(Admin::new(key(OPERATOR)))).await;
    gateway.handle.reload(router.clone(), Door::default()).expect("on loopback");
    world.always("gemini", Step::fault(Fault::Server));
    world.always("claude", Step::text("Here I am."));
    for _ in 0..3 {
        router.send(ask("gemini")).await.expect("claude answers");
    }
    let (_, body) = gateway.ask("GET", "/admin/providers", Some(OPERATOR)).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    let standing: Standing = serde_json::from_str(&text).expect("as it is read");
    let [gemini, claude] = &standing.providers[..] else { panic!("two providers: {text}") };
    assert_eq!((gemini.name.as_str(), claude.name.as_str()), ("gemini", "claude"));
    let down = gemini.routes.iter().find(|route| !route.healthy).expect("one is down");
    assert_eq!(down.breaker, "open", "{text}");
    assert!(down.until_ms > Some(standing.at_ms) && down.refusal.is_some(), "{text}");
    let used: Vec<_> = claude.keys[0].limits.iter().map(|limit| (limit.used, limit.limit)).collect();
    assert_eq!((claude.healthy, used), (true, vec![(3, 40)]), "{text}");
    assert!(!text.contains("test-key"), "no provider's key is told");
}
