//! REST of the booking dialect, while NATS and Redis are away.

use serde_json::{Value, json};

use crate::http_site::{Ask, Site, masked};

const OWNER: &str = "booking business owner";
const CLIENT: &str = "booking client carl";
const STRANGER: &str = "booking client eve";

async fn site() -> Site {
    let site = Site::start().await;
    for (id, role, name) in [
        ("owner", "business", "Olga"),
        ("carl", "client", "Carl"),
        ("eve", "client", "Eve"),
    ] {
        let body = json!({"role": role, "name": name, "email": format!("{id}@example.org")});
        site.tell_of("booking", &format!("users/{id}"), &body).await;
    }
    let shop = json!({"ownerId": "owner", "name": "Shop"});
    site.tell_of("booking", "businesses/shop", &shop).await;
    for booking in ["b-1", "b-2"] {
        let body = json!({"businessId": "shop", "clientId": "carl", "status": "confirmed",
            "startsAt": "2026-02-09T10:30:00Z"});
        site.tell_of("booking", &format!("bookings/{booking}"), &body)
            .await;
    }
    site
}

async fn write(site: &Site, who: &str, booking: &str, text: &str) -> Value {
    let body = json!({"bookingId": booking, "content": text});
    let sent = site.ask(who, "POST /api/messages", &body).await;
    assert_eq!(sent.status.as_u16(), 201, "{sent:?}");
    sent.body
}

#[tokio::test]
async fn a_client_and_a_business_write_to_each_other() {
    let site = site().await;

    let sent = write(&site, CLIENT, "b-1", " Hi, is 10:30 fine? ").await;
    let answered = write(&site, OWNER, "b-1", "It is").await;
    let history = site
        .ask(CLIENT, "GET /api/messages/booking/b-1", &Value::Null)
        .await;
    let own = site
        .ask(CLIENT, "GET /api/messages/my-conversations", &Value::Null)
        .await;
    let business = site
        .ask(
            OWNER,
            "GET /api/messages/business/shop/conversations",
            &Value::Null,
        )
        .await;
    let ids = json!({"messageIds": [answered["_id"], sent["_id"], "temp-1"]});
    let marked = site.ask(CLIENT, "POST /api/messages/mark-read", &ids).await;
    let again = site.ask(CLIENT, "POST /api/messages/mark-read", &ids).await;

    assert_eq!(marked.body["messageIds"], json!([answered["_id"]]));
    assert_eq!(again.body["count"], 0);
    insta::assert_snapshot!("booking_sent", masked(&sent));
    insta::assert_snapshot!("booking_history", masked(&history.body));
    insta::assert_snapshot!("booking_own", masked(&own.body));
    insta::assert_snapshot!("booking_business", masked(&business.body));
    insta::assert_snapshot!("booking_marked", masked(&marked.body));
}

#[tokio::test]
async fn lists_show_what_changed_last_first_and_each_side_its_own() {
    let site = site().await;
    write(&site, CLIENT, "b-2", "first").await;
    write(&site, CLIENT, "b-1", "second").await;
    let bookings = async |who: &str, path: &str| {
        let request = format!("GET /api/messages/{path}");
        let answer = site.ask(who, &request, &Value::Null).await;
        let all = answer.body.as_array().unwrap().clone();
        let ids = all
            .iter()
            .map(|one| one["booking"]["_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };

    assert_eq!(bookings(CLIENT, "my-conversations").await, ["b-1", "b-2"]);
    assert_eq!(bookings(OWNER, "my-conversations").await, [""; 0]);
    assert_eq!(bookings(STRANGER, "my-conversations").await, [""; 0]);
    assert_eq!(
        bookings(OWNER, "business/shop/conversations").await,
        ["b-1", "b-2"]
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn refusals_are_in_the_words_of_the_protocol() {
    let site = site().await;
    let sent = write(&site, CLIENT, "b-1", "hi").await;
    let about = |booking: &str| json!({"bookingId": booking, "content": "hi"});
    let null = Value::Null;

    for (who, request, body, status, msg) in [
        (
            "",
            "GET /api/messages/my-conversations",
            null.clone(),
            401,
            "No token, authorization denied",
        ),
        (
            "",
            "POST /api/messages",
            about("b-1"),
            401,
            "No token, authorization denied",
        ),
        (
            "nothing client carl",
            "GET /api/messages/my-conversations",
            null.clone(),
            401,
            "Token is not valid",
        ),
        (
            "nothing client carl",
            "POST /api/messages",
            about("b-1"),
            401,
            "Token is not valid",
        ),
        (
            STRANGER,
            "GET /api/messages/booking/b-1",
            null.clone(),
            403,
            "Unauthorized",
        ),
        (
            STRANGER,
            "POST /api/messages",
            about("b-1"),
            403,
            "Unauthorized",
        ),
        (
            CLIENT,
            "GET /api/messages/booking/b-9",
            null.clone(),
            404,
            "Booking not found",
        ),
        (
            CLIENT,
            "POST /api/messages",
            about("b-9"),
            404,
            "Booking not found",
        ),
        (
            CLIENT,
            "POST /api/messages",
            json!({"bookingId": "b-1"}),
            400,
            "bookingId and content are required",
        ),
        (
            CLIENT,
            "POST /api/messages",
            json!({"bookingId": "b-1", "content": "hi", "senderType": "business"}),
            403,
            "senderType does not match the authenticated user",
        ),
        (
            OWNER,
            "GET /api/messages/business/b/conversations",
            null.clone(),
            404,
            "Business not found",
        ),
        (
            CLIENT,
            "GET /api/messages/business/shop/conversations",
            null.clone(),
            403,
            "Unauthorized",
        ),
        (
            CLIENT,
            "POST /api/messages/mark-read",
            json!({}),
            400,
            "messageIds array is required",
        ),
        (
            CLIENT,
            "POST /api/messages/mark-read",
            json!({"messageIds": "x"}),
            400,
            "messageIds array is required",
        ),
    ] {
        let answer = site.ask(who, request, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:?}");
        assert_eq!(answer.body, json!({"msg": msg}), "{request}");
    }
    let ids = json!({"messageIds": [sent["_id"]]});
    let foreign = site
        .ask(STRANGER, "POST /api/messages/mark-read", &ids)
        .await;
    assert_eq!(foreign.body["count"], 0);
    let silent = site
        .ask(CLIENT, "GET /api/messages/booking/b-2", &Value::Null)
        .await;
    assert_eq!(silent.body, json!([]));
}

#[tokio::test]
async fn a_key_makes_one_message_of_many_posts_and_pages_have_keysets() {
    let site = site().await;
    let post = async |text: &str| {
        Ask::new("POST", "/api/messages")
            .of_app(CLIENT)
            .header("idempotency-key", "k-1")
            .json(&json!({"bookingId": "b-1", "content": text, "senderType": "client"}))
            .of(&site.clients)
            .await
    };
    let (first, again) = (post("1").await, post("1").await);
    assert_eq!(first.body["_id"], again.body["_id"]);
    assert_eq!(post("2").await.status.as_u16(), 409);
    for number in 2..=4 {
        write(&site, CLIENT, "b-1", &number.to_string()).await;
    }

    for (query, expected) in [
        ("", "1 2 3 4"),
        ("?limit=2", "3 4"),
        ("?beforeSeq=3", "1 2"),
        ("?afterSeq=2&limit=1", "3"),
    ] {
        let request = format!("GET /api/messages/booking/b-1{query}");
        let page = site.ask(OWNER, &request, &Value::Null).await;
        let texts = page.body.as_array().unwrap().iter();
        let texts: Vec<_> = texts.map(|one| one["content"].as_str().unwrap()).collect();
        assert_eq!(texts.join(" "), expected, "{query}");
    }
}
