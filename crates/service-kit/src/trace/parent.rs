//! Places in a trace, as they travel and as logs name them.

use std::{fmt, str::FromStr};

use opentelemetry::trace::SpanId;
use uuid::Uuid;

use super::{current, export};

/// The sampled flag.
const SAMPLED: u8 = 1;

/// The id of a trace. `Display` is its 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub(super) u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<TraceId> for opentelemetry::trace::TraceId {
    fn from(TraceId(id): TraceId) -> Self {
        Self::from_bytes(id.to_be_bytes())
    }
}

/// A place in a trace. `Display` and `FromStr` are the value of a `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    parent: u64,
    flags: u8,
}

/// A text that is no `traceparent`. The receiver starts a trace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed traceparent")]
pub struct TraceParentError;

impl TraceParent {
    /// The header that carries it.
    pub const HEADER: &str = "traceparent";

    /// Starts a trace, and decides whether it is sampled.
    #[must_use]
    pub fn generate() -> Self {
        let trace = TraceId(Uuid::new_v4().as_u128());
        Self {
            trace,
            parent: span_id(),
            flags: u8::from(export::is_sampled(trace)) * SAMPLED,
        }
    }

    /// Returns the place of the span that this runs in, else starts a trace that is not sampled.
    #[must_use]
    pub fn current() -> Self {
        current().unwrap_or_else(|| Self {
            flags: 0,
            ..Self::generate()
        })
    }

    /// Continues a trace that somebody began who is none of ours: whether it is sampled is decided
    /// here, lest clients choose.
    #[must_use]
    pub fn adopt(caller: Self) -> Self {
        Self {
            flags: Self::generate().flags,
            ..caller.child()
        }
    }

    /// Returns a new place in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            parent: span_id(),
            ..self
        }
    }

    /// Returns what all places of the trace share.
    #[must_use]
    pub const fn trace_id(self) -> TraceId {
        self.trace
    }

    /// Tells whether spans of the trace are exported.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(super) const fn span_id(self) -> SpanId {
        SpanId::from_bytes(self.parent.to_be_bytes())
    }
}

/// Opens a span that carries the id of a trace, as `trace.id`, whatever the log level.
///
/// ```
/// # use service_kit::{TraceParent, traced};
/// let trace = TraceParent::generate();
/// let span = traced!(trace, "event", event.name = "send_message");
/// # drop(span);
/// ```
#[macro_export]
macro_rules! traced {
    ($trace:expr, $name:literal $(, $($field:tt)+)?) => {
        $crate::__tracing::error_span!(
            $name,
            trace.id = %$crate::TraceParent::trace_id($trace)
            $(, $($field)+)?
        )
    };
}

/// Returns a random span id, which is never 0: a version 4 UUID has fixed bits in both halves.
fn span_id() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{:016x}-{:02x}",
            self.trace, self.parent, self.flags
        )
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.split('-');
        let mut field = |n_digits| lower_hex(fields.next()?, n_digits);
        let parsed = (|| Some((field(2)?, field(32)?, field(16)?, field(2)?)))();
        let (version, trace, parent, flags) = parsed.ok_or(TraceParentError)?;
        // A later version may append fields; version 00 has none.
        let has_more = fields.next().is_some();
        if version == 0xff || trace == 0 || parent == 0 || (version == 0 && has_more) {
            return Err(TraceParentError);
        }
        Ok(Self {
            trace: TraceId(trace),
            parent: u64::try_from(parent).map_err(|_| TraceParentError)?,
            flags: u8::try_from(flags).map_err(|_| TraceParentError)?,
        })
    }
}

fn lower_hex(text: &str, n_digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != n_digits || !text.bytes().all(is_hex) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn parse_undoes_display() {
        let trace = TraceParent::generate();

        assert_eq!(trace.to_string().parse(), Ok(trace));
        assert_eq!(EXAMPLE.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let child = EXAMPLE.parse::<TraceParent>().unwrap().child();

        assert_eq!(
            child.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_ne!(child.to_string(), EXAMPLE);
        assert!(child.is_sampled());
    }

    #[test]
    fn a_caller_does_not_decide_what_is_sampled() {
        let caller = EXAMPLE.parse::<TraceParent>().unwrap();

        let adopted = TraceParent::adopt(caller);

        assert_eq!(adopted.trace_id(), caller.trace_id());
        assert!(!adopted.is_sampled(), "there is no collector");
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = EXAMPLE.replacen("00", "01", 1) + "-more";

        assert!(later.parse::<TraceParent>().is_ok());
    }

    #[test]
    fn malformed_parents_start_a_new_trace() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(TraceParentError), "{bad}");
        }
    }
}
