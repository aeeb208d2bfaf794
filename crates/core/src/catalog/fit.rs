//! Making a request fit for a model: what the model is known to refuse is left
//! out, and listed.

use std::borrow::Cow;

use super::{Capabilities, Control, Feature};
use crate::{
    error::Failure,
    loss::{Loss, LossReport, Weight},
    model::{Block, Effort, OutputFormat, Request, Role, ThinkingMode, ToolChoice},
};

impl Capabilities {
    /// The request without what the model is known to refuse, and what that
    /// was. Nothing is copied where nothing is refused.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::error::ErrorKind::Unsupported), naming
    /// the field, for the first loss beyond what [`Request::losses`] allows.
    pub fn fit<'a>(&self, request: &'a Request) -> Result<(Cow<'a, Request>, Vec<Loss>), Failure> {
        let mut fitting = Fitting {
            capabilities: self,
            reasons: self.reasons(request),
            request: Cow::Borrowed(request),
            report: LossReport::new(request.losses),
        };
        fitting.sampling()?;
        fitting.settings()?;
        fitting.reasoning()?;
        fitting.tools()?;
        fitting.content()?;
        if let Cow::Owned(changed) = &mut fitting.request {
            // It no longer says what was written.
            if let Some(original) = &mut changed.original {
                original.body = None;
            }
        }
        Ok((fitting.request, fitting.report.into_losses()))
    }

    /// Whether the model will reason over this request.
    fn reasons(&self, request: &Request) -> bool {
        let Some(support) = &self.reasoning else { return false };
        let off = request
            .reasoning
            .as_ref()
            .map(|asked| asked.thinking == Some(ThinkingMode::Off) || asked.effort == Some(Effort::None));
        match off {
            Some(off) => support.reasons() && !off,
            // Left to itself it reasons if it cannot do otherwise.
            None => support.reasons() && support.off == Some(false),
        }
    }
}

struct Fitting<'a, 'c> {
    capabilities: &'c Capabilities,
    reasons: bool,
    request: Cow<'a, Request>,
    report: LossReport,
}

const REFUSED: &str = "the model does not take it; it is left out";

impl Fitting<'_, '_> {
    fn refuses(&self, feature: Feature) -> bool {
        self.capabilities.refuses(feature, self.reasons)
    }

    /// Leaves a setting out, if it is set and refused.
    fn drop_if(
        &mut self,
        feature: Feature,
        weight: Weight,
        field: &str,
        is_set: impl Fn(&Request) -> bool,
        unset: impl Fn(&mut Request),
    ) -> Result<(), Failure> {
        if !is_set(&self.request) || !self.refuses(feature) {
            return Ok(());
        }
        self.report.note(weight, field, REFUSED)?;
        unset(self.request.to_mut());
        Ok(())
    }

    fn sampling(&mut self) -> Result<(), Failure> {
        use Weight::Minor;
        self.drop_if(
            Feature::Temperature,
            Minor,
            "temperature",
            |request| request.sampling.temperature.is_some_and(|temperature| temperature != 1.0),
            |request| request.sampling.temperature = None,
        )?;
        self.drop_if(
            Feature::TopP,
            Minor,
            "top_p",
            |request| request.sampling.top_p.is_some_and(|top_p| top_p != 1.0),
            |request| request.sampling.top_p = None,
        )?;
        self.drop_if(
            Feature::TopK,
            Minor,
            "top_k",
            |request| request.sampling.top_k.is_some(),
            |request| request.sampling.top_k = None,
        )?;
        self.drop_if(
            Feature::Penalties,
            Minor,
            "presence_penalty",
            |request| request.sampling.presence_penalty.is_some(),
            |request| request.sampling.presence_penalty = None,
        )?;
        self.drop_if(
            Feature::Penalties,
            Minor,
            "frequency_penalty",
            |request| request.sampling.frequency_penalty.is_some(),
            |request| request.sampling.frequency_penalty = None,
        )?;
        self.drop_if(
            Feature::Logprobs,
            Minor,
            "logprobs",
            |request| request.logprobs.is_some(),
            |request| request.logprobs = None,
        )
    }

    fn settings(&mut self) -> Result<(), Failure> {
        self.drop_if(
            Feature::Stop,
            Weight::Major,
            "stop_sequences",
            |request| !request.stop_sequences.is_empty(),
            |request| request.stop_sequences.clear(),
        )?;
        self.drop_if(
            Feature::JsonSchema,
            Weight::Major,
            "output",
            |request| matches!(request.output, Some(OutputFormat::JsonSchema(_))),
            |request| request.output = None,
        )?;
        let most = self.capabilities.max_output.and_then(|most| u32::try_from(most).ok());
        if let (Some(most), Some(asked)) = (most, self.request.max_output_tokens)
            && asked > most
        {
            let why = format!("the model writes {most} at most, which is sent");
            self.report.note(Weight::Minor, "max_output_tokens", why)?;
            self.request.to_mut().max_output_tokens = Some(most);
        }
        Ok(())
    }

    fn reasoning(&mut self) -> Result<(), Failure> {
        let (Some(asked), Some(support)) = (&self.request.reasoning, &self.capabilities.reasoning) else {
            return Ok(());
        };
        // Not to reason is what a model that cannot does anyway.
        let wants = asked.effort.is_some_and(|effort| effort != Effort::None)
            || matches!(asked.thinking, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)));
        if !support.reasons() {
            if wants {
                self.report.note(Weight::Minor, "reasoning", "the model does not reason; it is left out")?;
            }
            self.request.to_mut().reasoning = None;
            return Ok(());
        }
        let off = asked.thinking == Some(ThinkingMode::Off) || asked.effort == Some(Effort::None);
        if off && support.off == Some(false) {
            self.report.note(Weight::Minor, "reasoning", "the model always reasons; it is left out")?;
            self.request.to_mut().reasoning = None;
            return Ok(());
        }
        let effort = asked.effort.filter(|effort| *effort != Effort::None);
        let budget = matches!(asked.thinking, Some(ThinkingMode::Budget(_)));
        if effort.is_some_and(|effort| self.capabilities.refuses_effort(effort)) {
            self.report.note(Weight::Minor, "reasoning.effort", REFUSED)?;
            if let Some(reasoning) = &mut self.request.to_mut().reasoning {
                reasoning.effort = None;
            }
        }
        if budget && !support.takes(Control::Budget) {
            self.report.note(
                Weight::Minor,
                "reasoning.thinking",
                "the model takes no budget; it is left out",
            )?;
            if let Some(reasoning) = &mut self.request.to_mut().reasoning {
                reasoning.thinking = support.takes(Control::Adaptive).then_some(ThinkingMode::Adaptive);
            }
        }
        Ok(())
    }

    fn tools(&mut self) -> Result<(), Failure> {
        self.drop_if(
            Feature::Tools,
            Weight::Major,
            "tools",
            |request| !request.tools.is_empty(),
            |request| {
                request.tools.clear();
                request.tool_choice = None;
            },
        )?;
        self.drop_if(
            Feature::ForcedTool,
            Weight::Major,
            "tool_choice",
            |request| {
                let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
                forced || matches!(request.tool_choice, Some(ToolChoice::Allowed { required: true, .. }))
            },
            |request| {
                request.tool_choice = match request.tool_choice.take() {
                    Some(ToolChoice::Allowed { names, .. }) => {
                        Some(ToolChoice::Allowed { required: false, names })
                    }
                    _ => Some(ToolChoice::Auto),
                };
            },
        )?;
        self.drop_if(
            Feature::ParallelTools,
            Weight::Minor,
            "parallel_tool_calls",
            |request| request.parallel_tool_calls.is_some(),
            |request| request.parallel_tool_calls = None,
        )
    }

    fn content(&mut self) -> Result<(), Failure> {
        if self.request.messages.last().is_some_and(|last| last.role == Role::Assistant)
            && self.refuses(Feature::Prefill)
        {
            let why = "the model does not go on writing a turn of its own; end with a user message";
            let at = self.request.messages.len().saturating_sub(1);
            self.report.note(Weight::Major, format!("messages[{at}].role"), why)?;
        }
        let refused: Vec<(Feature, bool)> = [Feature::Image, Feature::Document, Feature::Audio]
            .into_iter()
            .map(|feature| (feature, self.refuses(feature)))
            .collect();
        if refused.iter().all(|(_, refuses)| !refuses) {
            return Ok(());
        }
        let is_refused = |block: &Block| {
            let feature = match block {
                Block::Image(_) => Feature::Image,
                Block::Document(_) => Feature::Document,
                Block::Audio(_) => Feature::Audio,
                _ => return false,
            };
            refused.contains(&(feature, true))
        };
        let mut found = false;
        for (at, message) in self.request.messages.iter().enumerate() {
            for (nth, block) in message.content.iter().enumerate() {
                let field = format!("messages[{at}].content[{nth}]");
                let mut note = |block: &Block, field: String| {
                    found = true;
                    let why = format!("the model takes no {}; it is left out", block.kind());
                    self.report.note(Weight::Major, field, why)
                };
                match block {
                    block if is_refused(block) => note(block, field)?,
                    Block::ToolResult(result) => {
                        let inside = result.content.iter().enumerate().filter(|(_, block)| is_refused(block));
                        for (inner, block) in inside {
                            note(block, format!("{field}.content[{inner}]"))?;
                        }
                    }
                    _ => {}
                }
            }
        }
        if found {
            let messages = &mut self.request.to_mut().messages;
            for message in messages.iter_mut() {
                message.content.retain(|block| !is_refused(block));
                for block in &mut message.content {
                    if let Block::ToolResult(result) = block {
                        result.content.retain(|block| !is_refused(block));
                    }
                }
            }
            messages.retain(|message| !message.content.is_empty() || !message.extra.is_empty());
            if messages.is_empty() {
                let why = "nothing is left that the model takes; ask one that does".to_owned();
                return Err(Loss { field: "messages".to_owned(), why, weight: Weight::Major }.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Function, Json, Losses, Media, Message, Reasoning, Schema, ToolResult};

    #[test]
    fn a_model_of_which_nothing_is_known_takes_everything() {
        let request = Request::new("m").user("x").temperature(2.0).stop("END").max_output_tokens(1_000_000);
        let (fitted, losses) = Capabilities::default().fit(&request).expect("fits");
        assert!(matches!(fitted, Cow::Borrowed(same) if *same == request));
        assert!(losses.is_empty());
    }

    #[test]
    fn what_is_refused_is_left_out_and_listed() {
        let json = |text: &str| Json::parse(text).expect("JSON");
        let picture = Block::Image(Media::url("http://x/y.png"));
        let request = Request::new("m")
            .message(Message::new(Role::User, vec![Block::text("look"), picture]))
            .temperature(0.5)
            .top_p(0.5)
            .stop("END")
            .max_output_tokens(1_000_000)
            .output(OutputFormat::JsonSchema(Schema::new(json("{}"))))
            .tool(Function::new("f", json("{}")))
            .reasoning(Reasoning::effort(Effort::High))
            .losses(Losses::Allow);
        let mut capabilities = Capabilities { max_output: Some(100), ..Capabilities::default() };
        capabilities.reasoning = Some(Default::default());
        for feature in [
            Feature::Image,
            Feature::Temperature,
            Feature::TopP,
            Feature::Stop,
            Feature::JsonSchema,
            Feature::Tools,
        ] {
            capabilities.features.insert(feature, super::super::Answer::Refuses);
        }
        let (fitted, losses) = capabilities.fit(&request).expect("all is allowed");
        let fields: Vec<_> = losses.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "temperature",
                "top_p",
                "stop_sequences",
                "output",
                "max_output_tokens",
                "reasoning",
                "tools",
                "messages[0].content[1]"
            ]
        );
        let expected = Request::new("m").user("look").max_output_tokens(100).losses(Losses::Allow);
        assert_eq!(*fitted, expected);
        // What is minor alone is put up with by default; the first that is not is an error.
        let failure = capabilities.fit(&request.losses(Losses::AllowMinor)).expect_err("a major loss");
        assert!(failure.message.starts_with("stop_sequences"), "{failure}");
    }

    #[test]
    fn some_settings_are_refused_only_while_reasoning() {
        let mut capabilities =
            Capabilities { reasoning: Some(Default::default()), ..Capabilities::default() };
        capabilities.reasoning.as_mut().expect("set").by.push(Control::Effort);
        capabilities.features.insert(Feature::Temperature, super::super::Answer::WithoutReasoning);
        let request = Request::new("m").user("x").temperature(0.5);
        for (request, losses) in [
            (request.clone(), 0),
            (request.clone().reasoning(Reasoning::effort(Effort::Low)), 1),
            (request.reasoning(Reasoning::effort(Effort::None)), 0),
        ] {
            assert_eq!(capabilities.fit(&request).expect("minor").1.len(), losses);
        }
    }

    #[test]
    fn what_is_inside_a_result_is_looked_at_and_nothing_at_all_is_not_sent() {
        let mut capabilities = Capabilities::default();
        capabilities.features.insert(Feature::Image, super::super::Answer::Refuses);
        let picture = || Block::Image(Media::url("http://x/y.png"));
        let result = ToolResult { content: vec![picture(), Block::text("x")], ..ToolResult::new("a", "") };
        let turn = |block| Message::new(Role::User, vec![block]);
        let request = Request::new("m").message(turn(Block::ToolResult(result))).losses(Losses::Allow);
        let (_, losses) = capabilities.fit(&request).expect("allowed");
        assert_eq!(losses[0].field, "messages[0].content[0].content[0]");
        let request = Request::new("m").message(turn(picture())).losses(Losses::Allow);
        assert!(capabilities.fit(&request).expect_err("nothing is left").message.starts_with("messages: "));
    }

    #[test]
    fn a_model_that_always_reasons_cannot_be_kept_from_it() {
        let mut capabilities =
            Capabilities { reasoning: Some(Default::default()), ..Capabilities::default() };
        let support = capabilities.reasoning.as_mut().expect("set");
        (support.by, support.off) = (vec![Control::Effort], Some(false));
        for off in [Reasoning::off(), Reasoning::effort(Effort::None)] {
            let request = Request::new("m").user("x").reasoning(off);
            let (fitted, losses) = capabilities.fit(&request).expect("minor");
            assert_eq!((fitted.reasoning.as_ref(), losses[0].field.as_str()), (None, "reasoning"));
        }
    }

    #[test]
    fn a_turn_that_would_have_to_be_gone_on_with_is_refused() {
        let mut capabilities = Capabilities::default();
        capabilities.features.insert(Feature::Prefill, super::super::Answer::Refuses);
        let request = Request::new("m").user("x").assistant("The");
        assert!(capabilities.fit(&request).expect_err("prefill").message.starts_with("messages[1].role"));
        let (same, losses) = capabilities
            .fit(&request.clone().losses(Losses::Allow))
            .map(|(fitted, losses)| (fitted.into_owned(), losses))
            .expect("allowed");
        assert_eq!((same.messages, losses.len()), (request.messages, 1));
    }
}
