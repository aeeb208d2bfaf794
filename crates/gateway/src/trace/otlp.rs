//! Spans to an OpenTelemetry collector, over OTLP (HTTP, protobuf).

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter};

use super::ours;
use crate::{chain, show::Problem};

/// How long what is left may take to be sent when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// What hands spans over, on a thread of its own.
pub(crate) struct Exporting(SdkTracerProvider);

/// A layer whose spans go to a collector, whose address is without `/v1/traces`.
///
/// # Errors
/// [`Problem`] when the address makes no sense.
pub(super) fn layer(collector: &str) -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Exporting), Problem> {
    let endpoint = format!("{}/v1/traces", collector.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint);
    let exporter = exporter.build().map_err(|error| chain(&error))?;
    let resource = Resource::builder().with_service_name("leverframe").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("leverframe"));
    Ok((layer.with_filter(ours(LevelFilter::INFO)).boxed(), Exporting(provider)))
}

impl Exporting {
    /// Sends what is left.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            anstream::eprintln!("leverframe: the last spans were not sent: {error}");
        }
    }
}
