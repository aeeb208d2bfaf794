//! Keys, configured models and aliases, on real sockets.

use leverframe_emulator::{Fault, Step};
use leverframe_router::{Auth, ErrorKind, Model, Policy, Provider, Standing, Target};
use leverframe_tests::{World, ask, base, lookup, provider};

/// The key each call to a provider came with, oldest first.
fn keys(world: &World) -> Vec<String> {
    let key = |call: &leverframe_emulator::Call| call.header("x-api-key").unwrap_or_default().to_owned();
    world.emulator.calls().iter().map(key).collect()
}

#[tokio::test]
async fn a_rejected_key_gives_way_to_the_next_and_is_left_alone() {
    let emulated = World::with(&["claude"], |builder| builder).await;
    let two_keys = provider(&emulated.emulator, "claude").key("second", "another-key");
    let router = base().provider(two_keys).build().expect("valid");
    let (_, fake, _) = lookup("claude");
    // A 401 is the key's: the other routes of the provider are as good as before.
    emulated.emulator.script_any(fake, [Step::fault(Fault::Authentication)]);
    let answer = router.send(ask("claude")).await.expect("the second key answers");
    let labels: Vec<_> = answer.attempts().iter().map(|attempt| attempt.key.to_string()).collect();
    assert_eq!(labels, ["default", "second"]);
    let answer = router.send(ask("claude")).await.expect("the second key answers");
    assert_eq!(answer.attempts().len(), 1, "the first key is set back");
    assert_eq!(keys(&emulated), ["test-key", "another-key", "another-key"]);
    let first = router.routes().into_iter().next().expect("a route");
    assert_eq!(first.key.as_str(), "default");
    assert!(first.refusal.is_some(), "{first:?}");
}

#[tokio::test]
async fn a_configured_model_takes_its_routes_and_no_other() {
    let world = World::with(&["claude", "gemini", "openai"], |builder| {
        let model = Model::new("fast")
            .route(Target::new("openai/gpt-test").weight(0.0))
            .route("gemini/gemini-test")
            .policy(Policy::Weighted);
        builder.model(model).alias("quick", "fast")
    })
    .await;
    let (_, gemini, _) = lookup("gemini");
    for name in ["fast", "quick"] {
        let answer = world.router.send(ask("claude").model(name)).await.expect("gemini answers");
        assert_eq!(answer.attempts()[0].provider.as_str(), "gemini");
        assert_eq!(answer.record().model, name, "the name the caller used");
    }
    world.emulator.script_any(gemini, [Step::fault(Fault::Authentication)]);
    let answer = world.router.send(ask("claude").model("quick")).await.expect("the last resort answers");
    assert_eq!(answer.attempts()[1].provider.as_str(), "openai");
    world.always("openai", Step::fault(Fault::Authentication));
    world.router.send(ask("claude").model("fast")).await.expect_err("claude is no route of it");
    assert_eq!(world.calls("claude"), 0);
}

#[tokio::test]
async fn the_record_says_who_was_considered() {
    let world = World::with(&["claude", "gemini"], |builder| builder).await;
    let mut request = ask("claude");
    request.route_tags.insert("eu".to_owned());
    let error = world.router.send(request).await.expect_err("nobody has the tag");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(world.emulator.calls().is_empty());
    world.router.send(ask("claude")).await.expect("an answer");
    let records = world.records.all();
    let choice = &records.last().expect("a record").choice;
    let considered: Vec<_> =
        choice.considered.iter().map(|route| (route.provider.as_str(), &route.standing)).collect();
    assert_eq!(considered, [("claude", &Standing::Planned), ("gemini", &Standing::Planned)]);
}

#[tokio::test]
async fn a_probe_asks_every_provider_with_every_key_and_pays_for_nothing() {
    let world = World::with(&["claude", "openai"], |builder| builder).await;
    let claude = provider(&world.emulator, "claude").key("second", "another-key");
    let nobody = Provider::gemini("test-key").base_url("http://127.0.0.1:1");
    let keyless = provider(&world.emulator, "openai").auth(Auth::None);
    let router = base().provider(claude).provider(nobody).provider(keyless).build().expect("valid");
    let probes = router.probe().await;
    let seen: Vec<_> = probes
        .iter()
        .map(|probe| {
            let outcome = probe.outcome.as_ref().map(|models| *models > 0).map_err(|failure| failure.kind);
            (probe.provider.as_str(), probe.key.as_str(), outcome)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("claude", "default", Ok(true)),
            ("claude", "second", Ok(true)),
            ("gemini", "default", Err(ErrorKind::Network)),
            ("openai", "default", Err(ErrorKind::Authentication)),
        ]
    );
    assert!(world.emulator.calls().iter().all(|call| call.path.ends_with("/models")));
    assert!(router.routes().iter().all(|route| route.refusal.is_none()), "it changes no guard");
}
