//! Reading a Messages request, as a client of Anthropic wrote it.

use bytes::Bytes;
use leverframe_core::{
    error::Failure,
    model::{
        Block, Effort, Function, Media, MediaSource, Message, Opaque, OutputFormat, Reasoning, Request, Role,
        Schema, ServiceTier, Signature, Summary, Text, Thinking, ThinkingMode, Tool, ToolCall, ToolChoice,
        ToolResult,
    },
};
use serde_json::value::RawValue;

use super::{super::wire, DIALECT};
use crate::codec::{
    Asked, cache,
    object::{self, Object},
    path::Path,
    writer::invalid,
};

/// Reads the body of a request.
pub(in crate::codec) fn read(text: &str) -> Result<Asked, Failure> {
    let at = Path::ROOT;
    let mut body = Object::parse(DIALECT, at, text)?;
    let mut request = Request::new(body.required(at, "model")?);
    let stream = body.flag(at, "stream")?.unwrap_or_default();
    let blocks = body.content(at, "system", block)?;
    request.system = blocks.into_iter().map(|block| system(at, block)).collect::<Result<_, _>>()?;
    let messages = at.field("messages");
    for (nth, raw) in body.array(at, "messages")?.into_iter().enumerate() {
        request.messages.push(message(messages.nth(nth), raw)?);
    }
    request.max_output_tokens = body.count(at, "max_tokens")?;
    request.sampling.temperature = body.number(at, "temperature")?;
    request.sampling.top_p = body.number(at, "top_p")?;
    request.sampling.top_k = body.count(at, "top_k")?;
    request.stop_sequences = body.strings(at, "stop_sequences")?;
    let tools = at.field("tools");
    for (nth, raw) in body.array(at, "tools")?.into_iter().enumerate() {
        request.tools.push(tool(tools.nth(nth), raw)?);
    }
    tool_choice(&mut body, &mut request)?;
    thinking(&mut body, &mut request)?;
    output_config(&mut body, &mut request)?;
    if let Some(mut metadata) = body.object(at, "metadata")? {
        request.user = metadata.string(at.field("metadata"), "user_id")?;
        request.extra.extend(metadata.rest_as("metadata"));
    }
    request.service_tier = body.lenient::<String>("service_tier").map(|word| match word.as_str() {
        "auto" => ServiceTier::Auto,
        "standard_only" => ServiceTier::Standard,
        _ => ServiceTier::Other(word),
    });
    request.cache = cache::take(at, &mut body)?;
    request.extra.extend(body.rest());
    Ok(Asked { request, stream })
}

fn opaque(raw: &RawValue) -> Opaque {
    Opaque { dialect: DIALECT, json: raw.into() }
}

fn system(at: Path<'_>, block: Block) -> Result<Text, Failure> {
    match block {
        Block::Text(text) => Ok(text),
        _ => Err(invalid(at.field("system"), "must be a string or an array of text blocks")),
    }
}

fn message(at: Path<'_>, raw: &RawValue) -> Result<Message, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let role = match object.required(at, "role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(invalid(at.field("role"), "must be user, assistant or system")),
    };
    let content = object.content(at, "content", block)?;
    Ok(Message { role, content, extra: object.rest() })
}

fn block(at: Path<'_>, raw: &RawValue) -> Result<Block, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let kind = object.required(at, "type")?;
    let cache = cache::take(at, &mut object)?;
    let block = match kind.as_str() {
        "text" => {
            let text = object.required(at, "text")?;
            let citations = object.array(at, "citations")?.into_iter().map(wire::citation).collect();
            Block::Text(Text { text, citations, signature: None, cache, extra: object.rest() })
        }
        "image" | "document" => {
            let title = if kind == "document" { object.string(at, "title")? } else { None };
            let Some((source, media_type)) = source(at, &mut object)? else {
                return Ok(Block::Opaque(opaque(raw)));
            };
            let media = Media { media_type, source, title, cache, extra: object.rest() };
            if kind == "image" { Block::Image(media) } else { Block::Document(media) }
        }
        "tool_use" if wire::is_for_the_caller(object.peek("caller")) => {
            let (id, name) = (object.required(at, "id")?, object.required(at, "name")?);
            let input = object.take("input").map_or("{}", RawValue::get);
            Block::ToolCall(ToolCall { cache, extra: object.rest(), ..ToolCall::new(id, name, input) })
        }
        "tool_result" => Block::ToolResult(ToolResult {
            call_id: object.required(at, "tool_use_id")?,
            content: object.content(at, "content", block)?,
            is_error: object.flag(at, "is_error")?.unwrap_or_default(),
            cache,
            extra: object.rest(),
        }),
        "thinking" => {
            let text = object.required(at, "thinking")?;
            // Servers like Anthropic do not all sign.
            let signature = object.string(at, "signature")?.filter(|signature| !signature.is_empty());
            let signature = signature.map(|value| Signature { dialect: DIALECT, value });
            Block::Thinking(Thinking { text, signature, extra: object.rest() })
        }
        _ => Block::Opaque(opaque(raw)),
    };
    Ok(block)
}

/// The one kind of text that a document may hold.
const PLAIN: &str = "text/plain";

/// `None` for a source that is not modelled.
fn source(at: Path<'_>, object: &mut Object<'_>) -> Result<Option<(MediaSource, Option<String>)>, Failure> {
    let Some(mut source) = object.object(at, "source")? else { return Ok(None) };
    let at = at.field("source");
    let found = match source.required(at, "type")?.as_str() {
        "base64" => {
            let bytes = object::base64(at.field("data"), &source.required(at, "data")?)?;
            (MediaSource::Inline(bytes), Some(source.required(at, "media_type")?))
        }
        "text" => {
            let kind = source.string(at, "media_type")?.unwrap_or_else(|| PLAIN.to_owned());
            if kind != PLAIN {
                return Ok(None);
            }
            (MediaSource::Inline(Bytes::from(source.required(at, "data")?)), Some(kind))
        }
        "url" => (MediaSource::Url(source.required(at, "url")?), None),
        "file" => (MediaSource::File { dialect: DIALECT, id: source.required(at, "file_id")? }, None),
        _ => return Ok(None),
    };
    Ok(Some(found).filter(|_| source.is_empty()))
}

fn tool(at: Path<'_>, raw: &RawValue) -> Result<Tool, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let is_custom = object.string(at, "type")?.is_none_or(|kind| kind == "custom");
    let Some(schema) = object.take("input_schema").filter(|_| is_custom) else {
        return Ok(Tool::Provider(opaque(raw)));
    };
    Ok(Tool::Function(Function {
        name: object.required(at, "name")?,
        description: object.string(at, "description")?,
        parameters: schema.into(),
        strict: object.flag(at, "strict")?,
        cache: cache::take(at, &mut object)?,
        extra: object.rest(),
    }))
}

fn tool_choice(body: &mut Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("tool_choice");
    let Some(raw) = body.take("tool_choice") else { return Ok(()) };
    let mut choice = Object::parse(DIALECT, at, raw.get())?;
    let disabled = choice.flag(at, "disable_parallel_tool_use")?;
    let known = match choice.required(at, "type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required(at, "name")?),
        _ => return Err(invalid(at.field("type"), "must be auto, any, tool or none")),
    };
    if choice.is_empty() {
        request.parallel_tool_calls = disabled.map(|disabled| !disabled);
        request.tool_choice = Some(known);
    } else {
        request.tool_choice = Some(ToolChoice::Opaque(opaque(raw)));
    }
    Ok(())
}

fn thinking(body: &mut Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("thinking");
    let Some(raw) = body.take("thinking") else { return Ok(()) };
    let mut thinking = Object::parse(DIALECT, at, raw.get())?;
    let mode = match thinking.required(at, "type")?.as_str() {
        "disabled" => ThinkingMode::Off,
        "adaptive" => ThinkingMode::Adaptive,
        "enabled" => match thinking.count(at, "budget_tokens")? {
            Some(tokens) => ThinkingMode::Budget(tokens),
            None => return Err(invalid(at.field("budget_tokens"), "is missing")),
        },
        _ => {
            body.put_back("thinking", raw);
            return Ok(());
        }
    };
    let summary = match thinking.peek("display") {
        _ if mode == ThinkingMode::Off => None,
        Some("\"omitted\"") => Some(Summary::Omitted),
        Some("\"summarized\"") => Some(Summary::Auto),
        _ => None,
    };
    if summary.is_some() {
        thinking.take("display");
    }
    let mut reasoning = Reasoning::default();
    (reasoning.thinking, reasoning.summary, reasoning.extra) = (Some(mode), summary, thinking.rest());
    request.reasoning = Some(reasoning);
    Ok(())
}

/// `output_config`, and the field that came before it.
fn output_config(body: &mut Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("output_config");
    let mut config = body.object(Path::ROOT, "output_config")?;
    if let Some(config) = &mut config
        && let Some(effort) = config.peek("effort").and_then(effort)
    {
        config.take("effort");
        request.reasoning.get_or_insert_default().effort = Some(effort);
    }
    if let Some(config) = &mut config
        && let Some(raw) = config.take("format")
    {
        match format(at.field("format"), raw)? {
            Some(format) => request.output = Some(format),
            None => config.put_back("format", raw),
        }
    }
    if request.output.is_none()
        && let Some(raw) = body.take("output_format")
    {
        match format(Path::ROOT.field("output_format"), raw)? {
            Some(format) => request.output = Some(format),
            None => body.put_back("output_format", raw),
        }
    }
    request.extra.extend(config.and_then(|config| config.rest_as("output_config")));
    Ok(())
}

/// `None` for a word that is newer than this, or would be written as another.
fn effort(json: &str) -> Option<Effort> {
    let effort = Effort::parse(json.strip_prefix('"')?.strip_suffix('"')?)?;
    (!matches!(effort, Effort::None | Effort::Minimal)).then_some(effort)
}

/// `None` for a format that is not modelled.
fn format(at: Path<'_>, raw: &RawValue) -> Result<Option<OutputFormat>, Failure> {
    let mut format = Object::parse(DIALECT, at, raw.get())?;
    if format.required(at, "type")? != "json_schema" {
        return Ok(None);
    }
    let Some(schema) = format.take("schema") else {
        return Err(invalid(at.field("schema"), "is missing"));
    };
    let schema = Schema { extra: format.rest(), ..Schema::new(schema.into()) };
    Ok(Some(OutputFormat::JsonSchema(schema)))
}
