//! Holds every request that the tests of HTTP make to the document of the routes: a path, a status, a key or a
//! type that it does not know fails the test.

use axum::{
    Router,
    body::{Body, to_bytes},
};
use dialects::describe::forbid_others;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

use crate::http_site::SERVICE_TOKEN;

/// What was asked and what was answered.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// The body of the request, if it was JSON.
    pub(crate) sent: Option<&'a Value>,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a Value,
}

/// The documents speak of themselves in words alone.
const OF_THE_DOCUMENTS: [&str; 3] = [
    "/api/v1/api-docs",
    "/api/v1/async-docs",
    "/internal/v1/api-docs",
];

/// A document of routes, fetched once: every site has apps of all dialects, and so the same ones.
pub(crate) struct Document {
    /// Where it is.
    pub(crate) path: &'static str,
    /// What a failure looks like where no route is.
    failure: &'static str,
    fetched: OnceCell<Value>,
}

/// That of the routes that clients have.
pub(crate) static OF_CLIENTS: Document = Document {
    path: "/api/v1/api-docs.json",
    failure: "#/components/schemas/common.Failure",
    fetched: OnceCell::const_new(),
};

/// That of the routes that other services have.
pub(crate) static OF_SERVICES: Document = Document {
    path: "/internal/v1/api-docs.json",
    failure: "#/components/schemas/internal.Failure",
    fetched: OnceCell::const_new(),
};

/// Checks what a route answered.
pub(crate) async fn check(router: &Router, exchange: &Exchange<'_>) {
    let is_of_documents = OF_THE_DOCUMENTS
        .iter()
        .any(|it| exchange.path.starts_with(it));
    let is_internal = exchange.path.starts_with("/internal/");
    // Those who have no business at a door do not learn what is behind it.
    let is_elsewhere = is_internal && exchange.body["message"] == "Route not found";
    if is_of_documents || is_elsewhere {
        return;
    }
    let known = if is_internal {
        &OF_SERVICES
    } else {
        &OF_CLIENTS
    };
    let fetched = known.fetched.get_or_try_init(async || {
        let document = fetch(router, known).await;
        document
            .get("paths")
            .is_some()
            .then_some(document)
            .ok_or(())
    });
    // A router has one of them.
    let Ok(document) = fetched.await else {
        return;
    };
    let failure = json!({ "$ref": known.failure });
    if let Err(wrong) = compare(document, exchange, &failure) {
        panic!("{wrong}: {exchange:#?}");
    }
}

/// Asks a router for its document.
pub(crate) async fn fetch(router: &Router, document: &Document) -> Value {
    let request = Request::get(document.path)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn compare(document: &Value, exchange: &Exchange<'_>, failure: &Value) -> Result<(), String> {
    let Some(of_path) = find(document, exchange.path) else {
        return refused(document, exchange, &[404, 204], failure);
    };
    let Some(operation) = of_path.get(exchange.method.to_lowercase()) else {
        return refused(document, exchange, &[405, 204], failure);
    };

    let response = operation["responses"]
        .get(exchange.status.to_string())
        .ok_or("a status that is not described")?;
    match response.pointer("/content/application~1json/schema") {
        Some(schema) => valid(document, schema, exchange.body, true)?,
        None if exchange.content_type == "application/json" => {
            return Err("JSON that is not described".into());
        }
        None => {}
    }
    if exchange.status < 300 {
        taken(document, operation, exchange)?;
    }
    Ok(())
}

/// What matches no route is answered in one form.
fn refused(
    document: &Value,
    exchange: &Exchange<'_>,
    statuses: &[u16],
    failure: &Value,
) -> Result<(), String> {
    match exchange.status {
        204 => Ok(()),
        status if statuses.contains(&status) => valid(document, failure, exchange.body, true),
        _ => Err("a route that is not described".to_owned()),
    }
}

/// Checks that what was taken is what is described.
fn taken(document: &Value, operation: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema");
    if let (Some(schema), Some(sent)) = (schema, exchange.sent) {
        valid(document, schema, sent, false).map_err(|it| format!("the request: {it}"))?;
    }
    let in_query = |name| {
        exchange
            .query
            .split('&')
            .any(|it| it.split('=').next() == Some(name))
    };
    let parameters = operation["parameters"].as_array();
    let parameters = parameters.into_iter().flatten();
    for parameter in parameters.filter(|it| it["required"] == true) {
        let name = parameter["name"].as_str().unwrap_or_default();
        let is_given = match parameter["in"].as_str() {
            Some("query") => in_query(name),
            Some("header") => exchange.headers.contains_key(name),
            _ => true,
        };
        if !is_given {
            return Err(format!("{name} is not needed"));
        }
    }
    Ok(())
}

/// Returns what is described: paths, methods, and what is said of each.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, of_path)| {
        let of_path = of_path.as_object().unwrap().iter();
        of_path.map(|(method, it)| (path.clone(), method.clone(), it.clone()))
    });
    operations.collect()
}

/// Fills all places of a template in.
pub(crate) fn filled(template: &str, with: &str) -> String {
    let parts = template.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { with } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns what is said of a path.
fn find<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    document["paths"].get(template(document, path)?)
}

/// Returns the template of a path: that with the fewest places to fill in.
pub(crate) fn template<'a>(document: &'a Value, path: &str) -> Option<&'a str> {
    let matches = |template: &str| {
        let (mut ours, mut theirs) = (path.split('/'), template.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(it), Some(place)) if place.starts_with('{') && !it.is_empty() => {}
                (Some(it), Some(place)) if it == place => {}
                _ => return false,
            }
        }
    };
    let templates = document["paths"].as_object()?.keys();
    let found = templates.filter(|template| matches(template));
    let found = found.min_by_key(|template| template.matches('{').count());
    found.map(String::as_str)
}

fn valid(document: &Value, schema: &Value, value: &Value, is_strict: bool) -> Result<(), String> {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    if is_strict {
        forbid_others(&mut root);
    }
    let validator = jsonschema::draft202012::new(&root).map_err(|it| it.to_string())?;
    let errors = validator.iter_errors(value);
    let errors: Vec<String> = errors
        .map(|it| format!("{}: {it}", it.instance_path()))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(errors.join("; "))
}

#[test]
fn what_is_not_described_fails() {
    let schema = json!({
        "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"],
    });
    let answer = json!({ "content": { "application/json": { "schema": schema } } });
    let operation = json!({ "parameters": [], "responses": { "200": answer } });
    let document = json!({
        "paths": { "/calls/{id}": { "get": operation } },
        "components": { "schemas": { "common.Failure": schema } },
    });
    let check = |method, path, status, body: Value| {
        let exchange = Exchange {
            method,
            path,
            query: "",
            headers: &HeaderMap::new(),
            sent: None,
            status,
            content_type: "application/json",
            body: &body,
        };
        let failure = json!({ "$ref": OF_CLIENTS.failure });
        compare(&document, &exchange, &failure).is_ok()
    };

    assert!(check("GET", "/calls/1", 200, json!({ "id": "1" })));
    assert!(
        !check("GET", "/calls/1", 200, json!({ "ID": "1" })),
        "renamed"
    );
    assert!(
        !check("GET", "/calls/1", 200, json!({ "id": "1", "a": 1 })),
        "one more"
    );
    assert!(
        !check("GET", "/calls/1", 200, json!({ "id": 1 })),
        "another type"
    );
    assert!(
        !check("GET", "/calls/1", 201, json!({ "id": "1" })),
        "another status"
    );
    assert!(
        !check("PUT", "/calls/1", 200, json!({ "id": "1" })),
        "another method"
    );
    assert!(
        !check("GET", "/rings/1", 200, json!({ "id": "1" })),
        "another path"
    );
    assert!(check("GET", "/rings/1", 404, json!({ "id": "1" })));
}
