//! `leverframe providers`.
//!
//! How things stand is in the memory of the gateway that runs. It can be asked
//! ([`Admin`](leverframe_gateway::server::Admin)); and about once a second it
//! writes down in its log what it would need to know after a restart, which is
//! enough to say the same without asking: what is learned since is missing, and
//! so is what is under way.

use std::{collections::BTreeSet, path::PathBuf};

use anstyle::{AnsiColor, Style};
use leverframe_gateway::standing::{LimitStanding, ProviderStanding, RouteStanding, Standing};
use leverframe_router::{LimitKind, NanoDollars, Timestamp};

use crate::{
    chain, logs,
    out::{eprintln, println},
    remote::Gateway,
    serve,
    show::{self, Problem},
};

const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// What `providers` may be asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Ask the gateway that runs here, for example http://127.0.0.1:4141, instead of the log.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable with the operator's key.
    #[arg(long, value_name = "NAME", default_value = "LEVERFRAME_ADMIN_KEY")]
    key_from_env: String,
    /// The log's file, if it is not the configuration's.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    log: Option<PathBuf>,
    /// The configuration; leverframe.toml, if there is one and no other is named.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Problem> {
    let standing = match &arguments.url {
        Some(url) => asked(url, &arguments.key_from_env).await?,
        None => noted(&arguments)?,
    };
    match arguments.json {
        // Plain data, which always is JSON.
        true => println!("{}", serde_json::to_string_pretty(&standing).unwrap_or_default()),
        false => standing.providers.iter().for_each(|provider| print(provider, standing.at_ms)),
    }
    Ok(())
}

/// What a gateway that runs says.
async fn asked(url: &str, variable: &str) -> Result<Standing, Problem> {
    let key = std::env::var(variable).ok().filter(|key| !key.trim().is_empty());
    let key = key.ok_or_else(|| {
        Problem(format!(
            "{variable} is not set; put the operator's key there (leverframe keys new --admin makes one), or name \
             another variable with --key-from-env"
        ))
    })?;
    let (status, body) = Gateway::at(url, Some(&key))?.get("/admin/providers").await?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|error| {
            Problem(format!("what {url} says cannot be read ({error}); is it a gateway of this version?"))
        }),
        401 => Err(Problem(format!(
            "{url} does not take the key in {variable}; its SHA-256 is to be admin.key_sha256 in the gateway's \
             configuration"
        ))),
        404 => Err(Problem(format!(
            "{url} tells nobody how its providers stand; make a key with leverframe keys new --admin, and put the \
             lines it prints into the gateway's configuration"
        ))),
        status => Err(Problem(format!("{url} answers with HTTP {status}; is it a gateway of this version?"))),
    }
}

/// What a gateway wrote down.
fn noted(arguments: &Arguments) -> Result<Standing, Problem> {
    let config = serve::configuration(arguments.config.as_deref())?;
    if arguments.log.is_none() && config.log.enabled == Some(false) {
        return Err(Problem("no log is kept; ask the gateway that runs, with --url".to_owned()));
    }
    let file = arguments.log.clone().or_else(|| config.log.file.clone());
    let file = file.unwrap_or_else(|| PathBuf::from(logs::DEFAULT_FILE));
    let memory = logs::open(&file)?.guards().map_err(|error| chain(&error))?;
    if memory.at == Timestamp::default() {
        eprintln!("Nothing is noted in {} yet; this is what is configured.", file.display());
    } else {
        let ago = logs::ago(std::time::Duration::ZERO).since(memory.at);
        eprintln!("As noted in {} {} ago; --url asks a gateway that runs.", file.display(), show::time(ago));
    }
    let seen: BTreeSet<&str> = memory.guards.iter().map(|one| one.provider.as_str()).collect();
    let builder = config.outline(&seen).map_err(|error| Problem(error.to_string()))?;
    let router = builder.memory(memory).build().map_err(|error| chain(&error))?;
    Ok(Standing::of(&router))
}

fn print(provider: &ProviderStanding, at: u64) {
    let (style, word) = health(provider.healthy);
    println!("{} {QUIET}({}){QUIET:#} {style}{word}{style:#}", show::plain(&provider.name), provider.dialect);
    for key in &provider.keys {
        let limits = if key.limits.is_empty() { "no limits".to_owned() } else { limits(&key.limits, at) };
        println!("  key {}: {limits}", show::plain(&key.key));
    }
    for route in &provider.routes {
        print_route(route, at);
    }
}

fn print_route(route: &RouteStanding, at: u64) {
    let (style, word) = health(route.healthy);
    let mut line =
        format!("  {} ({}): {style}{word}{style:#}", show::plain(&route.model), show::plain(&route.key));
    line.push_str(&format!(", breaker {}", show::plain(&route.breaker)));
    if let Some(refusal) = &route.refusal {
        line.push_str(&format!(": {}", show::plain(refusal)));
    }
    if let Some(until) = route.until_ms {
        line.push_str(&format!(", for {}", after(until, at)));
    }
    if route.in_flight > 0 {
        line.push_str(&format!(", {} under way", route.in_flight));
    }
    if let Some(millis) = route.first_token_ms {
        line.push_str(&format!(", first token in {millis} ms"));
    }
    if !route.names.is_empty() {
        line.push_str(&format!(", for {}", show::plain(&route.names.join(", "))));
    }
    println!("{line}");
    if !route.limits.is_empty() {
        println!("    {QUIET}{}{QUIET:#}", limits(&route.limits, at));
    }
}

fn health(healthy: bool) -> (Style, &'static str) {
    if healthy { (GOOD, "healthy") } else { (BAD, "turns requests away") }
}

fn limits(limits: &[LimitStanding], at: u64) -> String {
    limits.iter().map(|limit| of_limit(limit, at)).collect::<Vec<_>>().join(", ")
}

fn of_limit(limit: &LimitStanding, at: u64) -> String {
    let amount = |amount: u64| match limit.kind {
        LimitKind::SpendPerDay => NanoDollars::new(amount).to_string(),
        _ => amount.to_string(),
    };
    let mut text = format!("{} of {} {}", amount(limit.used), amount(limit.limit), limit.kind);
    if let Some(frees_at) = limit.frees_at_ms.filter(|_| limit.used >= limit.limit) {
        text.push_str(&format!(" (room in {})", after(frees_at, at)));
    }
    text
}

fn after(until: u64, at: u64) -> String {
    show::time(std::time::Duration::from_millis(until.saturating_sub(at)))
}
