//! How a provider behaves, and how that changes over time.

use std::{ops::Range, time::Duration};

use leverframe_router::{Dialect, Provider};

use super::{Latency, Limit};

/// What goes wrong with one exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// 500.
    Server,
    /// 529, or 503 where the provider has no 529.
    Overloaded,
    /// 429, though no limit was passed.
    RateLimited {
        /// When to come back.
        wait: Duration,
        /// Where that is said.
        hint: Hint,
    },
    /// Nobody listens.
    ConnectionRefused,
    /// Packets vanish: no connection within five seconds.
    ConnectTimeout,
    /// The connection breaks before the headers.
    Reset,
    /// The connection breaks after so many tokens.
    ResetAfter(usize),
    /// The answer ends after so many tokens as if it were whole.
    TruncatedAfter(usize),
    /// The headers never come.
    Hang,
    /// Nothing comes after so many tokens.
    HangAfter(usize),
    /// Token after token at this pace, without end.
    Drip(Duration),
}

/// Where a refusal says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nowhere.
    Silent,
    /// In `retry-after`.
    RetryAfter,
    /// In the headers on limits and their resets. Gemini, which has none, puts
    /// every hint into the body.
    ResetHeaders,
}

/// Some exchanges are much slower than the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stragglers {
    /// How many, from 0 to 1.
    pub share: f64,
    /// How much slower.
    pub factor: f64,
}

/// How a provider behaves as long as it does not change.
///
/// A streamed answer's headers come after `headers`, its first token
/// `first_token` later, the others each after a `token`. An answer that is not
/// streamed takes as long in all and then comes at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// From the request to the headers.
    pub headers: Latency,
    /// From the headers to the first token.
    pub first_token: Latency,
    /// Between two tokens.
    pub token: Latency,
    /// How many tokens an answer has.
    pub tokens: usize,
    /// From the request to an answer that says no, or to a connection's end.
    pub refusal: Latency,
    /// What goes wrong how often: shares of all exchanges, at most 1 together.
    pub faults: Vec<(f64, Fault)>,
    /// Who is slow.
    pub stragglers: Option<Stragglers>,
    /// How much it takes.
    pub limit: Option<Limit>,
    /// Whether good answers say what the limit is and what is left of it.
    pub reports_limit: bool,
    /// Where it says when to come back once the limit is passed.
    pub hint: Hint,
}

impl Default for Behaviour {
    /// Healthy: headers after about 150 ms, the first token 250 ms later, four
    /// tokens 20 ms apart.
    fn default() -> Self {
        Self {
            headers: Latency::lognormal(150, 600),
            first_token: Latency::lognormal(250, 1500),
            token: Latency::lognormal(20, 80),
            tokens: 4,
            refusal: Latency::lognormal(40, 200),
            faults: Vec::new(),
            stragglers: None,
            limit: None,
            reports_limit: true,
            hint: Hint::RetryAfter,
        }
    }
}

impl Behaviour {
    /// With this fault in this share of the exchanges, from 0 to 1.
    #[must_use]
    pub fn with_fault(mut self, share: f64, fault: Fault) -> Self {
        self.faults.push((share, fault));
        self
    }

    /// What goes wrong this time, if anything does.
    pub(super) fn draw_fault(&self, rng: &mut fastrand::Rng) -> Option<Fault> {
        if self.faults.is_empty() {
            return None;
        }
        let mut drawn = rng.f64();
        self.faults.iter().find_map(|(share, fault)| {
            drawn -= share;
            (drawn < 0.0).then_some(*fault)
        })
    }

    /// By how much this exchange is slower.
    pub(super) fn draw_factor(&self, rng: &mut fastrand::Rng) -> f64 {
        match self.stragglers {
            Some(Stragglers { share, factor }) if rng.f64() < share => factor,
            _ => 1.0,
        }
    }
}

/// A time in which everything fails alike, on and off.
#[derive(Clone, Debug)]
struct Spell {
    during: Range<Duration>,
    period: Duration,
    /// How long it lasts in each period.
    down: Duration,
    fault: Fault,
}

impl Spell {
    fn is_on(&self, now: Duration) -> bool {
        let into = now.saturating_sub(self.during.start).as_nanos() % self.period.as_nanos().max(1);
        self.during.contains(&now) && into < self.down.as_nanos()
    }
}

/// One provider and what it does when. Times count from the world's beginning.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) name: &'static str,
    pub(super) dialect: Dialect,
    pub(super) model: &'static str,
    pub(super) provider: Provider,
    /// From when it behaves how, in order. The first from the beginning.
    changes: Vec<(Duration, Behaviour)>,
    spells: Vec<Spell>,
}

impl Script {
    /// A healthy Anthropic, `claude`.
    pub fn anthropic() -> Self {
        let provider = Provider::anthropic("simulated").base_url("https://claude.test");
        Self::new("claude", Dialect::Anthropic, "claude-sonnet-5", provider)
    }

    /// A healthy Gemini, `gemini`.
    pub fn gemini() -> Self {
        let provider = Provider::gemini("simulated").base_url("https://gemini.test");
        Self::new("gemini", Dialect::Gemini, "gemini-3.6-flash", provider)
    }

    /// A healthy OpenAI, `openai`.
    pub fn openai() -> Self {
        let provider = Provider::openai("simulated").base_url("https://openai.test/v1");
        Self::new("openai", Dialect::OpenAiChat, "gpt-4.1-mini", provider)
    }

    fn new(name: &'static str, dialect: Dialect, model: &'static str, provider: Provider) -> Self {
        let changes = vec![(Duration::ZERO, Behaviour::default())];
        let provider = provider.default_model(model);
        Self { name, dialect, model, provider, changes, spells: Vec::new() }
    }

    /// Behaves like this, from the beginning or from its last change on.
    #[must_use]
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        if let Some((_, last)) = self.changes.last_mut() {
            *last = behaviour;
        }
        self
    }

    /// Behaves like this from then on.
    ///
    /// # Panics
    /// When there is a later change already.
    #[must_use]
    pub fn from(mut self, at: Duration, behaviour: Behaviour) -> Self {
        assert!(self.changes.last().is_none_or(|(last, _)| *last < at), "changes come in order");
        self.changes.push((at, behaviour));
        self
    }

    /// Everything that begins in this time fails like this.
    #[must_use]
    pub fn outage(self, during: Range<Duration>, fault: Fault) -> Self {
        let length = during.end.saturating_sub(during.start);
        self.flapping(during, length, 1.0, fault)
    }

    /// In this time everything fails like this for a share of each period, at its beginning.
    #[must_use]
    pub fn flapping(mut self, during: Range<Duration>, period: Duration, down: f64, fault: Fault) -> Self {
        self.spells.push(Spell { during, period, down: period.mul_f64(down), fault });
        self
    }

    /// Changes how the router is told of the provider.
    #[must_use]
    pub fn configured(mut self, change: impl FnOnce(Provider) -> Provider) -> Self {
        self.provider = change(self.provider);
        self
    }

    /// How it behaves then, and what fails for certain.
    pub(super) fn at(&self, now: Duration) -> (&Behaviour, Option<Fault>) {
        let nth = self.changes.partition_point(|(from, _)| *from <= now);
        // The first change is at zero, so there is always one before.
        let behaviour = &self.changes[nth.saturating_sub(1)].1;
        (behaviour, self.spells.iter().find(|spell| spell.is_on(now)).map(|spell| spell.fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn changes_and_spells_hold_when_they_say() {
        let slow = Behaviour { headers: Latency::millis(9000), ..Behaviour::default() };
        let script = Script::openai()
            .from(secs(100), slow.clone())
            .outage(secs(10)..secs(20), Fault::Hang)
            .flapping(secs(50)..secs(70), secs(10), 0.3, Fault::Server);
        let cases = [
            (0, None),
            (10, Some(Fault::Hang)),
            (19, Some(Fault::Hang)),
            (20, None),
            (50, Some(Fault::Server)),
            (52, Some(Fault::Server)),
            (53, None),
            (62, Some(Fault::Server)),
            (63, None),
            (70, None),
        ];
        for (at, fault) in cases {
            assert_eq!(script.at(secs(at)), (&Behaviour::default(), fault), "at {at} s");
        }
        assert_eq!(script.at(secs(99)).0, &Behaviour::default());
        assert_eq!(script.at(secs(100)).0, &slow);
    }

    #[test]
    fn faults_come_in_their_shares() {
        let behaviour = Behaviour::default().with_fault(0.2, Fault::Server).with_fault(0.1, Fault::Hang);
        let mut rng = fastrand::Rng::with_seed(3);
        let drawn: Vec<_> = (0..100_000).map(|_| behaviour.draw_fault(&mut rng)).collect();
        for (fault, share) in [(Some(Fault::Server), 0.2), (Some(Fault::Hang), 0.1), (None, 0.7)] {
            let found = drawn.iter().filter(|drawn| **drawn == fault).count() as f64 / 100_000.0;
            assert!((found - share).abs() < 0.01, "{fault:?}: {found}");
        }
    }
}
