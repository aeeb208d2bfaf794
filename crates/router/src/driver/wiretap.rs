//! What goes over the wire, for the recorders that want it.

use std::{mem, sync::Arc};

use bytes::Bytes;
use leverframe_core::{
    bodies::{Bodies, Captured},
    lifecycle::Route,
    model::RequestId,
    time::Timestamp,
};
use leverframe_http::transport::Tap;

use crate::router::Inner;

/// Keeps the beginning of what was sent and of what comes, and hands it in when
/// the answer is over, or given up.
pub(super) struct Wiretap {
    inner: Arc<Inner>,
    route: Arc<Route>,
    most: usize,
    bodies: Bodies,
}

impl Wiretap {
    /// `None` where nobody wants it.
    pub(super) fn on(
        inner: &Arc<Inner>,
        route: &Arc<Route>,
        (id, attempt): (RequestId, Timestamp),
        request: &Bytes,
    ) -> Option<Box<dyn Tap>> {
        let most = inner.desk.wants_bodies()?;
        let mut sent = Captured::default();
        sent.push(request, most);
        let bodies = Bodies { id, attempt, request: sent, response: Captured::default() };
        Some(Box::new(Self { inner: Arc::clone(inner), route: Arc::clone(route), most, bodies }))
    }
}

impl Tap for Wiretap {
    fn chunk(&mut self, chunk: &Bytes) {
        self.bodies.response.push(chunk, self.most);
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        let endpoint = self.inner.endpoint_of(&self.route);
        let without_key = |body: &mut Captured| {
            let (bytes, cut) = (mem::take(&mut body.bytes), body.is_cut());
            Captured { bytes: endpoint.without_key_in(bytes, cut), length: body.length }
        };
        let Bodies { id, attempt, request, response } = &mut self.bodies;
        let (request, response) = (without_key(request), without_key(response));
        self.inner.desk.bodies(Bodies { id: *id, attempt: *attempt, request, response });
    }
}
