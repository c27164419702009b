//! The names of the service's own metrics. Labels come from closed sets, never from data.

use metrics::Unit;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described by `help`")]
pub enum Metric {
    AppendSeconds,
    AppendBatchSize,
    AppendsRefused,
    AppendBatchesSplit,
    EventsPublished,
    EventsDropped,
    OutboxSwept,
    OutboxAgeSeconds,
    RpcSeconds,
    RpcFailures,
    HttpSeconds,
    CallToldSeconds,
    CallsOver,
    CallLogLagSeconds,
    PresenceChanges,
    OutPublished,
    OutDropped,
    OutLate,
    InTaken,
    InDelayed,
    InDead,
    AuditRecords,
    AuditLost,
}

impl Metric {
    const ALL: [Self; 23] = [
        Self::AppendSeconds,
        Self::AppendBatchSize,
        Self::AppendsRefused,
        Self::AppendBatchesSplit,
        Self::EventsPublished,
        Self::EventsDropped,
        Self::OutboxSwept,
        Self::OutboxAgeSeconds,
        Self::RpcSeconds,
        Self::RpcFailures,
        Self::HttpSeconds,
        Self::CallToldSeconds,
        Self::CallsOver,
        Self::CallLogLagSeconds,
        Self::PresenceChanges,
        Self::OutPublished,
        Self::OutDropped,
        Self::OutLate,
        Self::InTaken,
        Self::InDelayed,
        Self::InDead,
        Self::AuditRecords,
        Self::AuditLost,
    ];

    /// Returns the name in Prometheus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AppendSeconds => "chat_store_append_seconds",
            Self::AppendBatchSize => "chat_store_append_batch_size",
            Self::AppendsRefused => "chat_store_appends_refused_total",
            Self::AppendBatchesSplit => "chat_store_append_batches_split_total",
            Self::EventsPublished => "chat_store_events_published_total",
            Self::EventsDropped => "chat_store_events_dropped_total",
            Self::OutboxSwept => "chat_store_outbox_swept_total",
            Self::OutboxAgeSeconds => "chat_store_outbox_age_seconds",
            Self::RpcSeconds => "chat_store_rpc_seconds",
            Self::RpcFailures => "chat_store_rpc_failures_total",
            Self::HttpSeconds => "chat_store_http_request_seconds",
            Self::CallToldSeconds => "chat_store_call_told_seconds",
            Self::CallsOver => "chat_store_calls_over_total",
            Self::CallLogLagSeconds => "chat_store_call_log_lag_seconds",
            Self::PresenceChanges => "chat_store_presence_changes_total",
            Self::OutPublished => "chat_store_out_published_total",
            Self::OutDropped => "chat_store_out_dropped_total",
            Self::OutLate => "chat_store_out_late_total",
            Self::InTaken => "chat_store_in_taken_total",
            Self::InDelayed => "chat_store_in_delayed_total",
            Self::InDead => "chat_store_in_dead_total",
            Self::AuditRecords => "chat_store_audit_records_total",
            Self::AuditLost => "chat_store_audit_lost_total",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::AppendSeconds => "Time of one append transaction, retries included",
            Self::AppendBatchSize => "Messages in one append transaction",
            Self::AppendsRefused => "Appends refused because too many were waiting",
            Self::AppendBatchesSplit => "Batches stored message by message after one was refused",
            Self::EventsPublished => "Events handed to NATS",
            Self::EventsDropped => "Events not handed to NATS; the outbox keeps those of messages",
            Self::OutboxSwept => "Batches told again by the sweeper",
            Self::OutboxAgeSeconds => "Age of the oldest batch that was not told for certain",
            Self::RpcSeconds => "Time of one request over NATS, by request",
            Self::RpcFailures => "Failed requests over NATS, by request and class",
            Self::HttpSeconds => "Time of one HTTP request, by method, route and status",
            Self::CallToldSeconds => "Time from a change of a call until NATS had its notices",
            Self::CallsOver => "Ends of calls told, by outcome; one that comes again counts again",
            Self::CallLogLagSeconds => "Age of the oldest change of a call that nobody recorded",
            Self::PresenceChanges => "Changes of presence told; one that comes again counts again",
            Self::OutPublished => "Events for other services that JetStream took",
            Self::OutDropped => "Events for other services that were given up",
            Self::OutLate => "Transactions whose messages JetStream did not take at once",
            Self::InTaken => "Things of other services that were taken",
            Self::InDelayed => "Tries to take a thing of another service that come again later",
            Self::InDead => "Things of other services that went to the dead letters",
            Self::AuditRecords => "Accesses that were logged",
            Self::AuditLost => "Refusals that could not be logged; accesses are refused instead",
        }
    }

    /// Describes every metric to the recorder.
    pub fn describe_all() {
        for metric in Self::ALL {
            let (name, help) = (metric.name(), metric.help());
            match metric {
                Self::AppendSeconds
                | Self::RpcSeconds
                | Self::HttpSeconds
                | Self::CallToldSeconds => {
                    metrics::describe_histogram!(name, Unit::Seconds, help);
                }
                Self::AppendBatchSize => metrics::describe_histogram!(name, Unit::Count, help),
                Self::OutboxAgeSeconds | Self::CallLogLagSeconds => {
                    metrics::describe_gauge!(name, Unit::Seconds, help);
                }
                Self::AppendsRefused
                | Self::AppendBatchesSplit
                | Self::EventsPublished
                | Self::EventsDropped
                | Self::OutboxSwept
                | Self::RpcFailures
                | Self::CallsOver
                | Self::PresenceChanges
                | Self::OutPublished
                | Self::OutDropped
                | Self::OutLate
                | Self::InTaken
                | Self::InDelayed
                | Self::InDead
                | Self::AuditRecords
                | Self::AuditLost => metrics::describe_counter!(name, help),
            }
        }
    }

    /// Counts one.
    pub(crate) fn increment(self) {
        metrics::counter!(self.name()).increment(1);
    }

    /// Counts some.
    pub(crate) fn add(self, count: usize) {
        metrics::counter!(self.name()).increment(count as u64);
    }

    /// Adds a value to a histogram.
    pub(crate) fn observe(self, value: f64) {
        metrics::histogram!(self.name()).record(value);
    }

    /// Adds a number of things to a histogram.
    pub(crate) fn observe_count(self, count: usize) {
        self.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }

    /// Sets a gauge.
    pub(crate) fn set(self, value: f64) {
        metrics::gauge!(self.name()).set(value);
    }
}
