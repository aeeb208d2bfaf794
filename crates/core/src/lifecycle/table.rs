//! The transition rules as constant data.
//!
//! The same 26 rules that `transition` states as types. A test asserts at
//! compile time that the two agree on all pairs.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::EventKind;

/// The eight states by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// Nothing is asked for.
    Idle,
    /// A route was chosen; the request is being checked for it.
    Validating,
    /// The request is valid and about to be sent, or out and unanswered.
    Requesting,
    /// The answer is arriving.
    Streaming,
    /// A limit was hit; there is an instant from which it may go on.
    RateLimited,
    /// It may be sent again on the same route.
    Retrying,
    /// The answer is whole.
    Completed,
    /// It failed.
    Failed,
}

impl StateKind {
    /// All states, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Validating,
        Self::Requesting,
        Self::Streaming,
        Self::RateLimited,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
    ];
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A state with its two refinements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    /// Which of the eight.
    pub kind: StateKind,
    /// Whether it was sent. Only ever true in `Requesting`.
    pub sent: bool,
    /// Whether the caller has seen any of the answer.
    pub seen: bool,
}

impl State {
    /// Where every request begins.
    pub const IDLE: Self = Self { kind: StateKind::Idle, sent: false, seen: false };

    /// Whether nothing but settling and starting over can follow, short of a fallback.
    pub const fn is_terminal(self) -> bool {
        matches!(self.kind, StateKind::Completed | StateKind::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.sent) {
            (StateKind::Requesting, true) => f.write_str("Requesting (Sent)")?,
            (StateKind::Requesting, false) => f.write_str("Requesting (Ready)")?,
            (kind, _) => write!(f, "{kind}")?,
        }
        if self.seen { f.write_str(", seen") } else { Ok(()) }
    }
}

/// One row of the transition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number, from 1.
    pub number: u8,
    /// The state it starts from.
    pub from: StateKind,
    /// Which half of `Requesting` it starts from; `None` for either.
    pub sent: Option<bool>,
    /// Whether it needs the answer to be unseen or seen; `None` for either.
    pub seen: Option<bool>,
    /// What happens.
    pub event: EventKind,
    /// The state it leads to.
    pub to: StateKind,
    /// What the event must carry.
    pub evidence: &'static str,
}

impl Rule {
    const fn allows(&self, from: State, event: EventKind) -> bool {
        self.event as u8 == event as u8
            && self.from as u8 == from.kind as u8
            && agrees(self.sent, from.sent)
            && agrees(self.seen, from.seen)
    }

    const fn lead(&self, from: State) -> State {
        State {
            kind: self.to,
            sent: matches!(self.event, EventKind::SendRequest),
            seen: from.seen && !matches!(self.event, EventKind::Reset),
        }
    }
}

const fn agrees(wanted: Option<bool>, is: bool) -> bool {
    match wanted {
        Some(wanted) => wanted == is,
        None => true,
    }
}

/// The 26 rules. Of the 112 pairs of state and event, the rest are illegal.
pub const RULES: [Rule; 26] = {
    use EventKind as E;
    use StateKind as S;
    const READY: Option<bool> = Some(false);
    const SENT: Option<bool> = Some(true);
    const UNSEEN: Option<bool> = Some(false);
    const ANY: Option<bool> = None;
    const PERMIT: &str = "RetryPermit; a ResumePlan if seen";

    [
        rule(1, S::Idle, ANY, UNSEEN, E::InitiateRequest, S::Validating, "the plan's NextRoute"),
        rule(2, S::Validating, ANY, ANY, E::ValidateRequest, S::Validating, ""),
        rule(3, S::Validating, ANY, ANY, E::ValidationPassed, S::Requesting, "Valid<Request>"),
        rule(4, S::Validating, ANY, ANY, E::ValidationFailed, S::Failed, ""),
        rule(5, S::Validating, ANY, ANY, E::RequestFailed, S::Failed, ""),
        rule(6, S::Requesting, READY, ANY, E::SendRequest, S::Requesting, "Admission"),
        rule(7, S::Requesting, SENT, ANY, E::ReceiveResponse, S::Completed, ""),
        rule(8, S::Requesting, SENT, ANY, E::ReceiveStreamChunk, S::Streaming, ""),
        rule(9, S::Requesting, ANY, ANY, E::RateLimitHit, S::RateLimited, ""),
        rule(10, S::Requesting, SENT, ANY, E::RetryRequest, S::Retrying, PERMIT),
        rule(11, S::Requesting, ANY, ANY, E::RequestFailed, S::Failed, ""),
        rule(12, S::Streaming, ANY, ANY, E::ReceiveStreamChunk, S::Streaming, ""),
        rule(13, S::Streaming, ANY, ANY, E::StreamComplete, S::Completed, "TerminalFrame"),
        rule(14, S::Streaming, ANY, UNSEEN, E::RateLimitHit, S::RateLimited, ""),
        rule(15, S::Streaming, ANY, UNSEEN, E::RetryRequest, S::Retrying, "RetryPermit"),
        rule(16, S::Streaming, ANY, ANY, E::RequestFailed, S::Failed, ""),
        rule(17, S::RateLimited, ANY, ANY, E::RetryRequest, S::Retrying, PERMIT),
        rule(18, S::RateLimited, ANY, ANY, E::RequestFailed, S::Failed, ""),
        rule(19, S::Retrying, ANY, ANY, E::SendRequest, S::Requesting, "Admission"),
        rule(20, S::Retrying, ANY, ANY, E::RateLimitHit, S::RateLimited, ""),
        rule(21, S::Retrying, ANY, ANY, E::RequestFailed, S::Failed, ""),
        rule(
            22,
            S::Failed,
            ANY,
            ANY,
            E::FallbackToProvider,
            S::Validating,
            "the plan's NextRoute; a ResumePlan if seen",
        ),
        rule(23, S::Failed, ANY, ANY, E::Complete, S::Failed, "Receipt"),
        rule(24, S::Failed, ANY, ANY, E::Reset, S::Idle, ""),
        rule(25, S::Completed, ANY, ANY, E::Complete, S::Completed, "Receipt"),
        rule(26, S::Completed, ANY, ANY, E::Reset, S::Idle, ""),
    ]
};

const fn rule(
    number: u8,
    from: StateKind,
    sent: Option<bool>,
    seen: Option<bool>,
    event: EventKind,
    to: StateKind,
    evidence: &'static str,
) -> Rule {
    Rule { number, from, sent, seen, event, to, evidence }
}

/// A move that no rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} is not a legal event in {from}")]
pub struct IllegalMove {
    /// The state it was tried in.
    pub from: State,
    /// What was tried.
    pub event: EventKind,
}

/// Where `event` leads from `from`.
///
/// # Errors
/// [`IllegalMove`] when no rule allows it.
#[expect(clippy::indexing_slicing, reason = "const fn cannot iterate; the index is below the length")]
pub const fn step(from: State, event: EventKind) -> Result<State, IllegalMove> {
    let mut nth = 0;
    while nth < RULES.len() {
        if RULES[nth].allows(from, event) {
            return Ok(RULES[nth].lead(from));
        }
        nth += 1;
    }
    Err(IllegalMove { from, event })
}

/// The table and its diagram as Markdown: the content of `docs/lifecycle.md`.
pub fn render() -> String {
    let mut page = String::from(
        "# The lifecycle of a request\n\n\
         Drawn from the constant table in `crates/core/src/lifecycle/table.rs` by `make docs`; do not edit.\n\
         A test keeps it current. Of the 112 pairs of a state and an event, 26 are rules and 86 do not compile.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> Idle\n",
    );
    // Writing to a String does not fail.
    for rule in &RULES {
        let _ = writeln!(page, "    {} --> {}: {} {}", rule.from, rule.to, rule.number, rule.event);
    }
    page.push_str(
        "```\n\n| # | from | event | to | evidence the event must carry |\n|---|---|---|---|---|\n",
    );
    for rule in &RULES {
        let from = match (rule.sent, rule.seen) {
            (Some(true), _) => " (Sent)",
            (Some(false), _) => " (Ready)",
            (None, Some(false)) if matches!(rule.from, StateKind::Streaming) => ", unseen",
            _ => "",
        };
        let to = match (rule.to, rule.event) {
            (StateKind::Requesting, EventKind::SendRequest) => " (Sent)",
            (StateKind::Requesting, _) => " (Ready)",
            _ => "",
        };
        let Rule { number, from: state, event, to: next, evidence, .. } = rule;
        let _ = writeln!(page, "| {number} | {state}{from} | {event} | {next}{to} | {evidence} |");
    }
    page.push_str(
        "\n`Requesting` is `Ready` before it is sent and `Sent` after. An answer is *unseen* until the first\n\
         content is handed to the caller, and *seen* from then on, through every later state.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet, VecDeque};

    use super::*;

    /// All states that can be reached from Idle, with the rules used on the way.
    /// A stream may be committed at any time.
    fn explore() -> (HashMap<State, Vec<State>>, HashSet<u8>) {
        let mut edges: HashMap<State, Vec<State>> = HashMap::new();
        let mut used = HashSet::new();
        let mut queue = VecDeque::from([State::IDLE]);
        while let Some(from) = queue.pop_front() {
            if edges.contains_key(&from) {
                continue;
            }
            let mut next: Vec<State> =
                EventKind::ALL.iter().filter_map(|event| step(from, *event).ok()).collect();
            used.extend(RULES.iter().filter(|rule| rule.allows(from, rule.event)).map(|rule| rule.number));
            if from.kind == StateKind::Streaming {
                next.push(State { seen: true, ..from });
            }
            queue.extend(&next);
            edges.insert(from, next);
        }
        (edges, used)
    }

    #[test]
    fn every_rule_can_be_reached_and_no_state_is_a_dead_end() {
        let (edges, used) = explore();
        assert_eq!(used.len(), RULES.len());
        assert_eq!(edges.len(), 17, "9 refined states, all but Idle also seen");
        for from in edges.keys() {
            let mut reached = HashSet::from([*from]);
            let mut queue = VecDeque::from([*from]);
            while let Some(state) = queue.pop_front() {
                queue.extend(edges[&state].iter().filter(|next| reached.insert(**next)));
            }
            assert!(reached.iter().any(|state| state.is_terminal()), "{from} cannot end");
        }
    }

    #[test]
    fn there_are_26_rules_among_112_pairs() {
        let mut pairs = HashSet::new();
        for (nth, rule) in RULES.iter().enumerate() {
            assert_eq!(usize::from(rule.number), nth + 1);
            assert!(pairs.insert((rule.from, rule.event)), "one rule per pair");
        }
        assert_eq!(StateKind::ALL.len() * EventKind::ALL.len(), 112);
    }

    #[test]
    fn a_refusal_names_both_sides() {
        let error = step(State::IDLE, EventKind::SendRequest).expect_err("illegal");
        assert_eq!(error.to_string(), "SendRequest is not a legal event in Idle");
    }
}
