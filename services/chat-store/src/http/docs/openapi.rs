//! The `OpenAPI` document of the routes that clients have.

use serde_json::{Map, Value, json};

use crate::http::routes::Described;

const ABOUT: &str = "\
The REST of each dialect that apps here have; the token's app decides which is spoken. Sockets are described at \
[/api/v1/async-docs](/api/v1/async-docs).\n\n\
Tokens come as `Authorization: Bearer` or in the cookie `access_token`; with a cookie, a request that changes \
something needs an `Origin` that is allowed. Fields that are not described may be sent and are not looked at; \
`Idempotency-Key` may take the place of a message's `clientMessageId`. 429 and 503 say in `Retry-After` when \
another attempt may succeed.";

/// Makes it from what is said of the routes of each group.
pub(super) fn document(described: Vec<Described>) -> Value {
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
            "title": "care-chat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
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
