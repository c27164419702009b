//! Stretches of work in a trace. Knows neither collectors nor shares.

use std::{
    fmt::{self, Display},
    time::SystemTime,
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{TraceParent, export};
use crate::clock;

tokio::task_local! {
    /// The place of the span that the task works in, where that is recorded.
    static CURRENT: Option<TraceParent>;
}

/// Returns the place of the span in whose [scope](Span::scope) this runs, if it is recorded.
#[must_use]
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(|place| *place).ok().flatten()
}

/// A stretch of work that ends when this is dropped, and goes to the collector then.
///
/// It records nothing and has no memory of its own where its trace is not sampled or there is no
/// collector. No attribute may tell what `docs/LOGGING.md` keeps out of logs at the level `info`.
#[derive(Debug)]
#[must_use]
pub struct Span(Option<Box<Recording>>);

#[derive(Debug)]
struct Recording {
    place: TraceParent,
    parent: Option<TraceParent>,
    name: String,
    kind: SpanKind,
    began: SystemTime,
    attributes: Vec<KeyValue>,
    failed: Option<&'static str>,
}

impl Span {
    /// What is not recorded.
    pub const NONE: Self = Self(None);

    /// Begins at a place that nothing else has, below `parent` if that is known.
    pub fn begin(
        place: TraceParent,
        parent: Option<TraceParent>,
        name: fmt::Arguments<'_>,
        kind: SpanKind,
    ) -> Self {
        if !place.is_sampled() || !export::is_on() {
            return Self::NONE;
        }
        Self(Some(Box::new(Recording {
            place,
            parent,
            name: name.to_string(),
            kind,
            began: clock::system_now(),
            attributes: Vec::new(),
            failed: None,
        })))
    }

    /// Begins below another process' span, as that says where it is; malformed is not sampled.
    pub fn below(traceparent: &str, name: fmt::Arguments<'_>, kind: SpanKind) -> Self {
        if !export::is_on() {
            return Self::NONE;
        }
        match traceparent.parse() {
            Ok(parent) => Self::child(parent, name, kind),
            Err(_) => Self::NONE,
        }
    }

    /// Begins below the span in whose [scope](Self::scope) this runs.
    pub fn current(name: fmt::Arguments<'_>, kind: SpanKind) -> Self {
        current().map_or(Self::NONE, |parent| Self::child(parent, name, kind))
    }

    fn child(parent: TraceParent, name: fmt::Arguments<'_>, kind: SpanKind) -> Self {
        if !parent.is_sampled() {
            return Self::NONE;
        }
        Self::begin(parent.child(), Some(parent), name, kind)
    }

    /// Returns where it is, for whoever works on its behalf; `None` when it is not recorded.
    #[must_use]
    pub fn place(&self) -> Option<TraceParent> {
        self.0.as_ref().map(|recording| recording.place)
    }

    /// Says something about it. The value is formatted only if it is recorded.
    pub fn set(&mut self, name: &'static str, value: impl Display) {
        if let Some(recording) = &mut self.0 {
            let value = value.to_string();
            recording.attributes.push(KeyValue::new(name, value));
        }
    }

    /// Says how many there are of something.
    pub fn count(&mut self, name: &'static str, number: usize) {
        if let Some(recording) = &mut self.0 {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            recording.attributes.push(KeyValue::new(name, number));
        }
    }

    /// Says that the work failed, and how: a word from a closed set.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(recording) = &mut self.0 {
            recording.failed = Some(why);
        }
    }

    /// Takes back that it failed.
    pub fn succeed(&mut self) {
        if let Some(recording) = &mut self.0 {
            recording.failed = None;
        }
    }

    /// Runs `work` in this span: what begins there by [`Self::current`] is below it.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.place(), work)
    }

    /// Does `work` in this span, as [`Self::scope`].
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.place(), work)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take() {
            export::submit(recording.end());
        }
    }
}

impl Recording {
    fn end(mut self) -> SpanData {
        let status = self.failed.map_or(Status::Unset, |why| {
            self.attributes.push(KeyValue::new("error.type", why));
            Status::error(why)
        });
        SpanData {
            span_context: SpanContext::new(
                self.place.trace_id().into(),
                self.place.span_id(),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: self.parent.map_or(SpanId::INVALID, TraceParent::span_id),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: self.began,
            end_time: clock::system_now(),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_nothing_is_recorded() {
        let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        let mut span = Span::below(sampled, format_args!("process"), SpanKind::Server);
        span.set("conversation.id", "1");

        assert_eq!(span.place(), None);
        assert_eq!(span.in_scope(current), None);
    }

    #[test]
    fn what_is_not_recorded_is_a_pointer() {
        assert_eq!(size_of::<Span>(), size_of::<usize>());
    }
}
