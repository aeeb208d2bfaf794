//! `docs/configuration.md` is what the code says.
//!
//! Keys, types and meanings are read off the tables the file is read into, and
//! defaults are taken from the values that are used; a list kept by hand would
//! fall behind. With `UPDATE_DOCS` set the test writes the page instead of
//! comparing it.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path, time::Duration};

use leverframe_gateway::{config::EXAMPLE, server::Settings};
use leverframe_router::store::{self, Retention};

/// A table of the file, as its struct says it.
#[derive(Default)]
struct Table {
    /// Whether all its keys may be left out.
    optional: bool,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: String,
    meaning: String,
    optional: bool,
}

/// What the sources say.
#[derive(Default)]
struct Sources {
    tables: BTreeMap<String, Table>,
    /// The words of enums.
    words: BTreeMap<String, Vec<String>>,
}

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/gateway/src/config").join(name);
    fs::read_to_string(path).expect("the source can be read")
}

impl Sources {
    /// Reads what rustfmt has written, line by line.
    fn read(&mut self, text: &str) {
        let (mut doc, mut attributes) = (Vec::new(), String::new());
        let (mut table, mut words) = (None, None);
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("///") {
                doc.push(words.trim().to_owned());
                continue;
            }
            if line.starts_with("#[") {
                attributes.push_str(line);
                continue;
            }
            let (meaning, said) = (doc.join(" "), std::mem::take(&mut attributes));
            doc.clear();
            if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
                let optional = said.contains(", default");
                self.tables.insert(name.to_owned(), Table { optional, fields: Vec::new() });
                (table, words) = (Some(name.to_owned()), None);
            } else if let Some(name) = line.strip_prefix("pub enum ").and_then(|rest| rest.strip_suffix(" {"))
            {
                let case = if said.contains("kebab-case") { '-' } else { '_' };
                self.words.insert(name.to_owned(), Vec::new());
                (table, words) = (None, Some((name.to_owned(), case)));
            } else if let Some((name, case)) = &words
                && !meaning.is_empty()
            {
                if let Some(variant) = line.strip_suffix(',').filter(|word| !word.contains([':', '('])) {
                    self.words.get_mut(name).expect("begun").push(spelled(variant, *case));
                } else if line == "Full {" {
                    // The one enum that is not of words: a table of its own.
                    self.tables.insert(name.clone(), Table::default());
                    (table, words) = (Some(name.clone()), None);
                }
            } else if let (Some(name), Some((key, kind))) =
                (&table, line.trim_start_matches("pub ").trim_end_matches(',').split_once(": "))
            {
                let of = self.tables.get_mut(name).expect("begun");
                let optional = of.optional || kind.starts_with("Option<") || said.contains("default");
                let (name, kind) = (key.to_owned(), kind.to_owned());
                of.fields.push(Field { name, kind, meaning, optional });
            } else if line == "}" {
                (table, words) = (None, None);
            }
        }
    }

    fn table(&self, name: &str) -> &Table {
        self.tables.get(name).unwrap_or_else(|| panic!("no struct {name}"))
    }

    /// What a value looks like. `None` for what is a table.
    fn looks(&self, kind: &str) -> Option<String> {
        let inner = kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
        Some(match inner {
            "bool" => "`true` or `false`".to_owned(),
            "String" => "text".to_owned(),
            "PathBuf" => "path".to_owned(),
            "SocketAddr" => "IP address and port".to_owned(),
            "Span" => "time: `500ms`, `10s`, `5m`, `1h 30m`".to_owned(),
            "u32" | "u64" | "usize" => "whole number".to_owned(),
            "f64" => "number".to_owned(),
            "Vec<String>" => "list of texts".to_owned(),
            "Vec<PathBuf>" => "list of paths".to_owned(),
            "Vec<Route>" => "list of routes".to_owned(),
            "BTreeMap<String, String>" => "table of texts".to_owned(),
            _ if self.words.contains_key(inner) => {
                let quoted: Vec<_> = self.words[inner].iter().map(|word| format!("`\"{word}\"`")).collect();
                quoted.join(", ")
            }
            _ => return None,
        })
    }

    /// Every table under `place`, which is empty for the file itself.
    fn walk(&self, page: &mut String, place: &str, name: &str, defaults: &mut BTreeMap<String, String>) {
        let table = self.table(name);
        let at = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        let row = |field: &Field| self.looks(&field.kind).filter(|_| !place.is_empty());
        let rows: Vec<_> = table.fields.iter().filter_map(|field| Some((field, row(field)?))).collect();
        if !rows.is_empty() {
            page.push_str("| key | value | default | |\n|---|---|---|---|\n");
        }
        for (Field { name, meaning, optional, .. }, looks) in rows {
            let default = match (defaults.remove(&at(name)), optional) {
                (Some(default), true) => default,
                (None, true) => "none".to_owned(),
                (None, false) => "**needed**".to_owned(),
                (Some(_), false) => panic!("{} is needed and has a default", at(name)),
            };
            writeln!(page, "| `{name}` | {looks} | {default} | {meaning} |").expect("written");
        }
        for field in table.fields.iter().filter(|field| row(field).is_none()) {
            let inner = field.kind.trim_start_matches("Option<").trim_end_matches('>');
            let here = at(&field.name);
            let (heading, inner) = match (inner.strip_prefix("Vec<"), inner.strip_prefix("BTreeMap<String, "))
            {
                (Some(inner), _) => (format!("[[{here}]]"), inner),
                (_, Some("String")) => (format!("[{here}]"), ""),
                (_, Some(inner)) => (format!("[{here}.\"NAME\"]"), inner),
                _ => (format!("[{here}]"), inner),
            };
            writeln!(page, "\n## `{heading}`\n\n{}\n", field.meaning).expect("written");
            match inner {
                "" => page.push_str("Any key, with a text as its value.\n"),
                "LimitsTable" if here != "providers.limits" => {
                    page.push_str("The keys are those of `[providers.limits]`.\n");
                }
                inner => self.walk(page, &here, inner, defaults),
            }
        }
        if name == "ModelTable" {
            page.push_str("\nA route is a text, `\"provider/model\"`, or a table:\n\n");
            self.walk(page, "models.routes", "Route", defaults);
        }
    }
}

/// A variant as the file has it.
fn spelled(variant: &str, case: char) -> String {
    let mut word = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push(case);
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

/// The defaults, from the values where they can be had.
fn defaults() -> BTreeMap<String, String> {
    let time = |time: Duration| match time.as_secs() {
        secs if secs % 3_600 == 0 => format!("`\"{}h\"`", secs / 3_600),
        secs if secs % 60 == 0 => format!("`\"{}m\"`", secs / 60),
        secs => format!("`\"{secs}s\"`"),
    };
    let (server, log, keep) = (Settings::default(), store::Settings::default(), Retention::default());
    let for_ever = |kept: Option<Duration>| kept.map_or_else(|| "for ever".to_owned(), time);
    let durability = format!("{:?}", log.durability).to_ascii_lowercase();
    [
        ("gateway.listen", "`\"127.0.0.1:4141\"`".to_owned()),
        ("gateway.max_body", format!("`{}`", server.max_body)),
        ("gateway.max_bodies", format!("`{}`", server.max_bodies)),
        ("gateway.body_within", time(server.body_within)),
        ("gateway.write_within", time(server.write_within)),
        ("gateway.idle_within", time(server.idle_within)),
        ("gateway.drain_within", time(server.drain_within)),
        ("gateway.connections", format!("`{}`", server.connections)),
        ("log.enabled", "`true`".to_owned()),
        ("log.file", "`\"leverframe.redb\"`".to_owned()),
        ("log.durability", format!("`\"{durability}\"`")),
        ("log.keep_requests", for_ever(keep.requests)),
        ("log.keep_bodies", for_ever(keep.bodies)),
        ("log.max_bytes", keep.bytes.map_or_else(|| "any".to_owned(), |bytes| format!("`{bytes}`"))),
        ("router.default_provider", "the first".to_owned()),
        ("router.fallback", "all".to_owned()),
        ("router.policy", "`\"priority\"`".to_owned()),
        ("router.timeout", "`\"10m\"`".to_owned()),
        ("router.attempts", "`6`".to_owned()),
        ("providers.base_url", "the provider's own".to_owned()),
        ("providers.default_model", "the kind's own".to_owned()),
        ("providers.weight", "`1.0`".to_owned()),
        ("models.policy", "`router.policy`".to_owned()),
        ("models.routes.weight", "the provider's".to_owned()),
        ("models.routes.key", "any".to_owned()),
        ("keys.models", "all".to_owned()),
    ]
    .into_iter()
    .map(|(key, default)| (key.to_owned(), default))
    .collect()
}

const TOP: &str = "# Configuration

<!-- Generated from crates/gateway/src/config by `make docs`. -->

`leverframe config init` writes a file to begin with; `serve`, `chat`, `doctor` and `providers` read `leverframe.toml` where
they are started, or what `--config` names. Everything in it may be left out. A key nobody knows is an error, told with its
line and the nearest known one: `leverframe config check`. Keys of providers are never in it, only where they are kept.

Without `[[providers]]` the environment configures them, as for `Router::from_env`: `ANTHROPIC_API_KEY`, `GEMINI_API_KEY` or
`GOOGLE_AI_API_KEY`, `OPENAI_API_KEY`; `ANTHROPIC_BASE_URL`, `GEMINI_BASE_URL`, `OPENAI_BASE_URL`; `CLAUDE_RPM`, `GEMINI_RPM`,
`OPENAI_RPM`; `OPENAI_API` (`chat` or `responses`); `DEFAULT_PROVIDER`, `ENABLE_FALLBACK`, `FALLBACK_PROVIDERS`,
`LEVERFRAME_TIMEOUT_SECONDS`.
";

fn render() -> String {
    let mut sources = Sources::default();
    sources.read(&source("file.rs"));
    sources.read(&source("values.rs"));
    let (mut page, mut defaults) = (TOP.to_owned(), defaults());
    sources.walk(&mut page, "", "Config", &mut defaults);
    assert!(defaults.is_empty(), "defaults of keys there are not: {defaults:?}");
    write!(page, "\n## The file `config init` writes\n\n```toml\n{EXAMPLE}```\n").expect("written");
    page
}

#[test]
fn the_page_on_the_configuration_is_what_the_code_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, render()).expect("docs/configuration.md can be written");
        return;
    }
    let written = fs::read_to_string(&page).expect("docs/configuration.md can be read");
    assert!(written == render(), "docs/configuration.md is out of date; run this test with UPDATE_DOCS=1");
}

#[test]
fn every_variable_of_the_environment_is_on_it() {
    let router = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/router/src/env.rs");
    let text = fs::read_to_string(router).expect("the source can be read");
    let code = text.split("#[cfg(test)]").next().expect("some");
    let variables: Vec<_> = code
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    assert!(variables.len() > 10, "{variables:?}");
    for variable in variables {
        assert!(TOP.contains(&format!("`{variable}`")), "{variable} is not on the page");
    }
}
