//! Writing a chat completion request.

mod messages;
mod read;

use std::borrow::Cow;

use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Dialect, Effort, Function, OutputFormat, Reasoning, Request, Schema, ServiceTier, ThinkingMode, Tool,
        ToolChoice,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::messages::WireMessage;
pub(in crate::codec) use self::read::{empty_schema, read};
use crate::codec::{
    Call, Encoded, Endpoint, cache,
    endpoint::Compat,
    path::Path,
    post,
    writer::{Fields, OwnedFields, Writer, set},
};

const DIALECT: Dialect = Dialect::OpenAiChat;

/// Fields that are written from the model. What is not modelled may not
/// repeat them.
const MODELLED: [&str; 14] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
];

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let mut writer = Writer::new(DIALECT, call.request.losses);
    let body = body(call, endpoint.compat(), &mut writer)?;
    let url = endpoint.url(call.model, "/chat/completions");
    let request = post::json(url, endpoint.headers(), call.stream, &body)?;
    Ok(Encoded { request, losses: writer.into_losses() })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    metadata: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct StreamOptions<'a> {
    include_usage: bool,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: FunctionDefinition<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<cache::Cache<'a>>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct FunctionDefinition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

/// `{"type": "function", "function": {"name": ...}}`.
#[derive(Serialize)]
struct NamedFunction<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionName<'a>,
}

impl<'a> NamedFunction<'a> {
    fn new(name: &'a str) -> Self {
        Self { kind: "function", function: FunctionName { name } }
    }
}

#[derive(Serialize)]
struct FunctionName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named(NamedFunction<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        allowed_tools: AllowedTools<'a>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct AllowedTools<'a> {
    mode: &'static str,
    tools: Vec<NamedFunction<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    Text,
    JsonObject,
    JsonSchema { json_schema: JsonSchema<'a> },
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

fn body<'a>(call: Call<'a>, compat: &Compat, writer: &mut Writer) -> Result<Body<'a>, Failure> {
    let request = call.request;
    let sampling = request.sampling;
    writer.absent(Weight::Minor, sampling.top_k.is_some() && !compat.top_k, "top_k")?;
    writer.absent(Weight::Minor, !request.safety.is_empty(), "safety")?;
    writer.no_cache(Path::ROOT, request.cache.as_ref())?;
    let limit = request.max_output_tokens;
    let taken = set(&[
        ("top_k", sampling.top_k.is_some() && compat.top_k),
        ("logprobs", request.logprobs.is_some()),
        ("top_logprobs", request.logprobs.is_some()),
        ("response_format", request.output.is_some()),
        ("reasoning_effort", request.reasoning.is_some()),
        ("service_tier", request.service_tier.is_some()),
        ("user", request.user.is_some()),
        ("metadata", !request.metadata.is_empty()),
        ("prompt_cache_key", request.cache_key.is_some()),
    ]);
    let mut extra =
        writer.fields(Path::ROOT, &request.extra, Weight::Major, &[&MODELLED, &*taken].concat())?;
    let stream_options = Fields::of_object(extra.take("stream_options"), &["include_usage"]);
    Ok(Body {
        model: call.model,
        messages: messages::write(request, compat, writer)?,
        max_completion_tokens: limit.filter(|_| !compat.max_tokens),
        max_tokens: limit.filter(|_| compat.max_tokens),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k.filter(|_| compat.top_k),
        seed: sampling.seed,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        stop: stop(request, writer)?,
        tools: tools(request, compat, writer)?,
        tool_choice: tool_choice(request, writer)?,
        // Refused where there are no tools.
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| !request.tools.is_empty()),
        response_format: response_format(request, compat, writer)?,
        reasoning_effort: request
            .reasoning
            .as_ref()
            .map(|given| effort(given, writer))
            .transpose()?
            .flatten(),
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.filter(|others| *others > 0),
        service_tier: request.service_tier.as_ref().map(service_tier),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        prompt_cache_key: request.cache_key.as_deref(),
        stream: call.stream.then_some(true),
        stream_options: (call.stream && compat.stream_options)
            .then_some(StreamOptions { include_usage: true, extra: stream_options }),
        extra,
    })
}

/// Most stop sequences (API reference, `stop`).
const MAX_STOP: usize = 4;

fn stop<'a>(request: &'a Request, writer: &mut Writer) -> Result<&'a [String], Failure> {
    let given = request.stop_sequences.as_slice();
    match given.get(..MAX_STOP) {
        Some(first) if given.len() > MAX_STOP => {
            writer.major(Path::ROOT.field("stop_sequences"), "OpenAI takes 4; the others are left out")?;
            Ok(first)
        }
        _ => Ok(given),
    }
}

fn tools<'a>(
    request: &'a Request,
    compat: &Compat,
    writer: &mut Writer,
) -> Result<Vec<WireTool<'a>>, Failure> {
    let tools = Path::ROOT.field("tools");
    let mut written = Vec::with_capacity(request.tools.len());
    for (nth, tool) in request.tools.iter().enumerate() {
        let at = tools.nth(nth);
        match tool {
            Tool::Function(function) => written.push(self::function(at, function, compat, writer)?),
            Tool::Provider(opaque) => written.extend(writer.opaque(at, opaque)?.map(WireTool::Opaque)),
            _ => writer.major(at, "a tool of this kind is not known here; it is left out")?,
        }
    }
    Ok(written)
}

fn function<'a>(
    at: Path<'_>,
    function: &'a Function,
    compat: &Compat,
    writer: &mut Writer,
) -> Result<WireTool<'a>, Failure> {
    const MODELLED: [&str; 4] = ["name", "description", "parameters", "strict"];
    Ok(WireTool::Function {
        kind: "function",
        function: FunctionDefinition {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_raw(),
            strict: function.strict,
            extra: writer.fields(at, &function.extra, Weight::Minor, &MODELLED)?,
        },
        cache_control: messages::cache_control(at, function.cache.as_ref(), compat, writer)?,
    })
}

fn tool_choice<'a>(request: &'a Request, writer: &mut Writer) -> Result<Option<Choice<'a>>, Failure> {
    // OpenAI refuses a choice among no tools, and without tools none is called.
    let Some(choice) = request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()) else {
        return Ok(None);
    };
    let at = Path::ROOT.field("tool_choice");
    Ok(match choice {
        ToolChoice::Auto => Some(Choice::Word("auto")),
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::Required => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Named(NamedFunction::new(name))),
        ToolChoice::Allowed { required, names } => Some(Choice::Allowed {
            kind: "allowed_tools",
            allowed_tools: AllowedTools {
                mode: if *required { "required" } else { "auto" },
                tools: names.iter().map(|name| NamedFunction::new(name)).collect(),
            },
        }),
        ToolChoice::Opaque(opaque) => writer.opaque(at, opaque)?.map(Choice::Opaque),
        _ => {
            writer.major(at, "a choice of this kind is not known here; it is left out")?;
            None
        }
    })
}

fn response_format<'a>(
    request: &'a Request,
    compat: &Compat,
    writer: &mut Writer,
) -> Result<Option<ResponseFormat<'a>>, Failure> {
    const MODELLED: [&str; 4] = ["name", "description", "schema", "strict"];
    let at = Path::ROOT.field("output");
    match &request.output {
        None => Ok(None),
        Some(OutputFormat::Text) => Ok(Some(ResponseFormat::Text)),
        Some(OutputFormat::JsonObject) => Ok(Some(ResponseFormat::JsonObject)),
        Some(OutputFormat::JsonSchema(_)) if !compat.json_schema => {
            writer.major(at, "the server takes no schema; any JSON object is asked for")?;
            Ok(Some(ResponseFormat::JsonObject))
        }
        Some(OutputFormat::JsonSchema(Schema { name, description, schema, strict, extra })) => {
            let json_schema = JsonSchema {
                // The API requires a name and shows it to the model.
                name: name.as_deref().unwrap_or("answer"),
                description: description.as_deref(),
                schema: schema.as_raw(),
                strict: *strict,
                extra: writer.fields(at, extra, Weight::Minor, &MODELLED)?,
            };
            Ok(Some(ResponseFormat::JsonSchema { json_schema }))
        }
        Some(_) => {
            writer.major(at, "a format of this kind is not known here; it is left out")?;
            Ok(None)
        }
    }
}

fn effort(reasoning: &Reasoning, writer: &mut Writer) -> Result<Option<&'static str>, Failure> {
    let at = Path::ROOT.field("reasoning");
    if !writer.fields(at, &reasoning.extra, Weight::Minor, &[])?.is_empty() {
        writer.minor(at, "OpenAI Chat Completions has nothing but an effort; the rest is left out")?;
    }
    if reasoning.summary.is_some_and(|summary| summary != leverframe_core::model::Summary::Omitted) {
        writer.minor(at.field("summary"), "OpenAI Chat Completions shows no reasoning; Responses does")?;
    }
    match (reasoning.effort, reasoning.thinking) {
        (effort, Some(ThinkingMode::Budget(_))) => {
            writer.minor(at.field("thinking"), "OpenAI takes an effort in words, not a budget of tokens")?;
            Ok(effort.map(Effort::as_str))
        }
        (Some(effort), _) => Ok(Some(effort.as_str())),
        (None, Some(ThinkingMode::Off)) => Ok(Some(Effort::None.as_str())),
        (None, Some(ThinkingMode::Adaptive) | None) => Ok(None),
    }
}

/// OpenAI's words for service tiers, on both of its APIs.
pub(in crate::codec) fn service_tier(tier: &ServiceTier) -> &str {
    match tier {
        ServiceTier::Auto => "auto",
        ServiceTier::Standard => "default",
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
        ServiceTier::Other(word) => word,
    }
}

/// The tier behind OpenAI's word for it.
pub(in crate::codec) fn read_service_tier(word: String) -> ServiceTier {
    match word.as_str() {
        "auto" => ServiceTier::Auto,
        "default" => ServiceTier::Standard,
        "flex" => ServiceTier::Flex,
        "priority" => ServiceTier::Priority,
        _ => ServiceTier::Other(word),
    }
}

/// A text that is nearly always borrowed.
type Str<'a> = Cow<'a, str>;

#[cfg(test)]
mod tests;
