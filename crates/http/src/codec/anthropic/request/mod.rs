//! Writing a Messages request.

mod messages;
mod read;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Dialect, Effort, Function, OutputFormat, Reasoning, Request, Sampling, ServiceTier, Summary,
        ThinkingMode, Tool, ToolChoice,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::messages::{System, WireMessage};
pub(in crate::codec) use self::read::read;
use crate::codec::{
    Call, Encoded, Endpoint, cache,
    path::Path,
    post,
    writer::{Fields, OwnedFields, Writer, invalid},
};

const DIALECT: Dialect = Dialect::Anthropic;

/// What is asked for when the request does not bound its answer, as the API
/// requires a bound. Small enough for every model still served.
pub(super) const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The version that is asked for unless another is configured (API reference,
/// versioning).
pub(in crate::codec) const VERSION: &str = "2023-06-01";

/// The first version of the API without sampling settings.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Fields that are written from the model.
const MODELLED: [&str; 12] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "cache_control",
    "stream",
];

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let mut writer = Writer::new(DIALECT, call.request.losses);
    let version = endpoint.version().unwrap_or(VERSION);
    let (body, betas) = body(call, version, &mut writer)?;
    let mut request =
        post::json(endpoint.url(call.model, "/v1/messages"), endpoint.headers(), call.stream, &body)?;
    add_headers(&mut request, version, &betas)?;
    Ok(Encoded { request, losses: writer.into_losses() })
}

pub(in crate::codec) fn add_headers(
    request: &mut http::Request<Bytes>,
    version: &str,
    betas: &[String],
) -> Result<(), Failure> {
    let wrong = |_| invalid(Path::ROOT.field("betas"), "cannot be sent in a header");
    let version = HeaderValue::from_str(version).map_err(wrong)?;
    request.headers_mut().insert(HeaderName::from_static("anthropic-version"), version);
    for beta in betas {
        let beta = HeaderValue::from_str(beta).map_err(wrong)?;
        request.headers_mut().append(HeaderName::from_static("anthropic-beta"), beta);
    }
    Ok(())
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<System<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WireThinking<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<cache::Cache<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(flatten)]
    extra: OwnedFields<'a>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none() && self.extra.is_empty()
    }
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a RawValue,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct WireThinking<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'static str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Custom {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<cache::Cache<'a>>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Known(Choice<'a>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct Choice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

/// The body, and the betas that go in a header.
fn body<'a>(call: Call<'a>, version: &str, writer: &mut Writer) -> Result<(Body<'a>, Vec<String>), Failure> {
    let request = call.request;
    let sampling = sampling(&request.sampling, version, writer)?;
    writer.absent(Weight::Minor, request.logprobs.is_some(), "logprobs")?;
    writer.absent(Weight::Minor, !request.safety.is_empty(), "safety")?;
    writer.absent(Weight::Minor, !request.metadata.is_empty(), "metadata")?;
    writer.absent(Weight::Minor, request.cache_key.is_some(), "cache_key")?;
    let thinking = request.reasoning.as_ref().map(|given| thinking(given, writer)).transpose()?.flatten();
    let service_tier = service_tier(request, writer)?;
    // These may also be what the model does not know, and then they go as they came.
    let mut taken = MODELLED.to_vec();
    taken.extend(thinking.is_some().then_some("thinking"));
    taken.extend(service_tier.is_some().then_some("service_tier"));
    let mut extra = writer.fields(Path::ROOT, &request.extra, Weight::Major, &taken)?;
    let betas = betas(extra.take("betas"))?;
    let user = request.user.as_deref();
    let taken: &[&str] = if user.is_some() { &["user_id"] } else { &[] };
    let metadata = Fields::of_object(extra.take("metadata"), taken);
    // The bound includes thinking, whose budget must be below it.
    let default =
        DEFAULT_MAX_TOKENS.saturating_add(thinking.as_ref().and_then(|t| t.budget_tokens).unwrap_or(0));
    let written = messages::write(request, writer)?;
    let body = Body {
        model: call.model,
        max_tokens: request.max_output_tokens.unwrap_or(default),
        messages: written.messages,
        system: written.system,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: stop_sequences(request, writer)?,
        tools: tools(request, writer)?,
        tool_choice: tool_choice(request, writer)?,
        thinking,
        output_config: output_config(request, extra.take("output_config"), writer)?,
        metadata: (user.is_some() || !metadata.is_empty())
            .then_some(Metadata { user_id: user, extra: metadata }),
        service_tier,
        cache_control: request
            .cache
            .as_ref()
            .map(|given| cache::write(Path::ROOT, given, writer))
            .transpose()?,
        stream: call.stream,
        extra,
    };
    Ok((body, betas))
}

/// They are no part of the body but of the headers.
fn betas(raw: Option<&RawValue>) -> Result<Vec<String>, Failure> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    serde_json::from_str(raw.get())
        .map_err(|_| invalid(Path::ROOT.field("betas"), "must be an array of strings"))
}

fn stop_sequences<'a>(request: &'a Request, writer: &mut Writer) -> Result<Vec<&'a str>, Failure> {
    let given = request.stop_sequences.iter().map(String::as_str);
    let kept: Vec<&str> = given.filter(|sequence| !sequence.trim().is_empty()).collect();
    if kept.len() < request.stop_sequences.len() {
        writer.major(Path::ROOT.field("stop_sequences"), "Anthropic does not stop at white space")?;
    }
    Ok(kept)
}

/// Sampling as far as the version of the API has it. Versions are dates and
/// compare as text.
fn sampling(given: &Sampling, version: &str, writer: &mut Writer) -> Result<Sampling, Failure> {
    let mut kept = *given;
    for (field, set) in [
        ("seed", given.seed.is_some()),
        ("presence_penalty", given.presence_penalty.is_some()),
        ("frequency_penalty", given.frequency_penalty.is_some()),
    ] {
        writer.absent(Weight::Minor, set, field)?;
    }
    if version >= WITHOUT_SAMPLING {
        let gone = "was removed from the Anthropic API with version 2026-10-21; it is left out";
        for (field, set) in [
            ("temperature", kept.temperature.take().is_some()),
            ("top_p", kept.top_p.take().is_some()),
            ("top_k", kept.top_k.take().is_some()),
        ] {
            if set {
                writer.minor(Path::ROOT.field(field), gone)?;
            }
        }
    }
    if kept.temperature.is_some_and(|temperature| temperature > 1.0) {
        writer.minor(Path::ROOT.field("temperature"), "Anthropic takes at most 1, which is sent")?;
        kept.temperature = Some(1.0);
    }
    Ok(kept)
}

fn thinking<'a>(reasoning: &'a Reasoning, writer: &mut Writer) -> Result<Option<WireThinking<'a>>, Failure> {
    let at = Path::ROOT.field("reasoning");
    let mode = match reasoning.thinking {
        Some(mode) => Some(mode),
        None if reasoning.effort == Some(Effort::None) => Some(ThinkingMode::Off),
        None => None,
    };
    let display = reasoning.summary.map(|summary| match summary {
        Summary::Omitted => "omitted",
        Summary::Auto | Summary::Concise | Summary::Detailed => "summarized",
    });
    let mut taken = vec!["type"];
    taken.extend(matches!(mode, Some(ThinkingMode::Budget(_))).then_some("budget_tokens"));
    taken.extend(display.is_some().then_some("display"));
    let extra = writer.fields(at, &reasoning.extra, Weight::Minor, &taken)?;
    let (kind, budget_tokens, display) = match mode {
        Some(ThinkingMode::Off) => ("disabled", None, None),
        Some(ThinkingMode::Adaptive) => ("adaptive", None, display),
        Some(ThinkingMode::Budget(tokens)) => ("enabled", Some(tokens), display),
        None => {
            if display.is_some() || !extra.is_empty() {
                writer.minor(at.field("summary"), "Anthropic shows thinking only where it is switched on")?;
            }
            return Ok(None);
        }
    };
    Ok(Some(WireThinking { kind, budget_tokens, display, extra }))
}

fn output_config<'a>(
    request: &'a Request,
    extra: Option<&'a RawValue>,
    writer: &mut Writer,
) -> Result<OutputConfig<'a>, Failure> {
    let at = Path::ROOT.field("output");
    let format = match &request.output {
        None | Some(OutputFormat::Text) => None,
        Some(OutputFormat::JsonSchema(schema)) => {
            // Every answer follows the schema, and it needs no name.
            if schema.description.is_some() || schema.strict == Some(false) {
                writer.minor(at, "Anthropic's schemas have no description and are always followed")?;
            }
            let extra = writer.fields(at, &schema.extra, Weight::Minor, &["type", "schema"])?;
            Some(Format { kind: "json_schema", schema: schema.schema.as_raw(), extra })
        }
        Some(_) => {
            writer.major(at, "Anthropic takes a schema or nothing; it is left out")?;
            None
        }
    };
    let effort = match request.reasoning.as_ref().and_then(|reasoning| reasoning.effort) {
        // Said by switching thinking off.
        None | Some(Effort::None) => None,
        Some(Effort::Minimal) => {
            writer.minor(
                Path::ROOT.field("reasoning").field("effort"),
                "Anthropic's least is low, which is sent",
            )?;
            Some(Effort::Low.as_str())
        }
        Some(effort) => Some(effort.as_str()),
    };
    // What is said above goes before what is not modelled.
    let taken = [("effort", effort.is_some()), ("format", format.is_some())];
    let taken: Vec<&str> = taken.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect();
    Ok(OutputConfig { effort, format, extra: Fields::of_object(extra, &taken) })
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
    const MODELLED: [&str; 5] = ["name", "description", "input_schema", "strict", "cache_control"];
    Ok(WireTool::Custom {
        name: &function.name,
        description: function.description.as_deref(),
        input_schema: function.parameters.as_raw(),
        // The default, which older versions do not know.
        strict: function.strict.filter(|strict| *strict),
        cache_control: function.cache.as_ref().map(|given| cache::write(at, given, writer)).transpose()?,
        extra: writer.fields(at, &function.extra, Weight::Minor, &MODELLED)?,
    })
}

fn tool_choice<'a>(request: &'a Request, writer: &mut Writer) -> Result<Option<WireChoice<'a>>, Failure> {
    let at = Path::ROOT.field("tool_choice");
    // A choice among no tools is refused, and without tools none is called.
    if request.tools.is_empty() {
        return Ok(None);
    }
    let disable = request.parallel_tool_calls.map(|parallel| !parallel);
    let choice = |kind, name| Choice { kind, name, disable_parallel_tool_use: disable };
    let choice = match &request.tool_choice {
        None => disable.map(|_| choice("auto", None)),
        Some(ToolChoice::Auto) => Some(choice("auto", None)),
        Some(ToolChoice::None) => Some(Choice { kind: "none", name: None, disable_parallel_tool_use: None }),
        Some(ToolChoice::Required) => Some(choice("any", None)),
        Some(ToolChoice::Named(name)) => Some(choice("tool", Some(name.as_str()))),
        Some(ToolChoice::Allowed { required, names }) => match (names.as_slice(), required) {
            ([only], true) => Some(choice("tool", Some(only.as_str()))),
            (_, required) => {
                writer.major(at, "Anthropic cannot allow only some of the tools; all are allowed")?;
                Some(choice(if *required { "any" } else { "auto" }, None))
            }
        },
        Some(ToolChoice::Opaque(opaque)) => return Ok(writer.opaque(at, opaque)?.map(WireChoice::Opaque)),
        Some(_) => {
            writer.major(at, "a choice of this kind cannot be sent to Anthropic; it is left out")?;
            None
        }
    };
    Ok(choice.map(WireChoice::Known))
}

fn service_tier<'a>(request: &'a Request, writer: &mut Writer) -> Result<Option<&'a str>, Failure> {
    match &request.service_tier {
        None => Ok(None),
        Some(ServiceTier::Auto) => Ok(Some("auto")),
        Some(ServiceTier::Standard) => Ok(Some("standard_only")),
        Some(ServiceTier::Other(word)) => Ok(Some(word)),
        Some(ServiceTier::Flex | ServiceTier::Priority) => {
            writer.minor(Path::ROOT.field("service_tier"), "Anthropic has no such tier; auto is sent")?;
            Ok(Some("auto"))
        }
    }
}

#[cfg(test)]
mod tests;
