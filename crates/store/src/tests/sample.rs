//! Records as real requests leave them.

use std::time::Duration;

use leverframe_core::{
    catalog::{Amount, Cost, Date, NanoDollars},
    choice::{Choice, Considered, Measure, PolicyName, Standing},
    error::{Clock, ErrorKind},
    lifecycle::{EventKind, Journal, State, step},
    model::{Dialect, FinishReason, KeyLabel, ProviderName, RequestId, Tokens, Usage},
    record::{Attempt, AttemptFailure, Outcome, Record},
    start::Start,
    time::Timestamp,
};

/// Providers, their models and dialects.
pub(crate) const PLACES: [(&str, &str, Dialect); 3] = [
    ("claude", "claude-sonnet-5", Dialect::Anthropic),
    ("gemini", "gemini-3.6-flash", Dialect::Gemini),
    ("openai", "gpt-5.4-mini", Dialect::OpenAiChat),
];

/// A day in November 2026.
pub(crate) const DAY: Timestamp = Timestamp::from_unix_nanos(1_795_000_000_000_000_000);

/// What a record is made of; the rest follows.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) number: u64,
    /// When it ended, after [`DAY`].
    pub(crate) ended: Duration,
    pub(crate) conversation: Option<u8>,
    pub(crate) user: Option<u8>,
    pub(crate) tag: Option<u8>,
    pub(crate) place: usize,
    /// Whether the first place failed and the next one was asked.
    pub(crate) fell_back: bool,
    pub(crate) completed: bool,
}

impl Sample {
    /// An ordinary answered request.
    pub(crate) fn answered(number: u64) -> Self {
        Self {
            number,
            ended: Duration::from_millis(number * 7),
            conversation: Some((number % 50) as u8),
            user: Some((number % 20) as u8),
            tag: None,
            place: number as usize % 3,
            fell_back: false,
            completed: true,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        let mut random = [0x5a; 10];
        random[2..].copy_from_slice(&self.number.to_be_bytes());
        RequestId::new(DAY, random)
    }

    pub(crate) fn record(&self) -> Record {
        let ended_at = DAY + self.ended + Duration::from_secs(1);
        let began = if self.fell_back { vec![self.place, self.place + 1] } else { vec![self.place] };
        let mut attempts: Vec<_> =
            began.iter().map(|place| attempt(self.number, PLACES[place % 3], ended_at)).collect();
        if self.fell_back {
            fail(&mut attempts[0], ErrorKind::Timeout(Clock::Headers), None);
        }
        let outcome = if self.completed {
            Outcome::Completed { finish: FinishReason::Stop }
        } else {
            let last = attempts.last_mut().expect("one at least");
            fail(last, ErrorKind::Server, Some(500));
            Outcome::Failed {
                kind: ErrorKind::Server,
                code: ErrorKind::Server.code(),
                message: "HTTP 500: internal error".to_owned(),
            }
        };
        Record {
            id: self.id(),
            model: PLACES[self.place % 3].1.to_owned(),
            conversation: self.conversation.map(|n| format!("conversation-{n}")),
            user: self.user.map(|n| format!("user-{n}")),
            tags: self.tag.iter().map(|n| format!("tag-{n}")).collect(),
            started_at: DAY + self.ended,
            ended_at,
            outcome,
            usage: attempts.iter().map(|attempt| attempt.usage).fold(Usage::default(), Usage::plus),
            choice: choice(ended_at),
            attempts,
            journal: journal(DAY + self.ended, self.completed),
        }
    }

    pub(crate) fn start(&self) -> Start {
        let record = self.record();
        let (provider, model, dialect) = PLACES[self.place % 3];
        Start {
            id: record.id,
            model: record.model,
            conversation: record.conversation,
            user: record.user,
            tags: record.tags,
            provider: name(provider),
            key: KeyLabel::new("default").expect("a label"),
            route_model: model.to_owned(),
            dialect,
            sent_at: record.started_at + Duration::from_micros(40),
            journal: sent(record.started_at),
        }
    }
}

fn name(name: &str) -> ProviderName {
    ProviderName::new(name).expect("a name")
}

fn attempt(number: u64, (provider, model, dialect): (&str, &str, Dialect), ended_at: Timestamp) -> Attempt {
    Attempt {
        provider: name(provider),
        key: KeyLabel::new("default").expect("a label"),
        model: model.to_owned(),
        dialect: Some(dialect),
        sent: true,
        started_at: DAY + ended_at.since(DAY).saturating_sub(Duration::from_millis(900)),
        first_chunk_at: Some(DAY + ended_at.since(DAY).saturating_sub(Duration::from_millis(500))),
        ended_at,
        provider_request_id: Some(format!("req_{:024x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        usage: Usage {
            input: Tokens::Reported(1_200 + number % 97),
            output: Tokens::Reported(340 + number % 31),
            ..Usage::default()
        },
        service_tier: None,
        cost: Some(Cost {
            amount: Amount::Exact(NanoDollars::new(8_700_000 + number % 1_000)),
            as_of: Date::of(DAY),
        }),
        losses: Vec::new(),
        failure: None,
    }
}

fn fail(attempt: &mut Attempt, kind: ErrorKind, status: Option<u16>) {
    attempt.usage = Usage::default();
    attempt.cost = None;
    attempt.first_chunk_at = None;
    attempt.failure =
        Some(AttemptFailure { kind, status, message: "it failed".to_owned(), retry_after: None });
}

fn choice(at: Timestamp) -> Choice {
    let considered = (0..).zip(PLACES).map(|(place, (provider, model, _))| Considered {
        provider: name(provider),
        key: KeyLabel::new("default").expect("a label"),
        model: model.to_owned(),
        measure: Some(Measure::Position(place)),
        standing: Standing::Planned,
    });
    Choice { policy: PolicyName::Priority, at, considered: considered.collect() }
}

fn journal(at: Timestamp, completed: bool) -> Journal {
    use EventKind as E;
    let end = if completed { vec![E::ReceiveStreamChunk, E::StreamComplete] } else { vec![E::RequestFailed] };
    walk(
        at,
        &[vec![E::InitiateRequest, E::ValidationPassed, E::SendRequest], end, vec![E::Complete]].concat(),
    )
}

fn sent(at: Timestamp) -> Journal {
    use EventKind as E;
    walk(at, &[E::InitiateRequest, E::ValidationPassed, E::SendRequest])
}

fn walk(mut at: Timestamp, events: &[EventKind]) -> Journal {
    let mut state = State::IDLE;
    let entries: Vec<_> = events
        .iter()
        .map(|event| {
            state = step(state, *event).expect("legal");
            at = at + Duration::from_micros(37);
            let times = if *event == EventKind::ReceiveStreamChunk { 240 } else { 1 };
            serde_json::json!({"event": event, "to": state, "at": at, "times": times, "last_at": at})
        })
        .collect();
    serde_json::from_value(entries.into()).expect("a journal")
}

#[test]
fn a_row_is_small_and_comes_back_whole() {
    let record = Sample::answered(7).record();
    let json = serde_json::to_vec(&record).expect("JSON");
    let row = crate::row::Packer::default().pack(&record).expect("packed").to_vec();
    if std::env::var_os("SHOW").is_some() {
        println!("{} from {}\n{}", row.len(), json.len(), String::from_utf8_lossy(&json));
    }
    assert_eq!(crate::row::unpack(0, &row).expect("a row"), record);
    assert!(row.len() * 3 < json.len(), "{} from {}", row.len(), json.len());
}
