//! `/chat/conversations`: listing, opening, counting.

use serde_json::{Value, json};

use crate::http_site::{
    Ask, BOOKING, CONSULTANT, NOTHING, PATIENT, STRANGER, Site, masked, meeting, with,
};

#[tokio::test]
async fn the_conversation_of_a_booking_is_opened_once() {
    let site = Site::start().await;

    let first = site.post("patient", "conversations", &meeting()).await;
    let again = site.post("consultant", "conversations", &meeting()).await;

    insta::assert_snapshot!("conversation", masked(&first.body));
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
}

#[tokio::test]
async fn ids_are_the_same_in_either_case() {
    let site = Site::start().await;
    let id = site.conversation().await;

    let upper = with(&meeting(), &json!({"patientId": PATIENT.to_uppercase()}));
    let opened = site.post("patient", "conversations", &upper).await;
    let path = format!("conversations/{}/messages", id.to_uppercase());
    let page = site.get("patient", &path).await;

    assert_eq!(opened.text("id"), id);
    assert_eq!(page.status.as_u16(), 200);
}

#[tokio::test]
async fn opening_needs_the_bookings_own_people() {
    let site = Site::start().await;
    let other = |changes: Value| with(&meeting(), &changes);

    for (role, body, status) in [
        ("patient", other(json!({"bookingId": NOTHING})), 404),
        ("patient", other(json!({"consultantId": STRANGER})), 403),
        ("consultant", other(json!({"patientId": STRANGER})), 403),
        ("patient", other(json!({"patientId": STRANGER})), 403),
        ("stranger", meeting(), 403),
        ("stranger", other(json!({"patientId": STRANGER})), 403),
        // A patient does not become a consultant by saying so.
        (
            "patient",
            other(json!({"consultantId": PATIENT, "patientId": CONSULTANT})),
            403,
        ),
    ] {
        let answer = site.post(role, "conversations", &body).await;

        answer.assert_error(status, &format!("{role} {body}"));
    }
}

#[tokio::test]
async fn everybody_lists_his_own_conversations() {
    let site = Site::start().await;
    let empty = site
        .get("patient", &format!("conversations?patientId={PATIENT}"))
        .await;
    let id = site.conversation().await;

    let patients = site
        .get("patient", &format!("conversations?patientId={PATIENT}"))
        .await;
    let consultants = site
        .get(
            "consultant",
            &format!("conversations?consultantId={CONSULTANT}&other=1"),
        )
        .await;

    assert_eq!(empty.body, json!([]));
    insta::assert_snapshot!("conversations", masked(&patients.body));
    assert_eq!(patients.body[0]["id"], id.as_str());
    assert_eq!(patients.body, consultants.body);
}

#[tokio::test]
async fn the_conversation_that_changed_last_comes_first() {
    let site = Site::start().await;
    let first = site.conversation().await;
    let booking = "33333333-3333-4333-8333-444444444444";
    let pair = json!({"consultantId": CONSULTANT, "patientId": PATIENT});
    site.tell("PUT", &format!("bookings/{booking}"), &pair)
        .await;
    let body = with(&meeting(), &json!({"bookingId": booking}));
    let second = site
        .post("patient", "conversations", &body)
        .await
        .text("id");
    let list = format!("conversations?patientId={PATIENT}");

    let before = site.get("patient", &list).await.body;
    site.say("patient", "hello").await;
    let after = site.get("patient", &list).await.body;
    let one = site.get("patient", &format!("{list}&limit=1")).await.body;

    assert_eq!(
        (&before[0]["id"], &before[1]["id"]),
        (&json!(second), &json!(first))
    );
    assert_eq!(
        (&after[0]["id"], &after[1]["id"]),
        (&json!(first), &json!(second))
    );
    assert_eq!(one, json!([after[0]]));
}

#[tokio::test]
async fn listing_takes_exactly_one_id_and_that_is_the_callers() {
    let site = Site::start().await;

    for query in [
        String::new(),
        "?other=1".to_owned(),
        "?patientId=".to_owned(),
        "?patientId=abc".to_owned(),
        "?patientId=%FF".to_owned(),
        format!("?patientId={PATIENT}&consultantId={CONSULTANT}"),
        format!("?patientId={PATIENT}&limit=0"),
        format!("?patientId={PATIENT}&limit=201"),
    ] {
        let answer = site.get("patient", &format!("conversations{query}")).await;

        answer.assert_invalid(&query);
    }
    for query in [
        format!("?patientId={STRANGER}"),
        format!("?consultantId={CONSULTANT}"),
        format!("?consultantId={PATIENT}"),
    ] {
        let answer = site.get("patient", &format!("conversations{query}")).await;

        answer.assert_error(403, &query);
    }
}

#[tokio::test]
async fn unread_counts_what_the_other_side_sent() {
    let site = Site::start().await;
    let id = site.conversation().await;
    site.say("patient", "one").await;
    site.say("patient", "two").await;

    let path = format!("conversations/{id}/unread");
    let consultants = site
        .get("consultant", &format!("{path}?userId={CONSULTANT}"))
        .await;
    let patients = site
        .get("patient", &format!("{path}?userId={PATIENT}"))
        .await;

    assert_eq!(
        consultants.body,
        json!({"conversationId": id, "unreadCount": 2})
    );
    assert_eq!(patients.body["unreadCount"], 0);
    insta::assert_snapshot!("unread", masked(&consultants.body));
}

#[tokio::test]
async fn unread_is_for_oneself_in_ones_own_conversation() {
    let site = Site::start().await;
    let id = site.conversation().await;

    for (role, path, status) in [
        ("patient", format!("{id}/unread"), 400),
        ("patient", format!("{id}/unread?userId="), 400),
        ("patient", format!("{id}/unread?userId=abc"), 400),
        ("patient", format!("abc/unread?userId={PATIENT}"), 400),
        ("patient", format!("{id}/unread?userId={CONSULTANT}"), 403),
        ("stranger", format!("{id}/unread?userId={STRANGER}"), 403),
        ("patient", format!("{NOTHING}/unread?userId={PATIENT}"), 404),
    ] {
        let answer = site.get(role, &format!("conversations/{path}")).await;

        answer.assert_error(status, &format!("{role} {path}"));
    }
}

#[tokio::test]
async fn malformed_meetings_name_every_bad_field() {
    let site = Site::start().await;

    let all = site.post("patient", "conversations", &json!({})).await;
    insta::assert_snapshot!("invalid_meeting", masked(&all.body));
    for (name, value) in [
        ("consultantId", json!(null)),
        ("consultantId", json!("")),
        ("patientId", json!(7)),
        ("patientId", json!(["x"])),
        ("patientId", json!({"$gt": ""})),
        ("bookingId", json!("abc")),
        ("bookingId", json!("{33333333-3333-4333-8333-333333333333}")),
        ("bookingId", json!("33333333333343338333333333333333")),
        ("bookingId", json!(format!("{BOOKING}0"))),
        ("bookingId", json!(" 3333333-3333-4333-8333-333333333333")),
    ] {
        let body = with(&meeting(), &json!({ name: value }));

        let answer = site.post("patient", "conversations", &body).await;

        answer.assert_invalid(&body.to_string());
        assert_eq!(
            answer.body["details"],
            json!([format!("{name} must be a UUID")])
        );
    }
}

#[tokio::test]
async fn a_window_says_how_long_to_wait() {
    let site =
        Site::with_policy("{ time_window = { before_minutes = 30, after_minutes = 60 } }").await;
    let booking = |starts: &str| json!({"consultantId": CONSULTANT, "patientId": PATIENT, "startsAt": starts});

    site.tell(
        "PUT",
        &format!("bookings/{BOOKING}"),
        &booking("2020-01-01T10:00:00+01:00"),
    )
    .await;
    let late = site.post("patient", "conversations", &meeting()).await;
    site.tell(
        "PUT",
        &format!("bookings/{BOOKING}"),
        &booking("2999-01-01T10:00:00Z"),
    )
    .await;
    let early = Ask::new("POST", "/api/v1/chat/conversations")
        .role("patient")
        .json(&meeting())
        .of(&site.clients)
        .await;

    late.assert_error(400, "late");
    assert!(
        late.text("message")
            .starts_with("The conversation window has expired.")
    );
    early.assert_error(400, "early");
    assert!(
        early
            .text("message")
            .starts_with("Conversation can only be started 30 minutes before")
    );
}
