//! REST of the clinic dialect, while NATS and Redis are away.

use serde_json::{Value, json};

use crate::http_site::{Ask, NOTHING, Site, masked};

const ADA: &str = "clinic doctor Ada@Clinic.com";
const BOB: &str = "clinic admin bob@clinic.com";
const EVE: &str = "clinic doctor eve@clinic.com";

async fn site() -> Site {
    let site = Site::start().await;
    for (id, role, name) in [
        ("ada@clinic.com", "doctor", "Dr. Ada Lovelace"),
        ("bob@clinic.com", "admin", "Bob Best"),
        ("eve@clinic.com", "doctor", "Eve Other"),
    ] {
        let body = json!({"role": role, "name": name, "email": id});
        site.tell_of("clinic", &format!("users/{id}"), &body).await;
    }
    site
}

fn to(receiver: &str, text: &str) -> Value {
    json!({"receiver_email": receiver, "content": text})
}

#[tokio::test]
async fn staff_write_to_each_other() {
    let site = site().await;
    let body = json!({"sender_email": "ada@clinic.com", "receiver_email": "BOB@clinic.com",
        "content": " Hello admin! "});

    let sent = site.ask(ADA, "POST /api/messages", &body).await;
    let id = sent.text("id");
    let conversation = sent.text("conversation_id");
    let list = site
        .ask(
            BOB,
            "GET /api/conversations?user_email=bob@clinic.com",
            &Value::Null,
        )
        .await;
    let unread = site
        .ask(
            BOB,
            "GET /api/messages/unread-count?user_email=Bob@clinic.com",
            &Value::Null,
        )
        .await;
    let read = site
        .ask(BOB, &format!("POST /api/messages/{id}/read"), &Value::Null)
        .await;
    let again = site
        .ask(BOB, &format!("POST /api/messages/{id}/read"), &Value::Null)
        .await;
    let page = site
        .ask(
            ADA,
            &format!("GET /api/conversations/{conversation}/messages"),
            &Value::Null,
        )
        .await;

    assert_eq!(sent.status.as_u16(), 200, "{sent:?}");
    assert_eq!(read.body, again.body);
    assert_eq!(page.body[0]["read_at"], read.body["read_at"]);
    insta::assert_snapshot!("clinic_sent", masked(&sent.body));
    insta::assert_snapshot!("clinic_list", masked(&list.body));
    insta::assert_snapshot!("clinic_unread", masked(&unread.body));
    insta::assert_snapshot!("clinic_read", masked(&read.body));
    insta::assert_snapshot!("clinic_page", masked(&page.body));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn refusals_are_in_the_words_of_the_protocol() {
    let site = site().await;
    let sent = site
        .ask(ADA, "POST /api/messages", &to("bob@clinic.com", "hi"))
        .await;
    let (id, conversation) = (sent.text("id"), sent.text("conversation_id"));
    let null = Value::Null;

    for (who, request, body, status, detail) in [
        (
            "",
            "GET /api/conversations?user_email=a".to_owned(),
            null.clone(),
            401,
            "Authentication token required",
        ),
        (
            BOB,
            "GET /api/conversations?user_email=ada@clinic.com".to_owned(),
            null.clone(),
            403,
            "You may only act for yourself",
        ),
        (
            BOB,
            "GET /api/messages/unread-count?user_email=ada@clinic.com".to_owned(),
            null.clone(),
            403,
            "You may only act for yourself",
        ),
        (
            BOB,
            "POST /api/messages".to_owned(),
            json!({"sender_email": "ada@clinic.com", "receiver_email": "eve@clinic.com", "content": "hi"}),
            403,
            "You may only act for yourself",
        ),
        (
            BOB,
            "POST /api/messages".to_owned(),
            to("bob@clinic.com", "hi"),
            400,
            "Cannot send message to yourself",
        ),
        (
            BOB,
            "POST /api/messages".to_owned(),
            to("bob@clinic.com", "  "),
            400,
            "Invalid message data",
        ),
        (
            BOB,
            "POST /api/messages".to_owned(),
            to("nobody@clinic.com", "hi"),
            404,
            "One or both users not found",
        ),
        (
            BOB,
            "GET /api/conversations/42/messages".to_owned(),
            null.clone(),
            400,
            "Invalid conversation ID",
        ),
        (
            BOB,
            format!("GET /api/conversations/{NOTHING}/messages"),
            null.clone(),
            404,
            "Conversation not found",
        ),
        (
            EVE,
            format!("GET /api/conversations/{conversation}/messages"),
            null.clone(),
            403,
            "not a participant of this conversation",
        ),
        (
            BOB,
            "POST /api/messages/42/read".to_owned(),
            null.clone(),
            400,
            "Invalid message ID",
        ),
        (
            BOB,
            format!("POST /api/messages/{NOTHING}/read"),
            null.clone(),
            404,
            "Message not found",
        ),
        (
            EVE,
            format!("POST /api/messages/{id}/read"),
            null.clone(),
            404,
            "Message not found",
        ),
        (
            ADA,
            format!("POST /api/messages/{id}/read"),
            null.clone(),
            404,
            "Message not found",
        ),
        (
            BOB,
            "GET /api/users/search?q=a".to_owned(),
            null.clone(),
            400,
            "Query too short",
        ),
    ] {
        let answer = site.ask(who, &request, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:?}");
        assert_eq!(answer.body, json!({"detail": detail}), "{request}");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_as_fastapi_does() {
    let site = site().await;
    let missing = |place: &str, name: &str| json!({"type": "missing", "loc": [place, name], "msg": "Field required", "input": null});

    for (request, body, expected) in [
        (
            "GET /api/conversations",
            Value::Null,
            vec![missing("query", "user_email")],
        ),
        (
            "GET /api/messages/unread-count",
            Value::Null,
            vec![missing("query", "user_email")],
        ),
        (
            "GET /api/users/search",
            Value::Null,
            vec![missing("query", "q")],
        ),
        (
            "POST /api/messages",
            json!({}),
            vec![
                missing("body", "receiver_email"),
                missing("body", "content"),
            ],
        ),
    ] {
        let answer = site.ask(BOB, request, &body).await;
        assert_eq!(answer.status.as_u16(), 422, "{request}: {answer:?}");
        assert_eq!(answer.body, json!({"detail": expected}), "{request}");
    }
    let bad = site
        .ask(
            BOB,
            "GET /api/users/search?q=ada&user_role=king",
            &Value::Null,
        )
        .await;
    assert_eq!(bad.status.as_u16(), 422);
    assert_eq!(bad.body["detail"][0]["loc"], json!(["query", "user_role"]));
}

#[tokio::test]
async fn a_search_finds_at_most_ten_users_by_name_or_e_mail_and_role() {
    let site = site().await;
    for number in 0..12 {
        let path = format!("users/nurse{number:02}@clinic.com");
        let body = json!({"role": "admin", "name": format!("Nurse {number:02}")});
        site.tell_of("clinic", &path, &body).await;
    }
    let found = async |query: &str| {
        let request = format!("GET /api/users/search?{query}");
        let answer = site.ask(BOB, &request, &Value::Null).await;
        let all = answer.body.as_array().unwrap().clone();
        let emails = all
            .iter()
            .map(|one| one["email"].as_str().unwrap().to_owned());
        emails.collect::<Vec<_>>()
    };

    assert_eq!(found("q=nurse").await.len(), 10);
    assert_eq!(found("q=LOVELACE").await, ["ada@clinic.com"]);
    assert_eq!(
        found("q=clinic&user_role=doctor").await,
        ["ada@clinic.com", "eve@clinic.com"]
    );
    assert_eq!(found("q=%25%25").await, [""; 0]);
    let answer = site
        .ask(BOB, "GET /api/users/search?q=lovelace", &Value::Null)
        .await;
    insta::assert_snapshot!("clinic_users", masked(&answer.body));
}

#[tokio::test]
async fn a_key_makes_one_message_of_many_posts_and_pages_have_keysets() {
    let site = site().await;
    let post = async |key: &str, text: &str| {
        Ask::new("POST", "/api/messages")
            .of_app(ADA)
            .header("idempotency-key", key)
            .json(&to("bob@clinic.com", text))
            .of(&site.clients)
            .await
    };
    let first = post("k-1", "1").await;
    let again = post("k-1", "1").await;
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(post("k-1", "2").await.status.as_u16(), 409);
    for number in 2..=4 {
        post(&format!("k-{number}"), &number.to_string()).await;
    }

    for (query, expected) in [
        ("limit=2", "3 4"),
        ("limit=2&skip=1", "2 3"),
        ("beforeSeq=3", "1 2"),
        ("afterSeq=2&limit=1", "3"),
    ] {
        let id = first.text("conversation_id");
        let request = format!("GET /api/conversations/{id}/messages?{query}");
        let page = site.ask(BOB, &request, &Value::Null).await;
        let texts = page.body.as_array().unwrap().iter();
        let texts: Vec<_> = texts.map(|one| one["content"].as_str().unwrap()).collect();
        assert_eq!(texts.join(" "), expected, "{query}");
    }
}
