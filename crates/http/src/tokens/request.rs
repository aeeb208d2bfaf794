//! Everything of a request that becomes input.

use leverframe_core::model::{
    Block, Dialect, Message, OutputFormat, Reasoning, Request, Role, Signature, ThinkingMode, Tool,
    ToolChoice,
};

use super::{Estimator, media, schema};

pub(super) fn input(estimator: &Estimator, request: &Request) -> u64 {
    let frame = &estimator.frame;
    let mut sum = Sum(frame.request);
    if !request.system.is_empty() {
        sum.add(frame.message);
    }
    request.system.iter().for_each(|text| sum.add(estimator.text(&text.text)));
    request.messages.iter().for_each(|message| sum.add(estimator.message(message)));
    if request.reasoning.as_ref().is_some_and(thinks) {
        sum.add(frame.thinking);
    }
    // Tools that may not be called need no instructions.
    if !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None) {
        sum.add(frame.tools);
    }
    request.tools.iter().for_each(|tool| sum.add(estimator.tool(tool)));
    if let (Some(OutputFormat::JsonSchema(format)), Some((around, percent))) = (&request.output, frame.output)
    {
        sum.add(around);
        sum.add(estimator.text(format.schema.as_str()).saturating_mul(percent) / 100);
    }
    sum.0
}

fn thinks(reasoning: &Reasoning) -> bool {
    matches!(reasoning.thinking, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)))
}

/// A sum that stays at its largest value.
struct Sum(u64);

impl Sum {
    fn add(&mut self, tokens: u64) {
        self.0 = self.0.saturating_add(tokens);
    }
}

impl Estimator {
    fn message(&self, message: &Message) -> u64 {
        let mut sum = Sum(self.frame.message);
        for block in &message.content {
            match block {
                // Earlier thinking is dropped; what its signature holds may not be.
                Block::Thinking(thinking) if message.role == Role::Assistant => {
                    sum.add(signed(thinking.signature.as_ref()));
                }
                Block::ToolCall(call) => {
                    sum.add(signed(call.signature.as_ref()));
                    sum.add(self.block(block));
                }
                Block::Text(text) => {
                    sum.add(signed(text.signature.as_ref()));
                    sum.add(self.block(block));
                }
                block => sum.add(self.block(block)),
            }
        }
        sum.0
    }

    pub(super) fn block(&self, block: &Block) -> u64 {
        let call = self.frame.call;
        match block {
            Block::Text(text) => self.text(&text.text),
            Block::Refusal(refusal) => self.text(&refusal.text),
            Block::Thinking(thinking) => self.text(&thinking.text),
            Block::Image(image) => media::image(self.family, image),
            Block::Audio(audio) => media::audio(self.family, audio),
            Block::Document(document) => match media::text(document) {
                Some(text) => self.text(text),
                None => media::document(self.family, document),
            },
            Block::ToolCall(made) => {
                call.saturating_add(self.text(&made.name)).saturating_add(self.text(&made.arguments))
            }
            Block::ToolResult(result) => {
                result.content.iter().map(|block| self.block(block)).fold(call, u64::saturating_add)
            }
            Block::Opaque(opaque) => self.text(opaque.json.as_str()),
            // A kind that is newer than this.
            _ => 0,
        }
    }

    fn tool(&self, tool: &Tool) -> u64 {
        match tool {
            Tool::Function(function) => [
                self.text(&function.name),
                function.description.as_deref().map_or(0, |text| self.text(text)),
                schema::tokens(self, &function.parameters),
            ]
            .into_iter()
            .fold(self.frame.tool, u64::saturating_add),
            // What the provider says of its own tools is not in the request.
            Tool::Provider(opaque) => self.text(opaque.json.as_str()),
            _ => 0,
        }
    }
}

/// Gemini unpacks a signature into the thoughts it stands for, which are input
/// again: one token for every 6.5 characters, in recordings.
fn signed(signature: Option<&Signature>) -> u64 {
    let packed = signature.filter(|signature| signature.dialect == Dialect::Gemini);
    packed.map_or(0, |signature| signature.value.len() as u64 * 2 / 13)
}
