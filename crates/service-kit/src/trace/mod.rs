//! Traces: which places they have, what is told of them, and to whom.
//!
//! A [`TraceParent`] is a place in a trace, in the form of the W3C's [Trace Context]. It travels in the
//! `traceparent` field of requests and envelopes, and in the header of that name, and its id is on log
//! lines. A [`Span`] is a stretch of work at such a place. Whoever starts a trace decides whether it
//! is sampled; everybody else obeys. Of a trace that is not, nothing is measured, kept or exported.
//!
//! What is deliberately absent: spans of the library `tracing`, which are for log lines alone.
//!
//! [Trace Context]: https://www.w3.org/TR/trace-context/#traceparent-header

mod export;
mod parent;
mod span;

pub use opentelemetry::trace::SpanKind;

pub(crate) use self::export::{flush, install};
pub use self::{
    parent::{TraceId, TraceParent},
    span::{Span, current},
};
