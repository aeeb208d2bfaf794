//! Reading a chat completion request, as a client of OpenAI wrote it.

use leverframe_core::{
    error::Failure,
    model::{
        Block, Dialect, Effort, Extra, Field, Function, Json, Media, MediaSource, Message, Opaque,
        OutputFormat, Reasoning, Refusal, Request, Role, Schema, Text, Tool, ToolCall, ToolChoice,
        ToolResult,
    },
};
use serde_json::value::RawValue;

use super::{super::wire, DIALECT, read_service_tier};
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
    let messages = at.field("messages");
    for (nth, raw) in body.array(at, "messages")?.into_iter().enumerate() {
        message(messages.nth(nth), raw, &mut request)?;
    }
    let limit = body.count(at, "max_completion_tokens")?;
    request.max_output_tokens = match limit {
        Some(limit) => Some(limit),
        None => body.count(at, "max_tokens")?,
    };
    request.sampling.temperature = body.number(at, "temperature")?;
    request.sampling.top_p = body.number(at, "top_p")?;
    request.sampling.top_k = body.count(at, "top_k")?;
    request.sampling.seed = body.integer(at, "seed")?;
    request.sampling.presence_penalty = body.number(at, "presence_penalty")?;
    request.sampling.frequency_penalty = body.number(at, "frequency_penalty")?;
    request.stop_sequences = body.strings(at, "stop")?;
    let tools = at.field("tools");
    for (nth, raw) in body.array(at, "tools")?.into_iter().enumerate() {
        request.tools.push(tool(tools.nth(nth), raw)?);
    }
    request.tool_choice =
        body.take("tool_choice").map(|raw| tool_choice(at.field("tool_choice"), raw)).transpose()?;
    request.parallel_tool_calls = body.flag(at, "parallel_tool_calls")?;
    request.output = response_format(at, &mut body)?;
    let effort = body.lenient::<String>("reasoning_effort");
    match effort.as_deref().map(Effort::parse) {
        Some(Some(effort)) => request.reasoning = Some(Reasoning::effort(effort)),
        Some(None) => request.extra.extend(effort.and_then(|word| string_field("reasoning_effort", &word))),
        None => {}
    }
    if body.lenient::<bool>("logprobs").unwrap_or_default() {
        request.logprobs = Some(body.count(at, "top_logprobs")?.unwrap_or_default());
    }
    request.service_tier = body.lenient("service_tier").map(read_service_tier);
    request.user = body.lenient("user");
    request.metadata = body.lenient("metadata").unwrap_or_default();
    request.cache_key = body.lenient("prompt_cache_key");
    if let Some(mut options) = body.object(at, "stream_options")? {
        options.take("include_usage");
        request.extra.extend(options.rest_as("stream_options"));
    }
    request.extra.extend(body.rest());
    Ok(Asked { request, stream })
}

fn string_field(name: &str, word: &str) -> Option<Field> {
    let value = Json::parse(serde_json::Value::from(word).to_string()).ok()?;
    Some(Field { dialect: DIALECT, name: name.to_owned(), value })
}

fn opaque(raw: &RawValue) -> Opaque {
    Opaque { dialect: DIALECT, json: raw.into() }
}

fn message(at: Path<'_>, raw: &RawValue, request: &mut Request) -> Result<(), Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let role = match object.required(at, "role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_message(at, object, request),
        // `function` came before tools; what else there may be is newer than this.
        _ => {
            let block = Block::Opaque(opaque(raw));
            request.messages.push(Message::new(Role::User, vec![block]));
            return Ok(());
        }
    };
    let mut blocks = object.content(at, "content", part)?;
    if role == Role::Assistant {
        if let Some(text) = object.string(at, "refusal")?.filter(|text| !text.is_empty()) {
            blocks.push(Block::Refusal(Refusal { text, extra: Extra::new() }));
        }
        let calls = at.field("tool_calls");
        for (nth, raw) in object.array(at, "tool_calls")?.into_iter().enumerate() {
            blocks.push(tool_call(calls.nth(nth), raw)?);
        }
    }
    let extra = object.rest();
    let leads = request.messages.is_empty() && request.system.is_empty() && extra.is_empty();
    if role == Role::System && leads && blocks.iter().all(|block| matches!(block, Block::Text(_))) {
        request.system = blocks.into_iter().filter_map(only_text).collect();
        return Ok(());
    }
    request.messages.push(Message { role, content: blocks, extra });
    Ok(())
}

fn only_text(block: Block) -> Option<Text> {
    match block {
        Block::Text(text) => Some(text),
        _ => None,
    }
}

/// Results that follow each other are one turn.
fn tool_message(at: Path<'_>, mut object: Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let call_id = object.required(at, "tool_call_id")?;
    let content = object.content(at, "content", part)?;
    let extra = object.rest();
    let result = Block::ToolResult(ToolResult { call_id, content, extra, ..ToolResult::default() });
    let is_result = |block: &Block| matches!(block, Block::ToolResult(_));
    match request.messages.last_mut() {
        Some(last) if last.role == Role::User && last.content.iter().all(is_result) => {
            last.content.push(result)
        }
        _ => request.messages.push(Message::new(Role::User, vec![result])),
    }
    Ok(())
}

/// One part. What has more fields than are modelled is kept as it is.
fn part(at: Path<'_>, raw: &RawValue) -> Result<Block, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let kind = object.required(at, "type")?;
    let cache = cache::take(at, &mut object)?;
    let block = match kind.as_str() {
        "text" => {
            let text = object.required(at, "text")?;
            return Ok(Block::Text(Text { text, cache, extra: object.rest(), ..Text::default() }));
        }
        "refusal" => {
            let text = object.required(at, "refusal")?;
            return Ok(Block::Refusal(Refusal { text, extra: object.rest() }));
        }
        "image_url" => object.object(at, "image_url")?.map(|inner| image(at.field("image_url"), inner)),
        "input_audio" => object.object(at, "input_audio")?.map(|inner| audio(at.field("input_audio"), inner)),
        "file" => object.object(at, "file")?.map(|inner| file(at.field("file"), inner)),
        _ => None,
    };
    match block.transpose()? {
        Some(mut block) if object.is_empty() => {
            if let Block::Image(media) | Block::Audio(media) | Block::Document(media) = &mut block {
                media.cache = cache;
            }
            Ok(block)
        }
        _ => Ok(Block::Opaque(opaque(raw))),
    }
}

fn media(source: MediaSource, media_type: Option<String>, title: Option<String>, rest: Object<'_>) -> Media {
    Media { media_type, source, title, cache: None, extra: rest.rest() }
}

fn image(at: Path<'_>, mut object: Object<'_>) -> Result<Block, Failure> {
    let url = object.required(at, "url")?;
    let (source, kind) = match object::data_url(at.field("url"), &url)? {
        Some((kind, bytes)) => (MediaSource::Inline(bytes), Some(kind)),
        None => (MediaSource::Url(url), None),
    };
    Ok(Block::Image(media(source, kind, None, object)))
}

fn audio(at: Path<'_>, mut object: Object<'_>) -> Result<Block, Failure> {
    let data = object.required(at, "data")?;
    let format = object.required(at, "format")?;
    let kind = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
    let bytes = object::base64(at.field("data"), &data)?;
    Ok(Block::Audio(media(MediaSource::Inline(bytes), Some(kind), None, object)))
}

fn file(at: Path<'_>, mut object: Object<'_>) -> Result<Block, Failure> {
    let title = object.string(at, "filename")?;
    let (source, kind) = match (object.string(at, "file_id")?, object.string(at, "file_data")?) {
        (Some(id), _) => (MediaSource::File { dialect: DIALECT, id }, None),
        (None, Some(data)) => match object::data_url(at.field("file_data"), &data)? {
            Some((kind, bytes)) => (MediaSource::Inline(bytes), Some(kind)),
            None => return Err(invalid(at.field("file_data"), "must be a data: URL in base64")),
        },
        (None, None) => return Err(invalid(at, "needs file_id or file_data")),
    };
    Ok(Block::Document(media(source, kind, title, object)))
}

fn tool_call(at: Path<'_>, raw: &RawValue) -> Result<Block, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let kind = object.string(at, "type")?;
    let custom = kind.as_deref() == Some("custom");
    let (field, text) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let Some(mut named) = object.object(at, field)? else {
        return Ok(Block::Opaque(opaque(raw)));
    };
    let inner = at.field(field);
    let (id, name) = (object.required(at, "id")?, named.required(inner, "name")?);
    let arguments = named.string(inner, text)?.unwrap_or_default();
    let mut extra = object.rest();
    if custom {
        extra.set(wire::custom_type());
    }
    Ok(Block::ToolCall(ToolCall { extra, ..ToolCall::new(id, name, arguments) }))
}

fn tool(at: Path<'_>, raw: &RawValue) -> Result<Tool, Failure> {
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let kind = object.required(at, "type")?;
    let cache = cache::take(at, &mut object)?;
    let function = object.object(at, "function")?;
    match function {
        Some(function) if kind == "function" && object.is_empty() => {
            let mut function = self::function(at.field("function"), function)?;
            function.cache = cache;
            Ok(function.into())
        }
        _ => Ok(Tool::Provider(opaque(raw))),
    }
}

fn function(at: Path<'_>, mut object: Object<'_>) -> Result<Function, Failure> {
    Ok(Function {
        name: object.required(at, "name")?,
        description: object.string(at, "description")?,
        parameters: parameters(&mut object, "parameters"),
        strict: object.flag(at, "strict")?,
        cache: None,
        extra: object.rest(),
    })
}

/// A function's schema; one without arguments may leave it out.
pub(in crate::codec) fn parameters(object: &mut Object<'_>, name: &str) -> Json {
    match object.take(name) {
        Some(raw) => raw.into(),
        None => empty_schema(),
    }
}

/// The schema of a function without arguments.
pub(in crate::codec) fn empty_schema() -> Json {
    let Ok(schema) = Json::parse(r#"{"type":"object","properties":{}}"#) else {
        unreachable!("the literal is JSON")
    };
    schema
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
    let kind = object.required(at, "type")?;
    let choice = match kind.as_str() {
        "function" => {
            let inner = object.object(at, "function")?;
            inner
                .map(|mut inner| inner.required(at.field("function"), "name"))
                .transpose()?
                .map(ToolChoice::Named)
        }
        "allowed_tools" => object.object(at, "allowed_tools")?.map(allowed).unwrap_or_default(),
        _ => None,
    };
    Ok(choice.filter(|_| object.is_empty()).unwrap_or_else(|| ToolChoice::Opaque(opaque(raw))))
}

/// `None` where other tools than functions are allowed.
fn allowed(mut object: Object<'_>) -> Option<ToolChoice> {
    let at = Path::ROOT;
    let required = object.string(at, "mode").ok()?? == "required";
    let tools = object.array(at, "tools").ok()?;
    let name = |raw: &RawValue| {
        let mut tool = Object::parse(Dialect::OpenAiChat, at, raw.get()).ok()?;
        tool.object(at, "function").ok()??.string(at, "name").ok()?
    };
    let names = tools.into_iter().map(name).collect::<Option<_>>()?;
    object.is_empty().then_some(ToolChoice::Allowed { required, names })
}

/// A format that is not modelled stays where it is.
fn response_format(at: Path<'_>, body: &mut Object<'_>) -> Result<Option<OutputFormat>, Failure> {
    let Some(raw) = body.take("response_format") else { return Ok(None) };
    let at = at.field("response_format");
    let mut object = Object::parse(DIALECT, at, raw.get())?;
    let format = match object.required(at, "type")?.as_str() {
        "text" => Some(OutputFormat::Text),
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => {
            let inner = object.object(at, "json_schema")?;
            inner.map(|inner| schema(at.field("json_schema"), inner)).transpose()?.flatten()
        }
        _ => None,
    };
    let format = format.filter(|_| object.is_empty());
    if format.is_none() {
        body.put_back("response_format", raw);
    }
    Ok(format)
}

/// `None` without a schema.
fn schema(at: Path<'_>, mut object: Object<'_>) -> Result<Option<OutputFormat>, Failure> {
    let Some(schema) = object.take("schema") else { return Ok(None) };
    Ok(Some(OutputFormat::JsonSchema(Schema {
        name: object.string(at, "name")?,
        description: object.string(at, "description")?,
        schema: schema.into(),
        strict: object.flag(at, "strict")?,
        extra: object.rest(),
    })))
}
