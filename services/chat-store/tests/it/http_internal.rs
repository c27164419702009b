//! What other services tell: the directory and system messages.

use serde_json::{Value, json};

use crate::http_site::{
    Ask, BOOKING, CONSULTANT, NOTHING, PATIENT, STRANGER, Site, masked, meeting, token, with,
};

#[tokio::test]
async fn only_the_service_token_opens_the_door() {
    let site = Site::start().await;
    let path = format!("/internal/v1/apps/jiggy/users/{STRANGER}");
    let body = json!({"role": "patient"});

    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer the-service-toke".to_owned(),
        "Bearer the-service-token2".to_owned(),
        "Basic the-service-token".to_owned(),
        format!("Bearer {}", token(PATIENT, "patient")),
    ] {
        let answer = Ask::new("PUT", &path)
            .header("authorization", &authorization)
            .header("cookie", "access_token=the-service-token")
            .json(&body)
            .of(&site.internal)
            .await;

        answer.assert_error(401, &authorization);
    }
    let elsewhere = Ask::new("GET", "/nowhere").of(&site.internal).await;
    elsewhere.assert_error(401, "strangers do not even learn the routes");
}

#[tokio::test]
async fn every_kind_of_entry_is_taken_again_and_again() {
    let site = Site::start().await;

    for (path, body) in [
        (
            format!("users/{STRANGER}"),
            json!({"role": "patient", "name": "Sam", "email": "s@x.example", "avatarUrl": null, "version": 3}),
        ),
        (
            format!("bookings/{BOOKING}"),
            json!({"consultantId": CONSULTANT, "patientId": PATIENT, "startsAt": "2026-01-14T12:00:00Z",
                "endsAt": "2026-01-14T12:45:00.5+01:00", "status": "upcoming", "version": 1}),
        ),
        (
            format!("bookings/{NOTHING}"),
            json!({"businessId": CONSULTANT, "clientId": PATIENT}),
        ),
        (
            format!("businesses/{NOTHING}"),
            json!({"ownerId": CONSULTANT, "name": "Salon"}),
        ),
        (format!("associations/{CONSULTANT}/{PATIENT}"), json!({})),
    ] {
        for _ in 0..2 {
            let answer = site.tell("PUT", &path, &body).await;

            assert_eq!(answer.status.as_u16(), 204, "{path} {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_association_needs_no_body() {
    let site = Site::start().await;
    let path = format!("/internal/v1/apps/jiggy/associations/{CONSULTANT}/{PATIENT}");

    let answer = Ask::new("PUT", &path)
        .header("authorization", "Bearer the-service-token")
        .of(&site.internal)
        .await;

    assert_eq!(answer.status.as_u16(), 204, "{answer:?}");
}

#[tokio::test]
async fn an_older_version_changes_nothing() {
    let site = Site::start().await;
    let path = format!("bookings/{NOTHING}");
    let of = |patient: &str, version: i64| json!({"consultantId": CONSULTANT, "patientId": patient, "version": version});
    let open = |patient: &str| {
        with(
            &meeting(),
            &json!({"bookingId": NOTHING, "patientId": patient}),
        )
    };

    site.tell("PUT", &path, &of(PATIENT, 2)).await;
    let older = site.tell("PUT", &path, &of(STRANGER, 1)).await;
    let opened = site.post("patient", "conversations", &open(PATIENT)).await;

    assert_eq!(older.status.as_u16(), 204);
    assert_eq!(opened.status.as_u16(), 201);
    site.post("stranger", "conversations", &open(STRANGER))
        .await
        .assert_error(403, "the older booking was of the stranger");
}

#[tokio::test]
async fn bad_entries_are_refused_with_their_reasons() {
    let site = Site::start().await;
    let booking = |changes: Value| {
        with(
            &json!({"consultantId": CONSULTANT, "patientId": PATIENT}),
            &changes,
        )
    };

    for (method, path, body) in [
        ("PUT", format!("users/{STRANGER}"), json!({})),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "banana"}),
        ),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "doctor"}),
        ),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "patient", "name": 5}),
        ),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "patient", "name": "a\u{0}"}),
        ),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "patient", "version": "1"}),
        ),
        (
            "PUT",
            format!("users/{STRANGER}"),
            json!({"role": "patient", "version": 1.5}),
        ),
        ("PUT", "users/abc".to_owned(), json!({"role": "patient"})),
        ("PUT", format!("bookings/{BOOKING}"), json!({})),
        (
            "PUT",
            format!("bookings/{BOOKING}"),
            booking(json!({"patientId": null})),
        ),
        (
            "PUT",
            format!("bookings/{BOOKING}"),
            booking(json!({"startsAt": "tomorrow"})),
        ),
        (
            "PUT",
            format!("bookings/{BOOKING}"),
            booking(json!({"endsAt": 5})),
        ),
        ("PUT", "bookings/abc".to_owned(), booking(json!({}))),
        (
            "PUT",
            format!("businesses/{NOTHING}"),
            json!({"ownerId": CONSULTANT}),
        ),
        ("PUT", format!("associations/abc/{PATIENT}"), json!({})),
        ("POST", "messages".to_owned(), json!({"content": "hi"})),
        (
            "POST",
            "messages".to_owned(),
            json!({"conversationId": "x", "content": "hi"}),
        ),
        ("POST", "messages".to_owned(), json!({"bookingId": BOOKING})),
        (
            "POST",
            "messages".to_owned(),
            json!({"bookingId": BOOKING, "content": " "}),
        ),
    ] {
        let answer = site.tell(method, &path, &body).await;

        answer.assert_invalid(&format!("{path} {body}"));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let site = Site::start().await;
    let unknown_app = Ask::new("PUT", &format!("/internal/v1/apps/nobody/users/{PATIENT}"))
        .header("authorization", "Bearer the-service-token")
        .json(&json!({"role": "patient"}))
        .of(&site.internal)
        .await;
    let content = json!({"content": "hi"});

    let conversation = with(&content, &json!({"conversationId": NOTHING}));
    let conversation = site.tell("POST", "messages", &conversation).await;
    let booking = with(&content, &json!({"bookingId": NOTHING}));
    let booking = site.tell("POST", "messages", &booking).await;
    let route = site.tell("PUT", "unicorns/1", &content).await;
    let method = site
        .tell("DELETE", &format!("users/{PATIENT}"), &content)
        .await;

    unknown_app.assert_error(404, "app");
    conversation.assert_error(404, "conversation");
    booking.assert_error(404, "booking");
    route.assert_error(404, "route");
    method.assert_error(405, "method");
}

#[tokio::test]
async fn a_system_message_is_said_once() {
    let site = Site::start().await;
    let body =
        json!({"bookingId": BOOKING, "content": "The appointment moved", "idempotencyKey": "m-1"});

    let first = site.tell("POST", "messages", &body).await;
    let again = site.tell("POST", "messages", &body).await;
    let id = first.text("conversationId");
    let page = site
        .get("patient", &format!("conversations/{id}/messages"))
        .await;

    assert_eq!(first.status.as_u16(), 200, "{first:?}");
    insta::assert_snapshot!("system_message", masked(&first.body));
    assert_eq!(first.body, again.body);
    assert_eq!(page.body["messages"].as_array().unwrap().len(), 1);
    assert_eq!(page.body["messages"][0]["messageType"], "system");
}
