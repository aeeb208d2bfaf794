//! The emulator as a library and as a program: what it notes, how it stops.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use super::client::{Api, ask, call, post, try_send};
use bytes::Bytes;
use http_body_util::Full;
use leverframe_emulator::{Call, CallEnd, Emulator, Step};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, timeout},
};

#[tokio::test]
async fn calls_are_kept_with_what_they_said_and_how_they_ended() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        ask(&emulator, api, true).await;
    }
    let calls = emulator.calls();
    assert_eq!(calls.iter().map(|call| call.provider).collect::<Vec<_>>(), Api::ALL.map(Api::provider));
    for (api, Call { path, model, streamed, headers, body, end, .. }) in Api::ALL.into_iter().zip(calls) {
        assert_eq!((model.as_str(), streamed, end), ("m", true, Some(CallEnd::Answered)), "{api:?}");
        let (sent_to, sent) = call(api, true);
        assert_eq!((sent_to.split('?').next(), sent), (Some(path.as_str()), body));
        assert!(headers.contains(&("authorization".to_owned(), "Bearer k".to_owned())));
    }
}

#[tokio::test]
async fn scripts_may_change_while_it_runs() {
    let emulator = Emulator::builder().default_step(Step::text("default")).start().await.expect("starts");
    for api in Api::ALL {
        let says = async |word: &str| ask(&emulator, api, false).await.body.contains(word);
        assert!(says("default").await);
        emulator.always(api.provider(), Step::text("always"));
        emulator.script(api.provider(), "m", [Step::text("first")]);
        emulator.script(api.provider(), "another", [Step::text("not for us")]);
        emulator.when(api.provider(), "Hel", Step::text("Hi"));
        emulator.when(api.provider(), "Bye", Step::text("So long"));
        assert!(says("Hi").await && says("Hi").await);
        emulator.clear(api.provider());
        emulator.always(api.provider(), Step::text("always"));
        emulator.script(api.provider(), "m", [Step::text("first")]);
        assert!(says("first").await && says("always").await && says("always").await);
        emulator.clear(api.provider());
        assert!(says("default").await);
    }
    emulator.load(r#"[{"provider": "openai", "always": {"text": "loaded"}}]"#).expect("valid");
    assert!(ask(&emulator, Api::Chat, false).await.body.contains("loaded"));
}

#[tokio::test]
async fn a_shutdown_lets_calls_finish_but_not_for_ever() {
    for (step, whole) in [
        (Step::text("a b").between_tokens(Duration::from_millis(30)), true),
        (Step::ok().stall_after(1), false),
    ] {
        for http2 in [false, true] {
            // A port that is free again may be given to another test at once.
            let mut listened = 0;
            while listens_after_shutdown(&step, whole, http2).await {
                listened += 1;
                assert!(listened < 3, "nobody listens any more");
            }
        }
    }
}

/// Whether anybody can be reached where the emulator was that was shut down in
/// the middle of a call.
async fn listens_after_shutdown(step: &Step, whole: bool, http2: bool) -> bool {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Api::Chat.provider(), step.clone());
    let (path, body) = call(Api::Chat, true);
    let request = post(&emulator, Api::Chat, &path).body(Full::new(Bytes::from(body.to_string())));
    let asking = try_send(http2, request.expect("valid"));
    let stopping = async {
        while emulator.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        // Seconds of waiting cost nothing on a clock that can be advanced.
        tokio::time::pause();
        let url = emulator.base_url(Api::Chat.provider());
        emulator.shutdown().await;
        tokio::time::resume();
        url
    };
    let (answer, url) = tokio::join!(asking, stopping);
    assert_eq!(answer.expect("headers came").whole, whole, "{http2}");
    let address = url.strip_prefix("http://").expect("a URL");
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_idle_connections_and_a_drop_for_none() {
    let emulator = Emulator::start().await.expect("starts");
    let url = emulator.base_url(Api::GenerateContent.provider());
    let address = url.strip_prefix("http://").expect("a URL").to_owned();
    let idle = TcpStream::connect(&address).await.expect("connects");
    let start = Instant::now();
    emulator.shutdown().await;
    assert!(start.elapsed() < Duration::from_millis(900));
    drop(idle);

    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Api::GenerateContent.provider(), Step::stall_before_headers());
    let url = emulator.base_url(Api::GenerateContent.provider());
    let mut stalled =
        TcpStream::connect(url.strip_prefix("http://").expect("a URL")).await.expect("connects");
    drop(emulator);
    let mut nothing = Vec::new();
    let end = timeout(Duration::from_secs(10), stalled.read_to_end(&mut nothing)).await.expect("it ends");
    assert_eq!((end.unwrap_or(0), nothing.len()), (0, 0));
}

#[test]
fn the_program_says_where_it_listens() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_leverframe-emulator"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().take(3);
    let lines: Vec<String> = lines.map(|line| line.expect("text")).collect();
    child.kill().expect("stops");
    child.wait().expect("stopped");
    for (line, (start, end)) in lines.iter().zip([
        ("export ANTHROPIC_BASE_URL=http://127.0.0.1:", " ANTHROPIC_API_KEY=emulated"),
        ("export GEMINI_BASE_URL=http://127.0.0.1:", " GEMINI_API_KEY=emulated"),
        ("export OPENAI_BASE_URL=http://127.0.0.1:", "/v1 OPENAI_API_KEY=emulated"),
    ]) {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    }
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_program_says_what_to_do_about_a_bad_script() {
    let wrong = concat!(env!("CARGO_TARGET_TMPDIR"), "/wrong.json");
    std::fs::write(wrong, "[\n  {\"provider\": \"openai\", \"stepps\": []}\n]").expect("written");
    for (path, says) in [(wrong, ["line 2 column", "--help"]), ("/nowhere.json", ["cannot read", "--script"])]
    {
        let run = Command::new(env!("CARGO_BIN_EXE_leverframe-emulator")).args(["--script", path]).output();
        let run = run.expect("runs");
        let error = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && says.iter().all(|says| error.contains(says)), "{error}");
    }
}

#[test]
fn the_script_in_the_help_is_valid() {
    let run = Command::new(env!("CARGO_BIN_EXE_leverframe-emulator")).arg("--help").output().expect("runs");
    let help = String::from_utf8_lossy(&run.stdout);
    let script = help.split("<<'END'\n").nth(1).and_then(|rest| rest.split("    END\n").next());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let emulator = runtime.block_on(Emulator::start()).expect("starts");
    emulator.load(script.expect("an example")).expect("valid");
}
