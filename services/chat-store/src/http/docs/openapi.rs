//! The `OpenAPI` documents: of the routes that clients have, and of those that other services have.

use serde_json::{Map, Value, json};

use crate::http::routes::Described;

/// What a document says before its routes.
pub(super) struct Preface {
    title: &'static str,
    text: &'static str,
    /// What its token is.
    token: &'static str,
}

pub(super) const OF_CLIENTS: Preface = Preface {
    title: "care-chat",
    token: "JWT",
    text: "\
The REST of each dialect that apps here have; the token's app decides which is spoken. Sockets are described at \
[/api/v1/async-docs](/api/v1/async-docs).\n\n\
Tokens come as `Authorization: Bearer` or in the cookie `access_token`; with a cookie, a request that changes \
something needs an `Origin` that is allowed. Fields that are not described may be sent and are not looked at; \
`Idempotency-Key` may take the place of a message's `clientMessageId`. 429 and 503 say in `Retry-After` when \
another attempt may succeed.",
};

pub(super) const OF_SERVICES: Preface = Preface {
    title: "care-chat for other services",
    token: "opaque",
    text: "\
What services tell the chat, and what officers and operators ask through them, with the service token, on the \
internal port alone. Of an app that is not there all say 404. `Chat-Actor` names the person for whom a service \
asks, at most 500 bytes; the log of accesses has it. A `version` makes the greatest one win: an older one \
changes nothing, and is answered in the same way. Ids are those of the app's dialect.",
};

/// Makes it from what is said of the routes of each group.
pub(super) fn document(preface: &Preface, described: Vec<Described>) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut components = Map::new();
    for Described {
        operations,
        schemas,
    } in described
    {
        schemas.collect_into(&mut components);
        for (path, method, operation) in operations {
            let of_path = paths.entry(path).or_insert_with(|| json!({}));
            let there = of_path[method].take();
            of_path[method] = if there.is_null() {
                operation
            } else {
                both(there, &operation)
            };
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": preface.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": preface.text,
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": preface.token } },
        },
    })
}

/// Combines what two groups say of the same route: a body is of one or of the other.
fn both(mut one: Value, other: &Value) -> Value {
    if let (Some(tags), Some(more)) = (one["tags"].as_array_mut(), other["tags"].as_array()) {
        tags.extend_from_slice(more);
    }
    either(&mut one["requestBody"], &other["requestBody"]);
    if let (Some(responses), Some(more)) = (
        one["responses"].as_object_mut(),
        other["responses"].as_object(),
    ) {
        for (status, response) in more {
            match responses.get_mut(status) {
                Some(there) => either(there, response),
                None => {
                    responses.insert(status.clone(), response.clone());
                }
            }
        }
    }
    one
}

fn either(one: &mut Value, other: &Value) {
    const SCHEMA: &str = "/content/application~1json/schema";
    if let (Some(schema), Some(more)) = (one.pointer_mut(SCHEMA), other.pointer(SCHEMA)) {
        *schema = json!({ "oneOf": [schema.take(), more] });
    }
}
