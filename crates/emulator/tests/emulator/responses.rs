//! OpenAI Responses over the wire: events, items, and what is refused.

use super::client::{Answer, Api, ask, call, post, send};
use leverframe_emulator::{Emulator, Fault, Finish, Provider, Step};
use serde_json::{Value, json};

const API: Api = Api::Responses;

async fn ask_with(emulator: &Emulator, fields: Value) -> Answer {
    let (path, mut body) = call(API, true);
    let fields = fields.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    send(post(emulator, API, &path), body.to_string()).await
}

/// The types of the events in short, once it is certain that they are
/// numbered from zero and that their `event` lines say the same.
fn kinds(answer: &Answer) -> Vec<String> {
    let events = answer.events();
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).map(Some).collect::<Vec<_>>(), "{}", answer.body);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("typed")).collect();
    let names: Vec<_> = answer.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, names);
    assert!(!answer.body.contains("[DONE]"));
    kinds.iter().map(|kind| kind.strip_prefix("response.").unwrap_or(kind).to_owned()).collect()
}

#[tokio::test]
async fn each_kind_of_answer_has_its_events() {
    let emulator = Emulator::start().await.expect("starts");
    let (begun, part) = ("created in_progress output_item.added", "content_part.added");
    for (step, events) in [
        (
            Step::text("one two"),
            format!(
                "{begun} {part} output_text.delta output_text.delta output_text.done content_part.done \
                 output_item.done completed"
            ),
        ),
        (
            Step::refusal_saying("I will not"),
            format!(
                "{begun} {part} refusal.delta refusal.delta refusal.delta refusal.done content_part.done \
                 output_item.done completed"
            ),
        ),
        (
            Step::tool_call("f", "{\"a\": 1}"),
            format!(
                "{begun} function_call_arguments.delta function_call_arguments.delta \
                 function_call_arguments.done output_item.done completed"
            ),
        ),
        (
            Step::text("one").thinking("hm\n\nwell"),
            format!(
                "{begun} reasoning_summary_part.added reasoning_summary_text.delta \
                 reasoning_summary_text.done reasoning_summary_part.done reasoning_summary_part.added \
                 reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done \
                 output_item.done output_item.added {part} output_text.delta output_text.done \
                 content_part.done output_item.done completed"
            ),
        ),
        (
            Step::text("one").finish(Finish::Length),
            format!(
                "{begun} {part} output_text.delta output_text.done content_part.done output_item.done incomplete"
            ),
        ),
        (Step::refusal(), "created in_progress incomplete".to_owned()),
        (
            Step::text("one two").error_after(1, Fault::RateLimited { retry_after_seconds: None }),
            format!("{begun} {part} output_text.delta error failed"),
        ),
        (Step::ok().error_after(0, Fault::Server), format!("{begun} {part} error failed")),
        (
            Step::text("one").error_after(9, Fault::Server),
            format!("{begun} {part} output_text.delta error failed"),
        ),
    ] {
        emulator.script_any(Provider::OpenAi, [step.clone()]);
        let answer = ask(&emulator, API, true).await;
        assert_eq!(answer.header("content-type"), "text/event-stream");
        assert_eq!(kinds(&answer).join(" "), events, "{step:?}");
    }
}

/// What was streamed and what is said at once is the same response, but for
/// its number.
#[tokio::test]
async fn the_items_that_are_done_are_the_output_of_the_last_event_and_of_a_whole_answer() {
    let emulator = Emulator::start().await.expect("starts");
    let steps = [
        Step::text("one two").thinking("hm"),
        Step::text("one").finish(Finish::Length),
        Step::text(""),
        Step::refusal(),
        Step::refusal_saying("I will not"),
        Step::tool_call("f", "{\"city\": \"Łódź\"}").thinking("a\n\nb"),
    ];
    for step in steps {
        emulator.clear(Provider::OpenAi);
        emulator.always(Provider::OpenAi, step.clone());
        let streamed = ask(&emulator, API, true).await.events();
        let nth =
            |answer: &Value| answer["id"].as_str().expect("an id").trim_start_matches("resp_").to_owned();
        let last = &streamed.last().expect("events")["response"];
        let done: Vec<_> =
            streamed.iter().filter(|event| event["type"] == "response.output_item.done").collect();
        let items: Vec<_> = done.iter().map(|event| event["item"].clone()).collect();
        assert_eq!(last["output"], json!(items), "{step:?}");
        let places: Vec<_> = done.iter().map(|event| event["output_index"].as_u64()).collect();
        assert_eq!(places, (0..items.len() as u64).map(Some).collect::<Vec<_>>());
        let whole = ask(&emulator, API, false).await.json();
        let renumbered = whole.to_string().replace(&nth(&whole), &nth(last));
        assert_eq!(renumbered, last.to_string());
    }
}

#[tokio::test]
async fn a_call_has_two_ids_and_its_deltas_add_up() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Provider::OpenAi, Step::tool_call("f", "{\"city\": \"Łódź\"}"));
    let events = ask(&emulator, API, true).await.events();
    let item = &events[2]["item"];
    let [id, call_id] = ["id", "call_id"].map(|field| item[field].as_str().expect("an id"));
    assert!(id.starts_with("fc_") && call_id.starts_with("call_"));
    assert_eq!((&item["arguments"], &item["status"]), (&json!(""), &json!("in_progress")));
    let deltas: String =
        events[3..5].iter().map(|event| event["delta"].as_str().expect("a delta").to_owned()).collect();
    assert_eq!(deltas, "{\"city\": \"Łódź\"}");
    assert!(events[3..6].iter().all(|event| event["item_id"] == id && event["output_index"] == 0));
    assert_eq!(events[5]["arguments"], deltas.as_str());
    let done = &events[6]["item"];
    assert_eq!((&done["arguments"], &done["call_id"]), (&json!(deltas), &json!(call_id)));
}

#[tokio::test]
async fn what_the_request_asks_for_changes_the_answer() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Provider::OpenAi, Step::text("one").thinking("hm"));
    // Name, whether it says so by default, and the fields that change it.
    for (says, usually, fields) in [
        ("\"obfuscation\"", true, json!({"stream_options": {"include_obfuscation": false}})),
        ("\"encrypted_content\"", false, json!({"include": ["reasoning.encrypted_content"]})),
        ("\"store\":true", true, json!({"store": false})),
        ("\"effort\":\"low\",\"summary\":null", false, json!({"reasoning": {"effort": "low"}})),
        (
            "\"strict\":true",
            false,
            json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]}),
        ),
    ] {
        for (fields, expected) in [(json!({}), usually), (fields, !usually)] {
            let answer = ask_with(&emulator, fields).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body.contains(says), expected, "{says}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn an_error_on_the_way_is_nested_and_fails_the_response() {
    let emulator = Emulator::start().await.expect("starts");
    let limited = Fault::RateLimited { retry_after_seconds: Some(3) };
    emulator.always(Provider::OpenAi, Step::text("one two").error_after(1, limited));
    let events = ask(&emulator, API, true).await.events();
    let [error, failed] = &events[events.len() - 2..] else { panic!("two events") };
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    assert!(error.get("code").is_none(), "it is nested");
    let whole = ask(&emulator, API, false).await;
    for response in [&failed["response"], &whole.json()] {
        assert_eq!((&response["status"], &response["output"]), (&json!("failed"), &json!([])));
        assert_eq!(response["error"]["code"], "rate_limit_exceeded");
        assert_eq!(response["error"]["message"], error["error"]["message"]);
    }
    assert_eq!(whole.status, 200);
}

/// A field and its value; the code and the parameter of the error, no
/// parameter if it is fine.
#[tokio::test]
async fn parameters_are_checked_as_the_api_does() {
    let emulator = Emulator::start().await.expect("starts");
    let message = |role: &str, content: Value| json!([{"role": role, "content": content}]);
    let part = |kind: &str| json!([{"type": kind, "text": "Hi"}]);
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "1"});
    let reasoning = json!({"type": "reasoning", "id": "rs", "summary": []});
    let user = json!({"role": "user", "content": "Hi"});
    let schema = json!({"type": "json_schema", "name": "n", "schema": {}});
    let cases = [
        ("stop", json!(["END"]), "unknown_parameter", "stop"),
        ("seed", json!(1), "unknown_parameter", "seed"),
        ("n", json!(1), "unknown_parameter", "n"),
        ("frequency_penalty", json!(0), "unknown_parameter", "frequency_penalty"),
        ("logit_bias", json!({}), "unknown_parameter", "logit_bias"),
        ("whatever", json!(null), "unknown_parameter", "whatever"),
        ("reasoning", json!({"max_tokens": 1}), "unknown_parameter", "reasoning.max_tokens"),
        ("messages", json!([]), "unsupported_parameter", "messages"),
        ("max_tokens", json!(20), "unsupported_parameter", "max_tokens"),
        ("response_format", json!({}), "unsupported_parameter", "response_format"),
        ("max_output_tokens", json!(15), "integer_below_min_value", "max_output_tokens"),
        ("max_output_tokens", json!("20"), "invalid_type", "max_output_tokens"),
        ("max_output_tokens", json!(16), "", ""),
        ("max_output_tokens", json!(null), "", ""),
        ("temperature", json!(-1), "decimal_below_min_value", "temperature"),
        ("temperature", json!(2.1), "decimal_above_max_value", "temperature"),
        ("temperature", json!(2), "", ""),
        ("top_p", json!(1.5), "decimal_above_max_value", "top_p"),
        ("model", json!(""), "missing_required_parameter", "model"),
        ("input", json!(null), "missing_required_parameter", "input"),
        ("input", json!([]), "missing_required_parameter", "input"),
        ("input", json!(1), "invalid_type", "input"),
        ("input", json!("Hi"), "", ""),
        ("input", message("tool", json!("Hi")), "invalid_value", "input[0].role"),
        ("input", message("user", part("text")), "invalid_value", "input[0].content[0].type"),
        ("input", message("assistant", part("input_text")), "invalid_value", "input[0].content[0].type"),
        ("input", message("assistant", part("output_text")), "", ""),
        ("input", message("developer", part("input_text")), "", ""),
        ("input", json!([{"content": "Hi"}]), "missing_required_parameter", "input[0].type"),
        ("input", json!([{"role": "user"}]), "missing_required_parameter", "input[0].content"),
        (
            "input",
            json!([{"type": "function_call", "id": "c"}]),
            "missing_required_parameter",
            "input[0].call_id",
        ),
        ("input", json!([user, call]), "null", "input"),
        ("input", json!([user, output]), "null", "input"),
        ("input", json!([user, call, output]), "", ""),
        ("input", json!([reasoning, user]), "null", "input"),
        ("input", json!([reasoning, call, output]), "", ""),
        (
            "tools",
            json!([{"type": "function", "function": {"name": "f"}}]),
            "missing_required_parameter",
            "tools[0].name",
        ),
        (
            "tools",
            json!([{"type": "function", "name": "f", "function": {}}]),
            "unknown_parameter",
            "tools[0].function",
        ),
        ("tools", json!([{"name": "f"}]), "missing_required_parameter", "tools[0].type"),
        ("tools", json!([{"type": "function", "name": "f", "parameters": {}}]), "", ""),
        ("tool_choice", json!("any"), "invalid_value", "tool_choice"),
        ("tool_choice", json!("required"), "null", "tool_choice"),
        (
            "tool_choice",
            json!({"type": "function", "function": {"name": "f"}}),
            "missing_required_parameter",
            "tool_choice.name",
        ),
        (
            "text",
            json!({"format": {"type": "json_schema", "json_schema": {}}}),
            "missing_required_parameter",
            "text.format.name",
        ),
        ("text", json!({"format": {"type": "json_object"}}), "null", "input"),
        ("text", json!({"format": {"type": "xml"}}), "invalid_value", "text.format.type"),
        ("text", json!({"format": schema}), "", ""),
    ];
    for (field, value, code, param) in cases {
        let answer = ask_with(&emulator, json!({field: value})).await;
        if param.is_empty() {
            assert_eq!(answer.status, 200, "{field} {value}: {}", answer.body);
            continue;
        }
        assert_eq!(answer.status, 400, "{field} {value}: {}", answer.body);
        let error = &answer.json()["error"];
        let code = if code == "null" { Value::Null } else { json!(code) };
        assert_eq!((&error["code"], &error["param"]), (&code, &json!(param)), "{field} {value}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let goes_on = json!({"previous_response_id": "resp_1", "input": [output]});
    assert_eq!(ask_with(&emulator, goes_on).await.status, 200, "the server knows the call");
}

#[tokio::test]
async fn both_apis_of_openai_share_scripts_and_the_path_says_which_it_is() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.script(Provider::OpenAi, "m", [Step::text("first"), Step::text("second")]);
    let chat = ask(&emulator, Api::Chat, false).await.json();
    let responses = ask(&emulator, Api::Responses, false).await.json();
    assert_eq!(chat["choices"][0]["message"]["content"], "first");
    assert_eq!(responses["output"][0]["content"][0]["text"], "second");
    for path in ["/v1/responsesx", "/v1/responses/resp_1/cancel"] {
        let answer = send(post(&emulator, API, path), "{}").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
