//! What is read from a client by hand, field by field, as documents tell of it.
//!
//! It reads nothing: the tests hold it to what does, by the examples that are made from it.

use serde_json::{Map, Value, json};

/// A field of a payload, of a body or of a query.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its key.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it has to be there; null counts as absent.
    pub is_required: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// An opaque id.
    Id,
    /// A UUID.
    Uuid,
    /// An e-mail address.
    Email,
    /// An address on the web.
    Url,
    /// An ISO 8601 instant.
    Instant,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An integer from the first to the second.
    Integer(u64, u64),
    /// True or false.
    Flag,
    /// Several UUIDs with commas between them.
    UuidList,
    /// 1 to so many texts of a kind.
    List(&'static Self, usize),
    /// An object that is passed on as it is.
    Object,
    /// A place in each of 1 to 100 conversations, by their ids.
    Places,
}

/// What a message says: some words, a file, or both.
pub const MESSAGE: [Property; 6] = [
    optional("content", Kind::Text),
    optional("messageType", MESSAGE_TYPES),
    optional("fileUrl", Kind::Url),
    optional("fileName", Kind::Text),
    optional("attachmentId", Kind::Uuid),
    optional("clientMessageId", Kind::Text),
];
/// Of which one has to be there.
pub const MESSAGE_NEEDS: &[&str] = &["content", "fileUrl", "attachmentId"];
/// Of what type it is.
pub const MESSAGE_TYPES: Kind = Kind::OneOf(&["text", "file", "image", "voice", "system"]);

const EXAMPLE_ID: &str = "0199a7de-0000-7000-8000-000000000001";

/// A field that has to be there.
#[must_use]
pub const fn needed(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        is_required: true,
    }
}

/// A field that may be left out.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        is_required: false,
    }
}

/// Describes an object with these fields, of which one of `any_of` has to be there. It may have others,
/// which nobody looks at.
#[must_use]
pub fn object(properties: &[&[Property]], any_of: &[&str]) -> Value {
    let all = || properties.iter().copied().flatten();
    let required: Vec<_> = all()
        .filter(|it| it.is_required)
        .map(|it| it.name)
        .collect();
    let properties: Map<String, Value> =
        all().map(|it| (it.name.to_owned(), it.schema())).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    if !any_of.is_empty() {
        let any_of = any_of.iter().map(|name| json!({ "required": [name] }));
        schema["anyOf"] = any_of.collect();
    }
    schema
}

impl Property {
    /// Returns the JSON Schema of its value.
    #[must_use]
    pub fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        if !self.is_required
            && let Some(of) = schema.get_mut("type")
        {
            *of = json!([of.take(), "null"]);
            // An empty text counts as absent, too.
            schema.as_object_mut().map(|it| it.remove("minLength"));
            if let Some(Value::Array(values)) = schema.get_mut("enum") {
                values.push(Value::Null);
            }
        }
        schema
    }
}

impl Kind {
    /// Returns the JSON Schema of a value.
    #[must_use]
    pub fn schema(self) -> Value {
        let mut schema = match self {
            Self::Text => json!({ "type": "string", "minLength": 1 }),
            Self::Id => json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
            Self::Uuid => json!({ "type": "string", "format": "uuid" }),
            Self::Email => json!({ "type": "string", "format": "email" }),
            Self::Url => json!({ "type": "string", "format": "uri" }),
            Self::Instant => json!({ "type": "string", "format": "date-time" }),
            Self::OneOf(texts) => json!({ "type": "string", "enum": texts }),
            Self::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Flag => json!({ "type": "boolean" }),
            Self::UuidList => {
                json!({ "type": "string", "description": "UUIDs, separated by commas" })
            }
            Self::List(of, most) => {
                json!({ "type": "array", "items": of.schema(), "minItems": 1, "maxItems": most })
            }
            Self::Object => json!({ "type": "object" }),
            Self::Places => json!({
                "type": "object",
                "additionalProperties": { "type": "integer", "minimum": 0 },
                "minProperties": 1,
                "maxProperties": 100,
            }),
        };
        schema["examples"] = json!([self.example()]);
        schema
    }

    /// Returns a value that is taken.
    #[must_use]
    pub fn example(self) -> Value {
        match self {
            Self::Text => "Hello".into(),
            Self::Id => "id-1".into(),
            Self::Uuid | Self::UuidList => EXAMPLE_ID.into(),
            Self::Email => "ada@example.org".into(),
            Self::Url => "https://files.example/a.pdf".into(),
            Self::Instant => "2026-01-14T12:00:00.000Z".into(),
            Self::OneOf(texts) => texts.first().copied().into(),
            Self::Integer(least, _) => least.into(),
            Self::Flag => true.into(),
            Self::List(of, _) => json!([of.example()]),
            Self::Object => json!({}),
            Self::Places => json!({ EXAMPLE_ID: 0 }),
        }
    }
}
