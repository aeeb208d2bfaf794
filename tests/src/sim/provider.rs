//! A provider: takes requests, decides what becomes of them, counts.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use leverframe_router::{Carriage, Carrier, CarrierError};
use tokio::time::Instant;

use super::{
    exchange::{Course, Exchange},
    ledger::{Departures, lock},
    limiter::Limiter,
    script::{Fault, Script},
    wire::{Wire, find},
};

/// What precedes a call's number in its question.
pub(super) const MARK: &str = "call-";

/// A request that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When, since the world's beginning.
    pub at: Duration,
    /// The number of the call it was sent for.
    pub call: Option<u64>,
    /// What became of it, but for good.
    pub fault: Option<Fault>,
}

/// An exchange that was dropped though its caller was waiting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropped {
    /// When, since the world's beginning.
    pub at: Duration,
    /// The number of the call.
    pub call: Option<u64>,
}

/// What a provider has seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Every request, in order.
    pub arrivals: Vec<Arrival>,
    /// Answers that were handed over whole.
    pub answered: u64,
    /// Requests beyond the provider's limit.
    pub refused: u64,
    /// Exchanges that ended in another fault.
    pub failed: u64,
    /// Exchanges that are under way.
    pub open: u64,
    /// Most exchanges that ever were under way together.
    pub most_open: u64,
    /// Exchanges that were dropped because their caller had left.
    pub cancelled: u64,
    /// Exchanges that were dropped though their caller was waiting: too slow,
    /// or lost to a hedge.
    pub abandoned: Vec<Dropped>,
    /// The longest it took from a caller's leaving to the drop.
    pub noticed_within: Duration,
    /// Requests that came in after their caller had left.
    pub too_late: u64,
}

impl Counts {
    /// Requests by minute since the world's beginning.
    pub fn by_minute(&self) -> Vec<u64> {
        let mut minutes = Vec::new();
        for arrival in &self.arrivals {
            let minute = (arrival.at.as_secs() / 60) as usize;
            minutes.resize(minutes.len().max(minute + 1), 0);
            minutes[minute] += 1;
        }
        minutes
    }
}

/// A provider that plays its script.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) script: Script,
    pub(super) wire: Wire,
    born: Instant,
    departures: Arc<Departures>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counts: Counts,
    limiter: Limiter,
    rng: fastrand::Rng,
}

/// How an exchange was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Answered,
    Refused,
    Failed,
    /// The client let go of it.
    Dropped,
}

impl Scripted {
    pub(super) fn new(script: Script, seed: u64, born: Instant, departures: Arc<Departures>) -> Self {
        let state =
            State { counts: Counts::default(), limiter: Limiter::new(), rng: fastrand::Rng::with_seed(seed) };
        let wire = Wire::new(script.dialect, script.model);
        Self { script, wire, born, departures, state: Mutex::new(state) }
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.state).counts.clone()
    }

    /// Takes a request in and decides what becomes of it.
    fn take(self: &Arc<Self>, request: &http::Request<Bytes>) -> Course {
        let call = number(request.body());
        let now = self.born.elapsed();
        let mut state = lock(&self.state);
        let State { counts, limiter, rng } = &mut *state;
        let (behaviour, certain) = self.script.at(now);
        let fault = certain.or_else(|| behaviour.draw_fault(rng));
        // What breaks by itself is not counted against the limit.
        let wait = behaviour
            .limit
            .filter(|_| fault.is_none())
            .and_then(|limit| limiter.take(limit, now).err())
            .map(|wait| Fault::RateLimited { wait, hint: behaviour.hint });
        counts.arrivals.push(Arrival { at: now, call, fault: wait.or(fault) });
        counts.open += 1;
        counts.most_open = counts.most_open.max(counts.open);
        counts.too_late += u64::from(call.is_some_and(|call| self.departures.left_at(call).is_some()));
        Course {
            streamed: self.wire.is_streamed(request),
            fault: wait.or(fault),
            over_limit: wait.is_some(),
            report: behaviour
                .limit
                .filter(|_| behaviour.reports_limit)
                .map(|limit| limiter.report(limit, now)),
            factor: behaviour.draw_factor(rng),
            headers: behaviour.headers.draw(rng),
            first_token: behaviour.first_token.draw(rng),
            token: behaviour.token,
            tokens: behaviour.tokens,
            refusal: behaviour.refusal.draw(rng),
            rng: rng.fork(),
            exchange: Exchange::new(Arc::clone(self), call),
        }
    }

    /// An exchange is over.
    pub(super) fn over(&self, call: Option<u64>, end: End) {
        let left_at = call.and_then(|call| self.departures.left_at(call));
        let counts = &mut lock(&self.state).counts;
        counts.open -= 1;
        match (end, left_at) {
            (End::Answered, _) => counts.answered += 1,
            (End::Refused, _) => counts.refused += 1,
            (End::Failed, _) => counts.failed += 1,
            (End::Dropped, None) => counts.abandoned.push(Dropped { at: self.born.elapsed(), call }),
            (End::Dropped, Some(left_at)) => {
                counts.cancelled += 1;
                counts.noticed_within = counts.noticed_within.max(left_at.elapsed());
            }
        }
    }
}

/// The number of the call a question belongs to.
fn number(body: &[u8]) -> Option<u64> {
    let digits = body.get(find(body, MARK.as_bytes())? + MARK.len()..)?;
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))))
}

/// All providers, by their hosts.
pub(super) struct Internet(pub(super) Vec<Arc<Scripted>>);

impl fmt::Debug for Internet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|provider| provider.script.name)).finish()
    }
}

impl Carrier for Internet {
    fn carry(&self, request: http::Request<Bytes>) -> Carriage {
        let name = request.uri().host().and_then(|host| host.strip_suffix(".test"));
        match self.0.iter().find(|provider| Some(provider.script.name) == name) {
            Some(provider) => Box::pin(provider.take(&request).answer()),
            None => Box::pin(async { Err(CarrierError::Connect("no such host".into())) }),
        }
    }
}
