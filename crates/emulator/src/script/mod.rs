//! What to answer, what to break, and which call gets it.

mod file;
mod step;
mod when;

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use crate::Provider;

pub use file::ScriptError;
pub(crate) use file::load;
pub use step::Step;
pub(crate) use step::{Answer, How, ToolCall};
pub(crate) use when::When;

/// Why the model says it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The answer is complete.
    #[default]
    Stop,
    /// The limit was reached.
    Length,
    /// The provider's filter, or the model itself, refused to go on.
    ContentFilter,
}

/// Errors as the providers report them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Too much to do: Anthropic 529, the others 503.
    Overloaded,
    /// 429, with a hint on when to come back where given.
    RateLimited {
        /// The hint: a header, or Google's RetryInfo.
        retry_after_seconds: Option<u32>,
    },
    /// The account is empty, its spend limit reached or its daily quota used up: 429.
    QuotaExhausted,
    /// 500.
    Server,
    /// A bad key: 401; Gemini 400.
    Authentication,
    /// 403.
    Permission,
    /// 404; Responses 400.
    ModelNotFound,
    /// The conversation is too long: 400.
    ContextLength,
    /// 400.
    InvalidRequest,
    /// The prompt is refused: OpenAI and Azure 400; the others answer 200 and
    /// say so. For a refusal with 200 by all three see [`Step::refusal`] and
    /// [`Step::refusal_saying`].
    ContentFilter,
}

/// The steps that wait for their calls.
#[derive(Debug)]
pub(crate) struct Script {
    /// Keyed by model; `None` is any.
    queues: HashMap<(Provider, Option<String>), VecDeque<Step>>,
    cycles: HashMap<(Provider, Option<String>), Cycle>,
    /// Come before all others, in this order.
    matched: Vec<Matched>,
    default: Step,
}

/// Steps for the calls that say something.
#[derive(Debug)]
struct Matched {
    provider: Provider,
    /// `None` is any.
    model: Option<String>,
    when: When,
    queue: VecDeque<Step>,
    cycle: Cycle,
}

impl Matched {
    fn next(&mut self, provider: Provider, model: &str, body: &Value) -> Option<Step> {
        let asked = self.provider == provider && self.model.as_deref().is_none_or(|own| own == model);
        // Reading the body is the dear part.
        if !asked || (self.queue.is_empty() && self.cycle.steps.is_empty()) || !self.when.matches(body) {
            return None;
        }
        self.queue.pop_front().or_else(|| self.cycle.next())
    }
}

/// Steps that never run out.
#[derive(Debug)]
struct Cycle {
    /// The next is in front.
    steps: VecDeque<Step>,
}

impl Cycle {
    fn next(&mut self) -> Option<Step> {
        let step = self.steps.front().cloned();
        self.steps.rotate_left(usize::from(step.is_some()));
        step
    }
}

impl Script {
    pub(crate) fn new(default: Step) -> Self {
        Self { queues: HashMap::new(), cycles: HashMap::new(), matched: Vec::new(), default }
    }

    pub(crate) fn queue(
        &mut self,
        provider: Provider,
        model: Option<&str>,
        steps: impl IntoIterator<Item = Step>,
    ) {
        self.queues.entry((provider, model.map(str::to_owned))).or_default().extend(steps);
    }

    pub(crate) fn cycle(
        &mut self,
        provider: Provider,
        model: Option<&str>,
        steps: impl IntoIterator<Item = Step>,
    ) {
        let cycle = Cycle { steps: steps.into_iter().collect() };
        self.cycles.insert((provider, model.map(str::to_owned)), cycle);
    }

    pub(crate) fn when(
        &mut self,
        provider: Provider,
        model: Option<String>,
        when: When,
        steps: impl IntoIterator<Item = Step>,
        cycle: impl IntoIterator<Item = Step>,
    ) {
        let (queue, cycle) = (steps.into_iter().collect(), Cycle { steps: cycle.into_iter().collect() });
        self.matched.push(Matched { provider, model, when, queue, cycle });
    }

    pub(crate) fn clear(&mut self, provider: Provider) {
        self.queues.retain(|(of, _), _| *of != provider);
        self.cycles.retain(|(of, _), _| *of != provider);
        self.matched.retain(|matched| matched.provider != provider);
    }

    /// The step for the next call, of this model and with this body.
    pub(crate) fn next(&mut self, provider: Provider, model: &str, body: &Value) -> Step {
        if let Some(step) = self.matched.iter_mut().find_map(|matched| matched.next(provider, model, body)) {
            return step;
        }
        let keys = [(provider, Some(model.to_owned())), (provider, None)];
        let queued = keys.iter().find_map(|key| self.queues.get_mut(key)?.pop_front());
        queued
            .or_else(|| keys.iter().find_map(|key| self.cycles.get_mut(key)?.next()))
            .unwrap_or_else(|| self.default.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Provider = Provider::OpenAi;

    fn word(step: &Step) -> &str {
        match &step.answer {
            Answer::Tokens(tokens) => &tokens[0],
            _ => "default",
        }
    }

    #[test]
    fn a_models_own_steps_come_first_then_any_models_then_what_is_always_said() {
        let script = &mut Script::new(Step::ok());
        script.cycle(ANY, None, [Step::text("x"), Step::text("y")]);
        script.cycle(ANY, Some("n"), [Step::text("z")]);
        script.queue(ANY, None, [Step::text("b")]);
        script.queue(ANY, Some("m"), [Step::text("a")]);
        let mut said = |model: &str| word(&script.next(ANY, model, &Value::Null)).to_owned();
        assert_eq!(["m", "m", "m", "m", "m", "n", "n"].map(&mut said), ["a", "b", "x", "y", "x", "z", "z"]);
        script.cycle(ANY, Some("n"), []);
        assert_eq!(word(&script.next(ANY, "n", &Value::Null)), "y", "no steps end a cycle");
        script.clear(ANY);
        assert_eq!(word(&script.next(ANY, "m", &Value::Null)), "default");
    }

    #[test]
    fn calls_that_say_something_come_first_as_long_as_there_are_steps_for_them() {
        let script = &mut Script::new(Step::ok());
        script.queue(ANY, Some("m"), [Step::text("queued")]);
        let when = |text: &str| When { says: Some(text.to_owned()), with: Vec::new() };
        script.when(ANY, None, when("rain"), [Step::text("once")], []);
        script.when(ANY, Some("m".to_owned()), when("rain"), [], [Step::text("always")]);
        script.when(ANY, None, when("snow"), [Step::text("snow")], []);
        let rain = serde_json::json!({"input": "Will it rain?"});
        let mut said = |model: &str| word(&script.next(ANY, model, &rain)).to_owned();
        assert_eq!(["n", "m", "m", "n"].map(&mut said), ["once", "always", "always", "default"]);
        assert_eq!(word(&script.next(ANY, "m", &Value::Null)), "queued");
        script.clear(ANY);
        assert_eq!(word(&script.next(ANY, "m", &rain)), "default");
    }
}
