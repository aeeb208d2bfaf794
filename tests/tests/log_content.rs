//! What the log keeps of what goes over the wire, and what it never keeps.

use std::{path::Path, sync::Arc};

use leverframe_emulator::{Emulator, Fault, Provider as Fake, Step};
use leverframe_router::{
    Provider,
    store::{Log, Query, Settings},
};
use leverframe_tests::{World, ask, base};

fn open(path: &Path, bodies: Option<usize>) -> Arc<Log> {
    Arc::new(Log::open_with(path, Settings { bodies, ..Settings::default() }).expect("opens"))
}

#[tokio::test]
async fn what_every_attempt_sent_and_got_is_kept_where_it_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    for most in [None, Some(40), Some(1 << 20)] {
        let log = open(&folder.path().join(format!("{most:?}.redb")), most);
        let world = World::with(&["claude", "gemini"], |builder| builder.log(Arc::clone(&log))).await;
        world.always("claude", Step::fault(Fault::Overloaded));
        world.always("gemini", Step::text("an answer of a few words"));
        world.router.send(ask("claude")).await.expect("gemini answers");
        let stream = world.router.stream(ask("claude")).await.expect("gemini begins");
        stream.collect().await.expect("answered");
        log.flush().expect("written");
        for (record, streamed) in world.records.all().iter().zip([false, true]) {
            let bodies = log.reader().bodies(record.id).expect("reads");
            let Some(most) = most else {
                assert!(bodies.is_empty());
                continue;
            };
            let began: Vec<_> = record.attempts.iter().map(|attempt| attempt.started_at).collect();
            assert_eq!(bodies.iter().map(|bodies| bodies.attempt).collect::<Vec<_>>(), began);
            for (attempt, bodies) in record.attempts.iter().zip(&bodies) {
                for (body, word) in [
                    (&bodies.request, "Hello there"),
                    (&bodies.response, if attempt.failure.is_some() { "verloaded" } else { "words" }),
                ] {
                    assert_eq!(body.is_cut(), body.length > most as u64, "{body:?}");
                    // What may be the beginning of the key is not kept at the end.
                    let kept = body.length.min(most as u64);
                    let shortest = kept - if body.is_cut() { "test-key".len() as u64 } else { 0 };
                    assert!((shortest..=kept).contains(&(body.bytes.len() as u64)), "{body:?}");
                    let text = String::from_utf8_lossy(&body.bytes);
                    assert!(body.is_cut() || text.contains(word), "no {word} in {text}");
                }
                let is_stream = bodies.response.bytes.starts_with(b"data:");
                assert_eq!(is_stream, streamed && attempt.failure.is_none(), "as it went over the wire");
            }
        }
        assert_eq!(log.health().shed_bodies, 0);
    }
}

/// Searched for where somebody might look: the file, the log's own words, all
/// that is printed of what is in it.
#[tokio::test]
async fn no_key_is_in_the_file_whoever_quotes_it() {
    let secret = "canary7f3d9b1c5e"; // without a prefix that tells it is one
    let emulator = Emulator::start().await.expect("loopback has free ports");
    let quote =
        format!(r#"{{"type":"error","error":{{"type":"api_error","message":"key {secret} is bad"}}}}"#);
    emulator.always(Fake::Anthropic, Step::raw(500, "application/json", quote.clone()));
    emulator.always(Fake::Gemini, Step::text(format!("your key is {secret}, is it not")));
    emulator.always(Fake::OpenAi, Step::raw(200, "text/event-stream", format!("data: {quote}\n\n")));
    let providers = [
        Provider::anthropic(secret).base_url(emulator.base_url(Fake::Anthropic)),
        Provider::gemini(secret).base_url(emulator.base_url(Fake::Gemini)),
        Provider::openai(secret).base_url(format!("{}/v1", emulator.base_url(Fake::OpenAi))),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    // As much as cuts the quotation somewhere in the key, too.
    for most in (60..120).step_by(4).chain([1 << 20]) {
        let path = folder.path().join(format!("{most}.redb"));
        let log = open(&path, Some(most));
        let builder = providers.iter().fold(base(), |builder, provider| builder.provider(provider.clone()));
        let router = builder.log(Arc::clone(&log)).build().expect("valid");
        for name in ["claude", "gemini", "openai"] {
            let _ = router.send(ask(name)).await;
            if let Ok(stream) = router.stream(ask(name)).await {
                let _ = stream.collect().await;
            }
        }
        drop(router);
        log.flush().expect("written");
        let mut told = format!("{log:?} {:?} {:?}", log.health(), log.reader().guards().expect("reads"));
        let page = log.reader().newest(&Query::all(), None, 100).expect("reads");
        for record in page.records {
            let record = record.expect("whole");
            let bodies = log.reader().bodies(record.id).expect("reads");
            assert!(!bodies.is_empty());
            for body in bodies.iter().flat_map(|bodies| [&bodies.request, &bodies.response]) {
                told.push_str(&String::from_utf8_lossy(&body.bytes));
            }
            told.push_str(&format!("{record:?} {} {bodies:?}", record.explain()));
        }
        drop(log);
        let file = std::fs::read(&path).expect("reads");
        let parts = [secret.as_bytes(), &secret.as_bytes()[..6]];
        for part in parts {
            assert!(!file.windows(part.len()).any(|bytes| bytes == part), "in the file, cut at {most}");
            assert!(!told.as_bytes().windows(part.len()).any(|bytes| bytes == part), "told, cut at {most}");
        }
    }
}
