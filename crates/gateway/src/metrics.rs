//! What Prometheus is told.
//!
//! Counters and histograms are kept as requests happen; what is a state (open
//! breakers, limits, the log) is asked for when it is scraped.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use leverframe_router::{
    Amount, Attempt, BreakerState, Observer, Outcome, Record, Route, Router, TurnedAway, store::Log,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Most models that are told apart. Names are of callers' making, and a series
/// for each would be without end.
const MOST_MODELS: usize = 500;

/// What models beyond that are called.
const OTHERS: &str = "(others)";

/// Upper bounds of histograms, in seconds.
const SECONDS: [f64; 14] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    provider: String,
    model: String,
    /// `ok`, or the code it failed with.
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Counted {
    provider: String,
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    provider: String,
    model: String,
    guard: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    provider: String,
    key: String,
    model: String,
    limit: String,
}

type Counters<L> = Family<L, Counter>;
type Dollars = Family<Place, Counter<f64, AtomicU64>>;
type Seconds = Family<Place, Histogram, fn() -> Histogram>;

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Counts what a router does. To be given to it as an [`Observer`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    models: Mutex<HashSet<String>>,
    requests: Counters<Ended>,
    attempts: Counters<Ended>,
    tokens: Counters<Counted>,
    cost: Dollars,
    unpriced: Counters<Place>,
    refusals: Counters<Refused>,
    breakers: Counters<Counted>,
    duration: Seconds,
    first_token: Seconds,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("leverframe");
        let (requests, attempts) = (Counters::default(), Counters::default());
        let (tokens, cost, unpriced) = (Counters::default(), Dollars::default(), Counters::default());
        let (refusals, breakers) = (Counters::default(), Counters::default());
        let duration = Seconds::new_with_constructor(histogram as fn() -> Histogram);
        let first_token = Seconds::new_with_constructor(histogram as fn() -> Histogram);
        registry.register("requests", "Requests that are over, where they ended", requests.clone());
        registry.register("attempts", "Attempts that were sent and are over", attempts.clone());
        registry.register("tokens", "Tokens, by what they were used for", tokens.clone());
        registry.register("cost_dollars", "Money, by the prices at hand", cost.clone());
        registry.register("unpriced_attempts", "Attempts that cost nobody knows how much", unpriced.clone());
        registry.register("refusals", "Attempts that a guard turned away", refusals.clone());
        registry.register("breaker_changes", "Changes of breakers, by what they became", breakers.clone());
        registry.register("request_duration_seconds", "How long answered requests took", duration.clone());
        registry.register("first_token_seconds", "How long streams took to begin", first_token.clone());
        Self {
            registry,
            models: Mutex::default(),
            requests,
            attempts,
            tokens,
            cost,
            unpriced,
            refusals,
            breakers,
            duration,
            first_token,
        }
    }

    /// All of it, with how a router and its log stand, in the OpenMetrics text format.
    pub fn text(&self, router: &Router, log: Option<&Log>) -> String {
        let mut text = String::new();
        let states = states(router, log);
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        let end = text.strip_suffix("# EOF\n").map_or(text.len(), str::len);
        text.truncate(end);
        let _ = encode(&mut text, &states);
        text
    }

    fn place(&self, provider: &str, model: &str) -> Place {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let known = models.contains(model) || (models.len() < MOST_MODELS && models.insert(model.to_owned()));
        Place {
            provider: provider.to_owned(),
            model: if known { model.to_owned() } else { OTHERS.to_owned() },
        }
    }

    fn attempt(&self, attempt: &Attempt) {
        let place = self.place(attempt.provider.as_str(), &attempt.model);
        let outcome = attempt.failure.as_ref().map_or("ok", |failure| failure.kind.code().as_str());
        self.attempts.get_or_create(&ended(&place, outcome)).inc();
        let usage = &attempt.usage;
        for (kind, tokens) in [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write_short.plus(usage.cache_write_long)),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
            ("audio", usage.audio_input.plus(usage.audio_output)),
        ] {
            if let Some(tokens) = tokens.value().filter(|tokens| *tokens > 0) {
                let Place { provider, model } = place.clone();
                self.tokens.get_or_create(&Counted { provider, model, kind }).inc_by(tokens);
            }
        }
        match attempt.cost.map(|cost| cost.amount) {
            Some(Amount::Exact(nanos) | Amount::Estimated(nanos)) => {
                self.cost.get_or_create(&place).inc_by(nanos.get() as f64 / 1e9);
            }
            Some(Amount::Unknown(_)) => {
                self.unpriced.get_or_create(&place).inc();
            }
            None => {}
        }
    }
}

fn ended(place: &Place, outcome: &'static str) -> Ended {
    Ended { provider: place.provider.clone(), model: place.model.clone(), outcome }
}

impl Observer for Metrics {
    fn first_token(&self, route: &Route, after: Duration) {
        let place = self.place(route.provider.as_str(), &route.model);
        self.first_token.get_or_create(&place).observe(after.as_secs_f64());
    }

    fn turned_away(&self, route: &Route, refusal: &TurnedAway) {
        let Place { provider, model } = self.place(route.provider.as_str(), &route.model);
        self.refusals.get_or_create(&Refused { provider, model, guard: refusal.by.to_string() }).inc();
    }

    fn breaker_changed(&self, route: &Route, _: BreakerState, to: BreakerState) {
        let Place { provider, model } = self.place(route.provider.as_str(), &route.model);
        let kind = match to {
            BreakerState::Closed => "closed",
            BreakerState::Open(_) => "open",
            BreakerState::HalfOpen => "half-open",
        };
        self.breakers.get_or_create(&Counted { provider, model, kind }).inc();
    }

    fn request_ended(&self, record: &Record) {
        record.attempts.iter().filter(|attempt| attempt.sent).for_each(|attempt| self.attempt(attempt));
        let last = record.answered().or_else(|| record.attempts.iter().rev().find(|attempt| attempt.sent));
        let place = match last {
            Some(attempt) => self.place(attempt.provider.as_str(), &attempt.model),
            None => self.place("", &record.model),
        };
        let outcome = match &record.outcome {
            Outcome::Completed { .. } => "ok",
            Outcome::Failed { code, .. } => code.as_str(),
            Outcome::Abandoned => "abandoned",
        };
        self.requests.get_or_create(&ended(&place, outcome)).inc();
        if matches!(record.outcome, Outcome::Completed { .. }) {
            self.duration.get_or_create(&place).observe(record.duration().as_secs_f64());
        }
    }
}

/// How a router and its log stand now.
fn states(router: &Router, log: Option<&Log>) -> Registry {
    type Gauges<L> = Family<L, Gauge<i64, AtomicI64>>;
    let mut registry = Registry::with_prefix("leverframe");
    let (open, in_flight): (Gauges<Place>, Gauges<Place>) = Default::default();
    registry.register("breaker_open", "1 while a route's breaker lets nothing through", open.clone());
    registry.register("in_flight", "Requests under way", in_flight.clone());
    let mut known = HashSet::new();
    for route in router.routes() {
        let Some(model) = route.model else { continue };
        let model = match known.len() < MOST_MODELS || known.contains(&model) {
            true => model,
            false => OTHERS.to_owned(),
        };
        known.insert(model.clone());
        let place = Place { provider: route.provider.to_string(), model };
        let is_open = i64::from(matches!(route.breaker, BreakerState::Open(_)));
        let gauge = open.get_or_create_owned(&place);
        gauge.set(gauge.get().max(is_open));
        in_flight.get_or_create_owned(&place).inc_by(i64::from(route.in_flight));
    }
    let (used, capacity): (Gauges<Limited>, Gauges<Limited>) = Default::default();
    registry.register("limit_used", "How much of a limit is used", used.clone());
    registry.register("limit_capacity", "How much of a limit there is", capacity.clone());
    let memory = router.memory();
    for one in memory.guards.iter().take(MOST_MODELS) {
        for limit in &one.guards.limits {
            let Some(most) = limit.capacity else { continue };
            let place = Limited {
                provider: one.provider.to_string(),
                key: one.key.to_string(),
                model: one.model.clone().unwrap_or_default(),
                limit: limit.kind.to_string(),
            };
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            used.get_or_create_owned(&place).set(whole(limit.used(memory.at)));
            capacity.get_or_create_owned(&place).set(whole(most));
        }
    }
    if let Some(log) = log {
        of_log(&mut registry, log);
    }
    registry
}

fn of_log(registry: &mut Registry, log: &Log) {
    let health = log.health();
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge: Gauge<i64, AtomicI64> = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("log_failing", "1 while the log cannot be written", u64::from(health.failing));
    gauge("log_waiting", "Starts and records that wait to be written", health.waiting);
    gauge("log_written", "Records written since the start", health.written);
    gauge("log_shed", "Starts and records that were dropped for want of room", health.shed);
}

/// What the server needs to answer `/metrics`.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// The log, if one is kept.
    pub log: Option<Arc<Log>>,
}
