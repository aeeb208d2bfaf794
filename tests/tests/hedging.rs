//! A second route at the same time, over real sockets.

use std::time::Duration;

use futures_util::StreamExt;
use leverframe_emulator::{CallEnd, Provider as Fake, Step};
use leverframe_router::{Amount, ErrorKind, Hedging, StateKind, Tokens};
use leverframe_tests::{World, ask, lookup};

/// Claude is known to begin at once; hedging is on.
async fn warm() -> World {
    let hedging = Hedging { at_least: Duration::from_millis(20), ..Hedging::default() };
    let world = World::with(&["claude", "gemini"], |builder| builder.hedging(hedging)).await;
    for _ in 0..30 {
        world.router.stream(ask("claude")).await.expect("begins").collect().await.expect("ends");
    }
    assert_eq!(world.calls("gemini"), 0, "nothing was late");
    world
}

/// Scripts the next call of one provider.
fn next(world: &World, name: &str, step: Step) {
    let (_, fake, model) = lookup(name);
    world.emulator.script(fake, model, [step]);
}

#[tokio::test]
async fn a_late_route_is_outrun_and_its_cost_is_not_forgotten() {
    let world = warm().await;
    next(&world, "claude", Step::stall_before_headers());
    next(&world, "gemini", Step::text("first to answer"));
    let answer = world.router.stream(ask("claude")).await.expect("begins").collect().await.expect("ends");
    assert_eq!(answer.text(), "first to answer");
    let [late, won] = answer.attempts() else { panic!("{:?}", answer.attempts()) };
    assert_eq!((late.provider.as_str(), won.provider.as_str()), ("claude", "gemini"));
    let failure = late.failure.as_ref().expect("it was outrun");
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (ErrorKind::Cancelled, "another route answered first")
    );
    assert!(matches!(late.usage.input, Tokens::Estimated(1..)), "{:?}", late.usage);
    // Priced only where there is a price for the model.
    assert!(late.cost.is_none_or(|cost| !matches!(cost.amount, Amount::Exact(_))), "{:?}", late.cost);
    assert!(late.started_at <= won.started_at && answer.record().started_at <= late.started_at);
    assert!(answer.journal().replay().expect("legal").is_terminal());
    assert!(answer.explain().to_string().contains("another route answered first"), "{}", answer.explain());
    assert_eq!(world.records.all().len(), 31, "one record for one request");
    // The loser's connection is closed, and its provider knows.
    while world.emulator.calls().iter().any(|call| call.end.is_none()) {
        tokio::task::yield_now().await;
    }
    let calls = world.emulator.calls();
    let lost = calls.iter().rfind(|call| call.provider == Fake::Anthropic).expect("called");
    assert_eq!(lost.end, Some(CallEnd::ClientWentAway));
}

#[tokio::test]
async fn the_late_route_may_still_win() {
    let world = warm().await;
    next(&world, "claude", Step::text("slow but first").before_headers(Duration::from_millis(60)));
    next(&world, "gemini", Step::stall_before_headers());
    // Anthropic has no seed; the one that was outrun has.
    let mut request = ask("claude");
    request.sampling.seed = Some(7);
    let answer = world.router.stream(request).await.expect("begins").collect().await.expect("ends");
    assert_eq!(answer.text(), "slow but first");
    assert_eq!(answer.losses().len(), 1, "those of the answer: {:?}", answer.losses());
    let providers: Vec<_> = answer.attempts().iter().map(|attempt| attempt.provider.as_str()).collect();
    assert_eq!(providers, ["claude", "gemini"]);
    let lost = answer.attempts()[1].failure.as_ref().map(|failure| failure.kind);
    assert_eq!(lost, Some(ErrorKind::Cancelled));
    assert!(answer.attempts()[0].failure.is_none());
}

#[tokio::test]
async fn whoever_fails_leaves_the_race_to_the_other() {
    // The first fails while the second is out, the second while the first is, both.
    let late = Duration::from_millis(60);
    let cases = [
        (Step::server_error().before_headers(late), Step::text("b").before_headers(late * 2), Some("b"), 2),
        (Step::text("a").before_headers(late), Step::authentication(), Some("a"), 2),
        (Step::authentication().before_headers(late), Step::authentication(), None, 2),
    ];
    for (first, second, answers, attempts) in cases {
        let world = warm().await;
        next(&world, "claude", first.clone());
        next(&world, "gemini", second.clone());
        match (world.router.stream(ask("claude")).await, answers) {
            (Ok(stream), Some(text)) => {
                let answer = stream.collect().await.expect("ends");
                assert_eq!((answer.text().as_str(), answer.attempts().len()), (text, attempts));
                let failed = answer.attempts().iter().filter(|attempt| attempt.failure.is_some()).count();
                assert_eq!(failed, 1, "{}", answer.explain());
            }
            (Err(error), None) => {
                assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Authentication, attempts));
                assert!(error.journal().replay().expect("legal").is_terminal());
            }
            (got, _) => panic!("{first:?} {second:?}: {got:?}"),
        }
        assert_eq!(world.records.all().len(), 31, "{first:?} {second:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_a_race_ends_both() {
    let world = warm().await;
    next(&world, "claude", Step::stall_before_headers());
    next(&world, "gemini", Step::stall_before_headers());
    let calls = world.emulator.calls().len();
    let mut request = Box::pin(world.router.stream(ask("claude")));
    std::future::poll_fn(|cx| {
        assert!(request.as_mut().poll(cx).is_pending());
        cx.waker().wake_by_ref();
        if world.emulator.calls().len() == calls + 2 {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    drop(request);
    while world.emulator.calls().iter().any(|call| call.end.is_none()) {
        tokio::task::yield_now().await;
    }
    let records = world.records.all();
    assert_eq!(records.len(), 31, "one record");
    let record = records.last().expect("some");
    assert_eq!(record.attempts.len(), 2);
    assert!(record.attempts.iter().all(|attempt| attempt.failure.is_some()));
    let path: Vec<_> = record.journal.path().collect();
    assert_eq!(path.last(), Some(&StateKind::Failed), "{path:?}");
    assert!(record.journal.replay().expect("legal").is_terminal());
    assert!(world.router.routes().iter().all(|route| route.in_flight == 0));
}

#[tokio::test]
async fn whole_answers_are_not_hedged() {
    let world = warm().await;
    for _ in 0..30 {
        world.router.send(ask("claude")).await.expect("answers");
    }
    next(&world, "claude", Step::text("late").before_headers(Duration::from_millis(60)));
    let answer = world.router.send(ask("claude")).await.expect("answers");
    assert_eq!((answer.text().as_str(), answer.attempts().len()), ("late", 1));
}

#[tokio::test]
async fn no_hedge_is_sent_where_it_would_be_refused() {
    let world = warm().await;
    // Gemini's key is set aside.
    world.always("gemini", Step::authentication());
    world.router.send(ask("gemini")).await.expect("claude stands in");
    let calls = world.calls("gemini");
    next(&world, "claude", Step::text("late").before_headers(Duration::from_millis(60)));
    let mut stream = world.router.stream(ask("claude")).await.expect("begins");
    stream.next().await.expect("an event").expect("good");
    assert_eq!(world.calls("gemini"), calls);
}
