//! Spans to an OTLP collector over HTTP, configured by the standard variables of OpenTelemetry.
//!
//! Nothing here decides how a command ends: a collector that is away is told of once, and costs nobody time but for the
//! bound at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use assay_common::trace::Tracer;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{DynFilterFn, LevelFilter};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::bridge::Bridge;

/// Either of them switches exporting on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Exported with what quotes prompts and answers, when `true`.
const CAPTURE_CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
/// Spans that wait to be sent, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise: some seconds of a busy worker's.
const MAX_WAITING: usize = 32_768;
/// More than the jobs of one transaction, whose span is linked to each.
const MAX_LINKS: u32 = 512;
/// How long the end of the process waits for what is left.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// The exporter of this process.
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
    bridge: Arc<Bridge>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Tally {
    ended: AtomicU64,
    sent: AtomicU64,
    /// Whether it was told that the collector takes none.
    told: AtomicBool,
}

impl Exporter {
    /// Starts exporting where the environment asks for it; an error is for a person, and no reason to end.
    pub(super) fn start() -> Result<Option<Self>, String> {
        let is =
            |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
        let named = |name: &&str| std::env::var(name).is_ok_and(|set| !set.trim().is_empty());
        let off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
        if off || !ENDPOINTS.iter().any(named) {
            return Ok(None);
        }
        assay_worker::install_tls();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            // What a restart of the collector loses is told; a command that ends is not to wait for one that is away.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| error.to_string())?;
        let tally = Arc::new(Tally::default());
        let mut config = BatchConfigBuilder::default();
        if std::env::var_os("OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
            config = config.with_max_queue_size(MAX_WAITING);
        }
        let sending = Sending { exporter, tally: Arc::clone(&tally) };
        let batches = BatchSpanProcessor::builder(sending).with_batch_config(config.build()).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_max_links_per_span(MAX_LINKS)
            .with_span_processor(Counting { batches, tally: Arc::clone(&tally) })
            .build();
        let bridge = Arc::new(Bridge { quotes: is(CAPTURE_CONTENT, "true") });
        Ok(Some(Self { provider, tally, bridge }))
    }

    /// Makes spans of `tracing` into those that are exported: our own, and of our events only scores.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let ours = |metadata: &Metadata<'_>, _: &Context<'_, S>| {
            let wanted = metadata.is_span() || metadata.name().starts_with("gen_ai.");
            wanted && metadata.target().starts_with("assay") && *metadata.level() <= LevelFilter::DEBUG
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("assay"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            // Asked about each span anew: whoever only asks whether an event would be logged, as sqlx does, leaves that
            // answer behind, and a span whose answer is remembered is not asked about and gets it.
            .with_filter(DynFilterFn::new(ours).with_max_level_hint(LevelFilter::DEBUG))
    }

    pub(super) fn tracer(&self) -> Tracer {
        Tracer::new(Arc::clone(&self.bridge) as _)
    }

    /// Sends what is left, and tells how many spans were lost.
    pub(super) fn end(self) {
        let ended_in_time = self.provider.shutdown_with_timeout(LAST_SPANS).is_ok();
        let (ended, sent) =
            (self.tally.ended.load(Ordering::Relaxed), self.tally.sent.load(Ordering::Relaxed));
        let lost = ended.saturating_sub(sent);
        // Of a collector that takes nothing it was told before.
        if lost > 0 && (sent > 0 || !ended_in_time) {
            tracing::warn!(spans.lost = lost, "{lost} of {ended} spans were not exported");
        }
    }
}

/// What the spans are of: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, else `assay`.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let named = Resource::builder().build();
    let name = named.get(&Key::new("service.name")).map(|name| name.to_string());
    let builder = Resource::builder().with_attribute(version);
    match name {
        Some(name) if !name.starts_with("unknown_service") => builder.build(),
        _ => builder.with_service_name("assay").build(),
    }
}

/// Counts the spans that are to be exported, on their way to the batches.
#[derive(Debug)]
struct Counting {
    batches: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl SpanProcessor for Counting {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.tally.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches, and tells once when the collector does not take them.
#[derive(Debug)]
struct Sending {
    exporter: opentelemetry_otlp::SpanExporter,
    tally: Arc<Tally>,
}

impl SpanExporter for Sending {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let exported = self.exporter.export(batch).await;
        match &exported {
            Ok(()) => {
                self.tally.sent.fetch_add(spans, Ordering::Relaxed);
            }
            Err(error) if !self.tally.told.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    %error,
                    "the collector takes no spans; everything else goes on without. Look at {} and at the collector: {error}",
                    ENDPOINTS.iter().find(|name| std::env::var_os(name).is_some()).unwrap_or(&ENDPOINTS[1])
                );
            }
            Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
