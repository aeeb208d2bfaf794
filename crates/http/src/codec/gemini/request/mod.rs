//! Writing a `generateContent` request.

mod contents;
mod read;

use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Dialect, Effort, OutputFormat, Reasoning, Request, SafetySetting, Schema, ServiceTier, Summary,
        ThinkingMode, Tool, ToolChoice,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::contents::Content;
pub(in crate::codec) use self::read::read;
use crate::codec::{
    Call, Encoded, Endpoint,
    endpoint::path_segment,
    openai_chat::request::empty_schema,
    path::Path,
    post,
    writer::{Fields, OwnedFields, Writer},
};

const DIALECT: Dialect = Dialect::Gemini;

/// The version of the API that is asked for unless another is configured.
pub(super) const VERSION: &str = "v1beta";

/// Fields that are written from the model.
const MODELLED: [&str; 3] = ["contents", "systemInstruction", "tools"];

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let mut writer = Writer::new(DIALECT, call.request.losses);
    let body = body(call.request, endpoint.is_vertex(), &mut writer)?;
    let url = endpoint.url(call.model, &path(endpoint, call.model, operation(call.stream)));
    let request = post::json(url, endpoint.headers(), call.stream, &body)?;
    Ok(Encoded { request, losses: writer.into_losses() })
}

/// The operation that answers.
pub(in crate::codec) fn operation(stream: bool) -> &'static str {
    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" }
}

/// The path of an operation on a model. Gemini's own list of models calls them
/// `models/...`.
pub(in crate::codec) fn path(endpoint: &Endpoint, model: &str, operation: &str) -> String {
    let model = path_segment(model.strip_prefix("models/").unwrap_or(model));
    match endpoint.version().unwrap_or(VERSION) {
        "" => format!("/models/{model}:{operation}"),
        version => format!("/{version}/models/{model}:{operation}"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<GenerationConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    safety_settings: Vec<Safety<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a std::collections::BTreeMap<String, String>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct Safety<'a> {
    category: &'a str,
    threshold: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    /// In Google's own schema language.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig<'a>>,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    #[serde(rename_all = "camelCase")]
    Functions {
        function_declarations: Vec<FunctionDeclaration<'a>>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// In Google's own schema language.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "FunctionCallingConfig::is_empty")]
    function_calling_config: FunctionCallingConfig<'a>,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCallingConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allowed_function_names: &'a [String],
}

impl FunctionCallingConfig<'_> {
    fn is_empty(&self) -> bool {
        self.mode.is_none() && self.allowed_function_names.is_empty()
    }
}

fn body<'a>(request: &'a Request, vertex: bool, writer: &mut Writer) -> Result<Body<'a>, Failure> {
    writer.absent(Weight::Minor, request.user.is_some(), "user")?;
    writer.absent(Weight::Minor, request.cache_key.is_some(), "cache_key")?;
    writer.no_cache(Path::ROOT, request.cache.as_ref())?;
    if request.parallel_tool_calls == Some(false) {
        writer.major(
            Path::ROOT.field("parallel_tool_calls"),
            "Gemini cannot be kept from calling several tools",
        )?;
    }
    if !vertex && !request.metadata.is_empty() {
        writer.minor(Path::ROOT.field("metadata"), "only Vertex takes labels")?;
    }
    let labels = Some(&request.metadata).filter(|labels| vertex && !labels.is_empty());
    let service_tier = service_tier(request);
    // These may also be what the model does not know, and then they go as they came.
    let mut taken = MODELLED.to_vec();
    taken.extend(said([
        ("safetySettings", !request.safety.is_empty()),
        ("serviceTier", service_tier.is_some()),
        ("labels", labels.is_some()),
    ]));
    let mut extra = writer.fields(Path::ROOT, &request.extra, Weight::Major, &taken)?;
    let (config, tool_extra) = (extra.take("generationConfig"), extra.take("toolConfig"));
    let written = contents::write(request, writer)?;
    Ok(Body {
        system_instruction: written.system,
        contents: written.contents,
        generation_config: generation_config(request, config, writer)?,
        tools: tools(request, writer)?,
        tool_config: tool_config(request, tool_extra, writer)?,
        safety_settings: request.safety.iter().map(safety).collect(),
        service_tier,
        labels,
        extra,
    })
}

/// The names of the fields that are written from the model.
fn said<const N: usize>(fields: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    fields.into_iter().filter(|(_, said)| *said).map(|(name, _)| name)
}

fn safety(setting: &SafetySetting) -> Safety<'_> {
    Safety { category: &setting.category, threshold: &setting.threshold }
}

/// Gemini's words for service tiers (API reference, `serviceTier`).
fn service_tier(request: &Request) -> Option<&str> {
    request.service_tier.as_ref().map(|tier| match tier {
        ServiceTier::Auto => "unspecified",
        ServiceTier::Standard => "standard",
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
        ServiceTier::Other(word) => word,
    })
}

/// Most stop sequences (API reference, `GenerationConfig`).
const MAX_STOP: usize = 5;

fn generation_config<'a>(
    request: &'a Request,
    extra: Option<&'a RawValue>,
    writer: &mut Writer,
) -> Result<Option<GenerationConfig<'a>>, Failure> {
    let sampling = request.sampling;
    let seed = sampling.seed.and_then(|seed| i32::try_from(seed).ok());
    if sampling.seed.is_some() && seed.is_none() {
        writer.minor(Path::ROOT.field("seed"), "Gemini takes 32 bits; it is left out")?;
    }
    let stop = request.stop_sequences.as_slice();
    if stop.len() > MAX_STOP {
        writer.major(Path::ROOT.field("stop_sequences"), "Gemini takes 5; the others are left out")?;
    }
    let (mime, schema) = match &request.output {
        None => (None, None),
        Some(OutputFormat::Text) => (Some("text/plain"), None),
        Some(OutputFormat::JsonObject) => (Some("application/json"), None),
        Some(OutputFormat::JsonSchema(schema)) => (Some("application/json"), Some(schema)),
        Some(_) => {
            let at = Path::ROOT.field("output");
            writer.major(at, "a format of this kind is not known here; it is left out")?;
            (None, None)
        }
    };
    let own = schema.map(|schema| own_schema(schema, writer)).transpose()?.flatten();
    let thinking = request.reasoning.as_ref().map(|given| thinking_config(given, writer)).transpose()?;
    let response_schema = schema.filter(|_| own.is_none()).map(|schema| schema.schema.as_raw());
    let logprobs = request.logprobs.filter(|others| *others > 0);
    // What is said of an answer goes before what is not modelled.
    let modelled: Vec<&str> = said([
        ("maxOutputTokens", request.max_output_tokens.is_some()),
        ("temperature", sampling.temperature.is_some()),
        ("topP", sampling.top_p.is_some()),
        ("topK", sampling.top_k.is_some()),
        ("seed", seed.is_some()),
        ("presencePenalty", sampling.presence_penalty.is_some()),
        ("frequencyPenalty", sampling.frequency_penalty.is_some()),
        ("stopSequences", !stop.is_empty()),
        ("responseMimeType", mime.is_some()),
        ("responseSchema", schema.is_some()),
        ("responseJsonSchema", schema.is_some()),
        ("responseLogprobs", request.logprobs.is_some()),
        ("logprobs", logprobs.is_some()),
        ("thinkingConfig", thinking.is_some()),
    ])
    .collect();
    let extra = Fields::of_object(extra, &modelled);
    if modelled.is_empty() && extra.is_empty() {
        return Ok(None);
    }
    Ok(Some(GenerationConfig {
        max_output_tokens: request.max_output_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        seed,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        stop_sequences: stop.get(..MAX_STOP).unwrap_or(stop),
        response_mime_type: mime,
        response_schema: own,
        response_json_schema: response_schema,
        response_logprobs: request.logprobs.map(|_| true),
        logprobs,
        thinking_config: thinking,
        extra,
    }))
}

/// The field with a schema in Google's own language, of which the JSON Schema
/// is our translation.
pub(super) const RESPONSE_SCHEMA: &str = "responseSchema";
/// The same for a function's arguments.
pub(super) const PARAMETERS: &str = "parameters";

fn own_schema<'a>(schema: &'a Schema, writer: &mut Writer) -> Result<Option<&'a RawValue>, Failure> {
    let at = Path::ROOT.field("output");
    if schema.name.is_some() || schema.description.is_some() || schema.strict == Some(false) {
        writer.minor(at, "Gemini's schemas have no name and no description, and are always followed")?;
    }
    Ok(writer.fields(at, &schema.extra, Weight::Minor, &[])?.take(RESPONSE_SCHEMA))
}

fn thinking_config<'a>(reasoning: &'a Reasoning, writer: &mut Writer) -> Result<ThinkingConfig<'a>, Failure> {
    let at = Path::ROOT.field("reasoning");
    let budget = match (reasoning.thinking, reasoning.effort) {
        (Some(ThinkingMode::Off), _) | (None, Some(Effort::None)) => Some(0),
        (Some(ThinkingMode::Adaptive), _) => Some(-1),
        (Some(ThinkingMode::Budget(tokens)), _) => Some(i64::from(tokens)),
        (None, _) => None,
    };
    // Both together are refused.
    let level = match reasoning.effort {
        Some(_) if budget.is_some() => None,
        None | Some(Effort::None) => None,
        Some(Effort::Minimal) => Some("MINIMAL"),
        Some(Effort::Low) => Some("LOW"),
        Some(Effort::Medium) => Some("MEDIUM"),
        Some(Effort::High) => Some("HIGH"),
        Some(Effort::XHigh | Effort::Max) => {
            writer.minor(at.field("effort"), "Gemini's most is high, which is sent")?;
            Some("HIGH")
        }
    };
    if level.is_none() && budget.is_some() && reasoning.effort.is_some_and(|effort| effort != Effort::None) {
        writer.minor(at.field("effort"), "Gemini takes a budget or a level; the budget is sent")?;
    }
    let taken: Vec<&str> = said([
        ("includeThoughts", reasoning.summary.is_some()),
        ("thinkingBudget", budget.is_some()),
        ("thinkingLevel", level.is_some()),
    ])
    .collect();
    Ok(ThinkingConfig {
        include_thoughts: reasoning.summary.map(|summary| summary != Summary::Omitted),
        thinking_budget: budget,
        thinking_level: level,
        extra: writer.fields(at, &reasoning.extra, Weight::Minor, &taken)?,
    })
}

fn tools<'a>(request: &'a Request, writer: &mut Writer) -> Result<Vec<WireTool<'a>>, Failure> {
    const MODELLED: [&str; 3] = ["name", "description", "parametersJsonSchema"];
    let tools = Path::ROOT.field("tools");
    let mut written: Vec<WireTool<'a>> = Vec::new();
    let mut declarations = Vec::new();
    // All functions are one entry, in the place of the first of them.
    let mut first = 0;
    for (nth, tool) in request.tools.iter().enumerate() {
        let at = tools.nth(nth);
        match tool {
            Tool::Function(function) => {
                if declarations.is_empty() {
                    first = written.len();
                }
                writer.no_cache(at, function.cache.as_ref())?;
                if function.strict == Some(true) {
                    writer.minor(at.field("strict"), "Gemini cannot be held to a function's schema")?;
                }
                let mut extra = writer.fields(at, &function.extra, Weight::Minor, &MODELLED)?;
                let own = extra.take(PARAMETERS);
                // Older models refuse an object without properties; nothing says the same.
                let none = function.parameters == empty_schema();
                declarations.push(FunctionDeclaration {
                    name: &function.name,
                    description: function.description.as_deref(),
                    parameters: own,
                    parameters_json_schema: (own.is_none() && !none).then_some(function.parameters.as_raw()),
                    extra,
                });
            }
            Tool::Provider(opaque) => written.extend(writer.opaque(at, opaque)?.map(WireTool::Opaque)),
            _ => writer.major(at, "a tool of this kind is not known here; it is left out")?,
        }
    }
    if !declarations.is_empty() {
        written.insert(first, WireTool::Functions { function_declarations: declarations });
    }
    Ok(written)
}

fn tool_config<'a>(
    request: &'a Request,
    extra: Option<&'a RawValue>,
    writer: &mut Writer,
) -> Result<Option<ToolConfig<'a>>, Failure> {
    const NONE: &[String] = &[];
    let at = Path::ROOT.field("tool_choice");
    let taken: &[&str] = if request.tool_choice.is_some() { &["functionCallingConfig"] } else { &[] };
    let extra = Fields::of_object(extra, taken);
    let (mode, allowed) = match &request.tool_choice {
        // Without tools none is called.
        _ if request.tools.is_empty() => (None, NONE),
        None => (None, NONE),
        Some(ToolChoice::Auto) => (Some("AUTO"), NONE),
        Some(ToolChoice::None) => (Some("NONE"), NONE),
        Some(ToolChoice::Required) => (Some("ANY"), NONE),
        Some(ToolChoice::Named(name)) => (Some("ANY"), std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { required: true, names }) => (Some("ANY"), names.as_slice()),
        Some(ToolChoice::Allowed { required: false, names }) => (Some("VALIDATED"), names.as_slice()),
        Some(ToolChoice::Opaque(opaque)) => {
            let raw = writer.opaque(at, opaque)?;
            return Ok(raw.map(|raw| ToolConfig {
                function_calling_config: FunctionCallingConfig { mode: None, allowed_function_names: NONE },
                extra: extra.with("functionCallingConfig", raw),
            }));
        }
        Some(_) => {
            writer.major(at, "a choice of this kind is not known here; it is left out")?;
            (None, NONE)
        }
    };
    let function_calling_config = FunctionCallingConfig { mode, allowed_function_names: allowed };
    let said = !function_calling_config.is_empty() || !extra.is_empty();
    Ok(said.then_some(ToolConfig { function_calling_config, extra }))
}

#[cfg(test)]
mod tests;
