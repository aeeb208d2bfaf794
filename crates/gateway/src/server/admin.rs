//! What whoever runs the gateway may ask it: how every provider stands.
//!
//! Off unless a key for it is configured (`[admin]`), and then open to that key
//! only: what callers are given opens nothing here, and this key opens nothing
//! else. Without one there is nothing at these paths, as at any other.

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use leverframe_router::{Dialect, ErrorKind, Failure, Router};

use super::{
    Handle, Server,
    door::{self, Door, VirtualKey},
    reply::{self, Reply},
};
use crate::standing::Standing;

/// Where all of it is.
const ROOT: &str = "/admin/";

/// The key that opens it.
#[derive(Clone, Debug)]
pub struct Admin {
    door: Door,
}

impl Admin {
    /// Opens to this key.
    pub fn new(key: VirtualKey) -> Self {
        Self { door: Door::locked(vec![key]) }
    }

    fn answer(&self, router: &Router, head: &Parts) -> Response<Reply> {
        // Who has no key is not told what there is.
        if let Err(failure) = self.door.enter(head) {
            return door::refuse(Dialect::OpenAiChat, &failure);
        }
        let refused = |status, message: String| {
            let failure = Failure::new(ErrorKind::InvalidRequest, message);
            reply::error_with_status(Dialect::OpenAiChat, &failure, status)
        };
        match (head.uri.path(), &head.method) {
            ("/admin/providers", &Method::GET | &Method::HEAD) => {
                // Plain data, which always is JSON.
                let standing = serde_json::to_vec(&Standing::of(router)).unwrap_or_default();
                let mut response = reply::json(standing.into());
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            ("/admin/providers", method) => refused(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("/admin/providers takes GET and not {method}"),
            ),
            (path, _) => refused(
                StatusCode::NOT_FOUND,
                format!("there is nothing at {path}; there is GET /admin/providers"),
            ),
        }
    }
}

/// The key of the moment: a reload may change it, or take it away.
#[derive(Debug, Default)]
pub(super) struct Slot(RwLock<Option<Arc<Admin>>>);

impl Slot {
    fn get(&self) -> Option<Arc<Admin>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, admin: Option<Admin>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = admin.map(Arc::new);
    }

    /// The answer to a request that is for the operator's paths, where there are any.
    pub(super) fn answer(&self, router: &Router, head: &Parts) -> Option<Response<Reply>> {
        match head.uri.path().starts_with(ROOT) {
            true => self.get().map(|admin| admin.answer(router, head)),
            false => None,
        }
    }
}

impl Server {
    /// Lets the operator's key in at `/admin/providers`. Nobody is, unless set.
    #[must_use]
    pub fn with_admin(self, admin: Option<Admin>) -> Self {
        self.shared.admin.set(admin);
        self
    }
}

impl Handle {
    /// Lets this key in from now on, or nobody.
    pub fn administer(&self, admin: Option<Admin>) {
        self.shared.admin.set(admin);
    }
}
