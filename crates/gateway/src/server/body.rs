//! Reading what a client sends, within bounds.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use leverframe_router::{ErrorKind, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Settings;

/// Room for the bytes of all bodies. What a slow client has sent so far takes
/// some, what it has announced does not.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }
}

/// A body that is on its way, and the room there is for it.
pub(super) struct Arriving {
    pub(super) incoming: Incoming,
    /// How it is compressed, if its head says so.
    pub(super) coding: Option<HeaderValue>,
    pub(super) room: Room,
}

/// A body with the room it takes, until it is dropped.
struct Held {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

type Refused = (u16, Failure);

/// The whole body of a request.
///
/// # Errors
/// With the status to answer with; [`ErrorKind::InvalidRequest`], or
/// [`ErrorKind::Overloaded`] where there is no room.
pub(super) async fn read(body: Arriving, settings: &Settings) -> Result<Bytes, Refused> {
    if body.coding.as_ref().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let message = "the request's body is compressed (content-encoding); send it as it is";
        return Err((415, Failure::new(ErrorKind::InvalidRequest, message)));
    }
    // What the head announces need not be read to be refused.
    if body.incoming.size_hint().lower() > u64::try_from(settings.max_body).unwrap_or(u64::MAX) {
        return Err(too_large(settings));
    }
    let whole = tokio::time::timeout(settings.body_within, collect(body, settings)).await;
    whole.unwrap_or_else(|_| {
        let message = format!("the request's body took longer than {:?}", settings.body_within);
        Err((408, Failure::new(ErrorKind::InvalidRequest, message)))
    })
}

async fn collect(body: Arriving, settings: &Settings) -> Result<Bytes, Refused> {
    let Arriving { mut incoming, room, .. } = body;
    let mut whole = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else {
            let message = "the request's body broke off; send it again";
            return Err((400, Failure::new(ErrorKind::InvalidRequest, message)));
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > settings.max_body {
            return Err(too_large(settings));
        }
        let more = room.take(data.len()).ok_or_else(no_room)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&data);
    }
    Ok(Bytes::from_owner(Held { bytes: whole.freeze(), _room: taken }))
}

fn too_large(settings: &Settings) -> Refused {
    let message =
        format!("the request's body has more than {} bytes; send less at a time", settings.max_body);
    (413, Failure::new(ErrorKind::InvalidRequest, message))
}

fn no_room() -> Refused {
    let mut failure = Failure::new(
        ErrorKind::Overloaded,
        "the gateway holds as many bytes of requests as it may; send it again in a moment",
    );
    failure.retry_after = Some(Duration::from_secs(1));
    (503, failure)
}
