//! One exchange: the wait for the headers, then the body piece by piece.

use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use leverframe_router::{BoxError, CarriedBody, CarrierError};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{
    Latency,
    limiter::Standing,
    provider::{End, Scripted},
    script::Fault,
    wire::Pieces,
};

/// How long a connection is tried before it is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An exchange that is counted as open until it is over or dropped.
pub(super) struct Exchange {
    provider: Arc<Scripted>,
    call: Option<u64>,
    end: Option<End>,
}

impl Exchange {
    pub(super) fn new(provider: Arc<Scripted>, call: Option<u64>) -> Self {
        Self { provider, call, end: None }
    }

    /// It is over; what is dropped from now on is not let go of.
    fn over(&mut self, end: End) {
        if self.end.replace(end).is_none() {
            self.provider.over(self.call, end);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.over(End::Dropped);
    }
}

/// What is to become of a request.
pub(super) struct Course {
    pub(super) exchange: Exchange,
    pub(super) streamed: bool,
    pub(super) fault: Option<Fault>,
    /// Whether the fault is that the limit is passed.
    pub(super) over_limit: bool,
    /// Where the limit stands, if the provider says so.
    pub(super) report: Option<Standing>,
    /// By how much it is slower than the times here.
    pub(super) factor: f64,
    pub(super) headers: Duration,
    pub(super) first_token: Duration,
    pub(super) token: Latency,
    pub(super) tokens: usize,
    pub(super) refusal: Duration,
    pub(super) rng: fastrand::Rng,
}

impl Course {
    /// Up to the headers.
    pub(super) async fn answer(mut self) -> Result<Response<CarriedBody>, CarrierError> {
        let broken = |kind: io::ErrorKind| -> BoxError { io::Error::from(kind).into() };
        let (status, wait) = match self.fault {
            None
            | Some(Fault::ResetAfter(_) | Fault::TruncatedAfter(_) | Fault::HangAfter(_) | Fault::Drip(_)) => {
                return Ok(self.body().await);
            }
            Some(Fault::Hang) => return pending().await,
            Some(Fault::ConnectTimeout) => {
                sleep(CONNECT_TIMEOUT).await;
                self.exchange.over(End::Failed);
                return Err(CarrierError::ConnectTimeout);
            }
            Some(fault @ (Fault::ConnectionRefused | Fault::Reset)) => {
                sleep(self.refusal).await;
                self.exchange.over(End::Failed);
                return Err(match fault {
                    Fault::Reset => CarrierError::Send(broken(io::ErrorKind::ConnectionReset)),
                    _ => CarrierError::Connect(broken(io::ErrorKind::ConnectionRefused)),
                });
            }
            Some(Fault::Server) => (500, None),
            Some(Fault::Overloaded) => (self.exchange.provider.wire.overloaded(), None),
            Some(Fault::RateLimited { wait, hint }) => (429, Some((wait, hint))),
        };
        sleep(self.refusal.mul_f64(self.factor)).await;
        self.exchange.over(if self.over_limit { End::Refused } else { End::Failed });
        Ok(self.exchange.provider.wire.refusal(status, wait))
    }

    /// Headers of a good answer, though its body may break.
    async fn body(mut self) -> Response<CarriedBody> {
        let wire = &self.exchange.provider.wire;
        let head = wire.head(self.streamed, self.report);
        let pieces = if self.streamed { &wire.streamed } else { &wire.whole }.clone();
        let mut headers = self.headers;
        if !self.streamed {
            headers += self.first_token;
            headers += (1..self.tokens).map(|_| self.token.draw(&mut self.rng)).sum::<Duration>();
            (self.first_token, self.tokens) = (Duration::ZERO, 0);
        }
        sleep(headers.mul_f64(self.factor)).await;
        let body: CarriedBody = Box::pin(Body { course: self, pieces, next: Next::Opening, alarm: None });
        // The headers are literals and a number.
        head.body(body).expect("a valid head")
    }
}

struct Body {
    course: Course,
    pieces: Pieces,
    next: Next,
    /// Before it nothing comes.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The next piece.
#[derive(Clone, Copy)]
enum Next {
    Opening,
    /// The token of this number.
    Token(usize),
    Nothing,
    /// Nothing, and no end either.
    Silence,
}

impl Body {
    fn wait(&mut self, time: Duration) {
        if time.is_zero() {
            self.alarm = None;
            return;
        }
        let until = Instant::now() + time.mul_f64(self.course.factor);
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(until),
            None => self.alarm = Some(Box::pin(sleep_until(until))),
        }
    }

    /// The piece that is due, if there is one.
    fn piece(&mut self) -> Option<Result<Bytes, BoxError>> {
        let nth = match self.next {
            Next::Opening => {
                self.wait(self.course.first_token);
                self.next = Next::Token(0);
                return Some(Ok(self.pieces.opening.clone()));
            }
            Next::Token(nth) => nth,
            Next::Nothing | Next::Silence => return None,
        };
        let ends = |after: usize| nth >= after;
        match self.course.fault {
            Some(Fault::ResetAfter(after)) if ends(after) => {
                self.over(End::Failed, Next::Nothing);
                return Some(Err(io::Error::from(io::ErrorKind::ConnectionReset).into()));
            }
            Some(Fault::TruncatedAfter(after)) if ends(after) => {
                self.over(End::Failed, Next::Nothing);
                return None;
            }
            Some(Fault::HangAfter(after)) if ends(after) => {
                self.next = Next::Silence;
                return None;
            }
            // What breaks only later goes on at its pace, however short the answer was to be.
            Some(_) => {}
            None if ends(self.course.tokens) => {
                self.over(End::Answered, Next::Nothing);
                return Some(Ok(self.pieces.closing.clone()));
            }
            None => {}
        }
        let pace = match self.course.fault {
            Some(Fault::Drip(pace)) => pace,
            _ if nth + 1 == self.course.tokens => Duration::ZERO, // the end comes with the last token
            _ => self.course.token.draw(&mut self.course.rng),
        };
        self.wait(pace);
        self.next = Next::Token(nth + 1);
        Some(Ok(self.pieces.token.clone()))
    }

    fn over(&mut self, end: End, next: Next) {
        self.course.exchange.over(end);
        self.next = next;
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let waits = matches!(self.next, Next::Token(_));
        if let Some(alarm) = self.alarm.as_mut().filter(|_| waits) {
            ready!(alarm.as_mut().poll(cx));
        }
        match self.piece() {
            Some(piece) => Poll::Ready(Some(piece.map(Frame::data))),
            None if matches!(self.next, Next::Silence) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
