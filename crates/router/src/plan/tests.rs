use leverframe_core::{
    catalog::Catalog,
    choice::{Measure, PolicyName},
    guard::{Guard, LimitKind, Scope},
};
use proptest::prelude::*;

use super::*;
use crate::{Builder, Model, Provider, Router, Target};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_795_000_000_000_000_000);

const CATALOG: &str = r#"{"as_of": "2026-11-23", "families": {
    "anthropic": {"source": "test", "models": {
        "small": {"capabilities": {"context_window": 1000, "refuses": ["tools"]},
            "prices": [{"input": 1000, "output": 5000}]}}},
    "google": {"source": "test", "models": {
        "large": {"capabilities": {"context_window": 1000000},
            "prices": [{"input": 2000, "output": 1000}]}}}}}"#;

fn base() -> Builder {
    let catalog = Catalog::parse(CATALOG).unwrap_or_else(|error| panic!("{error}"));
    Router::builder()
        .provider(Provider::anthropic("k").default_model("small"))
        .provider(Provider::gemini("k").default_model("large"))
        .catalog(catalog)
        .seed(1)
}

fn build(builder: Builder) -> Router {
    builder.build().unwrap_or_else(|error| panic!("{error}"))
}

fn planned(router: &Router, request: &Request) -> Planned {
    let planned = plan(router.inner(), request, true, NOW, &mut fastrand::Rng::with_seed(1));
    planned.unwrap_or_else(|failure| panic!("{}", failure.message))
}

fn ask(model: &str) -> Request {
    Request::new(model).user("hello")
}

/// `provider/model`, with the key where it is not the first.
fn spelled(routes: &[Arc<Route>]) -> Vec<String> {
    let spelled = |route: &Arc<Route>| match route.key.as_str() {
        "default" => format!("{}/{}", route.provider, route.model),
        key => format!("{}/{}#{key}", route.provider, route.model),
    };
    routes.iter().map(spelled).collect()
}

#[test]
fn a_name_becomes_routes() {
    let router = build(
        base()
            .provider(
                Provider::openai_compatible("local", "http://127.0.0.1:1/v1", "k").stands_in("small", "tiny"),
            )
            .provider(Provider::openai("k").key("second", "k2").stands_in("claude/big", "gpt-big"))
            .alias("smart", "smarter")
            .alias("smarter", "claude/big")
            .alias("usual", "default")
            .alias("group", "fast")
            .model(Model::new("fast").route("smart").route(Target::new("openai/gpt-4.1").key("second")))
            .model(Model::new("gpt-4.1").route("gemini/large")),
    );
    let fallbacks = ["gemini/large", "openai/gpt-4.1-mini", "openai/gpt-4.1-mini#second"];
    let with = |first: &str| [first].into_iter().chain(fallbacks).map(str::to_owned).collect::<Vec<_>>();
    let cases = [
        ("claude/x", with("claude/x")),
        ("claude-x", with("claude/claude-x")),
        (
            "default",
            vec![
                "claude/small".into(),
                "gemini/large".into(),
                "local/tiny".into(),
                fallbacks[1].into(),
                fallbacks[2].into(),
            ],
        ),
        (
            "claude/big",
            vec![
                "claude/big".into(),
                "gemini/large".into(),
                "openai/gpt-big".into(),
                "openai/gpt-big#second".into(),
            ],
        ),
        ("local/a/b", {
            let mut routes = vec!["local/a/b".to_owned(), "claude/small".to_owned()];
            routes.extend(fallbacks.map(str::to_owned));
            routes
        }),
        ("fast", vec!["claude/big".into(), "openai/gpt-4.1#second".into()]),
        ("gpt-4.1", vec!["gemini/large".into()]),
    ];
    for (name, routes) in cases {
        assert_eq!(spelled(&planned(&router, &ask(name)).routes), routes, "{name}");
    }
    for (alias, name) in [("smart", "claude/big"), ("usual", "default"), ("group", "fast")] {
        let (one, other) = (planned(&router, &ask(alias)), planned(&router, &ask(name)));
        assert_eq!((one.routes, one.choice), (other.routes, other.choice), "{alias}");
    }
    for (name, kind) in [
        ("", ErrorKind::InvalidRequest),
        ("claude/", ErrorKind::InvalidRequest),
        ("llama", ErrorKind::ModelNotFound),
        ("nobody/llama", ErrorKind::ModelNotFound),
    ] {
        let failure =
            plan(router.inner(), &ask(name), true, NOW, &mut fastrand::Rng::with_seed(1)).expect_err(name);
        assert_eq!(failure.kind, kind, "{name}");
    }
}

#[test]
fn the_choice_says_who_was_left_out_and_why() {
    let router = build(
        base().model(Model::new("m").route("claude/small").route(Target::new("gemini/large").tags(["eu"]))),
    );
    let tool = crate::Function::new("f", object());
    let long = "word ".repeat(4000);
    let cases = [
        (ask("m"), vec!["claude/small", "gemini/large"], None),
        (ask("m").tool(tool.clone()), vec!["gemini/large"], Some("tools")),
        (Request::new("m").user(long.clone()), vec!["gemini/large"], Some("1000")),
        (tagged(ask("m"), &["eu"]), vec!["gemini/large"], Some("\"eu\"")),
        // Nobody is left: the first with the tags is tried, and says what is wrong.
        (ask("claude/small").tool(tool), vec!["gemini/large"], Some("tools")),
    ];
    for (request, routes, why) in cases {
        let Planned { routes: planned, choice } = planned(&router, &request);
        assert_eq!(spelled(&planned), routes, "{choice}");
        assert_eq!(choice.considered.len(), 2);
        assert_eq!((choice.policy, choice.at), (PolicyName::Priority, NOW));
        let left_out = choice.considered.iter().find(|considered| considered.measure.is_none());
        assert_eq!(left_out.map(|considered| considered.provider.as_str()), why.map(|_| "claude"));
        assert!(choice.to_string().contains(why.unwrap_or_default()), "{choice}");
    }
}

/// A JSON object, as a function's parameters have to be.
fn object() -> crate::Json {
    crate::Json::parse("{}").expect("JSON")
}

fn tagged(mut request: Request, tags: &[&str]) -> Request {
    request.route_tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    request
}

#[test]
fn when_nobody_can_serve_it_the_first_is_tried_but_never_one_without_the_tags() {
    let eu = |model| Target::new(model).tags(["eu"]);
    let router = build(
        base()
            .model(
                Model::new("refuses")
                    .route("gemini/large")
                    .route(eu("claude/small"))
                    .route(eu("claude/small-latest")),
            )
            .model(Model::new("untagged").route("gemini/large").route("claude/small"))
            .model(Model::new("alone").route("gemini/large")),
    );
    let tool = crate::Function::new("f", object());
    let request = tagged(ask("refuses").tool(tool), &["eu"]);
    let Planned { routes, choice } = planned(&router, &request);
    assert_eq!(spelled(&routes), ["claude/small"], "{choice}");
    for name in ["untagged", "alone", "claude/small", "default"] {
        let request = tagged(ask(name), &["eu", "cheap"]);
        let failure =
            plan(router.inner(), &request, true, NOW, &mut fastrand::Rng::with_seed(1)).expect_err(name);
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
        assert!(
            failure.message.starts_with("route_tags: ") && failure.message.contains("cheap, eu"),
            "{failure}"
        );
    }
}

#[test]
fn a_refused_route_is_set_back_behind_all_healthy_ones() {
    let router = build(
        Router::builder()
            .provider(Provider::anthropic("k").requests_per_minute(1))
            .provider(Provider::gemini("k").requests_per_minute(1))
            .provider(Provider::openai("k"))
            .model(Model::new("m").route("claude/a").route("gemini/b").route("openai/c")),
    );
    let state = |place: usize| Arc::clone(&router.inner().names.models["m"].backends[place].state);
    let later = NOW + std::time::Duration::from_secs(1);
    let _gemini = state(1).gate().admit(&Claim::default(), NOW).expect("admits");
    let _claude = state(0).gate().admit(&Claim::default(), later).expect("admits");
    let Planned { routes, choice } =
        plan(router.inner(), &ask("m"), true, later, &mut fastrand::Rng::with_seed(1)).expect("a plan");
    assert_eq!(spelled(&routes), ["openai/c", "gemini/b", "claude/a"], "the one that is back first is first");
    let by = |place: usize| match choice.considered[place].standing {
        Standing::SetBack(refusal) => Some(refusal.by),
        _ => None,
    };
    let minute = Some(Guard::Limit { scope: Scope::Key, kind: LimitKind::RequestsPerMinute });
    assert_eq!([by(0), by(1), by(2)], [None, minute, minute]);
}

#[test]
fn the_cheapest_depends_on_the_request() {
    let router = build(
        base()
            .policy(Policy::Cheapest)
            .model(Model::new("m").route("claude/unknown").route("claude/small").route("gemini/large")),
    );
    let short = ask("m").max_output_tokens(1000);
    let long = Request::new("m").user("word ".repeat(500)).max_output_tokens(1);
    for (request, routes) in [
        (short, ["gemini/large", "claude/small", "claude/unknown"]),
        (long, ["claude/small", "gemini/large", "claude/unknown"]),
    ] {
        let Planned { routes: planned, choice } = planned(&router, &request);
        assert_eq!(spelled(&planned), routes, "{choice}");
        assert_eq!(choice.considered[2].measure, Some(Measure::Price(None)));
        assert!(matches!(choice.considered[0].measure, Some(Measure::Price(Some(_)))));
    }
}

#[test]
fn a_policy_for_all_orders_keys_and_not_the_providers_to_fall_back_to() {
    let router = build(
        Router::builder()
            .provider(Provider::anthropic("k").key("b", "k2").key("c", "k3"))
            .provider(Provider::gemini("k"))
            .policy(Policy::LeastBusy),
    );
    let first = planned(&router, &ask("claude-x"));
    assert_eq!(first.routes[3].provider.as_str(), "gemini");
    let busy = router.inner().route_state(&first.routes[0]);
    let _under_way = busy.gate().admit(&Claim::default(), NOW).expect("admits");
    let second = planned(&router, &ask("claude-x"));
    assert_eq!(second.routes[2], first.routes[0], "the busy key is the last of the provider's");
    assert_eq!(second.routes[3].provider.as_str(), "gemini");
}

#[test]
fn what_is_measured_orders_the_fastest() {
    let router = build(
        base().model(Model::new("m").route("claude/small").route("gemini/large").policy(Policy::fastest())),
    );
    let pool = &router.inner().names.models["m"];
    for (backend, millis) in pool.backends.iter().zip([900, 100]) {
        backend.state.latency(true).record(std::time::Duration::from_millis(millis), NOW);
    }
    assert_eq!(spelled(&planned(&router, &ask("m")).routes), ["gemini/large", "claude/small"]);
}

#[test]
fn keys_divide_the_weight_of_their_target() {
    let router = build(
        Router::builder()
            .provider(Provider::anthropic("k").key("b", "k2").weight(3.0))
            .provider(Provider::gemini("k"))
            .model(
                Model::new("m")
                    .route("claude/a")
                    .route(Target::new("claude/b").weight(1.0))
                    .route("gemini/c"),
            ),
    );
    let weights: Vec<_> =
        router.inner().names.models["m"].backends.iter().map(|backend| backend.weight).collect();
    assert_eq!(weights, [1.5, 1.5, 0.5, 0.5, 1.0]);
}

#[test]
fn what_is_configured_and_asked_for_is_listed_with_where_it_stands() {
    let router = build(
        base()
            .provider(Provider::ollama().tags(["here"]))
            .model(Model::new("m").route(Target::new("gemini/large").tags(["eu"])).route("claude/other")),
    );
    planned(&router, &ask("claude/named"));
    let _under_way = router.inner().names.models["m"].backends[0]
        .state
        .gate()
        .admit(&Claim::default(), NOW)
        .expect("admits");
    let listed: Vec<_> = router
        .routes()
        .into_iter()
        .map(|route| {
            let tags: Vec<_> = route.tags.into_iter().collect();
            (
                format!("{}/{}", route.provider, route.model.unwrap_or_default()),
                route.models,
                tags,
                route.in_flight,
            )
        })
        .collect();
    let (none, m) = (Vec::<String>::new(), vec!["m".to_owned()]);
    assert_eq!(
        listed,
        [
            ("claude/small".to_owned(), none.clone(), none.clone(), 0),
            ("gemini/large".to_owned(), m.clone(), vec!["eu".to_owned()], 1),
            ("claude/other".to_owned(), m, none.clone(), 0),
            ("claude/named".to_owned(), none.clone(), none.clone(), 0),
            ("ollama/".to_owned(), none, vec!["here".to_owned()], 0),
        ]
    );
}

proptest! {
    /// No name and no tag makes the planner fail in another way than it says,
    /// and a plan has routes.
    #[test]
    fn any_request_is_planned_or_refused_by_name(
        model in prop_oneof![".{0,40}", "(claude|gemini|m|alias)/?[a-z]{0,8}", Just("m".to_owned())],
        tags in prop::collection::btree_set("(eu|[a-z]{1,4})", 0..3),
        text in ".{0,2000}", conversation in prop::option::of(".{0,8}"), seed: u64,
    ) {
        let router = build(base().alias("alias", "m").model(
            Model::new("m").route(Target::new("claude/small").tags(["eu"])).route("gemini/large"),
        ));
        let mut request = Request::new(model).user(text);
        (request.route_tags, request.conversation) = (tags, conversation);
        match plan(router.inner(), &request, true, NOW, &mut fastrand::Rng::with_seed(seed)) {
            Ok(Planned { routes, choice }) => {
                prop_assert!(!routes.is_empty());
                prop_assert!(choice.considered.len() >= routes.len());
            }
            Err(failure) => {
                prop_assert!(matches!(failure.kind, ErrorKind::InvalidRequest | ErrorKind::ModelNotFound));
                prop_assert!(!failure.message.is_empty());
            }
        }
    }
}
