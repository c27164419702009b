//! One app sees nothing of another: its routes are closed to other apps' tokens, and their ids are
//! unknown to it.

use serde_json::{Value, json};

use crate::http_site::{Ask, CONSULTANT, PATIENT, Site};

/// Every route of a dialect, with the ids of `$` filled in.
const ROUTES: [(&str, &[&str]); 4] = [
    (
        "jiggy",
        &[
            "GET /api/v1/chat/conversations?patientId=$user",
            "GET /api/v1/chat/conversations/$conversation/messages",
            "GET /api/v1/chat/conversations/$conversation/unread?userId=$user",
            "POST /api/v1/chat/conversations/$conversation/read",
            "POST /api/v1/chat/conversations",
            "POST /api/v1/chat/messages",
            "POST /api/v1/chat/conversations/$conversation/attachments",
            "GET /api/v1/chat/attachments/$message",
            "GET /api/v1/chat/search?query=x",
            "GET /api/v1/chat/calls",
            "GET /api/v1/chat/presence?userIds=$user",
        ],
    ),
    (
        "other",
        &[
            "GET /chat/conversations",
            "GET /chat/conversations/$user",
            "PUT /chat/conversations/$user/read",
            "POST /chat/conversations/$user/attachments",
            "GET /chat/attachments/$message",
            "GET /chat/unread-count",
            "POST /chat/online-status",
            "GET /chat/search?query=x",
            "POST /users/send-message",
            "GET /users/conversations",
            "GET /users/conversations/$user",
            "PUT /users/conversations/$user/read",
            "GET /users/unread-count",
            "GET /doctors/patients/$user/messages",
            "POST /doctors/patients/$user/messages",
        ],
    ),
    (
        "clinic",
        &[
            "GET /api/conversations?user_email=$user",
            "GET /api/conversations/$conversation/messages",
            "POST /api/attachments",
            "GET /api/attachments/$message",
            "POST /api/messages/$message/read",
            "GET /api/messages/unread-count?user_email=$user",
            "GET /api/users/search?q=xy",
        ],
    ),
    (
        "booking",
        &[
            "GET /api/messages/booking/$booking",
            "POST /api/messages/booking/$booking/attachments",
            "GET /api/messages/attachments/$message",
            "GET /api/messages/my-conversations",
            "GET /api/messages/business/$user/conversations",
            "POST /api/messages/mark-read",
        ],
    ),
];

/// The key of a failure's text, in the style of each.
fn key_of(app: &str) -> &'static str {
    match app {
        "clinic" => "detail",
        "booking" => "msg",
        _ => "message",
    }
}

#[tokio::test]
async fn the_token_of_another_dialect_is_refused_in_the_style_of_the_route() {
    let site = Site::start().await;
    let strangers = [
        ("jiggy", format!("jiggy patient {PATIENT}")),
        ("other", "other patient anna".to_owned()),
        ("clinic", "clinic doctor ada@clinic.com".to_owned()),
        ("booking", "booking client carl".to_owned()),
    ];

    for (app, routes) in ROUTES {
        for route in routes {
            let route = route
                .replace("$user", PATIENT)
                .replace("$booking", "b-1")
                .replace("$conversation", "0199a7de-0000-7000-8000-00000000dead")
                .replace("$message", "0199a7de-0000-7000-8000-00000000dead");
            let none = site.ask("", &route, &json!({})).await;
            assert_eq!(none.status.as_u16(), 401, "{route}: {none:?}");
            assert!(none.body[key_of(app)].is_string(), "{route}: {none:?}");
            for (of, who) in strangers.iter().filter(|(of, _)| *of != app) {
                let answer = site.ask(who, &route, &json!({})).await;
                assert_eq!(answer.status.as_u16(), 403, "{of} {route}: {answer:?}");
                assert!(
                    answer.body[key_of(app)].is_string(),
                    "{of} {route}: {answer:?}"
                );
            }
        }
    }
    for (of, who) in &strangers[..2] {
        let answer = site.ask(who, "POST /api/messages", &json!({})).await;
        assert_eq!(answer.status.as_u16(), 403, "{of}: {answer:?}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn ids_of_another_app_are_unknown() {
    let site = Site::start().await;
    let consult = site.conversation().await;
    let message = site.say("patient", "secret").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The same people, in apps of their own.
    for (app, role) in [
        ("other", "patient"),
        ("clinic", "doctor"),
        ("booking", "client"),
    ] {
        let body = json!({"role": role, "name": "Same"});
        site.tell_of(app, &format!("users/{PATIENT}"), &body).await;
    }
    let patient = |app: &str, role: &str| format!("{app} {role} {PATIENT}");
    let (care, clinic, booking) = (
        patient("other", "patient"),
        patient("clinic", "doctor"),
        patient("booking", "client"),
    );

    for (who, request, body, status) in [
        (
            &care,
            format!("GET /chat/conversations/{CONSULTANT}"),
            Value::Null,
            404,
        ),
        (
            &care,
            "POST /users/send-message".to_owned(),
            json!({"doctorId": CONSULTANT, "content": "x"}),
            404,
        ),
        (
            &care,
            format!("PUT /chat/conversations/{CONSULTANT}/read"),
            Value::Null,
            404,
        ),
        (
            &clinic,
            format!("GET /api/conversations/{consult}/messages"),
            Value::Null,
            404,
        ),
        (
            &clinic,
            format!("POST /api/messages/{message}/read"),
            Value::Null,
            404,
        ),
        (
            &clinic,
            "POST /api/messages".to_owned(),
            json!({"receiver_email": CONSULTANT, "content": "x"}),
            404,
        ),
        (
            &booking,
            format!("GET /api/messages/booking/{}", crate::http_site::BOOKING),
            Value::Null,
            404,
        ),
        (
            &booking,
            "POST /api/messages".to_owned(),
            json!({"bookingId": consult, "content": "x"}),
            404,
        ),
        (
            &booking,
            format!("GET /api/messages/business/{CONSULTANT}/conversations"),
            Value::Null,
            404,
        ),
    ] {
        let answer = site.ask(who, &request, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:?}");
    }
    for (who, request) in [
        (&care, "GET /chat/conversations"),
        (&care, "GET /chat/search?query=secret"),
        (&booking, "GET /api/messages/my-conversations"),
    ] {
        let answer = site.ask(who, request, &Value::Null).await;
        let data = answer.body.get("data").unwrap_or(&answer.body);
        assert_eq!(data, &json!([]), "{request}");
    }
    let marked = site
        .ask(
            &booking,
            "POST /api/messages/mark-read",
            &json!({"messageIds": [message]}),
        )
        .await;
    assert_eq!(marked.body["count"], 0);
    let online = Ask::new("POST", "/chat/online-status")
        .of_app(&care)
        .json(&json!({"userIds": [CONSULTANT]}))
        .of(&site.clients)
        .await;
    assert_eq!(online.body["data"][0]["isOnline"], false);
}
