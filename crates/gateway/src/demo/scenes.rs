//! The first five scenes. Each uses a model of its own, so that the breaker of one
//! does not play into another.

use std::{sync::Arc, time::Duration};

use leverframe_emulator::{Fault, Provider, Step};
use leverframe_router::{BreakerState, Error, Record};

use super::stage::{OPEN_FOR, Stage};
use crate::{
    chain,
    show::{self, Problem},
};

/// Between two tokens: slow enough to be seen, fast enough to be waited for.
const TOKEN: Duration = Duration::from_millis(35);

pub(super) async fn play(stage: &Stage) -> Result<(), Problem> {
    plain(stage).await?;
    overloaded(stage).await?;
    rate_limited(stage).await?;
    cut(stage).await?;
    breaker(stage).await
}

fn expected(outcome: Result<Arc<Record>, Error>) -> Result<Arc<Record>, Problem> {
    outcome.map_err(|error| chain(&error))
}

async fn plain(stage: &Stage) -> Result<(), Problem> {
    show::scene(1, "A streamed answer", "Claude answers; tokens appear as they arrive.");
    let answer = "Sunlight is scattered by the air, blue more than red, so blue reaches us from everywhere.";
    stage.emulator.script(Provider::Anthropic, "claude-sonnet-5", [Step::text(answer).between_tokens(TOKEN)]);
    expected(stage.ask("claude-sonnet-5", "Why is the sky blue?").await).map(drop)
}

async fn overloaded(stage: &Stage) -> Result<(), Problem> {
    show::scene(
        2,
        "An overloaded provider",
        "Claude says 529 each time. Two jittered retries, then Gemini takes over; the caller sees one answer.",
    );
    stage.emulator.script(
        Provider::Anthropic,
        "claude-opus-4-8",
        [(); 3].map(|()| Step::fault(Fault::Overloaded)),
    );
    let answer = "Because the low sun's light crosses more air, which takes the blue out on the way.";
    stage.emulator.script_any(Provider::Gemini, [Step::text(answer).between_tokens(TOKEN)]);
    expected(stage.ask("claude-opus-4-8", "And why is the sunset red?").await).map(drop)
}

async fn rate_limited(stage: &Stage) -> Result<(), Problem> {
    show::scene(
        3,
        "A rate limit with a hint",
        "OpenAI says 429 and 'retry-after: 1'. The wait fits our patience, so it is honoured.",
    );
    let limited = Step::fault(Fault::RateLimited { retry_after_seconds: Some(1) });
    let answer =
        Step::text("On the Moon it is black, even by day: no air, no scattering.").between_tokens(TOKEN);
    stage.emulator.script(Provider::OpenAi, "gpt-4.1", [limited, answer]);
    expected(stage.ask("gpt-4.1", "What colour is the sky on the Moon?").await).map(drop)
}

async fn cut(stage: &Stage) -> Result<(), Problem> {
    show::scene(
        4,
        "A stream that breaks off",
        "The connection dies after the caller has begun to read. Nothing is sent again: a typed error, and the text so far.",
    );
    let answer = "On Mars the dust makes the day butterscotch and the sunset blue, which is";
    let step = Step::text(answer).between_tokens(TOKEN).close_after(9);
    stage.emulator.script(Provider::Anthropic, "claude-haiku-4-5", [step]);
    match stage.ask("claude-haiku-4-5", "And on Mars?").await {
        Ok(_) => Err(Problem("a cut stream was taken for a whole one".to_owned())),
        Err(error) => {
            show::note(&format!("the error: {}", error.failure()));
            let partial = error.partial().map(|partial| partial.text()).unwrap_or_default();
            show::note(&format!("its partial text: {partial:?}"));
            Ok(())
        }
    }
}

async fn breaker(stage: &Stage) -> Result<(), Problem> {
    const MODEL: &str = "claude-sonnet-4-6";
    show::scene(
        5,
        "An open breaker",
        "Claude fails three times in a row and its breaker opens: the next request does not even try.",
    );
    stage.emulator.script(Provider::Anthropic, MODEL, [(); 3].map(|()| Step::fault(Fault::Server)));
    stage.emulator.always(Provider::Gemini, Step::text("Gemini is here.").between_tokens(TOKEN));
    expected(stage.ask(MODEL, "Anyone there?").await)?;
    state(stage, MODEL);
    let record = expected(stage.ask(MODEL, "And now?").await)?;
    show::note("asked why it went there, the answer explains:");
    record.explain().to_string().lines().for_each(show::note);
    show::note("... the breaker's time passes; meanwhile Claude has recovered ...");
    // A fifth of the time is the most that jitter adds.
    tokio::time::sleep(OPEN_FOR.mul_f64(1.25)).await;
    state(stage, MODEL);
    stage.emulator.script(Provider::Anthropic, MODEL, [Step::text("Claude is back.").between_tokens(TOKEN)]);
    expected(stage.ask(MODEL, "Still there?").await)?;
    state(stage, MODEL);
    Ok(())
}

fn state(stage: &Stage, model: &str) {
    let state = match stage.router.breaker_state("claude", model) {
        Some(BreakerState::Closed) => "closed",
        Some(BreakerState::Open(_)) => "open",
        Some(BreakerState::HalfOpen) => "half-open: the next request is a probe",
        None => "unknown",
    };
    show::note(&format!("the breaker of {model} is {state}"));
}
