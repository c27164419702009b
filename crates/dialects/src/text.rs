//! Ids and instants as JSON strings, without an intermediate `String`.

use std::{borrow::Cow, fmt::Display};

use chat_domain::{
    AttachmentId, ConversationId, MessageId, Timestamp,
    call::{CallId, DeviceId},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A value whose JSON is the string that it displays as.
#[derive(Debug)]
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What documents say of the string that a value displays as.
pub trait Spelled {
    /// Its form, as JSON Schema names it; `None` for one of its own.
    const FORMAT: Option<&'static str>;
}

impl Spelled for AttachmentId {
    const FORMAT: Option<&'static str> = Some("uuid");
}

impl Spelled for CallId {
    const FORMAT: Option<&'static str> = Some("uuid");
}

impl Spelled for ConversationId {
    const FORMAT: Option<&'static str> = Some("uuid");
}

impl Spelled for MessageId {
    const FORMAT: Option<&'static str> = Some("uuid");
}

impl Spelled for DeviceId {
    const FORMAT: Option<&'static str> = None;
}

impl Spelled for Timestamp {
    const FORMAT: Option<&'static str> = Some("date-time");
}

impl<T: Spelled> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::FORMAT.unwrap_or("text").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match T::FORMAT {
            Some(format) => json_schema!({ "type": "string", "format": format }),
            None => json_schema!({ "type": "string" }),
        }
    }
}

/// Serialises a list whose items are [`Text`].
pub(crate) fn texts<S: Serializer>(
    items: &[impl Display],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(Text))
}
