//! Every limit on a request, in one place.
//!
//! [`validate`] is the only maker of [`Valid`], and a lifecycle cannot leave
//! `Validating` for `Requesting` without one. Ranges are those of the
//! providers' API references; sizes are our own bounds on memory.

use std::{ops::Deref, sync::Arc};

use crate::{
    error::{ErrorKind, Failure},
    model::{Block, Extra, Json, MediaSource, Message, OutputFormat, Request, Role, Tool, ToolChoice},
};

/// Longest model name, in bytes.
pub const MAX_MODEL_NAME: usize = 256;
/// Most messages in a request (Anthropic Messages API reference).
pub const MAX_MESSAGES: usize = 100_000;
/// Most bytes of text, inline media and tool definitions in a request.
/// Anthropic's own limit is 32 MB.
pub const MAX_CONTENT_BYTES: usize = 32 << 20;
/// Most tools in a request.
pub const MAX_TOOLS: usize = 1024;
/// Longest tool name, in bytes (Anthropic and Gemini; OpenAI takes 64).
pub const MAX_TOOL_NAME: usize = 128;
/// Most stop sequences anywhere; dialects allow fewer.
pub const MAX_STOP_SEQUENCES: usize = 64;
/// Range of the sampling temperature; Anthropic's ends at 1.
pub const TEMPERATURE: (f64, f64) = (0.0, 2.0);
/// Range of the presence and frequency penalties.
pub const PENALTY: (f64, f64) = (-2.0, 2.0);

/// A value that was checked. Only [`validate`] makes one. Cheap to clone.
#[derive(Debug)]
pub struct Valid<T>(Arc<T>);

impl<T> Valid<T> {
    /// The value, for keeping.
    pub fn share(&self) -> Arc<T> {
        Arc::clone(&self.0)
    }
}

impl<T> Clone for Valid<T> {
    fn clone(&self) -> Self {
        Self(self.share())
    }
}

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ValidationError {
    /// The field, as a path: `messages[2].content[0]`.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl From<ValidationError> for Failure {
    fn from(error: ValidationError) -> Self {
        Self::new(ErrorKind::InvalidRequest, error.to_string())
    }
}

/// Checks what holds wherever a request is sent. What one dialect cannot say is
/// found when it is written for it: see [`loss`](crate::loss).
///
/// # Errors
/// The first problem found, naming its field.
pub fn validate(request: Arc<Request>) -> Result<Valid<Request>, ValidationError> {
    check_model(&request)?;
    check_messages(&request)?;
    check_sampling(&request)?;
    check_tools(&request)?;
    Ok(Valid(request))
}

fn wrong(field: impl Into<String>, problem: impl Into<String>) -> ValidationError {
    ValidationError { field: field.into(), problem: problem.into() }
}

fn check_model(request: &Request) -> Result<(), ValidationError> {
    let name = &request.model;
    if name.is_empty() {
        return Err(wrong("model", "is empty; name a model, for example claude-sonnet-5"));
    }
    if name.len() > MAX_MODEL_NAME {
        return Err(wrong(
            "model",
            format!("is {} bytes long; at most {MAX_MODEL_NAME} are allowed", name.len()),
        ));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("model", format!("{name:?} has white space or control characters")));
    }
    Ok(())
}

fn check_messages(request: &Request) -> Result<(), ValidationError> {
    let messages = &request.messages;
    // What goes on elsewhere (OpenAI `previous_response_id`) may have none.
    if messages.is_empty() && request.extra.is_empty() {
        return Err(wrong("messages", "is empty; add at least one user message"));
    }
    if messages.len() > MAX_MESSAGES {
        return Err(wrong(
            "messages",
            format!("has {} entries; at most {MAX_MESSAGES} are allowed", messages.len()),
        ));
    }
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => {
            let description = function.description.as_ref().map_or(0, String::len);
            description.saturating_add(json(&function.parameters)).saturating_add(extra(&function.extra))
        }
        Tool::Provider(opaque) => json(&opaque.json),
    });
    let system = request.system.iter().map(|text| text.text.len().saturating_add(extra(&text.extra)));
    let labels = request.metadata.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    let schema = request.output.as_ref().map(|output| match output {
        OutputFormat::JsonSchema(schema) => json(&schema.schema).saturating_add(extra(&schema.extra)),
        _ => 0,
    });
    let other = request.stop_sequences.iter().map(String::len).chain([extra(&request.extra)]).chain(schema);
    let mut bytes = tools.chain(system).chain(labels).chain(other).fold(0, usize::saturating_add);
    for (at, message) in messages.iter().enumerate() {
        bytes = bytes.saturating_add(check_message(at, message)?);
    }
    if bytes > MAX_CONTENT_BYTES {
        return Err(wrong(
            "messages",
            format!(
                "hold {bytes} bytes with all that goes with them; at most {MAX_CONTENT_BYTES} are allowed"
            ),
        ));
    }
    Ok(())
}

/// Checks one message and returns the bytes it holds.
fn check_message(at: usize, message: &Message) -> Result<usize, ValidationError> {
    if message.content.is_empty() && message.extra.is_empty() {
        return Err(wrong(format!("messages[{at}].content"), "is empty; add a block or remove the message"));
    }
    let mut bytes = extra(&message.extra);
    for (nth, block) in message.content.iter().enumerate() {
        check_block(message.role, block)
            .map_err(|problem| wrong(format!("messages[{at}].content[{nth}]"), problem))?;
        bytes = bytes.saturating_add(size(block));
    }
    Ok(bytes)
}

fn check_block(role: Role, block: &Block) -> Result<(), String> {
    let misplaced = |belongs: &str| Err(format!("a {} belongs in {belongs} message", block.kind()));
    match (role, block) {
        (Role::User, Block::ToolCall(_) | Block::Thinking(_) | Block::Refusal(_)) => {
            misplaced("an assistant")
        }
        (Role::Assistant, Block::ToolResult(_)) => misplaced("a user"),
        (Role::System | Role::Developer, block) if !matches!(block, Block::Text(_) | Block::Opaque(_)) => {
            misplaced("a user or an assistant")
        }
        (_, Block::Image(media) | Block::Document(media) | Block::Audio(media)) => match &media.source {
            MediaSource::Inline(_) if media.media_type.is_none() => {
                Err(format!("inline {} needs a media_type, for example image/png", block.kind()))
            }
            MediaSource::Inline(data) if data.is_empty() => Err(format!("the {} has no bytes", block.kind())),
            MediaSource::Inline(_) | MediaSource::Url(_) | MediaSource::File { .. } => Ok(()),
        },
        (_, Block::ToolCall(call)) if call.id.is_empty() => Err("the tool call has no id".to_owned()),
        (_, Block::ToolCall(call)) if call.name.is_empty() => Err("the tool call has no name".to_owned()),
        (_, Block::ToolResult(result)) if result.call_id.is_empty() => {
            Err("the tool result does not say which call it answers".to_owned())
        }
        (_, Block::ToolResult(result)) if result.content.iter().any(|block| !fits_in_result(block)) => {
            Err("a tool result holds text, media and opaque blocks only".to_owned())
        }
        (_, _) => Ok(()),
    }
}

fn fits_in_result(block: &Block) -> bool {
    matches!(
        block,
        Block::Text(_) | Block::Image(_) | Block::Document(_) | Block::Audio(_) | Block::Opaque(_)
    )
}

fn json(json: &Json) -> usize {
    json.as_str().len()
}

fn extra(extra: &Extra) -> usize {
    extra
        .iter()
        .map(|field| json(&field.value).saturating_add(field.name.len()))
        .fold(0, usize::saturating_add)
}

fn size(block: &Block) -> usize {
    let content = match block {
        Block::Text(text) => {
            let citations = text.citations.iter().map(|citation| json(&citation.source.json));
            citations.fold(text.text.len(), usize::saturating_add)
        }
        Block::Refusal(refusal) => refusal.text.len(),
        Block::Image(media) | Block::Document(media) | Block::Audio(media) => match &media.source {
            MediaSource::Url(place) | MediaSource::File { id: place, .. } => place.len(),
            MediaSource::Inline(data) => data.len(),
        },
        Block::ToolCall(call) => call.name.len().saturating_add(call.arguments.len()),
        Block::ToolResult(result) => result.content.iter().map(size).fold(0, usize::saturating_add),
        Block::Thinking(thinking) => {
            let signature = thinking.signature.as_ref().map_or(0, |signature| signature.value.len());
            thinking.text.len().saturating_add(signature)
        }
        Block::Opaque(opaque) => json(&opaque.json),
    };
    content.saturating_add(block.extra().map_or(0, extra))
}

fn check_range(field: &str, value: Option<f64>, (low, high): (f64, f64)) -> Result<(), ValidationError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(wrong(field, format!("is {value}; it must be between {low} and {high}")))
        }
        _ => Ok(()),
    }
}

fn check_sampling(request: &Request) -> Result<(), ValidationError> {
    let sampling = &request.sampling;
    check_range("temperature", sampling.temperature, TEMPERATURE)?;
    check_range("top_p", sampling.top_p, (0.0, 1.0))?;
    check_range("presence_penalty", sampling.presence_penalty, PENALTY)?;
    check_range("frequency_penalty", sampling.frequency_penalty, PENALTY)?;
    if sampling.top_k == Some(0) {
        return Err(wrong("top_k", "is 0; it must be at least 1"));
    }
    if request.stop_sequences.len() > MAX_STOP_SEQUENCES {
        return Err(wrong("stop_sequences", format!("has more than {MAX_STOP_SEQUENCES} entries")));
    }
    if let Some(at) = request.stop_sequences.iter().position(String::is_empty) {
        return Err(wrong(format!("stop_sequences[{at}]"), "is empty"));
    }
    if request.timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(wrong("timeout", "is zero; leave it out for the default"));
    }
    Ok(())
}

fn check_tools(request: &Request) -> Result<(), ValidationError> {
    if request.tools.len() > MAX_TOOLS {
        return Err(wrong(
            "tools",
            format!("has {} entries; at most {MAX_TOOLS} are allowed", request.tools.len()),
        ));
    }
    for (at, tool) in request.tools.iter().enumerate() {
        let Tool::Function(tool) = tool else { continue };
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if tool.name.is_empty() || tool.name.len() > MAX_TOOL_NAME || !tool.name.chars().all(legal) {
            let rule = format!("must be 1 to {MAX_TOOL_NAME} letters, digits, '_', '-', '.' or ':'");
            return Err(wrong(format!("tools[{at}].name"), rule));
        }
        if !tool.parameters.as_str().trim_start().starts_with('{') {
            return Err(wrong(format!("tools[{at}].parameters"), "must be a JSON Schema object"));
        }
    }
    // Providers' own tools have names that are not known here.
    let known =
        |name: &String| request.tools.iter().any(|tool| tool.name().is_none_or(|known| known == name));
    let unknown =
        |name: &String| Err(wrong("tool_choice", format!("names {name:?}, which is not among the tools")));
    match &request.tool_choice {
        Some(ToolChoice::Named(name)) if !known(name) => unknown(name),
        Some(ToolChoice::Allowed { names, .. }) => match names.iter().find(|name| !known(name)) {
            Some(name) => unknown(name),
            None => Ok(()),
        },
        Some(ToolChoice::Required) if request.tools.is_empty() => {
            Err(wrong("tool_choice", "requires a tool, and there is none"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Function;

    fn hello() -> Request {
        Request::new("m").user("hello")
    }

    #[test]
    fn errors_name_the_field() {
        let tool = |name: &str, parameters: &str| Function::new(name, Json::parse(parameters).expect("JSON"));
        let cases = [
            (Request::new("").user("x"), "model"),
            (Request::new("two words").user("x"), "model"),
            (Request::new("m".repeat(300)).user("x"), "model"),
            (Request::new("m"), "messages"),
            (hello().message(Message::new(Role::User, vec![])), "messages[1].content"),
            (
                hello().message(Message::new(Role::User, vec![Block::Refusal("no".into())])),
                "messages[1].content[0]",
            ),
            (hello().temperature(9.0), "temperature"),
            (hello().temperature(f64::NAN), "temperature"),
            (hello().top_p(-0.1), "top_p"),
            (hello().stop(""), "stop_sequences[0]"),
            (hello().timeout(std::time::Duration::ZERO), "timeout"),
            (hello().tool(tool("a b", "{}")), "tools[0].name"),
            (hello().tool(tool("ok", "[]")), "tools[0].parameters"),
            (hello().tool(tool("f", "{}")).tool_choice(ToolChoice::Named("g".into())), "tool_choice"),
            (hello().tool_choice(ToolChoice::Required), "tool_choice"),
            (hello().stop("x".repeat(MAX_CONTENT_BYTES)), "messages"),
            (Request::new("m").user("x".repeat(MAX_CONTENT_BYTES + 1)), "messages"),
        ];
        for (request, field) in cases {
            let error = validate(Arc::new(request)).expect_err(field);
            assert_eq!(error.field, field);
        }
    }
}
