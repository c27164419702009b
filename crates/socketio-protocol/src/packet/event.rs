//! Splits the payload of an event. The arguments stay JSON: what they mean is the application's.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{self, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::PacketError;

/// Names that the client libraries emit to their own application.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// An event: its name, and its arguments as JSON.
#[derive(Debug, Clone)]
pub struct EventArgs<'a> {
    /// The name, unescaped.
    pub name: Cow<'a, str>,
    /// The arguments, each as the client wrote it.
    pub args: SmallVec<[&'a RawValue; 4]>,
}

impl<'a> EventArgs<'a> {
    pub(super) fn split(payload: &'a RawValue) -> Result<Self, PacketError> {
        serde_json::Deserializer::from_str(payload.get())
            .deserialize_seq(Split)
            .map_err(|_| PacketError::UnexpectedPayload)
    }
}

/// Checks that a JSON array begins with a name that an application may use.
pub(super) fn check_name(payload: &RawValue) -> Result<(), PacketError> {
    let after_bracket = payload.get().strip_prefix('[').unwrap_or_default();
    let first = serde_json::Deserializer::from_str(after_bracket)
        .into_iter::<&RawValue>()
        .next();
    let Some(Ok(first)) = first else {
        return Err(PacketError::UnexpectedPayload);
    };
    let name = name(first).ok_or(PacketError::UnexpectedPayload)?;
    if RESERVED.contains(&&*name) {
        return Err(PacketError::ReservedEvent);
    }
    Ok(())
}

/// Returns a JSON string unescaped; `None` when it is no string, or one that is not Unicode.
fn name(json: &RawValue) -> Option<Cow<'_, str>> {
    let inner = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

struct Split;

impl<'de> Visitor<'de> for Split {
    type Value = EventArgs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event name and its arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let name = seq
            .next_element()?
            .and_then(name)
            .ok_or_else(|| de::Error::custom("no event name"))?;
        let mut args = SmallVec::new();
        while let Some(arg) = seq.next_element()? {
            args.push(arg);
        }
        Ok(EventArgs { name, args })
    }
}
