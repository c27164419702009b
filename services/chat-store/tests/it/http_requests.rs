//! What holds for every request: credentials, origins, forms of bodies, routes.

use http::header;
use serde_json::json;

use crate::http_site::{
    Ask, CONSULTANT, ORIGIN, PATIENT, Site, care_token, expired_token, masked, meeting, message,
    token, with,
};

const ROUTES: [(&str, &str); 9] = [
    ("GET", "/api/v1/chat/conversations"),
    ("POST", "/api/v1/chat/conversations"),
    ("GET", "/api/v1/chat/conversations/abc/messages"),
    ("GET", "/api/v1/chat/conversations/abc/unread"),
    ("POST", "/api/v1/chat/conversations/abc/read"),
    ("POST", "/api/v1/chat/messages"),
    ("GET", "/api/v1/chat/ice-servers"),
    ("GET", "/api/v1/chat/calls"),
    ("GET", "/api/v1/chat/calls/abc"),
];

#[tokio::test]
async fn every_route_needs_a_token() {
    let site = Site::start().await;

    for (method, path) in ROUTES {
        let none = Ask::new(method, path).of(&site.clients).await;
        let bad = Ask::new(method, path)
            .header("authorization", "Bearer abc")
            .of(&site.clients)
            .await;
        let expired = Ask::new(method, path)
            .header("authorization", &format!("Bearer {}", expired_token()))
            .of(&site.clients)
            .await;
        let in_query = Ask::new(
            method,
            &format!("{path}?token={}", token(PATIENT, "patient")),
        )
        .of(&site.clients)
        .await;

        for (answer, message) in [
            (none, "Authentication token required"),
            (bad, "Invalid token"),
            (expired, "Token expired"),
            (in_query, "Authentication token required"),
        ] {
            answer.assert_error(401, path);
            assert_eq!(answer.body["message"], message, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn other_roles_and_apps_have_no_business_here() {
    let site = Site::start().await;

    for token in [
        token(PATIENT, "agent"),
        token(PATIENT, "doctor"),
        care_token(),
    ] {
        let answer = Ask::new("GET", "/api/v1/chat/conversations")
            .header("authorization", &format!("Bearer {token}"))
            .of(&site.clients)
            .await;

        answer.assert_error(403, "a valid token of the wrong role or app");
    }
}

#[tokio::test]
async fn a_cookie_changes_nothing_from_a_foreign_page() {
    let site = Site::start().await;
    let cookie = format!("a=b; access_token={}", token(PATIENT, "patient"));
    let ask = |method: &str, name: &str, value: &str| {
        let ask = Ask::new(method, "/api/v1/chat/conversations").header("cookie", &cookie);
        ask.header(name, value)
    };

    for (name, value, status) in [
        ("origin", ORIGIN, 201),
        ("referer", "http://localhost:5173/chat?a=b", 201),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("referer", "https://evil.example/http://localhost:5173", 403),
        ("x-client-type", "web", 403),
    ] {
        let answer = ask("POST", name, value)
            .json(&meeting())
            .of(&site.clients)
            .await;

        assert_eq!(answer.status.as_u16(), status, "{name}: {value} {answer:?}");
    }
    let reads = Ask::new(
        "GET",
        &format!("/api/v1/chat/conversations?patientId={PATIENT}"),
    )
    .header("cookie", &cookie)
    .of(&site.clients)
    .await;
    assert_eq!(reads.status.as_u16(), 200);
}

#[tokio::test]
async fn browsers_of_allowed_origins_read_answers() {
    let site = Site::start().await;
    let ask = |origin: &str| {
        Ask::new("OPTIONS", "/api/v1/chat/messages")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .of(&site.clients)
    };

    let known = ask(ORIGIN).await;
    let foreign = ask("https://evil.example").await;
    let failed = Ask::new("GET", "/api/v1/chat/conversations")
        .header("origin", ORIGIN)
        .of(&site.clients)
        .await;

    assert_eq!((known.status.as_u16(), foreign.status.as_u16()), (204, 204));
    for answer in [&known, &failed] {
        assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
        assert_eq!(
            answer.headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS],
            "true"
        );
    }
    assert!(
        !foreign
            .headers
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    );
    failed.assert_error(401, "an error has the headers too");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_errors_like_all() {
    let site = Site::start().await;

    for (method, path, status) in [
        ("GET", "/api/v1/chat", 404),
        ("GET", "/api/v1/chat/conversations/", 404),
        ("GET", "/api/v2/chat/conversations", 404),
        ("GET", "/internal/v1/apps/jiggy/users/x", 404),
        ("DELETE", "/api/v1/chat/conversations", 405),
        ("PUT", "/api/v1/chat/messages", 405),
        ("GET", "/api/v1/chat/messages", 405),
        ("GET", "/api/v1/chat/conversations/abc/read", 405),
        ("TRACE", "/api/v1/chat/messages", 405),
        ("OPTIONS", "/api/v1/chat/messages", 405),
        ("POST", "/api/v1/chat/calls", 405),
        ("BREW", "/api/v1/chat/messages", 405),
    ] {
        let answer = Ask::new(method, path)
            .role("patient")
            .header("x-http-method-override", "POST")
            .of(&site.clients)
            .await;

        answer.assert_error(status, &format!("{method} {path}"));
        assert_eq!(answer.headers.contains_key(header::ALLOW), status == 405);
    }
}

#[tokio::test]
async fn the_root_says_that_something_is_here() {
    let site = Site::start().await;

    let answer = Ask::new("GET", "/").of(&site.clients).await;

    assert_eq!(answer.status.as_u16(), 200);
    insta::assert_snapshot!("root", masked(&answer.body));
}

#[tokio::test]
async fn bodies_must_be_json_objects() {
    let site = Site::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(r#"{{"content":{deep}}}"#);

    for body in [
        "",
        "{",
        "null",
        "5",
        "\"x\"",
        "[]",
        "{}}",
        "{\"content\":\"\\ud800\"}",
        "{\"content\":\"a\nb\"}",
        "{'content':'x'}",
        &deep,
        &nested,
    ] {
        let answer = Ask::new("POST", "/api/v1/chat/messages")
            .role("patient")
            .raw("application/json", body.to_owned())
            .of(&site.clients)
            .await;

        answer.assert_invalid(body.get(..40).unwrap_or(body));
    }
    let not_utf8 = Ask::new("POST", "/api/v1/chat/messages")
        .role("patient")
        .raw("application/json", &b"{\"content\":\"\xff\"}"[..])
        .of(&site.clients)
        .await;
    not_utf8.assert_invalid("not UTF-8");
}

#[tokio::test]
async fn bodies_of_other_types_are_not_read() {
    let site = Site::start().await;
    let body = message("patient", "hi").to_string();
    let ask = || Ask::new("POST", "/api/v1/chat/messages").role("patient");

    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "json",
        "",
    ] {
        let answer = ask().raw(kind, body.clone()).of(&site.clients).await;

        answer.assert_error(415, kind);
    }
    let none = ask().of(&site.clients).await;
    none.assert_error(415, "no content type");
    let gzip = ask()
        .header("content-encoding", "gzip")
        .raw("application/json", body.clone())
        .of(&site.clients)
        .await;
    gzip.assert_error(415, "gzip");
    let charset = ask()
        .raw("Application/JSON; charset=utf-8", body)
        .of(&site.clients)
        .await;
    assert_eq!(charset.status.as_u16(), 201);
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let site = Site::start().await;
    let large = with(
        &message("patient", "hi"),
        &json!({"padding": "x".repeat(1_000_000)}),
    );

    let answer = site.post("patient", "messages", &large).await;

    answer.assert_error(413, "more than a megabyte");
}

#[tokio::test]
async fn fields_that_nobody_knows_are_ignored() {
    let site = Site::start().await;
    let extra = json!({"conversationId": "x", "__proto__": {"a": 1}, "isRead": true, "seq": 99});

    let answer = site
        .post(
            "patient",
            "messages",
            &with(&message("patient", "hi"), &extra),
        )
        .await;

    assert_eq!(answer.status.as_u16(), 201);
    assert_eq!(answer.body["message"]["seq"], 1);
}

#[tokio::test]
async fn a_database_that_is_down_is_temporary() {
    let site = Site::start().await;
    site.pg.close().await;

    let read = format!("conversations?patientId={PATIENT}");
    let read = site.get("patient", &read).await;
    let sent = site
        .post("patient", "messages", &message("patient", "hi"))
        .await;
    let root = Ask::new("GET", "/").of(&site.clients).await;

    for answer in [read, sent] {
        answer.assert_error(503, "Postgres is down");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    assert_eq!(root.status.as_u16(), 200);
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let policy = "{ limits = { user_requests = { per_minute = 1, burst = 3 } } }";
    let site = Site::with_policy(policy).await;
    let path = format!("conversations?patientId={PATIENT}");

    for _ in 0..3 {
        assert_eq!(site.get("patient", &path).await.status, 200);
    }
    let refused = site.get("patient", &path).await;

    refused.assert_error(429, "one too many");
    let after: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&after), "{after}");
    let path = format!("conversations?consultantId={CONSULTANT}");
    assert_eq!(
        site.get("consultant", &path).await.status,
        200,
        "others may"
    );
}
