//! From the name a model is sent with to its entry.

use std::collections::BTreeMap;

use crate::model::Family;

/// Entries by family and name. Names are kept in lower case.
#[derive(Clone, Debug)]
pub(super) struct Names<T> {
    families: BTreeMap<Family, Entries<T>>,
}

#[derive(Clone, Debug)]
struct Entries<T> {
    known: BTreeMap<String, T>,
    /// Other names, to a known one.
    aliases: BTreeMap<String, String>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { families: BTreeMap::new() }
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), aliases: BTreeMap::new() }
    }
}

impl<T> Entries<T> {
    /// The known name that this is or stands for. Bounded, as a caller's names
    /// may stand for each other in a circle.
    fn resolve<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        std::iter::successors(Some(name), |name| self.aliases.get(*name).map(String::as_str))
            .take(8)
            .find(|name| self.known.contains_key(*name))
    }
}

/// Who sells a model under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// The vendor, or somebody at the vendor's prices.
    Vendor,
    /// Somebody on other terms, or the vendor's model after training of one's own.
    Other,
}

impl<T> Names<T> {
    /// The entry for a name as it is sent.
    pub(super) fn find(&self, family: Family, model: &str) -> Option<(&T, Terms)> {
        let model = model.trim().to_ascii_lowercase();
        let whole = Found { family, name: &model, terms: Terms::Vendor };
        let bare = whole.without_prefix();
        [Some(whole), bare].into_iter().flatten().find_map(|found| {
            std::iter::successors(Some(found.name), |name| without_suffix(found.family, name))
                .find_map(|name| self.get(found.family, name))
                .map(|entry| (entry, found.terms))
        })
    }

    /// The entry of exactly this name, or the one it is another name of.
    fn get(&self, family: Family, name: &str) -> Option<&T> {
        let entries = self.families.get(&family)?;
        entries.known.get(entries.resolve(name)?)
    }

    /// The entry of exactly this name, to be written.
    pub(super) fn entry(&mut self, family: Family, name: &str) -> &mut T
    where
        T: Default,
    {
        let name = name.to_ascii_lowercase();
        let entries = self.families.entry(family).or_default();
        let name = entries.resolve(&name).map_or_else(|| name.clone(), str::to_owned);
        entries.known.entry(name).or_default()
    }

    /// Gives a model another name, whatever that name meant before.
    pub(super) fn alias(&mut self, family: Family, alias: &str, name: &str) {
        let (alias, name) = (alias.to_ascii_lowercase(), name.to_ascii_lowercase());
        if alias != name {
            let entries = self.families.entry(family).or_default();
            entries.known.remove(&alias);
            entries.aliases.insert(alias, name);
        }
    }

    /// Whether exactly this name is taken.
    pub(super) fn has(&self, family: Family, name: &str) -> bool {
        self.get(family, &name.to_ascii_lowercase()).is_some()
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Family, &str, &T)> {
        self.families.iter().flat_map(|(&family, entries)| {
            entries.known.iter().map(move |(name, t)| (family, name.as_str(), t))
        })
    }

    /// All other names, each with the one it stands for.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (Family, &str, &str)> {
        self.families.iter().flat_map(|(&family, entries)| {
            entries.aliases.iter().map(move |(alias, name)| (family, alias.as_str(), name.as_str()))
        })
    }
}

/// A name, whose it is, and who sells it under that name.
#[derive(Clone, Copy)]
struct Found<'a> {
    family: Family,
    name: &'a str,
    terms: Terms,
}

impl Found<'_> {
    /// Without what a host puts before a model's name. `None` when there is
    /// nothing of the kind.
    fn without_prefix(self) -> Option<Self> {
        let Self { family, name, .. } = self;
        if let Some(tuned) = name.strip_prefix("ft:") {
            let name = tuned.split(':').next().unwrap_or(tuned);
            return Some(Self { family, name, terms: Terms::Other });
        }
        if let Some((_, path)) = name.split_once("publishers/") {
            let (vendor, name) = path.split_once("/models/")?;
            return Some(Self { family: vendor_family(vendor)?, name, terms: Terms::Vendor });
        }
        if let Some(name) = name.strip_prefix("models/") {
            return Some(Self { family, name, terms: Terms::Vendor });
        }
        if let Some((vendor, name)) = name.split_once('/') {
            return Some(Self { family: vendor_family(vendor)?, name, terms: Terms::Vendor });
        }
        // Bedrock: `us.anthropic.claude-...`. Its global endpoints cost what the
        // vendor asks; a region costs a tenth more with newer models.
        let (first, rest) = name.split_once('.')?;
        if let Some(family) = vendor_family(first) {
            return Some(Self { family, name: rest, terms: Terms::Other });
        }
        let (vendor, name) = rest.split_once('.')?;
        let terms = if first == "global" { Terms::Vendor } else { Terms::Other };
        BEDROCK_REGIONS.contains(&first).then_some(Self { family: vendor_family(vendor)?, name, terms })
    }
}

const BEDROCK_REGIONS: [&str; 9] = ["global", "us", "eu", "apac", "au", "ca", "jp", "sa", "us-gov"];

fn vendor_family(vendor: &str) -> Option<Family> {
    match vendor {
        "anthropic" => Some(Family::Anthropic),
        "google" => Some(Family::Google),
        "openai" => Some(Family::OpenAi),
        _ => None,
    }
}

/// The name without its last mark of a version. Only marks that cannot be the
/// name of another model: dates, `latest`, revisions.
fn without_suffix(family: Family, name: &str) -> Option<&str> {
    if let Some((base, tail)) = name.rsplit_once('@') {
        return (matches!(tail, "default" | "latest") || is_day(tail)).then_some(base);
    }
    if let Some((base, revision)) = name.rsplit_once("-v") {
        // Bedrock: `-v1:0`. Anthropic's own revisions of 3.5 Sonnet: `-v2`.
        let (major, minor) = revision.split_once(':').unwrap_or((revision, "0"));
        let known = revision.contains(':') || family == Family::Anthropic;
        if known && digits(major, 1..=2) && digits(minor, 1..=2) {
            return Some(base);
        }
    }
    if let Some(base) = name.strip_suffix("-latest") {
        return Some(base);
    }
    let (base, last) = name.rsplit_once('-')?;
    if is_day(last) {
        return Some(base);
    }
    let dated = name.len().checked_sub("-2025-04-14".len()).and_then(|at| name.split_at_checked(at));
    if let Some((base, day)) = dated
        && day.strip_prefix('-').is_some_and(|day| day.parse::<super::Date>().is_ok())
    {
        return Some(base);
    }
    if let Some((base, since)) = name.rsplit_once("-preview-") {
        let (month, rest) = since.split_once('-')?;
        return (number(month, 2, 1..=12) && (number(rest, 2, 1..=31) || number(rest, 4, 2020..=2099)))
            .then_some(base);
    }
    (family == Family::Google && digits(last, 3..=3)).then_some(base)
}

/// Eight digits that are a day: `20250929`.
fn is_day(text: &str) -> bool {
    match (text.get(..4), text.get(4..6), text.get(6..)) {
        (Some(year), Some(month), Some(day)) => {
            format!("{year}-{month}-{day}").parse::<super::Date>().is_ok()
        }
        _ => false,
    }
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str, length: usize, range: std::ops::RangeInclusive<u16>) -> bool {
    digits(text, length..=length) && text.parse().is_ok_and(|number| range.contains(&number))
}

#[cfg(test)]
mod tests;
