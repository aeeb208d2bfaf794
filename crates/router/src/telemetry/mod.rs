//! Spans and events through `tracing`.
//!
//! A request is a span, `chat`, from its start to the end of its answer or to
//! the drop of its stream. When it is over the span is given the answering
//! provider and model, the usage and the kind of error, and each attempt is an
//! event in it. What the model was told and what it answered is never in them.
//!
//! Without a subscriber this costs a look at a static.

mod semconv;

use std::sync::Arc;

use leverframe_core::{
    model::Request,
    record::{Attempt, Outcome, Record, Recorder},
};
use tracing::{Span, field::Empty};

/// The span of a request.
pub(crate) fn span(request: &Request, streamed: bool) -> Span {
    tracing::info_span!(
        "chat",
        otel.kind = "client",
        gen_ai.operation.name = semconv::CHAT,
        gen_ai.request.model = request.model,
        gen_ai.request.stream = streamed,
        gen_ai.request.max_tokens = request.max_output_tokens,
        gen_ai.conversation.id = request.conversation,
        gen_ai.provider.name = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        error.type = Empty,
        leverframe.request.id = Empty,
        leverframe.request.attempts = Empty,
        leverframe.request.cost_usd = Empty,
    )
}

/// Writes a request that is over into its span.
#[derive(Debug)]
pub(crate) struct Spans;

impl Recorder for Spans {
    fn record(&self, record: &Arc<Record>) {
        let span = Span::current();
        if !span.is_disabled() {
            describe(&span, record);
        }
        for attempt in &record.attempts {
            event(attempt);
        }
    }
}

fn describe(span: &Span, record: &Record) {
    span.record("leverframe.request.id", tracing::field::display(record.id));
    span.record("leverframe.request.attempts", record.attempts.len());
    if let Some(tokens) = record.usage.input_total() {
        span.record("gen_ai.usage.input_tokens", tokens);
    }
    if let Some(tokens) = record.usage.output_total() {
        span.record("gen_ai.usage.output_tokens", tokens);
    }
    if let Some(tokens) = record.usage.cache_read.value() {
        span.record("gen_ai.usage.cache_read.input_tokens", tokens);
    }
    if let Some(tokens) = record.usage.reasoning.value() {
        span.record("gen_ai.usage.reasoning.output_tokens", tokens);
    }
    if let Some(cost) = record.cost().and_then(|cost| cost.value()) {
        // Exact in the record; a span's reader wants a number to add up.
        span.record("leverframe.request.cost_usd", cost.get() as f64 / 1e9);
    }
    match &record.outcome {
        Outcome::Completed { finish } => {
            span.record("gen_ai.response.finish_reasons", semconv::finish_reason(finish));
        }
        // Only found in a log, after a crash.
        Outcome::Abandoned => {}
        Outcome::Failed { code, .. } => {
            span.record("error.type", tracing::field::display(code));
        }
    }
    if let Some(attempt) = record.answered().or_else(|| record.attempts.last()) {
        span.record("gen_ai.provider.name", semconv::provider_name(&attempt.provider, attempt.dialect));
        span.record("gen_ai.response.model", attempt.model.as_str());
        if let Some(first) = attempt.first_chunk_at {
            let time = first.since(attempt.started_at).as_secs_f64();
            span.record("gen_ai.response.time_to_first_chunk", time);
        }
    }
}

fn event(attempt: &Attempt) {
    let provider = semconv::provider_name(&attempt.provider, attempt.dialect);
    let duration = attempt.duration().as_secs_f64();
    match &attempt.failure {
        None => tracing::debug!(
            gen_ai.provider.name = provider,
            gen_ai.request.model = attempt.model,
            leverframe.key = attempt.key.as_str(),
            duration,
            "answered"
        ),
        Some(failure) => tracing::info!(
            gen_ai.provider.name = provider,
            gen_ai.request.model = attempt.model,
            leverframe.key = attempt.key.as_str(),
            error.type = %failure.kind.code(),
            http.response.status_code = failure.status,
            leverframe.sent = attempt.sent,
            duration,
            "attempt failed: {failure}"
        ),
    }
}
