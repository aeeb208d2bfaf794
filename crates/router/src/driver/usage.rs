//! Usage that no provider reported: estimated, and marked so.

use leverframe_core::{
    lifecycle::{Lifecycle, On, ReceiveStreamChunk, Route, Streaming, Visibility},
    model::{Partial, Request, Response, StreamEvent, Usage},
    time::Timestamp,
};
use leverframe_http::tokens::Estimator;

/// The usage of a whole answer, with estimates for what was not reported.
pub(super) fn of_response(route: &Route, request: &Request, response: &Response) -> Usage {
    if is_known(&response.usage) {
        return response.usage;
    }
    let mut partial = Partial::new();
    StreamEvent::replay(response).into_iter().for_each(|event| partial.push(event));
    estimator(route).usage(request, &partial)
}

/// What an attempt that is given up before it answered is taken to have
/// consumed: the prompt. Nothing of an answer was seen.
pub(super) fn given_up(route: &Route, request: &Request) -> Usage {
    estimator(route).usage(request, &Partial::new())
}

/// Takes an estimate in for what a stream has not reported. To be called when
/// it is about to end, or has broken off: until then a report may follow.
pub(crate) fn settle<V: Visibility>(
    stream: Lifecycle<Streaming, V>,
    whole: bool,
    at: Timestamp,
) -> Lifecycle<Streaming, V> {
    let reported = *stream.partial().usage();
    // A report in the middle of a stream may be behind what has arrived.
    if whole && is_known(&reported) {
        return stream;
    }
    let usage = estimator(stream.route()).usage(stream.request(), stream.partial());
    if usage == reported {
        return stream;
    }
    stream.on(ReceiveStreamChunk { event: StreamEvent::Usage(usage), at })
}

fn is_known(usage: &Usage) -> bool {
    usage.input_total().is_some() && usage.output_total().is_some()
}

fn estimator(route: &Route) -> Estimator {
    Estimator::new(route.dialect.family(), &route.model)
}
