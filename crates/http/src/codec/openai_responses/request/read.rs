//! Reading a response request, as a client of OpenAI wrote it.

use leverframe_core::{
    error::Failure,
    model::{
        Block, Effort, Extra, Function, Json, Media, MediaSource, Message, Opaque, OutputFormat, Reasoning,
        Request, Role, Schema, Summary, Text, Tool, ToolChoice, ToolResult,
    },
};
use serde_json::value::RawValue;

use super::{super::wire, DIALECT};
use crate::codec::{
    Asked,
    object::{self, Object},
    openai_chat::request::{empty_schema, read_service_tier},
    path::Path,
    writer::invalid,
};

/// Reads the body of a request.
pub(in crate::codec) fn read(text: &str) -> Result<Asked, Failure> {
    let at = Path::ROOT;
    let mut body = Object::parse(DIALECT, at, text)?;
    let mut request = Request::new(body.string(at, "model")?.unwrap_or_default());
    let stream = body.flag(at, "stream")?.unwrap_or_default();
    request.system.extend(body.string(at, "instructions")?.map(Text::from));
    input(&mut body, &mut request)?;
    request.max_output_tokens = body.count(at, "max_output_tokens")?;
    request.sampling.temperature = body.number(at, "temperature")?;
    request.sampling.top_p = body.number(at, "top_p")?;
    let include: Vec<String> = body.lenient("include").unwrap_or_default();
    if include.iter().any(|name| name == super::LOGPROBS) || body.has("top_logprobs") {
        request.logprobs = Some(body.count(at, "top_logprobs")?.unwrap_or_default());
    }
    let rest: Vec<&String> = include.iter().filter(|name| *name != super::LOGPROBS).collect();
    if !rest.is_empty() {
        let value = serde_json::to_string(&rest).ok().and_then(|text| Json::parse(text).ok());
        request.extra.extend(value.map(|value| field("include", value)));
    }
    let tools = at.field("tools");
    for (nth, raw) in body.array(at, "tools")?.into_iter().enumerate() {
        request.tools.push(tool(tools.nth(nth), raw)?);
    }
    request.tool_choice =
        body.take("tool_choice").map(|raw| tool_choice(at.field("tool_choice"), raw)).transpose()?;
    request.parallel_tool_calls = body.flag(at, "parallel_tool_calls")?;
    if let Some(given) = body.object(at, "reasoning")? {
        request.reasoning = Some(reasoning(given));
    }
    if let Some(mut text) = body.object(at, "text")? {
        request.output = format(at.field("text"), &mut text)?;
        request.extra.extend(text.rest_as("text"));
    }
    request.service_tier = body.lenient("service_tier").map(read_service_tier);
    request.user = body.lenient("user");
    request.metadata = body.lenient("metadata").unwrap_or_default();
    request.cache_key = body.lenient("prompt_cache_key");
    request.extra.extend(body.rest());
    Ok(Asked { request, stream })
}

fn field(name: &str, value: Json) -> leverframe_core::model::Field {
    leverframe_core::model::Field { dialect: DIALECT, name: name.to_owned(), value }
}

fn opaque(raw: &RawValue) -> Opaque {
    Opaque { dialect: DIALECT, json: raw.into() }
}

/// A text, or items.
fn input(body: &mut Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("input");
    let Some(raw) = body.take("input") else { return Ok(()) };
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        request.messages.push(Message::user(text));
        return Ok(());
    }
    let wrong = |_| invalid(at, "must be a string or an array of items");
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(wrong)?;
    for (nth, raw) in items.into_iter().enumerate() {
        let (role, blocks, extra) = item(at.nth(nth), raw)?;
        append(&mut request.messages, role, blocks, extra);
    }
    Ok(())
}

/// What one side says without being interrupted is one turn.
fn append(messages: &mut Vec<Message>, role: Role, blocks: Vec<Block>, extra: Extra) {
    match messages.last_mut() {
        Some(last) if last.role == role && joins(&last.content, &blocks) => last.content.extend(blocks),
        _ => messages.push(Message { role, content: blocks, extra }),
    }
}

/// Texts of the caller stay messages of their own: only results are one turn,
/// and so is all that the model says.
fn joins(before: &[Block], after: &[Block]) -> bool {
    let is_result = |block: &Block| matches!(block, Block::ToolResult(_));
    let is_model = |block: &Block| {
        matches!(block, Block::ToolCall(_) | Block::Thinking(_))
            || block.extra().is_some_and(|extra| extra.get(DIALECT, wire::ITEM).is_some())
    };
    (before.iter().all(is_result) && after.iter().all(is_result))
        || (after.first().is_some_and(is_model) && before.iter().any(|block| !is_result(block)))
}

fn item(at: Path<'_>, raw: &RawValue) -> Result<(Role, Vec<Block>, Extra), Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let kind = object.string(at, "type")?.unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => message(at, object, raw),
        "function_call_output" | "custom_tool_call_output" => {
            let mut result = ToolResult {
                call_id: object.required(at, "call_id")?,
                content: object.content(at, "output", part)?,
                ..ToolResult::default()
            };
            result.extra = object.rest();
            if kind == "custom_tool_call_output" {
                result.extra.set(wire::custom_type());
            }
            Ok((Role::User, vec![Block::ToolResult(result)], Extra::new()))
        }
        "function_call" | "reasoning" | wire::CUSTOM_CALL => {
            Ok((Role::Assistant, wire::item(raw), Extra::new()))
        }
        // What the model's own tools did, references to items, and answers to approvals.
        kind => {
            let role = if kind.ends_with("_output") || kind.ends_with("_response") {
                Role::User
            } else {
                Role::Assistant
            };
            Ok((role, vec![Block::Opaque(opaque(raw))], Extra::new()))
        }
    }
}

fn message(
    at: Path<'_>,
    mut object: Object<'_>,
    raw: &RawValue,
) -> Result<(Role, Vec<Block>, Extra), Failure> {
    let role = match object.required(at, "role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        _ => return Err(invalid(at.field("role"), "must be user, assistant, system or developer")),
    };
    let in_parts = object.peek("content").is_some_and(|content| content.starts_with('['));
    if role == Role::Assistant && in_parts {
        // An item of an earlier answer, in the same form.
        return Ok((role, wire::message_item(raw), Extra::new()));
    }
    let blocks = object.content(at, "content", part)?;
    Ok((role, blocks, object.rest()))
}

fn part(at: Path<'_>, raw: &RawValue) -> Result<Block, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    match object.required(at, "type")?.as_str() {
        "input_text" | "output_text" => {
            let text = object.required(at, "text")?;
            Ok(Block::Text(Text { text, extra: object.rest(), ..Text::default() }))
        }
        "input_image" => image(at, object),
        "input_file" => file(at, object),
        _ => Ok(Block::Opaque(opaque(raw))),
    }
}

fn media(
    source: MediaSource,
    media_type: Option<String>,
    title: Option<String>,
    object: Object<'_>,
) -> Media {
    Media { media_type, source, title, cache: None, extra: object.rest() }
}

fn image(at: Path<'_>, mut object: Object<'_>) -> Result<Block, Failure> {
    let (source, kind) = match (object.string(at, "image_url")?, object.string(at, "file_id")?) {
        (Some(url), _) => match object::data_url(at.field("image_url"), &url)? {
            Some((kind, bytes)) => (MediaSource::Inline(bytes), Some(kind)),
            None => (MediaSource::Url(url), None),
        },
        (None, Some(id)) => (MediaSource::File { dialect: DIALECT, id }, None),
        (None, None) => return Err(invalid(at, "needs image_url or file_id")),
    };
    Ok(Block::Image(media(source, kind, None, object)))
}

fn file(at: Path<'_>, mut object: Object<'_>) -> Result<Block, Failure> {
    let title = object.string(at, "filename")?;
    let (id, url) = (object.string(at, "file_id")?, object.string(at, "file_url")?);
    let (source, kind) = match (id, url, object.string(at, "file_data")?) {
        (Some(id), ..) => (MediaSource::File { dialect: DIALECT, id }, None),
        (None, Some(url), _) => (MediaSource::Url(url), None),
        (None, None, Some(data)) => match object::data_url(at.field("file_data"), &data)? {
            Some((kind, bytes)) => (MediaSource::Inline(bytes), Some(kind)),
            None => return Err(invalid(at.field("file_data"), "must be a data: URL in base64")),
        },
        (None, None, None) => return Err(invalid(at, "needs file_id, file_url or file_data")),
    };
    Ok(Block::Document(media(source, kind, title, object)))
}

fn tool(at: Path<'_>, raw: &RawValue) -> Result<Tool, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    if object.required(at, "type")? != "function" {
        return Ok(Tool::Provider(opaque(raw)));
    }
    Ok(Tool::Function(Function {
        name: object.required(at, "name")?,
        description: object.string(at, "description")?,
        parameters: object.take("parameters").map_or_else(empty_schema, Json::from),
        // The default, which is another one elsewhere.
        strict: Some(object.flag(at, "strict")?.unwrap_or(true)),
        cache: None,
        extra: object.rest(),
    }))
}

fn tool_choice(at: Path<'_>, raw: &RawValue) -> Result<ToolChoice, Failure> {
    if let Ok(word) = serde_json::from_str::<&str>(raw.get()) {
        return match word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(invalid(at, "must be auto, none, required or an object")),
        };
    }
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let choice = match object.required(at, "type")?.as_str() {
        "function" => Some(ToolChoice::Named(object.required(at, "name")?)),
        "allowed_tools" => allowed(at, &mut object)?,
        _ => None,
    };
    Ok(choice.filter(|_| object.is_empty()).unwrap_or_else(|| ToolChoice::Opaque(opaque(raw))))
}

/// `None` where other tools than functions are allowed.
fn allowed(at: Path<'_>, object: &mut Object<'_>) -> Result<Option<ToolChoice>, Failure> {
    let required = object.required(at, "mode")? == "required";
    let mut names = Vec::new();
    for (nth, raw) in object.array(at, "tools")?.into_iter().enumerate() {
        let at = at.field("tools");
        let mut tool = Object::parse(DIALECT, at.nth(nth), raw.get())?;
        if tool.required(at.nth(nth), "type")? != "function" {
            return Ok(None);
        }
        names.push(tool.required(at.nth(nth), "name")?);
    }
    Ok(Some(ToolChoice::Allowed { required, names }))
}

/// Words that are not known stay where they are.
fn reasoning(mut given: Object<'_>) -> Reasoning {
    let mut reasoning = Reasoning::default();
    reasoning.effort = given.peek("effort").and_then(word).and_then(|word| Effort::parse(&word));
    if reasoning.effort.is_some() {
        given.take("effort");
    }
    reasoning.summary = match given.peek("summary").and_then(word).as_deref() {
        Some("auto") => Some(Summary::Auto),
        Some("concise") => Some(Summary::Concise),
        Some("detailed") => Some(Summary::Detailed),
        _ => None,
    };
    if reasoning.summary.is_some() {
        given.take("summary");
    }
    reasoning.extra = given.rest();
    reasoning
}

fn word(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// A format that is not modelled stays where it is.
fn format(at: Path<'_>, text: &mut Object<'_>) -> Result<Option<OutputFormat>, Failure> {
    let Some(raw) = text.take("format") else { return Ok(None) };
    let at = at.field("format");
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let format = match object.required(at, "type")?.as_str() {
        "text" => Some(OutputFormat::Text).filter(|_| object.is_empty()),
        "json_object" => Some(OutputFormat::JsonObject).filter(|_| object.is_empty()),
        "json_schema" => match object.take("schema") {
            Some(schema) => Some(OutputFormat::JsonSchema(Schema {
                name: object.string(at, "name")?,
                description: object.string(at, "description")?,
                schema: schema.into(),
                strict: object.flag(at, "strict")?,
                extra: object.rest(),
            })),
            None => None,
        },
        _ => None,
    };
    if format.is_none() {
        text.put_back("format", raw);
    }
    Ok(format)
}
