//! The way of spans to a collector, by OTLP over HTTP. Nobody waits for it: what finds no room, and what
//! the collector does not take, is counted and gone.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _},
};
use uuid::Uuid;

use super::TraceId;
use crate::{OtlpEndpoint, TelemetryArgs};

/// The most spans that wait for the collector.
const MAX_WAITING: usize = 2_048;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take over a batch, and the last one over the end of the process.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many bits of a trace's id decide whether it is sampled.
const RANDOM_BITS: u32 = 56;

static EXPORT: OnceLock<Export> = OnceLock::new();

struct Export {
    processor: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    /// Traces are sampled whose lowest [`RANDOM_BITS`] are less.
    threshold: u64,
}

/// Begins to export what is sampled, if there is a collector.
pub(crate) fn install(service: &'static str, args: &TelemetryArgs) -> anyhow::Result<()> {
    let OtlpEndpoint(Some(endpoint)) = &args.otlp_endpoint else {
        return Ok(());
    };
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(TIMEOUT)
        .build()
        .context("preparing the export of spans")?;
    exporter.set_resource(&resource(service));
    let export = Export::new(exporter, threshold(args.trace_sample));
    // A second one would be of the same process.
    drop(EXPORT.set(export));
    tracing::info!(
        otlp.endpoint = endpoint,
        trace.sample = args.trace_sample,
        "spans are exported"
    );
    Ok(())
}

/// Sends what waits, within [`TIMEOUT`].
pub(crate) fn flush() {
    if let Some(export) = EXPORT.get()
        && let Err(error) = export.end()
    {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the last spans were not exported");
    }
}

/// Tells whether there is a collector.
pub(super) fn is_on() -> bool {
    EXPORT.get().is_some()
}

/// Decides about a trace that starts here.
pub(super) fn is_sampled(trace: TraceId) -> bool {
    EXPORT
        .get()
        .is_some_and(|export| random_bits(trace) < export.threshold)
}

/// Takes a span that has ended.
pub(super) fn submit(span: SpanData) {
    if let Some(export) = EXPORT.get() {
        export.submit(span);
    }
}

impl Export {
    fn new(exporter: impl SpanExporter + 'static, threshold: u64) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Counted {
            exporter,
            waiting: Arc::clone(&waiting),
            is_failing: AtomicBool::new(false),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING)
            .with_scheduled_delay(GATHER)
            .build();
        let processor = BatchSpanProcessor::builder(counted)
            .with_batch_config(config)
            .build();
        Self {
            processor,
            waiting,
            threshold,
        }
    }

    fn submit(&self, span: SpanData) {
        // The processor has the same bound, and tells nobody what it dropped.
        if MAX_WAITING <= self.waiting.fetch_add(1, Ordering::Relaxed) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            count("dropped", 1);
        } else {
            self.processor.on_end(span);
        }
    }

    fn end(&self) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(TIMEOUT)
    }
}

/// Counts what becomes of spans, and says when that changes.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    is_failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        self.waiting.fetch_sub(number, Ordering::Relaxed);
        let outcome = self.exporter.export(batch).await;
        count(
            if outcome.is_ok() {
                "exported"
            } else {
                "failed"
            },
            number,
        );
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Ok(()) if was_failing => tracing::info!("spans are exported again"),
            Err(error) if !was_failing => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "spans are not exported; the collector does not take them"
                );
            }
            Ok(()) | Err(_) => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> Result<(), OTelSdkError> {
        self.exporter.shutdown_with_timeout(timeout)
    }
}

fn count(outcome: &'static str, number: usize) {
    metrics::counter!("chat_spans_total", "outcome" => outcome).increment(number as u64);
}

/// What all spans of this process share.
fn resource(service: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .build()
}

fn random_bits(TraceId(trace): TraceId) -> u64 {
    let mask = (1_u128 << RANDOM_BITS) - 1;
    u64::try_from(trace & mask).unwrap_or(u64::MAX)
}

/// Returns below which random bits `share` of all traces are.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is from 0 to 1, and 56 bits need not be exact"
)]
fn threshold(share: f64) -> u64 {
    (share * (1_u64 << RANDOM_BITS) as f64) as u64
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState},
    };
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;
    use crate::TraceParent;

    fn span() -> SpanData {
        SpanData {
            span_context: SpanContext::new(
                TraceParent::generate().trace_id().into(),
                TraceParent::generate().span_id(),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "work".into(),
            start_time: crate::clock::system_now(),
            end_time: crate::clock::system_now(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    /// A collector that is away.
    #[derive(Debug)]
    struct Away;

    impl SpanExporter for Away {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Err(OTelSdkError::Timeout(TIMEOUT))
        }
    }

    /// A collector that counts.
    #[derive(Debug, Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl SpanExporter for Counting {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.fetch_add(batch.len(), Ordering::Relaxed);
            Ok(())
        }
    }

    /// A collector that never answers.
    #[derive(Debug)]
    struct Stuck;

    impl SpanExporter for Stuck {
        fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
            std::future::pending()
        }
    }

    #[test]
    fn what_waits_is_sent_at_the_end() {
        let collector = Counting::default();
        let export = Export::new(collector.clone(), 0);
        for _ in 0..3 {
            export.submit(span());
        }

        export.end().unwrap();

        assert_eq!(collector.0.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_collector_that_never_answers_does_not_keep_the_process() {
        let export = Export::new(Stuck, 0);
        export.submit(span());

        assert!(matches!(export.end(), Err(OTelSdkError::Timeout(_))));
    }

    #[test]
    fn spans_that_find_no_room_or_no_collector_are_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let export = Export::new(Away, 0);
        export.waiting.store(MAX_WAITING, Ordering::Relaxed);
        let counted = Counted {
            exporter: Away,
            waiting: Arc::new(AtomicUsize::new(2)),
            is_failing: AtomicBool::new(false),
        };

        metrics::with_local_recorder(&recorder, || {
            export.submit(span());
            let sent = counted.export(vec![span(), span()]);
            futures_util::FutureExt::now_or_never(sent)
                .unwrap()
                .unwrap_err();
        });

        assert_eq!(export.waiting.load(Ordering::Relaxed), MAX_WAITING);
        assert_eq!(counted.waiting.load(Ordering::Relaxed), 0);
        let told = recorder.handle().render();
        assert!(
            told.contains("chat_spans_total{outcome=\"dropped\"} 1"),
            "{told}"
        );
        assert!(
            told.contains("chat_spans_total{outcome=\"failed\"} 2"),
            "{told}"
        );
    }

    #[test]
    fn the_share_of_traces_is_sampled() {
        let ids: Vec<TraceId> = (0..4_000)
            .map(|_| TraceParent::generate().trace_id())
            .collect();
        let sampled = |share: f64| {
            let threshold = threshold(share);
            ids.iter()
                .filter(|id| random_bits(**id) < threshold)
                .count()
        };

        assert_eq!(sampled(0.0), 0);
        assert_eq!(sampled(1.0), ids.len());
        // Eight standard deviations on either side.
        assert!((150..650).contains(&sampled(0.1)), "{}", sampled(0.1));
    }
}
