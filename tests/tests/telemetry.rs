//! What `tracing` is told of a request. Alone in its file: a subscriber of one
//! thread and events of another do not go together.

use std::{
    io,
    sync::{Arc, Mutex},
};

use futures_util::StreamExt;
use leverframe_emulator::Step;
use leverframe_tests::{World, ask};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panics while it holds this").clone()).expect("text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while it holds this").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn subscriber(log: &Log) -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(log.clone())
        .finish()
}

/// The span of the last request, once it is closed.
fn closed(log: &Log) -> serde_json::Value {
    let lines: Vec<serde_json::Value> =
        log.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let close =
        |line: &&serde_json::Value| line["fields"]["message"] == "close" && line["span"]["name"] == "chat";
    lines.iter().rev().find(close).unwrap_or_else(|| panic!("no closed span in {lines:#?}"))["span"].clone()
}

#[tokio::test]
async fn a_request_is_a_span_with_the_conventions_names_and_nothing_secret() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(subscriber(&log));
    let world = World::with(&["claude", "gemini"], |builder| builder).await;
    world.always("claude", Step::authentication());
    world.always("gemini", Step::text("confidential answer").usage(7, 9));
    let request = ask("claude").user("confidential question").conversation("c-1");
    world.router.send(request.clone()).await.expect("gemini answers");
    let span = closed(&log);
    assert_eq!(span["gen_ai.operation.name"], "chat");
    assert_eq!(span["gen_ai.provider.name"], "gcp.gemini");
    assert_eq!(span["gen_ai.request.model"], "claude-test");
    assert_eq!(span["gen_ai.response.model"], "gemini-test");
    assert_eq!(span["gen_ai.conversation.id"], "c-1");
    assert_eq!(
        (&span["gen_ai.usage.input_tokens"], &span["gen_ai.usage.output_tokens"]),
        (&7.into(), &9.into())
    );
    assert_eq!(span["leverframe.request.attempts"], 2);
    assert!(log.text().contains("attempt failed"), "{}", log.text());

    let mut stream = world.router.stream(request).await.expect("begins");
    stream.next().await.expect("an event").expect("good");
    drop(stream);
    assert_eq!(closed(&log)["error.type"], "unknown_error", "dropped");
    for secret in ["test-key", "confidential"] {
        assert!(!log.text().contains(secret), "{}", log.text());
    }
}
