//! A catalog as a file.
//!
//! ```json
//! {
//!   "as_of": "2026-11-22",
//!   "families": {
//!     "openai": {
//!       "as_of": "2026-11-20", "source": "where from", "models": {
//!         "my-model": {
//!           "aliases": ["my-model-fast"],
//!           "capabilities": {
//!             "context_window": 200000, "max_input": 150000, "max_output": 8000,
//!             "accepts": ["image"], "accepts_without_reasoning": ["temperature"], "refuses": ["prefill"],
//!             "reasoning": {"by": ["effort"], "efforts": ["low", "high"], "off": true}
//!           },
//!           "prices": [{
//!             "until": "2026-12-31", "input": 3000, "output": 15000,
//!             "above": [{"tokens": 200000, "input": 6000, "output": 22500}],
//!             "services": {"flex": {"times": "1/2", "except": {"cache_read": "1"}, "up_to": 200000}}
//!           }],
//!           "note": "for people"
//!         }
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! Only the first `as_of` and the models' names are needed. Rates are whole
//! billionths of a dollar a token, under the names of [`Bucket`]. Several
//! prices follow each other in time: each but the last says `until`.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    Answer, Bucket, Capabilities, CatalogError, Control, Date, Feature, Price, Rates, ReasoningSupport,
    Service,
};
use crate::model::{Effort, Family};

/// One model's entry, with its name.
pub(super) struct Entry {
    pub(super) family: Family,
    /// As the file spells it.
    pub(super) spelled: String,
    pub(super) model: String,
    pub(super) aliases: Vec<String>,
    pub(super) capabilities: Capabilities,
    pub(super) prices: Vec<Price>,
}

/// Reads a file: its date, and its entries one by one.
pub(super) fn read(json: &str) -> Result<(Date, Vec<Entry>), CatalogError> {
    let file: File =
        serde_json::from_str(json).map_err(|error| CatalogError::File { why: error.to_string() })?;
    let mut entries = Vec::new();
    for (spelled, part) in file.families.0 {
        let family = Family::deserialize(Value::from(spelled.as_str()))
            .map_err(|error| CatalogError::File { why: error.to_string() })?;
        let as_of = part.as_of.unwrap_or(file.as_of);
        for (model, body) in part.models.0 {
            let wrong = |why| CatalogError::Entry { family: spelled.clone(), model: model.clone(), why };
            let Read { aliases, capabilities, prices } = read_model(&model, body, as_of).map_err(wrong)?;
            entries.push(Entry { family, spelled: spelled.clone(), model, aliases, capabilities, prices });
        }
    }
    Ok((file.as_of, entries))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: Date,
    #[serde(default, rename = "about")]
    _about: Option<String>,
    families: Unique<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    as_of: Option<Date>,
    #[serde(default, rename = "source")]
    _source: Option<String>,
    models: Unique<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    capabilities: Facts,
    #[serde(default)]
    prices: Vec<Map<String, Value>>,
    #[serde(default, rename = "note")]
    _note: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Facts {
    context_window: Option<u64>,
    max_input: Option<u64>,
    max_output: Option<u64>,
    accepts: Vec<Feature>,
    accepts_without_reasoning: Vec<Feature>,
    refuses: Vec<Feature>,
    reasoning: Option<ReasoningFacts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasoningFacts {
    by: Vec<Control>,
    efforts: Option<Vec<String>>,
    off: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFacts {
    times: String,
    #[serde(default)]
    except: BTreeMap<Bucket, String>,
    up_to: Option<u64>,
}

struct Read {
    aliases: Vec<String>,
    capabilities: Capabilities,
    prices: Vec<Price>,
}

fn read_model(model: &str, body: Value, as_of: Date) -> Result<Read, String> {
    let body: Body = part(body)?;
    for name in body.aliases.iter().map(String::as_str).chain([model]) {
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} is not a model's name"));
        }
    }
    let mut prices: Vec<Price> = Vec::with_capacity(body.prices.len());
    for (at, fields) in body.prices.into_iter().enumerate() {
        let price = price(fields, as_of).map_err(|why| format!("prices[{at}]: {why}"))?;
        if let Some(before) = prices.last()
            && before.until().is_none_or(|end| price.until().is_some_and(|until| until <= end))
        {
            return Err(format!(
                "prices[{at}]: the one before it must end first: give it an earlier \"until\""
            ));
        }
        prices.push(price);
    }
    Ok(Read { aliases: body.aliases, capabilities: capabilities(body.capabilities)?, prices })
}

fn capabilities(facts: Facts) -> Result<Capabilities, String> {
    let mut features = BTreeMap::new();
    for (listed, answer) in [
        (facts.accepts, Answer::Accepts),
        (facts.accepts_without_reasoning, Answer::WithoutReasoning),
        (facts.refuses, Answer::Refuses),
    ] {
        for feature in listed {
            if features.insert(feature, answer).is_some() {
                return Err(format!("capabilities: {feature:?} is listed twice"));
            }
        }
    }
    Ok(Capabilities {
        context_window: facts.context_window,
        max_input: facts.max_input,
        max_output: facts.max_output,
        reasoning: facts.reasoning.map(reasoning).transpose()?,
        features,
    })
}

fn reasoning(facts: ReasoningFacts) -> Result<ReasoningSupport, String> {
    let effort =
        |word: String| Effort::parse(&word).ok_or_else(|| format!("reasoning: {word:?} is not an effort"));
    let efforts = facts.efforts.map(|words| words.into_iter().map(effort).collect()).transpose()?;
    Ok(ReasoningSupport { by: facts.by, efforts, off: facts.off })
}

fn price(mut fields: Map<String, Value>, as_of: Date) -> Result<Price, String> {
    let until: Option<Date> = take(&mut fields, "until")?;
    let above: Vec<Map<String, Value>> = take(&mut fields, "above")?.unwrap_or_default();
    let services: BTreeMap<String, ServiceFacts> = take(&mut fields, "services")?.unwrap_or_default();
    let base = rates(fields)?;
    if base == Rates::default() {
        return Err("a price without a rate: leave it out where it is not known".to_owned());
    }
    let mut price = Price::new(as_of, base);
    if let Some(until) = until {
        price = price.ending(until);
    }
    for mut step in above {
        let tokens = take(&mut step, "tokens")?.ok_or("above: \"tokens\" is missing")?;
        price = price.above(tokens, rates(step).map_err(|why| format!("above {tokens}: {why}"))?);
    }
    for (word, facts) in services {
        let service = service(facts).map_err(|why| format!("services.{word}: {why}"))?;
        price = price.service(&word, service);
    }
    Ok(price)
}

fn service(facts: ServiceFacts) -> Result<Service, String> {
    let ratio = |text: &str| text.parse().map_err(|error: super::RatioError| error.to_string());
    let mut service = Service::new(ratio(&facts.times)?);
    for (bucket, times) in facts.except {
        service = service.except(bucket, ratio(&times)?);
    }
    Ok(facts.up_to.into_iter().fold(service, Service::up_to))
}

fn rates(fields: Map<String, Value>) -> Result<Rates, String> {
    for (name, rate) in &fields {
        if rate.as_u64().is_none_or(|rate| u32::try_from(rate).is_err()) {
            return Err(format!(
                "{name}: {rate} is not a price: write whole nano-dollars a token, 3000 for 3 dollars a million"
            ));
        }
    }
    part(Value::Object(fields))
}

fn take<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    fields.remove(name).map(part).transpose().map_err(|why| format!("{name}: {why}"))
}

fn part<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A JSON object in which no name occurs twice: of two prices for one model,
/// which one is meant?
struct Unique<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if seen.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name:?} is listed twice")));
                    }
                    seen.insert(name, value);
                }
                Ok(Unique(seen))
            }
        }

        deserializer.deserialize_map(Names(PhantomData))
    }
}
