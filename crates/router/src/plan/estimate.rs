//! What a request comes to, estimated once and only if somebody asks.

use leverframe_core::{
    catalog::NanoDollars,
    guard::Claim,
    lifecycle::Route,
    model::{Block, Family, MediaSource, Request, Tokens, Tool, Usage},
    time::Timestamp,
};
use leverframe_http::tokens::Estimator;

use crate::router::Inner;

/// Output tokens a request is taken to have when it does not bound them.
const OUTPUT_TOKENS: u64 = 1024;

/// A request's estimates, by family: within one, models count nearly alike.
#[derive(Debug)]
pub(super) struct Estimates<'a> {
    request: &'a Request,
    input: Vec<(Family, u64)>,
    bytes: Option<u64>,
}

impl<'a> Estimates<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self { request, input: Vec::new(), bytes: None }
    }

    /// Tokens of input.
    pub(super) fn input(&mut self, route: &Route) -> u64 {
        let family = route.dialect.family();
        if let Some((_, tokens)) = self.input.iter().find(|(of, _)| *of == family) {
            return *tokens;
        }
        let tokens = Estimator::new(family, &route.model).input(self.request);
        self.input.push((family, tokens));
        tokens
    }

    /// What the request is expected to cost at the ordinary tier. `None`: its
    /// model has no price.
    pub(super) fn price(&mut self, inner: &Inner, route: &Route, now: Timestamp) -> Option<NanoDollars> {
        let price = inner.catalog.prices().lookup(route.dialect.family(), &route.model, now)?;
        let usage = Usage {
            input: Tokens::Estimated(self.input(route)),
            output: Tokens::Estimated(self.output(inner, route)),
            ..Usage::default()
        };
        price.cost(&usage, None).value()
    }

    /// What the request is expected to take of a route's limits.
    pub(super) fn claim(&mut self, inner: &Inner, route: &Route, now: Timestamp) -> Claim {
        Claim {
            input_tokens: self.input(route),
            output_tokens: self.output(inner, route),
            cost: self.price(inner, route, now).unwrap_or_default(),
        }
    }

    /// Tokens of output: what is asked for, within what the model can do.
    fn output(&self, inner: &Inner, route: &Route) -> u64 {
        let asked = self.request.max_output_tokens.map_or(OUTPUT_TOKENS, u64::from);
        let most = inner.capabilities(route).and_then(|known| known.max_output);
        most.map_or(asked, |most| asked.min(most))
    }

    /// Whether it is worth estimating if the request has more than so many
    /// tokens: a token is seldom less than a byte of what is sent.
    pub(super) fn may_exceed(&mut self, tokens: u64) -> bool {
        *self.bytes.get_or_insert_with(|| bytes(self.request)) > tokens
    }
}

/// Bytes of text and media of a request, about.
fn bytes(request: &Request) -> u64 {
    let system = request.system.iter().map(|text| text.text.len());
    let messages = request.messages.iter().flat_map(|message| &message.content).map(block);
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => {
            let description = function.description.as_ref().map_or(0, String::len);
            description.saturating_add(function.parameters.as_str().len())
        }
        Tool::Provider(opaque) => opaque.json.as_str().len(),
        _ => UNKNOWN,
    });
    let bytes = system.chain(messages).chain(tools).fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What is not here, such as a file at the provider, or not known: a picture
/// is never more tokens.
const UNKNOWN: usize = 10_000;

fn block(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.text.len(),
        Block::Refusal(refusal) => refusal.text.len(),
        Block::Thinking(thinking) => thinking.text.len(),
        Block::Opaque(opaque) => opaque.json.as_str().len(),
        Block::ToolCall(call) => call.arguments.len(),
        Block::ToolResult(result) => result.content.iter().map(self::block).fold(0, usize::saturating_add),
        Block::Image(media) | Block::Document(media) | Block::Audio(media) => match &media.source {
            MediaSource::Inline(data) => data.len().max(UNKNOWN),
            _ => UNKNOWN,
        },
        _ => UNKNOWN,
    }
}
