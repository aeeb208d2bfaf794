//! Writing a response request.

mod input;
mod read;

use std::borrow::Cow;

use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Dialect, Effort, Function, OutputFormat, Reasoning, Request, Summary, ThinkingMode, Tool, ToolChoice,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::input::Item;
pub(in crate::codec) use self::read::read;
use crate::codec::{
    Call, Encoded, Endpoint,
    openai_chat::request::service_tier,
    path::Path,
    post,
    writer::{Fields, OwnedFields, Writer, set},
};

const DIALECT: Dialect = Dialect::OpenAiResponses;

/// Fields that are written from the model.
const MODELLED: [&str; 10] = [
    "model",
    "input",
    "instructions",
    "max_output_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
];

/// What asks for log probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let mut writer = Writer::new(DIALECT, call.request.losses);
    let body = body(call, &mut writer)?;
    let request = post::json(endpoint.url(call.model, "/responses"), endpoint.headers(), call.stream, &body)?;
    Ok(Encoded { request, losses: writer.into_losses() })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
    #[serde(skip_serializing_if = "TextConfig::is_empty")]
    text: TextConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    metadata: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: &'a RawValue,
        strict: bool,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named(NamedFunction<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'static str,
        tools: Vec<NamedFunction<'a>>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct NamedFunction<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
}

impl<'a> NamedFunction<'a> {
    fn new(name: &'a str) -> Self {
        Self { kind: "function", name }
    }
}

#[derive(Serialize)]
struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct TextConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

impl TextConfig<'_> {
    fn is_empty(&self) -> bool {
        self.format.is_none() && self.extra.is_empty()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    Text,
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
}

fn body<'a>(call: Call<'a>, writer: &mut Writer) -> Result<Body<'a>, Failure> {
    let request = call.request;
    let sampling = request.sampling;
    for (weight, set, field) in [
        (Weight::Minor, sampling.top_k.is_some(), "top_k"),
        (Weight::Minor, sampling.seed.is_some(), "seed"),
        (Weight::Minor, sampling.presence_penalty.is_some(), "presence_penalty"),
        (Weight::Minor, sampling.frequency_penalty.is_some(), "frequency_penalty"),
        (Weight::Major, !request.stop_sequences.is_empty(), "stop_sequences"),
        (Weight::Minor, !request.safety.is_empty(), "safety"),
    ] {
        writer.absent(weight, set, field)?;
    }
    writer.no_cache(Path::ROOT, request.cache.as_ref())?;
    let taken = set(&[
        ("top_logprobs", request.logprobs.is_some()),
        ("service_tier", request.service_tier.is_some()),
        ("user", request.user.is_some()),
        ("metadata", !request.metadata.is_empty()),
        ("prompt_cache_key", request.cache_key.is_some()),
    ]);
    let mut extra =
        writer.fields(Path::ROOT, &request.extra, Weight::Major, &[&MODELLED, &*taken].concat())?;
    let reasoning = request.reasoning.as_ref().map(|given| reasoning(given, writer)).transpose()?.flatten();
    let include = include(extra.take("include"), request.logprobs.is_some());
    Ok(Body {
        model: call.model,
        instructions: instructions(request, writer)?,
        input: input::write(request, writer)?,
        max_output_tokens: bound(request, writer)?,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_logprobs: request.logprobs.filter(|others| *others > 0),
        tools: tools(request, writer)?,
        tool_choice: tool_choice(request, writer)?,
        parallel_tool_calls: request.parallel_tool_calls,
        reasoning,
        text: text(request, extra.take("text"), writer)?,
        include,
        service_tier: request.service_tier.as_ref().map(service_tier),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        prompt_cache_key: request.cache_key.as_deref(),
        stream: call.stream,
        extra,
    })
}

/// Smallest bound of an answer (API reference, `max_output_tokens`).
const MIN_OUTPUT: u32 = 16;

fn bound(request: &Request, writer: &mut Writer) -> Result<Option<u32>, Failure> {
    let bound = request.max_output_tokens;
    if bound.is_some_and(|bound| bound < MIN_OUTPUT) {
        writer.minor(Path::ROOT.field("max_output_tokens"), "OpenAI takes no less than 16, which is sent")?;
    }
    Ok(bound.map(|bound| bound.max(MIN_OUTPUT)))
}

/// The system prompt, which is one text here.
fn instructions<'a>(request: &'a Request, writer: &mut Writer) -> Result<Option<Cow<'a, str>>, Failure> {
    let at = Path::ROOT.field("system");
    for (nth, text) in request.system.iter().enumerate() {
        writer.no_cache(at.nth(nth), text.cache.as_ref())?;
        writer.fields(at.nth(nth), &text.extra, Weight::Minor, &[])?;
    }
    let texts: Vec<&str> = request.system.iter().map(|text| text.text.as_str()).collect();
    Ok(match texts.as_slice() {
        [] => None,
        [only] => Some(Cow::Borrowed(only)),
        several => Some(Cow::Owned(several.join("\n\n"))),
    })
}

fn include(given: Option<&RawValue>, logprobs: bool) -> Option<Vec<String>> {
    let given: Option<Vec<String>> = given.and_then(|raw| serde_json::from_str(raw.get()).ok());
    if !logprobs {
        return given;
    }
    let mut include = given.unwrap_or_default();
    if !include.iter().any(|name| name == LOGPROBS) {
        include.push(LOGPROBS.to_owned());
    }
    Some(include)
}

fn reasoning<'a>(given: &'a Reasoning, writer: &mut Writer) -> Result<Option<WireReasoning<'a>>, Failure> {
    let at = Path::ROOT.field("reasoning");
    let effort = match (given.effort, given.thinking) {
        (effort, Some(ThinkingMode::Budget(_))) => {
            writer.minor(at.field("thinking"), "OpenAI takes an effort in words, not a budget of tokens")?;
            effort.map(Effort::as_str)
        }
        (Some(effort), _) => Some(effort.as_str()),
        (None, Some(ThinkingMode::Off)) => Some(Effort::None.as_str()),
        (None, Some(ThinkingMode::Adaptive) | None) => None,
    };
    let summary = match given.summary {
        None | Some(Summary::Omitted) => None,
        Some(Summary::Auto) => Some("auto"),
        Some(Summary::Concise) => Some("concise"),
        Some(Summary::Detailed) => Some("detailed"),
    };
    let taken = set(&[("effort", effort.is_some()), ("summary", summary.is_some())]);
    let extra = writer.fields(at, &given.extra, Weight::Minor, &taken)?;
    let said = effort.is_some() || summary.is_some() || !extra.is_empty();
    Ok(said.then_some(WireReasoning { effort, summary, extra }))
}

fn text<'a>(
    request: &'a Request,
    extra: Option<&'a RawValue>,
    writer: &mut Writer,
) -> Result<TextConfig<'a>, Failure> {
    const MODELLED: [&str; 5] = ["type", "name", "description", "schema", "strict"];
    let at = Path::ROOT.field("output");
    let format = match &request.output {
        None => None,
        Some(OutputFormat::Text) => Some(Format::Text),
        Some(OutputFormat::JsonObject) => Some(Format::JsonObject),
        Some(OutputFormat::JsonSchema(schema)) => Some(Format::JsonSchema {
            // The API requires a name and shows it to the model.
            name: schema.name.as_deref().unwrap_or("answer"),
            description: schema.description.as_deref(),
            schema: schema.schema.as_raw(),
            strict: schema.strict,
            extra: writer.fields(at, &schema.extra, Weight::Minor, &MODELLED)?,
        }),
        Some(_) => {
            writer.major(at, "a format of this kind is not known here; it is left out")?;
            None
        }
    };
    // A format that is not modelled is among the rest.
    let taken: &[&str] = if format.is_some() { &["format"] } else { &[] };
    Ok(TextConfig { format, extra: Fields::of_object(extra, taken) })
}

fn tools<'a>(request: &'a Request, writer: &mut Writer) -> Result<Vec<WireTool<'a>>, Failure> {
    let tools = Path::ROOT.field("tools");
    let mut written = Vec::with_capacity(request.tools.len());
    for (nth, tool) in request.tools.iter().enumerate() {
        let at = tools.nth(nth);
        match tool {
            Tool::Function(function) => written.push(self::function(at, function, writer)?),
            Tool::Provider(opaque) => written.extend(writer.opaque(at, opaque)?.map(WireTool::Opaque)),
            _ => writer.major(at, "a tool of this kind is not known here; it is left out")?,
        }
    }
    Ok(written)
}

fn function<'a>(at: Path<'_>, function: &'a Function, writer: &mut Writer) -> Result<WireTool<'a>, Failure> {
    const MODELLED: [&str; 5] = ["type", "name", "description", "parameters", "strict"];
    writer.no_cache(at, function.cache.as_ref())?;
    Ok(WireTool::Function {
        kind: "function",
        name: &function.name,
        description: function.description.as_deref(),
        parameters: function.parameters.as_raw(),
        strict: function.strict.unwrap_or_default(),
        extra: writer.fields(at, &function.extra, Weight::Minor, &MODELLED)?,
    })
}

fn tool_choice<'a>(request: &'a Request, writer: &mut Writer) -> Result<Option<Choice<'a>>, Failure> {
    let at = Path::ROOT.field("tool_choice");
    let Some(choice) = &request.tool_choice else { return Ok(None) };
    Ok(match choice {
        ToolChoice::Auto => Some(Choice::Word("auto")),
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::Required => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Named(NamedFunction::new(name))),
        ToolChoice::Allowed { required, names } => Some(Choice::Allowed {
            kind: "allowed_tools",
            mode: if *required { "required" } else { "auto" },
            tools: names.iter().map(|name| NamedFunction::new(name)).collect(),
        }),
        ToolChoice::Opaque(opaque) => writer.opaque(at, opaque)?.map(Choice::Opaque),
        _ => {
            writer.major(at, "a choice of this kind is not known here; it is left out")?;
            None
        }
    })
}

#[cfg(test)]
mod tests;
