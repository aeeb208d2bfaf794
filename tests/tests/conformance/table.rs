//! How the cases went, by provider and feature.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::corpus::Case;

#[derive(Default)]
pub(crate) struct Table {
    providers: BTreeMap<&'static str, BTreeMap<String, Row>>,
    explained: BTreeSet<String>,
    cases: usize,
}

#[derive(Default)]
struct Row {
    cases: usize,
    failed: usize,
    explained: usize,
}

impl Table {
    pub(crate) fn cases(&self) -> usize {
        self.cases
    }

    /// Counts a case, and what is known to differ in it.
    pub(crate) fn add(&mut self, case: &Case, failed: bool, explained: Vec<String>) {
        self.cases += 1;
        let rows = self.providers.entry(case.provider).or_default();
        let features = case.meta["features"].as_array().into_iter().flatten();
        let features = features.filter_map(|feature| feature.as_str()).map(str::to_owned);
        let all = ["(all)".to_owned(), format!("({})", case.meta("kind"))];
        for feature in features.chain(all) {
            let row = rows.entry(feature).or_default();
            row.cases += 1;
            row.failed += usize::from(failed);
            row.explained += usize::from(!failed && !explained.is_empty());
        }
        for difference in explained {
            self.explained.insert(format!("{}/{}: {difference}", case.provider, case.name));
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18}{:<48}{:>6}{:>8}{:>8}{:>8}",
            "provider", "feature", "cases", "passed", "known", "failed"
        )?;
        for (provider, rows) in &self.providers {
            for (feature, row) in rows {
                let passed = row.cases - row.failed - row.explained;
                let Row { cases, explained, failed } = row;
                writeln!(f, "{provider:<18}{feature:<48}{cases:>6}{passed:>8}{explained:>8}{failed:>8}")?;
            }
        }
        self.explained.iter().try_for_each(|difference| writeln!(f, "known: {difference}"))
    }
}
