//! The last scene: what people ask after an incident, answered from the file.

use leverframe_router::{
    NanoDollars, Outcome, Record, Timestamp,
    store::{Query, Reader},
};

use crate::{
    chain,
    show::{self, Problem},
};

pub(super) fn ask(log: &Reader) -> Result<(), Problem> {
    show::scene(
        7,
        "What did it cost, what failed and why, and why did this request go there?",
        "Answered from the log's file, where every request was written when it was sent and when it was over.",
    );
    let failed = records(log.failed(None, 5).map_err(|error| chain(&error))?.records)?;
    let newest = records(log.newest(&Query::all(), None, 100).map_err(|error| chain(&error))?.records)?;
    let Some(now) = newest.iter().map(|record| record.ended_at).max() else { return Ok(()) };
    costs(log, now)?;
    for record in &failed {
        if let Outcome::Failed { code, message, .. } = &record.outcome {
            show::bad(&format!("{} failed, {code}: {message}", record.model));
        }
    }
    // The one that took the most attempts has the most to tell.
    if let Some(record) = newest.iter().max_by_key(|record| record.attempts.len()) {
        record.explain().to_string().lines().for_each(show::note);
    }
    Ok(())
}

/// A line for each provider and model.
fn costs(log: &Reader, now: Timestamp) -> Result<(), Problem> {
    for place in log.success_rates(now).map_err(|error| chain(&error))? {
        let seen = &place.rollup;
        if place.provider.is_empty() {
            continue;
        }
        let cost = NanoDollars::new(seen.cost_nanos.saturating_add(seen.estimated_cost_nanos));
        let answered =
            seen.success_rate().map_or_else(String::new, |rate| format!("{:.0} % answered, ", rate * 100.0));
        let unknown = match seen.unpriced {
            0 => String::new(),
            attempts => format!(", and what {attempts} attempts cost is not known"),
        };
        show::good(&format!(
            "{} {}: {} ended here, {answered}{} attempts, {} tokens in, {} out, {cost}{unknown}",
            place.provider, place.model, seen.requests, seen.attempts, seen.input_tokens, seen.output_tokens
        ));
    }
    Ok(())
}

/// The records of a page; one that cannot be read is what is told.
pub(super) fn records<E: std::error::Error>(page: Vec<Result<Record, E>>) -> Result<Vec<Record>, Problem> {
    page.into_iter().collect::<Result<_, _>>().map_err(|error| chain(&error))
}
