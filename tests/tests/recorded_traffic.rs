//! Every codec reads what providers really sent, and what it reads does not
//! depend on how the bytes were split.
//!
//! Runs over a folder of recorded exchanges that `WIRE_CORPUS` names:
//!
//! ```text
//! $WIRE_CORPUS/{anthropic,gemini,openai_chat}/<case>/{meta.json,response.sse|json,expected.json}
//! ```
//!
//! `expected.json` is what the provider's own SDK made of the same bytes.
//! Without `WIRE_CORPUS` the test says that it is skipped and passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use bytes::Bytes;
use http::HeaderMap;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Block, Dialect, Partial, Response, StreamEvent, Usage},
};
use leverframe_http::{
    codec::{self, StreamDecoder},
    sse::Limits,
};
use serde_json::Value;

/// Cases whose reading differs from the SDK's in one thing, with the reason. A
/// case that is listed but agrees fails the test, so that the list stays honest.
const KNOWN: &[(Dialect, &str, &str, &str)] = &[
    (
        Dialect::Anthropic,
        "ai.spliced-message-start.0",
        "id",
        "two messages spliced into one stream; the SDK keeps the first id, we the last",
    ),
    (
        Dialect::Anthropic,
        "anthropic-sdk-python.fallback-response.0",
        "model",
        "the model of a fallback block, a beta that is not asked for and stays opaque",
    ),
    (
        Dialect::Anthropic,
        "anthropic-sdk-python.incomplete-partial-json-response.0",
        "arguments",
        "arguments cut short by max_tokens; the SDK mends the JSON, we keep what was written",
    ),
    (
        Dialect::OpenAiResponses,
        "ai.azure-reasoning-encrypted-content-1.0",
        "",
        "four answers one after the other in one file: the stream ends with the first, the SDK reads on",
    ),
    (
        Dialect::OpenAiResponses,
        "ai.openai-shell-tool-1.0",
        "",
        "two answers one after the other in one file: the stream ends with the first, the SDK reads on",
    ),
    (
        Dialect::OpenAiChat,
        "pydantic-ai.test-openai-moderation-stream.0",
        "usage",
        "a chunk without usage follows the one with it; the SDK forgets, we keep",
    ),
    (
        Dialect::OpenAiChat,
        "pydantic-ai.test-snowflake-test-snowflake-thinking.0",
        "thinking",
        "the reasoning is in reasoning_details only, which the SDK does not read",
    ),
    (
        Dialect::OpenAiChat,
        "pydantic-ai.test-snowflake-thinking-streaming.0",
        "thinking",
        "the reasoning is in reasoning_details only, which the SDK does not read",
    ),
];

#[test]
fn recorded_answers_are_read_as_the_sdks_read_them() {
    let Some(corpus) = std::env::var_os("WIRE_CORPUS") else {
        println!("skipped: WIRE_CORPUS does not name a folder of recordings");
        return;
    };
    let folders = [
        (Dialect::Anthropic, "anthropic"),
        (Dialect::Gemini, "gemini"),
        (Dialect::OpenAiChat, "openai_chat"),
        (Dialect::OpenAiResponses, "openai_responses"),
    ];
    let mut problems = String::new();
    for (dialect, folder) in folders {
        let tally = run(dialect, &Path::new(&corpus).join(folder));
        println!("{folder}: {tally}");
        assert!(tally.cases() > 0, "{folder} holds no cases");
        for (case, differences) in &tally.differing {
            for difference in
                differences.iter().filter(|difference| known(dialect, case, difference).is_none())
            {
                let _ = writeln!(problems, "{folder}/{case}: {difference}");
            }
        }
        for (_, case, _, _) in
            KNOWN.iter().filter(|(of, case, ..)| *of == dialect && tally.agreed.contains(*case))
        {
            let _ = writeln!(problems, "{folder}/{case} agrees: take it off the list");
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

/// Why a case differs in what a difference begins with, if it may.
fn known(dialect: Dialect, case: &str, difference: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(of, name, what, _)| {
            *of == dialect
                && *name == case
                && difference.strip_prefix(what).is_some_and(|rest| rest.starts_with(':'))
        })
        .map(|(_, _, _, why)| *why)
}

/// How the cases of one provider went.
#[derive(Default)]
struct Tally {
    agreed: BTreeSet<String>,
    differing: BTreeMap<String, Vec<String>>,
    /// Cases by kind: how many agreed, how many there are.
    kinds: BTreeMap<&'static str, (usize, usize)>,
    /// Cases that are not answers of the calls this project makes, with why.
    skipped: BTreeMap<&'static str, usize>,
    error_kinds: BTreeMap<String, usize>,
    dialect: Option<Dialect>,
}

impl Tally {
    fn cases(&self) -> usize {
        self.kinds.values().map(|(_, all)| all).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agreed: usize = self.kinds.values().map(|(agreed, _)| agreed).sum();
        writeln!(f, "{} cases, {agreed} agreed", self.cases())?;
        for (kind, (agreed, all)) in &self.kinds {
            writeln!(f, "  {kind:<18} {agreed:>3} of {all:>3}")?;
        }
        for (why, count) in &self.skipped {
            writeln!(f, "  skipped {count}: {why}")?;
        }
        writeln!(f, "  failures read as {:?}", self.error_kinds)?;
        for (case, differences) in &self.differing {
            writeln!(f, "  differs: {case}")?;
            for difference in differences {
                let why = self.dialect.and_then(|dialect| known(dialect, case, difference));
                writeln!(f, "    {difference} [{}]", why.unwrap_or("NOT EXPLAINED"))?;
            }
        }
        Ok(())
    }
}

struct Case {
    meta: Value,
    body: Bytes,
    expected: Option<Value>,
}

fn load(folder: &Path) -> Case {
    let json = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display())),
        )
    };
    let body = ["response.sse", "response.json", "response.txt"]
        .iter()
        .find_map(|name| fs::read(folder.join(name)).ok())
        .unwrap_or_else(|| panic!("{} has no response", folder.display()));
    Case { meta: json("meta.json").expect("meta.json"), body: body.into(), expected: json("expected.json") }
}

fn run(dialect: Dialect, folder: &Path) -> Tally {
    let mut tally = Tally { dialect: Some(dialect), ..Tally::default() };
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let case = load(&folder.join(&name));
        if let Some(why) = not_ours(&case) {
            *tally.skipped.entry(why).or_default() += 1;
            continue;
        }
        let (kind, differences) = match case.meta["kind"].as_str() {
            Some("stream") => (stream_kind(&case), check_stream(dialect, &case)),
            Some("json") => ("json", check_json(dialect, &case)),
            Some("error") => ("error", check_error(dialect, &case, &mut tally.error_kinds)),
            other => panic!("{name} is of kind {other:?}"),
        };
        let count = tally.kinds.entry(kind).or_default();
        count.1 += 1;
        if differences.is_empty() {
            count.0 += 1;
            tally.agreed.insert(name);
        } else {
            tally.differing.insert(name, differences);
        }
    }
    tally
}

/// Why a case is none of ours, if so.
fn not_ours(case: &Case) -> Option<&'static str> {
    let meta = |name: &str| case.meta[name].as_str().unwrap_or_default();
    match (meta("op"), meta("kind")) {
        ("messages" | "generateContent" | "chat" | "responses", _) => None,
        ("streamGenerateContent", "json") => Some("a stream as a JSON array, which is not asked for"),
        ("streamGenerateContent", _) => None,
        _ => Some("not an answer of a model"),
    }
}

fn stream_kind(case: &Case) -> &'static str {
    let expected = case.expected.as_ref();
    let has = |name: &str| {
        expected.and_then(|expected| expected[name].as_array()).is_some_and(|calls| !calls.is_empty())
    };
    match expected {
        Some(expected) if expected["error"].is_object() => "stream, error",
        Some(_) if has("tool_calls") || has("server_tool_calls") => "stream, tools",
        Some(expected) if expected["text"].as_str().is_some_and(|text| !text.is_empty()) => "stream, text",
        _ => "stream, other",
    }
}

/// Everything a stream gave, up to and including the failure that ended it.
#[derive(Debug, PartialEq)]
struct Reading {
    events: Vec<StreamEvent>,
    failure: Option<Failure>,
}

fn read(dialect: Dialect, chunks: impl IntoIterator<Item = Bytes>) -> Reading {
    let mut decoder = StreamDecoder::new(dialect, Limits::default());
    let mut events = Vec::new();
    let mut drain = |decoder: &mut StreamDecoder| -> Result<(), Failure> {
        while let Some(event) = decoder.next_event()? {
            events.push(event);
        }
        Ok(())
    };
    let decode = || {
        for chunk in chunks {
            decoder.push(chunk);
            drain(&mut decoder)?;
        }
        decoder.finish();
        drain(&mut decoder)
    };
    let failure = decode().err();
    Reading { events, failure }
}

/// Cuts `body` into pieces of the lengths that `next` gives.
fn split(body: &Bytes, mut next: impl FnMut() -> usize) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = next().clamp(1, rest.len());
        chunks.push(rest.split_to(length));
    }
    chunks
}

/// Lengths from 1 to 97, the same in every run (xorshift, Marsaglia 2003).
fn random_lengths(mut state: u64) -> impl FnMut() -> usize {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 97).unwrap_or(0) + 1
    }
}

fn check_stream(dialect: Dialect, case: &Case) -> Vec<String> {
    let whole = read(dialect, [case.body.clone()]);
    let mut differences = Differences::default();
    let splits = [
        ("bytes", split(&case.body, || 1)),
        ("16 KiB", split(&case.body, || 16 << 10)),
        ("random pieces", split(&case.body, random_lengths(0x9E37_79B9_7F4A_7C15))),
        ("other random pieces", split(&case.body, random_lengths(42))),
    ];
    for (name, chunks) in splits {
        if read(dialect, chunks) != whole {
            differences.0.push(format!("split into {name} it reads otherwise"));
        }
    }
    let answer = Answer::of_stream(&whole.events);
    let expects_error =
        case.expected.as_ref().map(|expected| &expected["error"]).filter(|error| error.is_object());
    match (&whole.failure, expects_error) {
        (Some(failure), Some(error)) => {
            let message = error["message"].as_str().unwrap_or_default();
            if !failure.message.contains(message) {
                differences.differ("message", &failure.message, message);
            }
            if failure.kind == ErrorKind::Unreadable {
                differences.0.push(failure.to_string());
            }
            let partial = case.expected.as_ref().map(|expected| &expected["partial"]);
            if let Some(partial) = partial.filter(|partial| partial.is_object()) {
                differences.texts(&answer, partial);
            }
        }
        (Some(failure), None) => differences.0.push(failure.to_string()),
        (None, Some(error)) => differences.0.push(format!("no failure, but the SDK reports {error}")),
        (None, None) => {
            if whole.events.last() != Some(&StreamEvent::End) {
                differences.0.push("the last event is not End".to_owned());
            }
            if let Some(expected) = &case.expected {
                differences.answer(dialect, &answer, expected);
            }
        }
    }
    differences.0
}

fn check_json(dialect: Dialect, case: &Case) -> Vec<String> {
    let mut differences = Differences::default();
    match (codec::decode(dialect, &HeaderMap::new(), &case.body), &case.expected) {
        (Err(failure), _) => differences.0.push(failure.to_string()),
        (Ok(response), Some(expected)) => {
            differences.answer(dialect, &Answer::of_response(response), expected);
        }
        (Ok(_), None) => {}
    }
    differences.0
}

fn check_error(dialect: Dialect, case: &Case, kinds: &mut BTreeMap<String, usize>) -> Vec<String> {
    // Errors from fixtures have no status and were given to the SDKs as 400.
    let status = case.meta["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(400);
    let failure = codec::read_error(dialect, status, &HeaderMap::new(), &case.body);
    *kinds.entry(format!("{status} {:?}", failure.kind)).or_default() += 1;
    let mut differences = Differences::default();
    let body: Value = serde_json::from_slice(&case.body).unwrap_or_default();
    let body = body.get(0).unwrap_or(&body);
    let message = [&body["error"]["message"], &body["error"], &body["message"], &body["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default();
    if message.is_empty() || !failure.message.contains(message) {
        differences.differ("message", &failure.message, message);
    }
    if failure.kind == ErrorKind::Unreadable {
        differences.0.push(failure.to_string());
    }
    if failure.status != Some(status) {
        differences.differ("status", &failure.status, &status);
    }
    differences.0
}

/// What both a stream and a whole answer come to.
#[derive(Debug, Default)]
struct Answer {
    id: Option<String>,
    model: Option<String>,
    text: String,
    thinking: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    finish: Option<String>,
    usage: Usage,
}

impl Answer {
    fn of_stream(events: &[StreamEvent]) -> Self {
        let mut partial = Partial::new();
        let mut answer = Self::default();
        for event in events {
            match event {
                StreamEvent::Start { id, model } => {
                    answer.id = id.as_ref().map(ToString::to_string).or(answer.id);
                    answer.model = model.as_ref().map(ToString::to_string).or(answer.model);
                }
                StreamEvent::Finish { raw, .. } => answer.finish = Some(raw.to_string()),
                _ => {}
            }
            partial.push(event.clone());
        }
        answer.usage = *partial.usage();
        partial.content().for_each(|block| answer.take(block));
        answer
    }

    fn of_response(response: Response) -> Self {
        let mut answer = Self {
            id: response.id,
            model: response.model,
            finish: response.finish_raw,
            usage: response.usage,
            ..Self::default()
        };
        response.content.iter().for_each(|block| answer.take(block));
        answer
    }

    fn take(&mut self, block: &Block) {
        match block {
            Block::Text(text) => self.text.push_str(&text.text),
            Block::Refusal(refusal) => self.refusal.push_str(&refusal.text),
            Block::Thinking(thinking) => self.thinking.push_str(&thinking.text),
            Block::ToolCall(call) => {
                self.calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()));
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn differ(&mut self, what: &str, ours: &(impl fmt::Debug + ?Sized), theirs: &(impl fmt::Debug + ?Sized)) {
        let short = |text: String| match text.char_indices().nth(160) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        };
        self.0.push(format!(
            "{what}: we read {}, the SDK {}",
            short(format!("{ours:?}")),
            short(format!("{theirs:?}"))
        ));
    }

    fn same(&mut self, what: &str, ours: &str, theirs: &Value) {
        // Absent, null and "" are the same to the SDKs.
        let theirs = theirs.as_str().unwrap_or_default();
        if ours != theirs {
            self.differ(what, ours, theirs);
        }
    }

    fn texts(&mut self, answer: &Answer, expected: &Value) {
        self.same("text", &answer.text, &expected["text"]);
        self.same("thinking", &answer.thinking, &expected["thinking_text"]);
        if expected.get("refusal").is_some() {
            self.same("refusal", &answer.refusal, &expected["refusal"]);
        }
    }

    fn answer(&mut self, dialect: Dialect, answer: &Answer, expected: &Value) {
        self.texts(answer, expected);
        self.same("id", answer.id.as_deref().unwrap_or_default(), &expected["response_id"]);
        self.same("model", answer.model.as_deref().unwrap_or_default(), &expected["model"]);
        // Gemini gives a blocked prompt a reason of its own and no finish reason.
        let mut reasons = [&expected["finish_reason_raw"], &expected["block_reason"]].into_iter();
        let finish = reasons.find(|reason| reason.is_string()).unwrap_or(&Value::Null);
        self.same("finish", answer.finish.as_deref().unwrap_or_default(), finish);
        self.usage(dialect, &answer.usage, &expected["usage"]);
        if expected.get("oracle_note").is_none() {
            self.calls(answer, expected);
        }
    }

    fn calls(&mut self, answer: &Answer, expected: &Value) {
        let mut theirs = expected["tool_calls"].as_array().cloned().unwrap_or_default();
        // The call of an old model, which the SDK keeps apart.
        let legacy = &expected["function_call"];
        theirs.extend(legacy["name"].as_str().filter(|name| !name.is_empty()).map(|_| legacy.clone()));
        if answer.calls.len() != theirs.len() {
            self.differ("tool calls", &answer.calls, &theirs);
            return;
        }
        for ((id, name, arguments), theirs) in answer.calls.iter().zip(&theirs) {
            self.same("tool name", name, &theirs["name"]);
            if theirs["id"].is_string() {
                self.same("tool call id", id, &theirs["id"]);
            } else if id.is_empty() {
                self.0.push("a tool call has no id".to_owned());
            }
            let expected = match &theirs["arguments"] {
                Value::String(text) => {
                    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
                }
                Value::Null => serde_json::json!({}),
                value => value.clone(),
            };
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            let ours = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
            if ours != expected {
                self.differ("arguments", &ours, &expected);
            }
        }
    }

    /// Our buckets are disjoint; the providers' are not, each in its own way.
    fn usage(&mut self, dialect: Dialect, ours: &Usage, theirs: &Value) {
        let number = |name: &str| theirs[name].as_u64().unwrap_or(0);
        if theirs.is_null() {
            if ours.input_total().is_some() || ours.output_total().is_some() {
                self.differ("usage", ours, theirs);
            }
            return;
        }
        let (input, output, cached) = match dialect {
            Dialect::Anthropic => (
                number("input") + number("cache_read") + number("cache_write"),
                number("output"),
                number("cache_read"),
            ),
            Dialect::Gemini => (
                number("input") + number("tool_use_prompt"),
                number("output") + number("thoughts"),
                number("cached"),
            ),
            Dialect::OpenAiChat | Dialect::OpenAiResponses => {
                (number("input"), number("output"), number("cached"))
            }
        };
        // xAI counts reasoning beside the completion; its total has both.
        let total = theirs["raw"]["total_tokens"].as_u64().filter(|_| dialect == Dialect::OpenAiChat);
        let output_agrees =
            ours.output_total().unwrap_or(0) == output || (total.is_some() && ours.total() == total);
        if ours.input_total().unwrap_or(0) != input
            || !output_agrees
            || ours.cache_read.value().unwrap_or(0) != cached
        {
            self.differ("usage", ours, theirs);
        }
    }
}
