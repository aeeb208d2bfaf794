//! A conversation goes on with whoever is there, whichever provider began it.

use leverframe_emulator::{Fault, Step};
use leverframe_router::{
    Block, FinishReason, Function, Json, Losses, Message, Request, Role, ToolResult, Weight,
};
use leverframe_tests::{DIALECTS, World, ask};

fn weather() -> Function {
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    Function::new("weather", Json::parse(schema).expect("JSON")).describe("What the weather is like")
}

/// The turn after the model has asked for the weather.
fn with_result(request: Request, turn: Message) -> Request {
    let calls: Vec<_> = turn
        .content
        .iter()
        .filter_map(|block| match block {
            Block::ToolCall(call) => Some(Block::ToolResult(ToolResult::new(&call.id, "18 degrees"))),
            _ => None,
        })
        .collect();
    assert_eq!(calls.len(), 1);
    request.message(turn).message(Message::new(Role::User, calls))
}

/// The two providers of the emulator that speak OpenAI share their scripts.
fn share_scripts(one: &str, other: &str) -> bool {
    let openai = |name: &str| matches!(name, "openai" | "responses");
    one == other || (openai(one) && openai(other))
}

#[tokio::test]
async fn a_tool_call_with_its_reasoning_goes_back_to_whoever_made_it_without_loss() {
    for (name, ..) in DIALECTS {
        let world = World::with(&[name], |builder| builder).await;
        world.always(name, Step::tool_call("weather", r#"{"city": "Oslo"}"#).thinking("let me look"));
        let question = ask(name).tool(weather());
        let answer = world.router.send(question.clone()).await.expect("asks for the tool");
        assert_eq!(answer.response.finish, FinishReason::ToolCalls, "{name}");
        world.always(name, Step::text("It is mild."));
        // OpenAI Chat takes no reasoning back.
        let losses = if name == "openai" { Losses::AllowMinor } else { Losses::Refuse };
        let next = with_result(question, answer.response.to_message()).losses(losses);
        let answer = world.router.send(next).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.text(), "It is mild.", "{name}");
        let body = world.emulator.calls()[1].body.to_string();
        assert!(body.contains("18 degrees") && body.contains("Oslo"), "{name}: {body}");
    }
}

#[tokio::test]
async fn another_provider_takes_over_in_the_middle_of_a_tool_call() {
    for (first, ..) in DIALECTS {
        for (second, ..) in DIALECTS {
            if share_scripts(first, second) {
                continue;
            }
            let world = World::with(&[first, second], |builder| builder).await;
            world.always(first, Step::tool_call("weather", r#"{"city": "Oslo"}"#).thinking("let me look"));
            world.always(second, Step::text("It is mild."));
            let question = ask(first).system("Be brief.").tool(weather());
            let answer = world.router.stream(question.clone()).await.expect("begins").collect().await;
            let turn = answer.expect("asks for the tool").response.to_message();
            world.always(first, Step::fault(Fault::Server));
            let answer = world.router.send(with_result(question, turn)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{first} to {second}: {error}"));
            assert_eq!(answer.text(), "It is mild.", "{first} to {second}");
            let minor = answer.losses().iter().all(|loss| loss.weight == Weight::Minor);
            assert!(minor, "{first} to {second}: {:?}", answer.losses());
            let calls = world.emulator.calls();
            let body = calls.last().expect("a call").body.to_string();
            for said in ["Be brief.", "Oslo", "18 degrees", "weather"] {
                assert!(body.contains(said), "{first} to {second}: {said} is missing in {body}");
            }
        }
    }
}
