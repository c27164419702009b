//! The demo page over real sockets: what is served, to whom, and how a browser has to treat it.

use std::{fs, path::PathBuf};

use realtime_gateway::{
    demo::{self, DemoError},
    transport::Config,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::transport::World;

#[tokio::test]
async fn without_people_there_is_no_demo() {
    let world = World::new().await;

    for path in ["/demo", "/demo/", "/demo/main.js", "/demo/people.json"] {
        let (status, head, _) = world.http(&request("GET", path, "")).await;

        assert_eq!(status, 404, "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
}

#[tokio::test]
async fn everything_that_the_page_refers_to_is_served_with_its_type() {
    let world = world().await;
    let mut paths = vec!["/demo/".to_owned(), "/demo".to_owned()];
    let mut done = Vec::new();

    while let Some(path) = paths.pop() {
        let (status, head, body) = world.http(&request("GET", &path, "")).await;

        assert_eq!(status, 200, "{path}");
        assert!(head.contains(content_type(&path)), "{path}: {head}");
        done.push(path);
        paths.extend(references(&body).filter(|path| !done.contains(path)));
        paths.sort();
        paths.dedup();
    }
    assert!(done.len() > 10, "{done:?}");
}

#[tokio::test]
async fn a_page_runs_no_code_but_its_own() {
    let world = world().await;

    let (_, head, body) = world.http(&request("GET", "/demo", "")).await;

    assert!(head.contains(
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'"
    ));
    assert!(head.contains("require-trusted-types-for 'script'"));
    assert!(head.contains("x-content-type-options: nosniff"));
    assert!(!body.contains("style=") && !body.contains("onclick="));
}

#[tokio::test]
async fn a_browser_asks_whether_its_copy_is_still_good() {
    let world = world().await;
    let (_, head, _) = world.http(&request("GET", "/demo", "")).await;
    let etag = header(&head, "etag");

    let known = format!("If-None-Match: {etag}\r\n");
    let (same, _, body) = world.http(&request("GET", "/demo", &known)).await;
    let (other, ..) = world.http(&request("GET", "/demo/demo.css", &known)).await;

    assert_eq!((same, body.as_str(), other), (304, "", 200));
    assert_eq!(header(&head, "cache-control"), "no-cache");
}

#[tokio::test]
async fn a_head_is_a_get_without_the_body_and_nothing_else_is_allowed() {
    let world = world().await;

    let (_, _, page) = world.http(&request("GET", "/demo", "")).await;
    let (status, head, body) = world.http(&request("HEAD", "/demo", "")).await;
    let (post, post_head, _) = world.http(&request("POST", "/demo", "")).await;

    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(header(&head, "content-length"), page.len().to_string());
    assert_eq!((post, header(&post_head, "allow")), (405, "get, head"));
}

#[tokio::test]
async fn the_people_are_those_of_the_file_and_no_browser_keeps_them() {
    let world = world().await;

    let (status, head, body) = world.http(&request("GET", "/demo/people.json", "")).await;

    let people: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, people), (200, cast()));
    assert_eq!(header(&head, "cache-control"), "no-store");
}

#[test]
fn a_file_that_does_not_list_people_is_an_error() {
    let missing = demo::pages(&path());
    let other = demo::pages(&file(&json!({ "people": [] })));

    assert!(matches!(missing, Err(DemoError::Unreadable(..))));
    assert!(matches!(other, Err(DemoError::Malformed(..))));
}

/// A server with the demo page.
async fn world() -> World {
    let mut with_more = cast();
    with_more["secret"] = json!("of somebody else");
    let pages = demo::pages(&file(&with_more)).unwrap();
    World::with(Config {
        pages,
        ..Config::default()
    })
    .await
}

fn cast() -> Value {
    json!({
        "conversation": "c1",
        "people": [
            { "id": "u1", "role": "consultant", "name": "Ada", "token": "t1" },
            { "id": "u2", "role": "patient", "name": "Ben", "token": "t2" },
        ],
    })
}

fn file(content: &Value) -> PathBuf {
    let path = path();
    fs::write(&path, content.to_string()).unwrap();
    path
}

fn path() -> PathBuf {
    std::env::temp_dir().join(format!("demo-{}.json", Uuid::new_v4()))
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n{headers}\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in {head}"))
}

/// Finds `"/demo/.."` of the page and `"./.."` of its scripts.
fn references(text: &str) -> impl Iterator<Item = String> {
    text.split('"').filter_map(|quoted| {
        let name = quoted
            .strip_prefix("/demo/")
            .or_else(|| quoted.strip_prefix("./"))?;
        Some(format!("/demo/{name}"))
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        None => "content-type: text/html; charset=utf-8",
        Some("css") => "content-type: text/css; charset=utf-8",
        Some("js") => "content-type: text/javascript; charset=utf-8",
        Some("json") => "content-type: application/json",
        Some("svg") => "content-type: image/svg+xml",
        Some(other) => panic!("no type for {other}"),
    }
}
