//! One JSON object per log line, flat: the fields of the event over those of its spans, outermost
//! first. So `trace.id` is at the top of every line, and an error is one text with all its sources.

use std::{error::Error, fmt};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormattedFields,
        format::{FormatEvent, FormatFields, JsonFields, Writer},
    },
    registry::{LookupSpan, Scope},
};

/// The format; spans must be recorded with [`JsonFields`].
pub(crate) struct JsonLine;

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'writer> FormatFields<'writer>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>()
                && let Ok(mut fields) = serde_json::from_str(fields)
            {
                line.0.append(&mut fields);
            }
        }
        let metadata = event.metadata();
        line.put("timestamp", crate::now().to_string());
        line.put("level", metadata.level().as_str());
        line.put("target", metadata.target());
        event.record(&mut line);
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

#[derive(Default)]
struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        self.put(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    use parking_lot::Mutex;

    use super::*;
    use crate::{TraceParent, traced};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the one line that `act` logs.
    fn logged(act: impl FnOnce()) -> Value {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        serde_json::from_slice(&log.0.lock()).unwrap()
    }

    #[test]
    fn a_line_carries_the_fields_of_its_spans() {
        let trace = TraceParent::generate();

        let line = logged(|| {
            let _outer = traced!(trace, "event", event.name = "send_message", seq = 1).entered();
            let _inner = tracing::info_span!("append", seq = 2).entered();
            tracing::info!(size_bytes = 3, ok = true, "done");
        });

        assert_eq!(line["trace.id"], trace.trace_id().to_string());
        assert_eq!(line["event.name"], "send_message");
        assert_eq!(line["seq"], 2);
        assert_eq!(line["size_bytes"], 3);
        assert_eq!(line["ok"], true);
        assert_eq!(line["message"], "done");
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_is_told_with_its_sources() {
        let source = io::Error::other("connection refused");
        let error = chat_domain::ChatError::Unavailable {
            dependency: "store",
            source: source.into(),
        };

        let line = logged(|| tracing::error!(error = &error as &dyn Error, "failed"));

        assert_eq!(
            line["error"],
            "store is temporarily unavailable: connection refused"
        );
    }
}
