//! What clients say and hear, as data: documents are made from it, and tests hold to it what goes over the
//! wire.
//!
//! Bodies that are serialised describe themselves by their types ([`Schemas`]); what is read by hand is
//! listed beside its reader ([`Property`]). Nothing here reads or writes an event.

mod acknowledgement;
mod asyncapi;
mod property;
mod schemas;

use chat_domain::Dialect;
use schemars::JsonSchema;
use serde_json::{Value, json};

pub use asyncapi::asyncapi;
pub use property::{
    Kind, MESSAGE, MESSAGE_NEEDS, MESSAGE_TYPES, Property, needed, object, optional,
};
pub use schemas::{SchemaOf, Schemas, forbid_others};

use crate::{booking, care, clinic, consult};

/// All that the clients of a dialect say and hear.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// For people: who speaks it, and what is particular.
    pub text: &'static str,
    /// Their events.
    pub said: &'static [Said],
    /// The server's.
    pub heard: &'static [Heard],
}

/// An event that a client sends.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub text: &'static str,
    /// Its argument.
    pub payload: Payload,
    /// The events of which one answers it, if any does.
    pub answers: &'static [&'static str],
    /// What its acknowledgement says beside or instead of that.
    pub ack: Ack,
}

/// The argument of a client's event.
#[derive(Debug, Clone, Copy)]
pub enum Payload {
    /// An object with these fields, of which one of the names has to be there, if there are any.
    Object(&'static [&'static [Property]], &'static [&'static str]),
    /// A bare value.
    Bare(Kind),
}

/// What an acknowledgement says that is no failure.
#[derive(Debug, Clone, Copy)]
pub enum Ack {
    /// The event that answers.
    Answer,
    /// The client's own event, with these fields.
    Itself(&'static [Property]),
    /// Something of its own.
    Own(SchemaOf),
}

/// An event that the server sends.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub text: &'static str,
    schema: SchemaOf,
    only: &'static [&'static str],
}

impl Heard {
    /// The event `name`, whose argument is a `T`.
    pub(crate) const fn of<T: JsonSchema>(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            schema: Schemas::spell::<T>,
            only: &[],
        }
    }

    /// The same of a `T` that has these keys alone; what ends in `?` it may lack.
    pub(crate) const fn only(self, only: &'static [&'static str]) -> Self {
        Self { only, ..self }
    }

    /// Returns the JSON Schema of its argument.
    pub fn schema(&self, schemas: &mut Schemas) -> Value {
        let mut schema = (self.schema)(schemas);
        if !self.only.is_empty() {
            let keys = self.only.iter().map(|key| key.trim_end_matches('?'));
            let properties = keys.map(|key| (key.to_owned(), schema["properties"][key].take()));
            schema["properties"] = Value::Object(properties.collect());
            let needed = self.only.iter().filter(|key| !key.ends_with('?'));
            schema["required"] = needed.copied().collect();
        }
        schema
    }
}

impl Said {
    /// An event whose argument has these fields.
    pub(crate) const fn of(
        name: &'static str,
        text: &'static str,
        fields: &'static [&'static [Property]],
    ) -> Self {
        Self {
            name,
            text,
            payload: Payload::Object(fields, &[]),
            answers: &[],
            ack: Ack::Answer,
        }
    }

    /// An event whose argument has these fields, one of `any_of` among them.
    pub(crate) const fn any_of(self, any_of: &'static [&'static str]) -> Self {
        let payload = match self.payload {
            Payload::Object(fields, _) => Payload::Object(fields, any_of),
            Payload::Bare(kind) => Payload::Bare(kind),
        };
        Self { payload, ..self }
    }

    /// One of these events answers it.
    pub(crate) const fn answered(self, answers: &'static [&'static str]) -> Self {
        Self { answers, ..self }
    }

    /// Its acknowledgement says something else.
    pub(crate) const fn acknowledged(self, ack: Ack) -> Self {
        Self { ack, ..self }
    }

    /// Returns the JSON Schema of its argument.
    #[must_use]
    pub fn schema(&self) -> Value {
        match self.payload {
            Payload::Object(fields, any_of) => object(fields, any_of),
            Payload::Bare(kind) => kind.schema(),
        }
    }

    /// Returns an argument that is taken: with all fields, or with as few as will do.
    #[must_use]
    pub fn example(&self, all: bool) -> Value {
        let (fields, any_of) = match self.payload {
            Payload::Object(fields, any_of) => (fields, any_of),
            Payload::Bare(kind) => return kind.example(),
        };
        let fields = fields.iter().copied().flatten();
        let is_in = |it: &&Property| all || it.is_required || any_of.first() == Some(&it.name);
        let fields = fields.filter(is_in);
        fields.fold(json!({}), |mut object, it| {
            object[it.name] = it.kind.example();
            object
        })
    }

    /// Returns the JSON Schema of its acknowledgement, where clients of `dialect` ask for one.
    pub fn acknowledgement(&self, dialect: Dialect, schemas: &mut Schemas) -> Value {
        acknowledgement::schema(self, dialect, schemas)
    }

    /// Returns the JSON Schema of its answer to a client without Socket.IO.
    #[must_use]
    pub fn answer(&self, dialect: Dialect) -> Value {
        acknowledgement::named(self, dialect)
    }
}

/// Returns what a dialect is called.
#[must_use]
pub const fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Consult => "consult",
        Dialect::Care => "care",
        Dialect::Clinic => "clinic",
        Dialect::Booking => "booking",
    }
}

/// Returns what the clients of a dialect say and hear.
#[must_use]
pub const fn vocabulary(dialect: Dialect) -> Vocabulary {
    match dialect {
        Dialect::Consult => consult::VOCABULARY,
        Dialect::Care => care::VOCABULARY,
        Dialect::Clinic => clinic::VOCABULARY,
        Dialect::Booking => booking::VOCABULARY,
    }
}
