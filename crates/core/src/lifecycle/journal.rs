//! Every state a request went through.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EventKind, IllegalMove, State, StateKind, step};
use crate::time::Timestamp;

/// One move, or a run of the same self-move (the chunks of a stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub event: EventKind,
    /// Where it led.
    pub to: State,
    /// When it happened, the first time.
    pub at: Timestamp,
    /// How often in a row.
    pub times: u32,
    /// When it happened last.
    pub last_at: Timestamp,
}

/// Every state a request went through, in order, from `Idle`.
///
/// A run of stream chunks takes one entry, so a journal's length is bounded by
/// the number of attempts, not by the length of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Journal {
    entries: Vec<Entry>,
}

/// A journal that cannot have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorruptJournal {
    /// An entry is not a legal move from the one before it.
    #[error("entry {position} of the journal is illegal")]
    Illegal {
        /// Which entry, from 0.
        position: usize,
        /// The move it claims.
        #[source]
        error: IllegalMove,
    },
    /// An entry claims another state than its event leads to.
    #[error("entry {position} of the journal claims {claimed}, but its event leads to {led}")]
    WrongState {
        /// Which entry, from 0.
        position: usize,
        /// What it claims.
        claimed: State,
        /// Where the event leads.
        led: State,
    },
    /// An entry is earlier than the one before it, or stands for no event.
    #[error("entry {position} of the journal runs backwards")]
    Backwards {
        /// Which entry, from 0.
        position: usize,
    },
}

impl Journal {
    /// A journal with room for an ordinary request.
    pub(super) fn new() -> Self {
        Self { entries: Vec::with_capacity(8) }
    }

    pub(super) fn append(&mut self, event: EventKind, to: State, at: Timestamp) {
        if let Some(last) = self.entries.last_mut() {
            if last.event == event && last.to == to {
                last.times = last.times.saturating_add(1);
                last.last_at = last.last_at.max(at);
                return;
            }
            // Events of one request are ordered even where two clock readings are not.
            let at = at.max(last.last_at);
            self.entries.push(Entry { event, to, at, times: 1, last_at: at });
        } else {
            self.entries.push(Entry { event, to, at, times: 1, last_at: at });
        }
    }

    /// The moves, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The states gone through, `Idle` first, without repeats in a row.
    pub fn path(&self) -> impl Iterator<Item = StateKind> {
        let mut last = None;
        std::iter::once(StateKind::Idle)
            .chain(self.entries.iter().map(|entry| entry.to.kind))
            .filter(move |kind| last.replace(*kind) != Some(*kind))
    }

    /// Goes through the moves again, against the transition table.
    ///
    /// # Errors
    /// [`CorruptJournal`] naming the first entry that cannot have happened.
    pub fn replay(&self) -> Result<State, CorruptJournal> {
        let mut state = State::IDLE;
        let mut now = Timestamp::EPOCH;
        for (position, entry) in self.entries.iter().enumerate() {
            if entry.at < now || entry.last_at < entry.at || entry.times == 0 {
                return Err(CorruptJournal::Backwards { position });
            }
            // Handing over content is not an event; it shows in what follows it.
            state.seen |= entry.to.seen && state.kind == StateKind::Streaming;
            let again = entry.times > 1;
            for _ in 0..=u8::from(again) {
                let led =
                    step(state, entry.event).map_err(|error| CorruptJournal::Illegal { position, error })?;
                if led != entry.to {
                    return Err(CorruptJournal::WrongState { position, claimed: entry.to, led });
                }
                state = led;
            }
            now = entry.last_at;
        }
        Ok(state)
    }
}

impl fmt::Display for Journal {
    /// `Idle > Validating > Requesting > Streaming > Completed`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, kind) in self.path().enumerate() {
            let arrow = if nth == 0 { "" } else { " > " };
            write!(f, "{arrow}{kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_nanos(seconds * 1_000_000_000)
    }

    fn walked(events: &[EventKind]) -> Journal {
        let mut journal = Journal::new();
        let mut state = State::IDLE;
        for (nth, event) in events.iter().enumerate() {
            state = step(state, *event).expect("legal");
            journal.append(*event, state, at(nth as u64));
        }
        journal
    }

    #[test]
    fn a_long_stream_takes_one_entry() {
        use EventKind as E;
        let mut events = vec![E::InitiateRequest, E::ValidationPassed, E::SendRequest];
        events.extend([E::ReceiveStreamChunk; 1000]);
        events.push(E::StreamComplete);
        let journal = walked(&events);
        assert_eq!(journal.entries().len(), 5);
        assert_eq!(journal.to_string(), "Idle > Validating > Requesting > Streaming > Completed");
        assert_eq!(journal.replay().map(|state| state.kind), Ok(StateKind::Completed));
    }

    #[test]
    fn what_cannot_have_happened_is_reported() {
        use EventKind as E;
        let good = walked(&[E::InitiateRequest, E::ValidationPassed, E::SendRequest, E::ReceiveResponse]);
        let with = |position: usize, change: fn(&mut Entry)| {
            let mut journal = good.clone();
            change(&mut journal.entries[position]);
            journal.replay()
        };
        assert!(matches!(
            with(2, |e| e.event = E::StreamComplete),
            Err(CorruptJournal::Illegal { position: 2, .. })
        ));
        assert!(matches!(
            with(3, |e| e.to.kind = StateKind::Failed),
            Err(CorruptJournal::WrongState { position: 3, .. })
        ));
        assert!(matches!(with(3, |e| e.to.seen = true), Err(CorruptJournal::WrongState { .. })));
        assert_eq!(with(3, |e| e.at = Timestamp::EPOCH), Err(CorruptJournal::Backwards { position: 3 }));
        assert!(
            matches!(with(2, |e| e.times = 2), Err(CorruptJournal::Illegal { position: 2, .. })),
            "one cannot send twice"
        );
    }
}
