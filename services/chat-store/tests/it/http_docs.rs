//! The documents and their pages, and that they speak of what is there.

use http::header;
use serde_json::Value;

use crate::{
    http_described::{OF_CLIENTS, OF_SERVICES, fetch, filled, operations},
    http_site::{Ask, NOTHING, Site},
};

#[tokio::test]
async fn what_is_described_is_there() {
    let site = Site::start().await;
    for (router, known, least) in [
        (&site.clients, &OF_CLIENTS, 40),
        (&site.internal, &OF_SERVICES, 15),
    ] {
        let document = fetch(router, known).await;

        let operations = operations(&document);
        for (path, method, operation) in &operations {
            let path = filled(path, NOTHING);
            let answer = Ask::new(&method.to_uppercase(), &path).of(router).await;
            let needs_token = !operation["security"].as_array().unwrap().is_empty();

            assert_eq!(
                answer.status == 401,
                needs_token,
                "{method} {path} {answer:?}"
            );
        }
        assert!(least <= operations.len(), "{}", operations.len());
    }
}

#[tokio::test]
async fn what_is_said_to_services_is_not_for_everybody() {
    let site = Site::start().await;
    let ask = |router| Ask::new("GET", OF_SERVICES.path).of(router);

    assert_eq!(ask(&site.internal).await.status, 401);
    assert_eq!(ask(&site.clients).await.status, 404);
}

#[tokio::test]
async fn a_path_of_two_dialects_is_described_as_either() {
    let site = Site::start().await;
    let document = fetch(&site.clients, &OF_CLIENTS).await;

    let operation = &document["paths"]["/api/messages"]["post"];

    assert_eq!(operation["tags"], serde_json::json!(["clinic", "booking"]));
    for place in ["/requestBody", "/responses/401"] {
        let schema = operation.pointer(&format!("{place}/content/application~1json/schema"));
        assert_eq!(
            schema.unwrap()["oneOf"].as_array().unwrap().len(),
            2,
            "{place}"
        );
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let site = Site::start().await;
    let of_sockets = "/api/v1/async-docs.json";
    for (path, document) in [
        (
            of_sockets,
            Ask::new("GET", of_sockets).of(&site.clients).await.body,
        ),
        (OF_CLIENTS.path, fetch(&site.clients, &OF_CLIENTS).await),
        (OF_SERVICES.path, fetch(&site.internal, &OF_SERVICES).await),
    ] {
        let mut references = Vec::new();
        collect(&document, &mut references);

        assert!(references.len() > 50, "{path}");
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{path} {reference}");
        }
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    if let Some(reference) = value["$ref"].as_str() {
        references.push(reference);
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|it| collect(it, references)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let site = Site::start().await;
    for page in ["/api/v1/api-docs", "/api/v1/async-docs"] {
        let answer = Ask::new("GET", page).of(&site.clients).await;
        let html = String::from_utf8(answer.bytes.to_vec()).unwrap();

        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!html.contains("://"), "{page}");
        let files = html.split('"');
        let files = files.filter(|it| it.starts_with("/api/v1/api-docs/"));
        for file in files {
            let answer = Ask::new("GET", file).of(&site.clients).await;
            assert_eq!(answer.status, 200, "{file}");
            assert!(!answer.bytes.is_empty(), "{file}");
        }
    }
    let other = Ask::new("GET", "/api/v1/api-docs/other.js")
        .of(&site.clients)
        .await;
    assert_eq!(other.status, 404);
}
