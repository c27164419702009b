//! `/chat/messages` and the history of a conversation.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};

use crate::http_site::{
    Answer, Ask, CONSULTANT, NOTHING, PATIENT, STRANGER, Site, masked, meeting, message, with,
};

#[tokio::test]
async fn a_message_is_stored_and_answered() {
    let site = Site::start().await;

    let answer = site
        .post(
            "patient",
            "messages",
            &message("patient", "  Hello doctor \n"),
        )
        .await;

    assert_eq!(answer.status.as_u16(), 201);
    assert_eq!(answer.body["message"]["content"], "Hello doctor");
    assert_eq!(
        answer.body["message"]["conversationId"],
        answer.body["conversation"]["id"]
    );
    insta::assert_snapshot!("posted", masked(&answer.body));
}

#[tokio::test]
async fn a_file_needs_no_word() {
    let site = Site::start().await;
    let file = json!({"content": "", "messageType": "image",
        "fileUrl": "https://files.example/a.png", "fileName": "a.png"});

    let answer = site
        .post("patient", "messages", &with(&message("patient", ""), &file))
        .await;

    assert_eq!(answer.status.as_u16(), 201);
    insta::assert_snapshot!("posted_file", masked(&answer.body));
}

#[tokio::test]
async fn content_comes_back_to_the_byte() {
    let site = Site::start().await;
    let id = site.conversation().await;
    let longest = "é".repeat(4_000);
    let contents = [
        "<script>alert(1)</script>",
        "'; DROP TABLE messages; --",
        "${jndi:ldap://x}",
        "a\r\nb\tc\u{1}",
        "\u{202e}مرحبا \u{1f469}\u{200d}\u{2695}\u{fe0f}",
        "\\ \" \u{2028} /",
        longest.as_str(),
    ];

    for content in contents {
        site.say("patient", content).await;
    }
    let page = site
        .get(
            "consultant",
            &format!("conversations/{id}/messages?order=asc"),
        )
        .await;

    for (message, content) in page.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .zip(contents)
    {
        assert_eq!(message["content"], content);
    }
}

#[tokio::test]
async fn a_key_makes_one_message_of_many_posts() {
    let site = Site::start().await;
    let keyed = with(
        &message("patient", "once"),
        &json!({"clientMessageId": "k-1"}),
    );
    let by_header = |key: &str, content: &str| {
        Ask::new("POST", "/api/v1/chat/messages")
            .role("patient")
            .header("idempotency-key", key)
            .json(&message("patient", content))
    };

    let first = site.post("patient", "messages", &keyed).await;
    let again = site.post("patient", "messages", &keyed).await;
    let in_header = by_header("k-1", "once").of(&site.clients).await;
    let changed = by_header("k-1", "twice").of(&site.clients).await;
    let too_long = by_header(&"x".repeat(65), "once").of(&site.clients).await;

    assert_eq!(first.status.as_u16(), 201);
    assert_eq!(first.body["message"]["clientMessageId"], "k-1");
    assert_eq!(first.body["message"], again.body["message"]);
    assert_eq!(first.body["message"], in_header.body["message"]);
    changed.assert_error(409, "the same key with another content");
    too_long.assert_invalid("a key of 65 bytes");
}

#[tokio::test]
async fn only_the_two_of_a_booking_send_and_as_themselves() {
    let site = Site::start().await;
    let other = |changes: Value| with(&message("patient", "hi"), &changes);

    for (role, body, status) in [
        ("patient", other(json!({"senderType": "consultant"})), 403),
        ("stranger", other(json!({})), 403),
        ("stranger", other(json!({"patientId": STRANGER})), 403),
        ("patient", other(json!({"consultantId": STRANGER})), 403),
        ("patient", other(json!({"bookingId": NOTHING})), 404),
        ("patient", other(json!({"senderType": "banana"})), 400),
        ("patient", other(json!({"senderType": "doctor"})), 400),
        ("patient", other(json!({"senderType": null})), 400),
    ] {
        let answer = site.post(role, "messages", &body).await;

        answer.assert_error(status, &format!("{role} {body}"));
    }
    let list = site
        .get("patient", &format!("conversations?patientId={PATIENT}"))
        .await;
    assert!(
        list.body
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["lastSeq"] == 0)
    );
}

#[tokio::test]
async fn bad_contents_are_refused() {
    let site = Site::start().await;

    let all = site.post("patient", "messages", &json!({})).await;
    insta::assert_snapshot!("invalid_message", masked(&all.body));
    for changes in [
        json!({"content": ""}),
        json!({"content": " \n\t"}),
        json!({"content": null}),
        json!({"content": 5}),
        json!({"content": ["hi"]}),
        json!({"content": "x".repeat(4_001)}),
        json!({"content": "a\u{0}b"}),
        json!({"messageType": "banana"}),
        json!({"messageType": "system"}),
        json!({"messageType": "image"}),
        json!({"messageType": "file", "fileUrl": "file:///etc/passwd"}),
        json!({"fileUrl": "javascript:alert(1)"}),
        json!({"fileUrl": 5}),
        json!({"clientMessageId": ""}),
        json!({"clientMessageId": 5}),
        json!({"clientMessageId": "x".repeat(65)}),
    ] {
        let body = with(&message("patient", "hi"), &changes);

        let answer = site.post("patient", "messages", &body).await;

        answer.assert_invalid(&changes.to_string());
    }
}

#[tokio::test]
async fn an_app_may_allow_less() {
    let site =
        Site::with_policy("{ max_content_chars = 3, history_order = \"oldest_first\" }").await;
    let id = site.conversation().await;

    site.say("patient", "one").await;
    site.say("patient", "two").await;
    let long = site
        .post("patient", "messages", &message("patient", "four"))
        .await;
    let page = site
        .get("patient", &format!("conversations/{id}/messages"))
        .await;

    long.assert_invalid("four characters");
    assert_eq!(seqs(&page), [1, 2]);
}

#[tokio::test]
async fn history_is_paged_from_its_newest_end() {
    let site = Site::start().await;
    let id = site.conversation().await;
    for n in 1..=5 {
        site.say("patient", &format!("message {n}")).await;
    }

    for (query, expected) in [
        ("", vec![5, 4, 3, 2, 1]),
        ("?limit=2", vec![5, 4]),
        ("?limit=2&offset=1", vec![4, 3]),
        ("?limit=2&offset=4", vec![1]),
        ("?offset=5", vec![]),
        ("?offset=9223372036854775807", vec![]),
        ("?limit=2&order=asc", vec![4, 5]),
        ("?limit=2&order=desc", vec![5, 4]),
        ("?limit=2&beforeSeq=4", vec![3, 2]),
        ("?limit=2&beforeSeq=4&order=asc", vec![2, 3]),
        ("?beforeSeq=0", vec![]),
        ("?beforeSeq=1", vec![]),
        ("?afterSeq=3", vec![4, 5]),
        ("?afterSeq=0&limit=2", vec![1, 2]),
        ("?afterSeq=0&limit=2&offset=0&order=desc", vec![2, 1]),
        ("?afterSeq=5", vec![]),
        ("?afterSeq=9223372036854775807", vec![]),
        ("?limit=200&unknown=1&token=x", vec![5, 4, 3, 2, 1]),
    ] {
        let page = site
            .get("patient", &format!("conversations/{id}/messages{query}"))
            .await;

        assert_eq!(page.status.as_u16(), 200, "{query} {page:?}");
        assert_eq!(seqs(&page), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_that_are_none_are_refused() {
    let site = Site::start().await;
    let id = site.conversation().await;

    for query in [
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=1e9",
        "limit=abc",
        "limit=2.7",
        "limit=",
        "limit=%2B5",
        "limit=99999999999999999999",
        "offset=-1",
        "offset=x",
        "offset=9223372036854775808",
        "beforeSeq=-1",
        "beforeSeq=x",
        "afterSeq=1.5",
        "beforeSeq=1&afterSeq=1",
        "afterSeq=1&offset=1",
        "order=up",
        "order=",
    ] {
        let page = site
            .get("patient", &format!("conversations/{id}/messages?{query}"))
            .await;

        page.assert_invalid(query);
    }
}

#[tokio::test]
async fn history_is_for_participants() {
    let site = Site::start().await;
    let id = site.conversation().await;

    for (role, id, status) in [
        ("stranger", id.as_str(), 403),
        ("patient", NOTHING, 404),
        ("patient", "abc", 400),
        ("patient", "%FF", 400),
        ("patient", "..%2f..%2f", 400),
    ] {
        let page = site
            .get(role, &format!("conversations/{id}/messages"))
            .await;

        page.assert_error(status, id);
    }
}

#[tokio::test]
async fn what_one_fetches_is_delivered() {
    let site = Site::start().await;
    let id = site.conversation().await;
    site.say("patient", "Hello doctor").await;
    let path = format!("conversations/{id}/messages");

    let own = site.get("patient", &path).await;
    let fetched = site.get("consultant", &path).await;
    let after = site.get("patient", &path).await;

    assert_eq!(own.body["messages"][0]["deliveredAt"], Value::Null);
    assert!(fetched.body["messages"][0]["deliveredAt"].is_string());
    assert_eq!(after.body["messages"], fetched.body["messages"]);
    insta::assert_snapshot!("history", masked(&fetched.body));
}

#[tokio::test]
async fn marking_counts_what_was_really_marked() {
    let site = Site::start().await;
    let id = site.conversation().await;
    let theirs = site.say("patient", "one").await["id"].clone();
    let own = site.say("consultant", "two").await["id"].clone();
    let path = format!("conversations/{id}/read");
    let ids = json!({"messageIds": [theirs, theirs, own, NOTHING]});

    let first = site.post("consultant", &path, &ids).await;
    let again = site.post("consultant", &path, &ids).await;
    let unread = site
        .get(
            "consultant",
            &format!("conversations/{id}/unread?userId={CONSULTANT}"),
        )
        .await;
    let page = site
        .get("patient", &format!("conversations/{id}/messages?order=asc"))
        .await;

    insta::assert_snapshot!("marked", masked(&first.body));
    assert_eq!(first.body["updatedCount"], 1);
    assert_eq!(again.body, json!({"success": true, "updatedCount": 0}));
    assert_eq!(unread.body["unreadCount"], 0);
    assert_eq!(page.body["messages"][0]["isRead"], true);
    assert!(page.body["messages"][0]["readAt"].is_string());
    assert_eq!(page.body["messages"][1]["isRead"], false);
}

#[tokio::test]
async fn marking_needs_ids_and_a_conversation_of_ones_own() {
    let site = Site::start().await;
    let id = site.conversation().await;

    for ids in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!([1]),
        json!(["abc"]),
        json!([null]),
        json!([NOTHING, "abc"]),
        json!(vec![NOTHING; 501]),
    ] {
        let body = json!({ "messageIds": ids });

        let answer = site
            .post("patient", &format!("conversations/{id}/read"), &body)
            .await;

        answer.assert_invalid(&body.to_string());
    }
    for (role, id, status) in [
        ("stranger", id.as_str(), 403),
        ("patient", NOTHING, 404),
        ("patient", "abc", 400),
    ] {
        let body = json!({"messageIds": [NOTHING]});

        let answer = site
            .post(role, &format!("conversations/{id}/read"), &body)
            .await;

        answer.assert_error(status, id);
    }
}

#[tokio::test]
async fn a_meeting_in_a_message_is_checked_like_any() {
    let site = Site::start().await;

    for name in ["consultantId", "patientId", "bookingId"] {
        let body = with(&message("patient", "hi"), &json!({ name: "abc" }));

        let answer = site.post("patient", "messages", &body).await;

        answer.assert_invalid(name);
    }
    let opened = site.post("patient", "conversations", &meeting()).await;
    assert_eq!(opened.body["lastSeq"], 0);
}

fn seqs(page: &Answer) -> Vec<u64> {
    let messages = page.body["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect()
}
