//! What acknowledgements say, in the form that each dialect gives them.

use chat_domain::Dialect;
use serde_json::{Value, json};

use super::{Ack, Heard, Said, Schemas, asyncapi::payload_of, object, vocabulary};
use crate::booking;

/// Describes the argument of the acknowledgement of a client's event.
pub(super) fn schema(said: &Said, dialect: Dialect, schemas: &mut Schemas) -> Value {
    match dialect {
        Dialect::Consult | Dialect::Care => named(said, dialect),
        Dialect::Clinic => json!({ "type": "null" }),
        Dialect::Booking => flat(said, dialect, schemas),
    }
}

/// `{event, data}`: the event that answers, the client's own, or an error.
pub(super) fn named(said: &Said, dialect: Dialect) -> Value {
    let answers = answers(said, dialect).map(|event| event.name);
    let heard = |name| case(name, &payload_of(dialect, name));
    let mut cases: Vec<Value> = answers.chain(["error"]).map(heard).collect();
    if said.answers.is_empty() {
        let fields: &[_] = match said.ack {
            Ack::Itself(fields) => fields,
            Ack::Answer | Ack::Own(_) => &[],
        };
        cases.push(case(said.name, &object(&[fields], &[])));
    }
    json!({ "oneOf": cases })
}

/// `{ok, …}`: the fields of the event that answers, or what went wrong.
fn flat(said: &Said, dialect: Dialect, schemas: &mut Schemas) -> Value {
    let done = if let Ack::Own(schema) = said.ack {
        schema(schemas)
    } else {
        let answer = answers(said, dialect).next();
        let mut schema = answer.map_or_else(|| object(&[], &[]), |event| event.schema(schemas));
        schema["properties"]["ok"] = json!({ "type": "boolean", "const": true });
        schema
    };
    json!({ "oneOf": [done, schemas.spell::<booking::FailedAck<'static>>()] })
}

fn answers(said: &Said, dialect: Dialect) -> impl Iterator<Item = &'static Heard> {
    let heard = vocabulary(dialect).heard.iter();
    heard.filter(|event| said.answers.contains(&event.name))
}

fn case(event: &str, data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": { "event": { "type": "string", "const": event }, "data": data },
        "required": ["event", "data"],
    })
}
