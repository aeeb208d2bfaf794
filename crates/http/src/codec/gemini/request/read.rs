//! Reading a `generateContent` request, as a client of Google wrote it.
//!
//! Names may be in camel case or in snake case, as with Google's own parser.

use std::collections::VecDeque;

use leverframe_core::{
    error::Failure,
    model::{
        Block, Effort, Field, Function, Json, Media, MediaSource, Message, Opaque, OutputFormat, Reasoning,
        Request, Role, SafetySetting, Schema, ServiceTier, Signature, Summary, Text, Thinking, ThinkingMode,
        Tool, ToolCall, ToolChoice, ToolResult,
    },
};
use serde_json::value::RawValue;

use super::{super::schema, super::wire, DIALECT, PARAMETERS, RESPONSE_SCHEMA, contents::FUNCTION_NAME};
use crate::codec::{
    Asked,
    object::{self, Object},
    openai_chat::request::empty_schema,
    path::Path,
    writer::invalid,
};

/// Reads the body of a request. The model is in the path, for the caller to
/// fill in.
pub(in crate::codec) fn read(text: &str) -> Result<Asked, Failure> {
    let at = Path::ROOT;
    let mut body = Object::parse_camel(DIALECT, at, text)?;
    let mut request = Request::new("");
    if let Some(mut system) = body.object_camel(at, "systemInstruction")? {
        let at = at.field("systemInstruction");
        for (nth, raw) in system.array(at, "parts")?.into_iter().enumerate() {
            match part(at.field("parts").nth(nth), raw, &mut Calls::default())? {
                Block::Text(text) => request.system.push(text),
                _ => return Err(invalid(at, "must have text parts only")),
            }
        }
    }
    let contents = at.field("contents");
    let mut calls = Calls::default();
    for (nth, raw) in body.array(at, "contents")?.into_iter().enumerate() {
        request.messages.push(content(contents.nth(nth), raw, &mut calls)?);
    }
    let tools = at.field("tools");
    for (nth, raw) in body.array(at, "tools")?.into_iter().enumerate() {
        tool(tools.nth(nth), raw, &mut request.tools)?;
    }
    if let Some(config) = body.object_camel(at, "generationConfig")? {
        generation_config(config, &mut request)?;
    }
    if let Some(config) = body.object_camel(at, "toolConfig")? {
        tool_config(config, &mut request)?;
    }
    if let Some(settings) = safety(&mut body) {
        request.safety = settings;
    }
    request.service_tier = body.lenient::<String>("serviceTier").map(|word| match word.as_str() {
        "unspecified" => ServiceTier::Auto,
        "standard" => ServiceTier::Standard,
        "flex" => ServiceTier::Flex,
        "priority" => ServiceTier::Priority,
        _ => ServiceTier::Other(word),
    });
    request.metadata = body.lenient("labels").unwrap_or_default();
    request.extra.extend(body.rest());
    Ok(Asked { request, stream: false })
}

fn opaque(raw: &RawValue) -> Opaque {
    Opaque { dialect: DIALECT, json: raw.into() }
}

/// `None` where a setting has more than the two fields; then all stay where
/// they are.
fn safety(body: &mut Object<'_>) -> Option<Vec<SafetySetting>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Setting {
        category: String,
        threshold: String,
    }
    let settings: Vec<Setting> = body.lenient("safetySettings")?;
    let setting = |given: Setting| SafetySetting { category: given.category, threshold: given.threshold };
    Some(settings.into_iter().map(setting).collect())
}

/// Calls whose results are still to come, for results without an id.
#[derive(Default)]
struct Calls {
    open: VecDeque<(String, String)>,
    made: usize,
}

impl Calls {
    fn made_up(&mut self) -> String {
        self.made += 1;
        wire::made_up_id("", self.made - 1)
    }

    fn opened(&mut self, id: &str, name: &str) {
        self.open.push_back((id.to_owned(), name.to_owned()));
    }

    /// The id of the first open call of this name, if there is one.
    fn answered(&mut self, name: &str) -> Option<String> {
        let at = self.open.iter().position(|(_, known)| known == name)?;
        self.open.remove(at).map(|(id, _)| id)
    }

    /// Whether the open call of this id has this name.
    fn closed(&mut self, id: &str, name: &str) -> bool {
        let at = self.open.iter().position(|(known, _)| known == id);
        at.and_then(|at| self.open.remove(at)).is_some_and(|(_, known)| known == name)
    }
}

fn content(at: Path<'_>, raw: &RawValue, calls: &mut Calls) -> Result<Message, Failure> {
    let mut object = Object::parse_camel(DIALECT, at, raw.get())?;
    let role = match object.string(at, "role")?.as_deref() {
        Some("model") => Role::Assistant,
        None | Some("user" | "function" | "") => Role::User,
        Some(_) => return Err(invalid(at.field("role"), "must be user or model")),
    };
    let mut blocks = Vec::new();
    for (nth, raw) in object.array(at, "parts")?.into_iter().enumerate() {
        blocks.push(part(at.field("parts").nth(nth), raw, calls)?);
    }
    Ok(Message { role, content: blocks, extra: object.rest() })
}

/// One part. What is not modelled is kept as it is.
fn part(at: Path<'_>, raw: &RawValue, calls: &mut Calls) -> Result<Block, Failure> {
    let mut object = Object::parse_camel(DIALECT, at, raw.get())?;
    let signature = object.string(at, "thoughtSignature")?;
    let signature = signature.map(|value| Signature { dialect: DIALECT, value });
    if object.has("text") {
        let text = object.required(at, "text")?;
        return Ok(match object.flag(at, "thought")?.unwrap_or_default() {
            true => Block::Thinking(Thinking { text, signature, extra: object.rest() }),
            false => Block::Text(Text { text, signature, extra: object.rest(), ..Text::default() }),
        });
    }
    if let Some(call) = object.object_camel(at, "functionCall")?
        && object.is_empty()
    {
        return function_call(at.field("functionCall"), call, signature, calls);
    }
    if signature.is_some() {
        return Ok(Block::Opaque(opaque(raw)));
    }
    if let Some(response) = object.object_camel(at, "functionResponse")?
        && object.is_empty()
    {
        return function_response(at.field("functionResponse"), response, calls);
    }
    let block = match (object.object_camel(at, "inlineData")?, object.object_camel(at, "fileData")?) {
        (Some(inline), None) => inline_data(at.field("inlineData"), inline)?,
        (None, Some(file)) => file_data(at.field("fileData"), file)?,
        _ => None,
    };
    match block {
        Some(mut block) => {
            if let Some(extra) = block.extra_mut() {
                extra.extend(object.rest());
            }
            Ok(block)
        }
        None => Ok(Block::Opaque(opaque(raw))),
    }
}

fn function_call(
    at: Path<'_>,
    mut call: Object<'_>,
    signature: Option<Signature>,
    calls: &mut Calls,
) -> Result<Block, Failure> {
    let name = call.required(at, "name")?;
    let id = call.string(at, "id")?.unwrap_or_else(|| calls.made_up());
    calls.opened(&id, &name);
    let arguments = call.take("args").map_or("{}", RawValue::get);
    Ok(Block::ToolCall(ToolCall { signature, extra: call.rest(), ..ToolCall::new(id, name, arguments) }))
}

fn function_response(at: Path<'_>, mut response: Object<'_>, calls: &mut Calls) -> Result<Block, Failure> {
    let name = response.required(at, "name")?;
    let (call_id, known) = match response.string(at, "id")? {
        Some(id) => {
            let known = calls.closed(&id, &name);
            (id, known)
        }
        None => match calls.answered(&name) {
            Some(id) => (id, true),
            None => (calls.made_up(), false),
        },
    };
    let mut content = Vec::new();
    if let Some(value) = response.take("response") {
        content.push(Block::text(value.get()));
    }
    for (nth, raw) in response.array(at, "parts")?.into_iter().enumerate() {
        content.push(part(at.field("parts").nth(nth), raw, &mut Calls::default())?);
    }
    let mut extra = response.rest();
    if !known && let Ok(value) = Json::parse(serde_json::Value::from(name).to_string()) {
        extra.set(Field { dialect: DIALECT, name: FUNCTION_NAME.to_owned(), value });
    }
    Ok(Block::ToolResult(ToolResult { call_id, content, extra, ..ToolResult::default() }))
}

fn inline_data(at: Path<'_>, mut inline: Object<'_>) -> Result<Option<Block>, Failure> {
    let kind = inline.required(at, "mimeType")?;
    let bytes = object::base64(at.field("data"), &inline.required(at, "data")?)?;
    let title = inline.string(at, "displayName")?;
    Ok(inline.is_empty().then(|| media(MediaSource::Inline(bytes), Some(kind), title)))
}

fn file_data(at: Path<'_>, mut file: Object<'_>) -> Result<Option<Block>, Failure> {
    let kind = file.string(at, "mimeType")?;
    let title = file.string(at, "displayName")?;
    let uri = file.required(at, "fileUri")?;
    let source = match uri.contains("generativelanguage.googleapis.com") || uri.starts_with("gs:") {
        true => MediaSource::File { dialect: DIALECT, id: uri },
        false => MediaSource::Url(uri),
    };
    Ok(file.is_empty().then(|| media(source, kind, title)))
}

fn media(source: MediaSource, media_type: Option<String>, title: Option<String>) -> Block {
    let kind = media_type.as_deref().and_then(|kind| kind.split('/').next()).unwrap_or_default().to_owned();
    let media = Media { media_type, source, title, cache: None, extra: Default::default() };
    match kind.as_str() {
        "image" => Block::Image(media),
        "audio" => Block::Audio(media),
        _ => Block::Document(media),
    }
}

/// One entry of `tools`, which may hold several kinds at once.
fn tool(at: Path<'_>, raw: &RawValue, tools: &mut Vec<Tool>) -> Result<(), Failure> {
    let mut object = Object::parse_camel(DIALECT, at, raw.get())?;
    let declarations = at.field("functionDeclarations");
    for (nth, raw) in object.array(at, "functionDeclarations")?.into_iter().enumerate() {
        tools.push(function(declarations.nth(nth), raw)?);
    }
    let rest = object.rest();
    for field in rest.iter() {
        let name = serde_json::Value::from(field.name.as_str());
        let json = Json::parse(format!("{{{name}:{}}}", field.value.as_str()));
        tools.extend(json.ok().map(|json| Tool::Provider(Opaque { dialect: DIALECT, json })));
    }
    Ok(())
}

fn function(at: Path<'_>, raw: &RawValue) -> Result<Tool, Failure> {
    let mut object = Object::parse_camel(DIALECT, at, raw.get())?;
    let name = object.required(at, "name")?;
    let description = object.string(at, "description")?;
    let (own, json_schema) = (object.take("parameters"), object.take("parametersJsonSchema"));
    let mut extra = object.rest();
    let parameters = match (own, json_schema) {
        (_, Some(schema)) => Json::from(schema),
        (Some(own), None) => {
            extra.set(Field { dialect: DIALECT, name: PARAMETERS.to_owned(), value: own.into() });
            schema::json_schema(own)
        }
        (None, None) => empty_schema(),
    };
    Ok(Function { description, extra, ..Function::new(name, parameters) }.into())
}

fn generation_config(mut config: Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("generationConfig");
    request.max_output_tokens = config.count(at, "maxOutputTokens")?;
    request.sampling.temperature = config.number(at, "temperature")?;
    request.sampling.top_p = config.number(at, "topP")?;
    // Google's own clients write whole numbers as 40.0.
    let top_k = config.lenient::<f64>("topK").filter(|k| k.fract() == 0.0 && (0.0..=1e9).contains(k));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked the line above")]
    {
        request.sampling.top_k = top_k.map(|k| k as u32);
    }
    request.sampling.seed = config.integer(at, "seed")?;
    request.sampling.presence_penalty = config.number(at, "presencePenalty")?;
    request.sampling.frequency_penalty = config.number(at, "frequencyPenalty")?;
    request.stop_sequences = config.strings(at, "stopSequences")?;
    if config.lenient::<bool>("responseLogprobs").unwrap_or_default() {
        request.logprobs = Some(config.count(at, "logprobs")?.unwrap_or_default());
    }
    output(&mut config, request);
    if let Some(thinking) = config.object_camel(at, "thinkingConfig")? {
        request.reasoning = Some(reasoning(at.field("thinkingConfig"), thinking)?);
    }
    request.extra.extend(config.rest_as("generationConfig"));
    Ok(())
}

/// A format that is not modelled stays where it is.
fn output(config: &mut Object<'_>, request: &mut Request) {
    let mime = config.lenient::<String>("responseMimeType");
    let schema = match (config.take("responseJsonSchema"), config.take("responseSchema")) {
        (Some(schema), _) => Some(Schema::new(schema.into())),
        (None, Some(own)) => {
            let mut schema = Schema::new(schema::json_schema(own));
            let name = RESPONSE_SCHEMA.to_owned();
            schema.extra.set(Field { dialect: DIALECT, name, value: own.into() });
            Some(schema)
        }
        (None, None) => None,
    };
    request.output = match (mime.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => Some(OutputFormat::JsonSchema(schema)),
        (Some("application/json"), None) => Some(OutputFormat::JsonObject),
        (Some("text/plain"), None) => Some(OutputFormat::Text),
        (_, schema) => {
            // An enum, or what is newer than this.
            let fields = schema.map(|schema| {
                let own = schema.extra.get(DIALECT, RESPONSE_SCHEMA).cloned();
                let name = if own.is_some() { RESPONSE_SCHEMA } else { "responseJsonSchema" };
                Field { dialect: DIALECT, name: name.to_owned(), value: own.unwrap_or(schema.schema) }
            });
            let mime = mime.and_then(|mime| Json::parse(serde_json::Value::from(mime).to_string()).ok());
            let mime =
                mime.map(|value| Field { dialect: DIALECT, name: "responseMimeType".to_owned(), value });
            config.keep(fields.into_iter().chain(mime));
            None
        }
    };
}

fn reasoning(at: Path<'_>, mut thinking: Object<'_>) -> Result<Reasoning, Failure> {
    let mut reasoning = Reasoning::default();
    reasoning.thinking = match thinking.integer(at, "thinkingBudget")? {
        None => None,
        Some(0) => Some(ThinkingMode::Off),
        Some(budget) => Some(u32::try_from(budget).map_or(ThinkingMode::Adaptive, ThinkingMode::Budget)),
    };
    // Only the levels that are written as what they are read as.
    let level = thinking.peek("thinkingLevel").and_then(|level| Effort::parse(level.trim_matches('"')));
    if let Some(effort @ (Effort::Minimal | Effort::Low | Effort::Medium | Effort::High)) = level
        && reasoning.thinking.is_none()
    {
        reasoning.effort = Some(effort);
        thinking.take("thinkingLevel");
    }
    let shown = thinking.flag(at, "includeThoughts")?;
    reasoning.summary = shown.map(|shown| if shown { Summary::Auto } else { Summary::Omitted });
    reasoning.extra = thinking.rest();
    Ok(reasoning)
}

fn tool_config(mut config: Object<'_>, request: &mut Request) -> Result<(), Failure> {
    let at = Path::ROOT.field("toolConfig");
    if let Some(raw) = config.take("functionCallingConfig") {
        let at = at.field("functionCallingConfig");
        let mut calling = Object::parse_camel(DIALECT, at, raw.get())?;
        let mode = calling.string(at, "mode")?;
        let mut names = calling.strings(at, "allowedFunctionNames")?;
        let choice = match (mode.as_deref(), names.len()) {
            (Some("AUTO"), 0) => Some(ToolChoice::Auto),
            (Some("NONE"), 0) => Some(ToolChoice::None),
            (Some("ANY"), 0) => Some(ToolChoice::Required),
            (Some("ANY"), 1) => names.pop().map(ToolChoice::Named),
            (Some("ANY"), _) => Some(ToolChoice::Allowed { required: true, names }),
            (Some("VALIDATED"), 1..) => Some(ToolChoice::Allowed { required: false, names }),
            _ => None,
        };
        let choice = choice.filter(|_| calling.is_empty());
        request.tool_choice = Some(choice.unwrap_or_else(|| ToolChoice::Opaque(opaque(raw))));
    }
    request.extra.extend(config.rest_as("toolConfig"));
    Ok(())
}
