//! What a model can do.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Effort;

/// What is known of a model's abilities. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Tokens that fit into the model at once, input and output together.
    pub context_window: Option<u64>,
    /// Input tokens that fit, where that is less than the window.
    pub max_input: Option<u64>,
    /// Output tokens of one answer, reasoning included.
    pub max_output: Option<u64>,
    /// Whether and how it reasons before it answers.
    pub reasoning: Option<ReasoningSupport>,
    pub(super) features: BTreeMap<Feature, Answer>,
}

impl Capabilities {
    /// What it makes of a feature. `None`: nobody knows, so try.
    pub fn says(&self, feature: Feature) -> Option<Answer> {
        self.features.get(&feature).copied()
    }

    /// Whether it is known to refuse a feature in a request that asks it to
    /// reason, or in one that does not.
    pub fn refuses(&self, feature: Feature, reasoning: bool) -> bool {
        match self.says(feature) {
            None | Some(Answer::Accepts) => false,
            Some(Answer::WithoutReasoning) => reasoning,
            Some(Answer::Refuses) => true,
        }
    }

    /// Input tokens that fit at most, as far as that is known.
    pub fn input_limit(&self) -> Option<u64> {
        self.max_input.or(self.context_window)
    }

    /// Whether it is known not to take a word for the effort. A model that has
    /// no such control takes none of them.
    pub fn refuses_effort(&self, effort: Effort) -> bool {
        self.reasoning.as_ref().is_some_and(|reasoning| {
            !reasoning.takes(Control::Effort)
                || reasoning.efforts.as_ref().is_some_and(|efforts| !efforts.contains(&effort))
        })
    }

    /// These facts, and where they are silent, those.
    #[must_use]
    pub fn over(mut self, base: &Self) -> Self {
        self.context_window = self.context_window.or(base.context_window);
        self.max_input = self.max_input.or(base.max_input);
        self.max_output = self.max_output.or(base.max_output);
        self.reasoning = self.reasoning.or_else(|| base.reasoning.clone());
        for (&feature, &answer) in &base.features {
            self.features.entry(feature).or_insert(answer);
        }
        self
    }
}

/// Something a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// OpenAI's Chat Completions. Who refuses it is to be had over Responses only.
    ChatCompletions,
    /// Images in the input.
    Image,
    /// Documents (PDF) in the input.
    Document,
    /// Audio in the input.
    Audio,
    /// Functions to call.
    Tools,
    /// More than one call in an answer, and the setting for it.
    ParallelTools,
    /// A tool choice that forces a call.
    ForcedTool,
    /// An answer that follows a JSON schema.
    JsonSchema,
    /// `temperature` other than the default.
    Temperature,
    /// `top_p` other than the default.
    TopP,
    /// `top_k`.
    TopK,
    /// Presence and frequency penalties.
    Penalties,
    /// Probabilities of tokens in the answer.
    Logprobs,
    /// Stop sequences.
    Stop,
    /// A last turn of the assistant that the model goes on writing.
    Prefill,
}

/// What a model makes of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It takes it.
    Accepts,
    /// It takes it in a request that does not ask it to reason.
    WithoutReasoning,
    /// It answers with an error, or ignores it.
    Refuses,
}

/// Whether and how a model reasons before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReasoningSupport {
    /// How a request may steer it. Empty: the model does not reason.
    pub by: Vec<Control>,
    /// The words it takes for the effort. `None`: not known.
    pub efforts: Option<Vec<Effort>>,
    /// Whether it can be switched off.
    pub off: Option<bool>,
}

impl ReasoningSupport {
    /// Whether the model reasons at all.
    pub fn reasons(&self) -> bool {
        !self.by.is_empty()
    }

    /// Whether it can be steered in this way.
    pub fn takes(&self, control: Control) -> bool {
        self.by.contains(&control)
    }
}

/// A way to steer reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Control {
    /// A number of tokens: Anthropic's `budget_tokens`, Gemini's `thinkingBudget`.
    Budget,
    /// As the model sees fit: Anthropic's `adaptive`.
    Adaptive,
    /// A word: OpenAI's and Anthropic's effort, Gemini's `thinkingLevel`.
    Effort,
}
