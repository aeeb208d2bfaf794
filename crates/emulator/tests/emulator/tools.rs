//! Several calls in one answer, after a thought and a text: in each dialect's
//! places, and the same whether streamed or not.

use super::client::{Answer, Api, ask};
use leverframe_emulator::{Emulator, Step};
use serde_json::{Value, json};

const PARIS: &str = r#"{"city":"Paris"}"#;
const TOKYO: &str = r#"{"city":"Tokyo"}"#;

fn two() -> Step {
    Step::tool_calls([("weather", PARIS), ("time", TOKYO)])
}

fn events_of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn joined<'a>(pieces: impl Iterator<Item = &'a Value>) -> String {
    pieces.filter_map(Value::as_str).collect()
}

/// Name, arguments and id of each call.
fn calls(api: Api, answer: &Answer, streamed: bool) -> Vec<(String, Value, String)> {
    let read = |name: &Value, arguments: &str, id: &Value| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(name), serde_json::from_str(arguments).expect("JSON"), text(id))
    };
    let events = answer.events();
    match (api, streamed) {
        (Api::Messages, false) => {
            let body = answer.json();
            let blocks = body["content"].as_array().expect("blocks").iter();
            let blocks = blocks.filter(|block| block["type"] == "tool_use");
            blocks.map(|block| read(&block["name"], &block["input"].to_string(), &block["id"])).collect()
        }
        (Api::Messages, true) => {
            let starts = events_of(&events, "content_block_start");
            let starts = starts.into_iter().filter(|start| start["content_block"]["type"] == "tool_use");
            let deltas = events_of(&events, "content_block_delta");
            let call = |start: &Value| {
                let own = deltas.iter().filter(|delta| delta["index"] == start["index"]);
                let arguments = joined(own.map(|delta| &delta["delta"]["partial_json"]));
                read(&start["content_block"]["name"], &arguments, &start["content_block"]["id"])
            };
            starts.map(call).collect()
        }
        (Api::GenerateContent, _) => {
            let chunks = if streamed { events } else { vec![answer.json()] };
            let parts = chunks.iter().flat_map(|chunk| {
                chunk["candidates"][0]["content"]["parts"].as_array().into_iter().flatten()
            });
            let calls = parts.filter_map(|part| part.get("functionCall"));
            calls.map(|call| read(&call["name"], &call["args"].to_string(), &call["id"])).collect()
        }
        (Api::Chat, false) => {
            let body = answer.json();
            let calls = body["choices"][0]["message"]["tool_calls"].as_array().expect("calls").iter();
            let function = |call: &Value| {
                let arguments = call["function"]["arguments"].as_str().expect("text");
                read(&call["function"]["name"], arguments, &call["id"])
            };
            calls.map(function).collect()
        }
        (Api::Chat, true) => {
            let fragments: Vec<&Value> =
                events.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
            let begun = fragments.iter().filter(|fragment| fragment["id"].is_string());
            let call = |begun: &&Value| {
                let own = fragments.iter().filter(|fragment| fragment["index"] == begun["index"]);
                let arguments = joined(own.map(|fragment| &fragment["function"]["arguments"]));
                read(&begun["function"]["name"], &arguments, &begun["id"])
            };
            begun.map(call).collect()
        }
        (Api::Responses, _) => {
            let body = match streamed {
                true => events.last().expect("events")["response"].clone(),
                false => answer.json(),
            };
            let items = body["output"].as_array().expect("items").iter();
            let items = items.filter(|item| item["type"] == "function_call");
            let call = |item: &Value| {
                read(&item["name"], item["arguments"].as_str().expect("text"), &item["call_id"])
            };
            items.map(call).collect()
        }
    }
}

#[tokio::test]
async fn parallel_calls_have_ids_of_their_own_and_are_the_same_streamed_and_whole() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        for (step, text) in [
            (two(), None),
            (Step::text("Let me see.").calling("weather", PARIS).calling("time", TOKYO), Some("see.")),
            (two().thinking("Both at once"), None),
        ] {
            emulator.always(api.provider(), step);
            let mut ids = Vec::new();
            for streamed in [false, true] {
                let answer = ask(&emulator, api, streamed).await;
                let called = calls(api, &answer, streamed);
                let said: Vec<_> =
                    called.iter().map(|(name, arguments, _)| (name.as_str(), &arguments["city"])).collect();
                assert_eq!(said, [("weather", &json!("Paris")), ("time", &json!("Tokyo"))], "{api:?}");
                assert!(text.is_none_or(|text| answer.body.contains(text)), "{api:?}: {}", answer.body);
                ids.extend(called.into_iter().map(|(_, _, id)| id));
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 4, "{api:?}: two answers of two calls");
        }
    }
}

#[tokio::test]
async fn anthropics_blocks_follow_one_another() {
    let emulator = Emulator::start().await.expect("starts");
    let step = Step::text("Wait.").calling("weather", PARIS).calling("time", TOKYO).thinking("Both");
    emulator.always(Api::Messages.provider(), step);
    let events = ask(&emulator, Api::Messages, true).await.events();
    let mut open = None;
    let mut blocks = Vec::new();
    for event in &events {
        match event["type"].as_str().expect("typed") {
            "content_block_start" => {
                assert_eq!(open.replace(event["index"].clone()), None, "one at a time");
                blocks.push(event["content_block"]["type"].clone());
            }
            "content_block_delta" => assert_eq!(open, Some(event["index"].clone())),
            "content_block_stop" => assert_eq!(open.take(), Some(event["index"].clone())),
            _ => {}
        }
    }
    assert_eq!(open, None);
    assert_eq!(blocks, ["thinking", "text", "tool_use", "tool_use"]);
}

#[tokio::test]
async fn responses_numbers_every_event_and_ends_each_item_before_the_next() {
    let emulator = Emulator::start().await.expect("starts");
    let step = Step::text("Wait.").calling("weather", PARIS).calling("time", TOKYO).thinking("Both");
    emulator
        .always(Api::Responses.provider(), step.clone().error_after(4, leverframe_emulator::Fault::Server));
    let failed = ask(&emulator, Api::Responses, true).await.events();
    emulator.always(Api::Responses.provider(), step);
    let events = ask(&emulator, Api::Responses, true).await.events();
    for events in [&failed, &events] {
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64()).collect();
        assert_eq!(numbers, (0..events.len() as u64).map(Some).collect::<Vec<_>>());
    }
    let items: Vec<_> = events
        .iter()
        .filter(|event| event["item"].is_object())
        .map(|event| (event["output_index"].as_u64().expect("a place"), event["item"]["status"].as_str()))
        .collect();
    let (begun, done) = (Some("in_progress"), Some("completed"));
    let (thought, said) = ([(0, None), (0, None)], [1, 2, 3].map(|place| [(place, begun), (place, done)]));
    assert_eq!(items, [thought].into_iter().chain(said).flatten().collect::<Vec<_>>());
}

/// Gemini signs the first of parallel calls, or else the text; models before
/// the third generation give their calls no ids.
#[tokio::test]
async fn gemini_signs_what_comes_first_and_older_models_give_no_ids() {
    let emulator = Emulator::start().await.expect("starts");
    let provider = Api::GenerateContent.provider();
    for (step, signed) in [(two(), json!([true, false])), (Step::text("one two"), json!([true]))] {
        emulator.always(provider, step.clone().thinking("Hm"));
        for streamed in [false, true] {
            let answer = ask(&emulator, Api::GenerateContent, streamed).await;
            let chunks = if streamed { answer.events() } else { vec![answer.json()] };
            let parts: Vec<Value> = chunks
                .iter()
                .flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().cloned())
                .flatten()
                .filter(|part| part.get("thought").is_none())
                .collect();
            let signatures: Vec<bool> =
                parts.iter().map(|part| part["thoughtSignature"].is_string()).collect();
            match streamed {
                false => assert_eq!(json!(signatures), signed),
                true => assert_eq!(signatures.iter().filter(|signed| **signed).count(), 1, "{parts:?}"),
            }
        }
    }
    emulator.always(provider, two());
    let url = "/v1beta/models/gemini-2.5-flash:generateContent";
    let request = super::client::post(&emulator, Api::GenerateContent, url);
    let (_, body) = super::client::call(Api::GenerateContent, false);
    let answer = super::client::send(request, body.to_string()).await;
    assert!(answer.body.contains("functionCall") && !answer.body.contains("\"id\""), "{}", answer.body);
}
