//! The catalog itself: ours, a caller's, and one laid over the other.

use std::sync::LazyLock;

use super::{
    Amount, Capabilities, CatalogError, Cost, Date, Price, Unpriced,
    file::{self, Entry},
    names::{Names, Terms},
};
use crate::{
    model::{Family, Usage},
    time::Timestamp,
};

/// What is known of models.
#[derive(Clone, Debug)]
pub struct Catalog {
    capabilities: Names<Capabilities>,
    prices: PriceTable,
}

impl Catalog {
    /// The one that comes with this crate.
    pub fn builtin() -> &'static Self {
        // A test reads the file; if it could not be read, nothing would be known.
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            Catalog::parse(include_str!("../../data/models.json")).unwrap_or_else(|_| Catalog::empty())
        });
        &BUILTIN
    }

    /// One that knows nothing.
    pub fn empty() -> Self {
        Self { capabilities: Names::default(), prices: PriceTable::empty(Date::EPOCH) }
    }

    /// Reads a catalog in the format of `data/models.json`.
    ///
    /// # Errors
    /// [`CatalogError`] names the entry that is wrong.
    pub fn parse(json: &str) -> Result<Self, CatalogError> {
        let (as_of, entries) = file::read(json)?;
        let mut catalog = Self { prices: PriceTable::empty(as_of), ..Self::empty() };
        for Entry { family, spelled, model, aliases, capabilities, prices } in entries {
            let taken = aliases.iter().chain([&model]).find(|name| catalog.capabilities.has(family, name));
            if let Some(name) = taken.cloned() {
                let why = format!("another model is called {name:?} as well");
                return Err(CatalogError::Entry { family: spelled, model, why });
            }
            *catalog.capabilities.entry(family, &model) = capabilities;
            *catalog.prices.prices.entry(family, &model) = prices;
            for alias in &aliases {
                catalog.capabilities.alias(family, alias, &model);
                catalog.prices.prices.alias(family, alias, &model);
            }
        }
        Ok(catalog)
    }

    /// This catalog, corrected by another. Its prices replace ours model by
    /// model; of its capabilities, each fact replaces ours.
    #[must_use]
    pub fn overlaid(mut self, other: &Self) -> Self {
        for (family, alias, model) in other.capabilities.aliases() {
            self.capabilities.alias(family, alias, model);
        }
        for (family, model, facts) in other.capabilities.iter() {
            let entry = self.capabilities.entry(family, model);
            *entry = facts.clone().over(entry);
        }
        self.prices = self.prices.overlaid(&other.prices);
        self
    }

    /// What is known of a model's abilities. `None`: it is not known at all.
    pub fn capabilities(&self, family: Family, model: &str) -> Option<&Capabilities> {
        self.capabilities.find(family, model).map(|(capabilities, _)| capabilities)
    }

    /// What models cost.
    pub fn prices(&self) -> &PriceTable {
        &self.prices
    }
}

/// What models cost.
#[derive(Clone, Debug)]
pub struct PriceTable {
    as_of: Date,
    /// In the order in which they end.
    prices: Names<Vec<Price>>,
}

impl PriceTable {
    /// Without prices.
    pub fn empty(as_of: Date) -> Self {
        Self { as_of, prices: Names::default() }
    }

    /// The prices that come with this crate.
    pub fn builtin() -> &'static Self {
        &Catalog::builtin().prices
    }

    /// When it was made. Each price has a date of its own.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// This table with another price for a model, instead of all it had.
    #[must_use]
    pub fn with(mut self, family: Family, model: &str, price: Price) -> Self {
        *self.prices.entry(family, model) = vec![price];
        self
    }

    /// This table, corrected by another, model by model. A model without a
    /// price there keeps the one it has here.
    #[must_use]
    pub fn overlaid(mut self, other: &Self) -> Self {
        for (family, alias, model) in other.prices.aliases() {
            self.prices.alias(family, alias, model);
        }
        for (family, model, prices) in other.prices.iter().filter(|(_, _, prices)| !prices.is_empty()) {
            prices.clone_into(self.prices.entry(family, model));
        }
        self.as_of = self.as_of.max(other.as_of);
        self
    }

    /// The price of a model on a day. `None` when it has none, or had one that
    /// ended.
    pub fn lookup(&self, family: Family, model: &str, at: Timestamp) -> Option<&Price> {
        let (prices, terms) = self.prices.find(family, model)?;
        let today = Date::of(at);
        prices
            .iter()
            .filter(|_| terms == Terms::Vendor)
            .find(|price| price.until().is_none_or(|last_day| today <= last_day))
    }

    /// What a usage cost. See [`Price::cost`]; a model without a price has an
    /// unknown cost, even if it used nothing.
    pub fn cost(
        &self,
        family: Family,
        model: &str,
        service: Option<&str>,
        at: Timestamp,
        usage: &Usage,
    ) -> Cost {
        match self.lookup(family, model, at) {
            Some(price) => Cost { amount: price.cost(usage, service), as_of: price.as_of() },
            None => Cost { amount: Amount::Unknown(Unpriced::Model), as_of: self.as_of },
        }
    }
}

#[cfg(test)]
mod tests;
