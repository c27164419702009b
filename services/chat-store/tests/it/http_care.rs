//! REST of the care dialect, while NATS and Redis are away.

use serde_json::{Value, json};

use crate::http_site::{Ask, Site, masked};

const DOCTOR: &str = "other doctor doc";
const ANNA: &str = "other patient anna";
const BEN: &str = "other patient ben";

async fn site() -> Site {
    let site = Site::start().await;
    for (id, role, name) in [
        ("doc", "doctor", "Dr. Ada"),
        ("anna", "patient", "Anna"),
        ("ben", "patient", "Ben"),
    ] {
        let body = json!({"role": role, "name": name, "email": format!("{id}@example.org")});
        site.tell_of("other", &format!("users/{id}"), &body).await;
    }
    site.tell_of("other", "associations/doc/anna", &json!({}))
        .await;
    site
}

async fn write(site: &Site, text: &str) -> Value {
    let body = json!({"doctorId": "doc", "content": text});
    let sent = site.ask(ANNA, "POST /users/send-message", &body).await;
    assert_eq!(sent.status.as_u16(), 201, "{sent:?}");
    sent.body["data"].clone()
}

#[tokio::test]
async fn a_patient_and_a_doctor_write_to_each_other() {
    let site = site().await;
    let body = json!({"doctorId": "doc", "content": " Hello doctor! ", "messageType": "text",
        "fileUrl": null, "fileName": null});

    let sent = site.ask(ANNA, "POST /users/send-message", &body).await;
    let answered = site
        .ask(
            DOCTOR,
            "POST /doctors/patients/anna/messages",
            &json!({"message": "Hello patient!"}),
        )
        .await;
    let list = site
        .ask(DOCTOR, "GET /chat/conversations", &Value::Null)
        .await;
    let unread = site
        .ask(DOCTOR, "GET /chat/unread-count", &Value::Null)
        .await;
    let page = site
        .ask(DOCTOR, "GET /doctors/patients/anna/messages", &Value::Null)
        .await;
    let read = site
        .ask(ANNA, "PUT /users/conversations/doc/read", &Value::Null)
        .await;
    let left = site
        .ask(ANNA, "GET /users/unread-count", &Value::Null)
        .await;

    assert_eq!((sent.status.as_u16(), answered.status.as_u16()), (201, 200));
    assert_eq!(left.body["data"]["unreadCount"], 0);
    insta::assert_snapshot!("care_sent", masked(&sent.body));
    insta::assert_snapshot!("care_list", masked(&list.body));
    insta::assert_snapshot!("care_page", masked(&page.body));
    insta::assert_snapshot!("care_unread", masked(&unread.body));
    insta::assert_snapshot!("care_read", masked(&read.body));
}

#[tokio::test]
async fn pages_go_from_the_newest_back_and_read_downwards() {
    let site = site().await;
    for number in 1..=5 {
        write(&site, &number.to_string()).await;
    }
    let texts = async |query: &str| {
        let request = format!("GET /chat/conversations/doc{query}");
        let page = site.ask(ANNA, &request, &Value::Null).await;
        let messages = page.body["data"].as_array().unwrap().clone();
        let texts = messages.iter().map(|one| one["content"].as_str().unwrap());
        texts.collect::<Vec<_>>().join(" ")
    };

    for (query, expected) in [
        ("", "1 2 3 4 5"),
        ("?limit=2", "4 5"),
        ("?limit=2&skip=1", "3 4"),
        ("?skip=9", ""),
        ("?limit=2&beforeSeq=4", "2 3"),
        ("?limit=2&afterSeq=2", "3 4"),
    ] {
        assert_eq!(texts(query).await, expected, "{query}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn refusals_are_in_the_words_of_the_protocol() {
    let site = site().await;
    let to = |doctor: &str| json!({"doctorId": doctor, "content": "hi"});
    let null = Value::Null;

    for (who, request, body, status, message) in [
        (
            "",
            "GET /chat/conversations",
            null.clone(),
            401,
            "access denied",
        ),
        (
            "jiggy patient 22222222-2222-4222-8222-22222222aaaa",
            "GET /chat/conversations",
            null.clone(),
            403,
            "No access",
        ),
        (
            DOCTOR,
            "GET /users/conversations",
            null.clone(),
            403,
            "No access",
        ),
        (
            DOCTOR,
            "POST /users/send-message",
            to("doc"),
            403,
            "No access",
        ),
        (
            ANNA,
            "GET /doctors/patients/anna/messages",
            null.clone(),
            403,
            "No access",
        ),
        (
            ANNA,
            "POST /users/send-message",
            json!({"content": "hi"}),
            400,
            "Doctor ID and content are required",
        ),
        (
            ANNA,
            "POST /users/send-message",
            json!({"doctorId": "doc", "content": "  "}),
            400,
            "Doctor ID and content are required",
        ),
        (
            ANNA,
            "POST /users/send-message",
            json!({"doctorId": "doc", "content": "x".repeat(1001)}),
            400,
            "content must be at most 1000 characters",
        ),
        (
            ANNA,
            "POST /users/send-message",
            to("ben"),
            403,
            "Patients can only chat with doctors and vice versa",
        ),
        (
            ANNA,
            "POST /users/send-message",
            to("nobody"),
            404,
            "One or both users not found",
        ),
        (
            BEN,
            "POST /users/send-message",
            to("doc"),
            403,
            "Doctor and patient are not associated",
        ),
        (
            BEN,
            "GET /chat/conversations/doc",
            null.clone(),
            403,
            "Doctor and patient are not associated",
        ),
        (
            BEN,
            "PUT /chat/conversations/doc/read",
            null.clone(),
            403,
            "Doctor and patient are not associated",
        ),
        (
            DOCTOR,
            "POST /doctors/patients/anna/messages",
            json!({}),
            400,
            "Message is required",
        ),
        (
            ANNA,
            "POST /chat/online-status",
            json!({"userIds": "doc"}),
            400,
            "userIds must be an array",
        ),
        (
            ANNA,
            "GET /chat/search",
            null.clone(),
            400,
            "Search query is required",
        ),
        (
            ANNA,
            "GET /chat/conversations/doc?limit=101",
            null.clone(),
            400,
            "limit must be an integer from 1 to 100",
        ),
        (
            ANNA,
            "GET /chat/conversations/doc?skip=-1",
            null.clone(),
            400,
            "skip must be an integer from 0",
        ),
    ] {
        let answer = site.ask(who, request, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:?}");
        let expected = json!({"success": false, "message": message});
        assert_eq!(answer.body, expected, "{request}");
    }
}

#[tokio::test]
async fn a_key_makes_one_message_of_many_posts() {
    let site = site().await;
    let post = async |text: &str| {
        Ask::new("POST", "/users/send-message")
            .of_app(ANNA)
            .header("idempotency-key", "k-1")
            .json(&json!({"doctorId": "doc", "content": text}))
            .of(&site.clients)
            .await
    };

    let (first, again, changed) = (post("once").await, post("once").await, post("twice").await);

    assert_eq!(first.body["data"]["_id"], again.body["data"]["_id"]);
    assert_eq!(changed.status.as_u16(), 409);
}

#[tokio::test]
async fn everybody_is_offline_while_nobody_knows() {
    let site = site().await;

    let body = json!({"userIds": ["doc", "ben"]});
    let answer = site.ask(ANNA, "POST /chat/online-status", &body).await;

    insta::assert_snapshot!("care_online", masked(&answer.body));
}

#[tokio::test]
async fn a_search_finds_people_and_words_in_ones_own_conversations() {
    let site = site().await;
    write(&site, "My sugar is at 140 today").await;
    write(&site, "And I feel fine").await;
    let found = async |who: &str, query: &str| {
        let request = format!("GET /chat/search?query={query}");
        let answer = site.ask(who, &request, &Value::Null).await;
        let all = answer.body["data"].as_array().unwrap().clone();
        let messages = all.iter().filter_map(|one| one["messages"].as_array());
        (all.len(), messages.map(Vec::len).sum::<usize>())
    };

    assert_eq!(found(DOCTOR, "SUGAR").await, (1, 1));
    assert_eq!(found(DOCTOR, "today%20sugar").await, (1, 1));
    assert_eq!(found(DOCTOR, "anna").await, (1, 0));
    assert_eq!(found(DOCTOR, "anna%40example").await, (1, 0));
    assert_eq!(found(DOCTOR, "elephant").await, (0, 0));
    assert_eq!(found(BEN, "sugar").await, (0, 0));
    assert_eq!(found(DOCTOR, "%27%22%28%26%7C%21%3A%2A").await, (0, 0));
}
