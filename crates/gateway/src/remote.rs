//! A gateway that runs elsewhere, and is asked over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use leverframe_http::transport::{Clocks, Transport, TransportConfig};

use crate::{chain, show::Problem};

/// Most time for an answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Most bytes of one.
const MOST: usize = 16 << 20;

/// Where it is, and the key it wants.
pub(crate) struct Gateway {
    url: String,
    key: Option<HeaderValue>,
    transport: Transport,
}

impl Gateway {
    pub(crate) fn at(url: &str, key: Option<&str>) -> Result<Self, Problem> {
        let header = |key: &str| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| {
                Problem("the key has characters that cannot be sent; copy it again".to_owned())
            })?;
            value.set_sensitive(true);
            Ok(value)
        };
        let transport =
            Transport::new(TransportConfig { connect_timeout: WITHIN, ..TransportConfig::default() });
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            key: key.map(header).transpose()?,
            transport: transport.map_err(|error| chain(&error))?,
        })
    }

    /// The status and the body of an answer.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Bytes), Problem> {
        let mut request = Request::get(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let request = request.body(Bytes::new()).map_err(|error| {
            Problem(format!("{} is no address ({error}); write it like http://127.0.0.1:4141", self.url))
        })?;
        let clocks = Clocks { total: Some(WITHIN), ..Clocks::default() };
        let asked = async {
            let (head, body) = self.transport.send(request, &clocks).await?.into_parts();
            Ok((head.status.as_u16(), body.collect(MOST).await?))
        };
        asked.await.map_err(|error: leverframe_http::transport::TransportError| {
            Problem(format!("no answer from {}: {}", self.url, chain(&error)))
        })
    }
}
