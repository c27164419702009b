//! What officers may ask for: who saw what, copies, holds, erasure. All of it is logged.

use chat_domain::{AppId, Timestamp};
use chat_store::{
    app::{Finding, expire_messages, verify_audit},
    ports_audit::{AuditLog as _, Head},
};
use serde_json::{Value, json};
use service_kit::apps::Apps;

use crate::http_site::{
    Answer, Ask, CONSULTANT, NOTHING, PATIENT, STRANGER, Site, now_s, token_with,
};

const DAY: i64 = 86_400_000;

/// Asks as another service, for an officer.
pub(crate) async fn officer(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    let ask = Ask::new(method, &format!("/internal/v1/apps/jiggy/{path}"))
        .header("authorization", "Bearer the-service-token")
        .header("chat-actor", "olga the officer");
    let ask = if body.is_null() { ask } else { ask.json(body) };
    ask.of(&site.internal).await
}

async fn actions(site: &Site) -> Vec<(String, String)> {
    let app = AppId::new("jiggy").unwrap();
    let rows = site.pg.list_recorded(&app, 0, 1_000).await.unwrap();
    let officers = rows
        .into_iter()
        .filter(|row| row.actor == "olga the officer");
    officers.map(|row| (row.action, row.outcome)).collect()
}

fn done(action: &str) -> (String, String) {
    (action.to_owned(), "done".to_owned())
}

#[tokio::test]
async fn nobody_asks_without_a_name() {
    let site = Site::start().await;

    for (method, path) in [
        ("GET", format!("users/{PATIENT}/accesses")),
        ("POST", format!("users/{PATIENT}/erasure")),
        ("GET", format!("conversations/{NOTHING}/export")),
        ("PUT", format!("holds/users/{PATIENT}")),
        ("DELETE", format!("holds/users/{PATIENT}")),
    ] {
        let answer = site.tell(method, &path, &json!({"reason": "x"})).await;

        assert_eq!(answer.status.as_u16(), 400, "{method} {path}");
    }
    assert_eq!(actions(&site).await, []);
}

#[tokio::test]
async fn a_patient_is_told_who_saw_what() {
    let site = Site::start().await;
    let id = site.conversation().await;
    site.say("patient", "it hurts").await;
    site.get("consultant", &format!("conversations/{id}/messages"))
        .await;
    site.get("stranger", &format!("conversations/{id}/messages"))
        .await;

    let answer = officer(
        &site,
        "GET",
        &format!("users/{PATIENT}/accesses?limit=2"),
        &Value::Null,
    )
    .await;
    let older = officer(
        &site,
        "GET",
        &format!("users/{PATIENT}/accesses?before=4"),
        &Value::Null,
    )
    .await;

    let told: Vec<_> = answer.body["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            [
                &row["actor"],
                &row["action"],
                &row["outcome"],
                &row["lastSeq"],
            ]
            .map(Value::clone)
        })
        .collect();
    assert_eq!(
        told,
        [
            [
                json!(STRANGER),
                json!("enter"),
                json!("refused"),
                json!(null)
            ],
            [json!(CONSULTANT), json!("read"), json!("done"), json!(1)],
        ]
    );
    let older = older.body["accesses"].as_array().unwrap();
    let older: Vec<_> = older.iter().map(|row| &row["action"]).collect();
    assert_eq!(older, ["put_booking", "put_user"], "what others told of it");
    assert!(!answer.body.to_string().contains("it hurts"));
    assert_eq!(actions(&site).await, [done("account"), done("account")]);
}

#[tokio::test]
async fn a_conversation_is_exported_in_parts() {
    let site = Site::start().await;
    let id = site.conversation().await;
    for text in ["one", "two", "three"] {
        site.say("patient", text).await;
    }

    let first = officer(
        &site,
        "GET",
        &format!("conversations/{id}/export?limit=2"),
        &Value::Null,
    )
    .await;
    let path = format!("conversations/{id}/export?afterSeq=2");
    let rest = officer(&site, "GET", &path, &Value::Null).await;
    let unknown = officer(
        &site,
        "GET",
        &format!("conversations/{NOTHING}/export"),
        &Value::Null,
    )
    .await;

    let texts = |answer: &Answer| {
        let messages = answer.body["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .map(|message| message["content"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(&first), &first.body["more"]),
        (vec![json!("one"), json!("two")], &json!(true))
    );
    assert_eq!(
        (texts(&rest), &rest.body["more"]),
        (vec![json!("three")], &json!(false))
    );
    assert_eq!(rest.body["participants"][1]["userId"], PATIENT);
    assert_eq!(unknown.status.as_u16(), 404);
    assert_eq!(actions(&site).await, [done("export"), done("export")]);
}

#[tokio::test]
async fn what_is_held_neither_expires_nor_is_erased() {
    let site = Site::with_policy("{ retention_days = 30 }").await;
    let id = site.conversation().await;
    site.say("patient", "keep me").await;
    let apps = "[apps.jiggy]\ndialect = \"consult\"\npolicy = { retention_days = 30 }\n\
                keys = [{ algorithm = \"HS256\", secret = \"0123456789abcdef0123456789abcdef\" }]";
    let apps = Apps::parse(apps, std::path::Path::new("apps.toml")).unwrap();
    let later = Timestamp(service_kit::now().0 + 40 * DAY);
    let erasure = format!("users/{CONSULTANT}/erasure");
    let reason = json!({"reason": "case 17"});

    for path in [
        format!("holds/conversations/{id}"),
        format!("holds/users/{PATIENT}"),
        format!("holds/users/{CONSULTANT}"),
    ] {
        for _ in ["once", "again"] {
            let held = officer(&site, "PUT", &path, &reason).await;
            assert_eq!(held.status.as_u16(), 204, "{path} {held:?}");
        }
        let (deleted, _) = expire_messages(&site.pg, &apps, later).await.unwrap();
        let erased = officer(&site, "POST", &erasure, &Value::Null).await;
        assert_eq!((deleted, erased.status.as_u16()), (0, 409), "{path}");
        officer(&site, "DELETE", &path, &Value::Null).await;
    }
    officer(&site, "PUT", &format!("holds/users/{STRANGER}"), &reason).await;
    let holds = officer(&site, "GET", "holds", &Value::Null).await;
    let (deleted, _) = expire_messages(&site.pg, &apps, later).await.unwrap();

    assert_eq!(holds.body["holds"].as_array().unwrap().len(), 1);
    assert_eq!(holds.body["holds"][0]["reason"], "case 17");
    assert_eq!(deleted, 1);
    let logged = actions(&site).await;
    assert!(
        logged.contains(&("erase".to_owned(), "refused".to_owned())),
        "{logged:?}"
    );
}

#[tokio::test]
async fn an_erased_user_is_nowhere_and_what_others_wrote_stays() {
    let site = Site::start().await;
    let id = site.conversation().await;
    // More than one step.
    for number in 0..520 {
        site.say("patient", &format!("secret {number}")).await;
    }
    site.say("consultant", "my advice").await;
    let erasure = format!("users/{PATIENT}/erasure");

    let first = officer(&site, "POST", &erasure, &Value::Null).await;
    let again = officer(&site, "POST", &erasure, &Value::Null).await;

    assert_eq!(first.status.as_u16(), 200, "{first:?}");
    assert_eq!(first.body, again.body, "the same certificate");
    assert_eq!(site.count("revocations").await, 1, "revoked once");
    assert_eq!(
        (&first.body["messages"], &first.body["conversations"]),
        (&json!(520), &json!(1))
    );
    assert!(!first.body.to_string().contains(PATIENT));
    let history = site
        .get(
            "consultant",
            &format!("conversations/{id}/messages?limit=200"),
        )
        .await;
    let history = history.body.to_string();
    assert!(
        history.contains("my advice") && history.contains("[erased]"),
        "{history}"
    );
    assert!(!history.contains("secret") && !history.contains(PATIENT));
    site.get("patient", &format!("conversations/{id}/messages"))
        .await
        .assert_error(403, "the user takes no part any more");
    for (table, column) in [
        ("users", "user_id"),
        ("participants", "user_id"),
        ("conversations", "second_id"),
        ("messages", "sender_id"),
        ("message_keys", "sender_id"),
        ("bookings", "client_id"),
    ] {
        let left = site
            .count(&format!("{table} WHERE {column} = '{PATIENT}'"))
            .await;
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(site.count("messages WHERE content LIKE 'secret%'").await, 0);
    assert_eq!(actions(&site).await, [done("erase")]);
}

#[tokio::test]
async fn the_tokens_of_an_erased_user_end_with_it() {
    let site = Site::start().await;
    site.conversation().await;
    let known = site.verifier.revocations();
    let old = token_with(&json!({"iat": now_s() - 1}));
    let path = format!("/api/v1/chat/conversations?patientId={PATIENT}");
    let ask = async |token: &str| {
        let ask = Ask::new("GET", &path).header("authorization", &format!("Bearer {token}"));
        ask.of(&site.clients).await.status.as_u16()
    };
    let before = ask(&old).await;

    let path = format!("users/{PATIENT}/erasure");
    let certificate = officer(&site, "POST", &path, &Value::Null).await;

    site.app.learn_revocations(known).await.unwrap();
    assert_eq!((before, ask(&old).await), (200, 401));
    let (revoked, finished) = (
        certificate.text("tokensRevokedAt"),
        certificate.text("finishedAt"),
    );
    assert!(revoked < finished, "{revoked} {finished}");
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_log() {
    let site = Site::start().await;
    site.conversation().await;
    site.say("patient", "secret").await;
    let certificate = officer(
        &site,
        "POST",
        &format!("users/{PATIENT}/erasure"),
        &Value::Null,
    )
    .await;
    let head: Head = certificate.text("head").parse().unwrap();
    let forged = chat_store::ports_audit::Link {
        hash: [7; 32],
        ..head.link
    };

    let genuine = verify_audit(&site.pg, &head.app, &[head.link], None)
        .await
        .unwrap();
    let false_one = verify_audit(&site.pg, &head.app, &[forged], None)
        .await
        .unwrap();

    assert_eq!(genuine.findings, []);
    assert_eq!(false_one.findings, [Finding::Unknown(forged.place)]);
    let now = officer(&site, "GET", "audit/head", &Value::Null).await;
    assert_eq!(now.text("head"), certificate.text("head"));
}

#[tokio::test]
async fn a_user_who_came_back_is_erased_again() {
    let site = Site::start().await;
    site.conversation().await;
    let erasure = format!("users/{PATIENT}/erasure");
    let first = officer(&site, "POST", &erasure, &Value::Null).await;
    let user = format!("users/{PATIENT}");
    site.tell("PUT", &user, &json!({"role": "patient", "name": "Pat"}))
        .await;

    let second = officer(&site, "POST", &erasure, &Value::Null).await;

    assert_ne!(first.body["head"], second.body["head"]);
    assert_eq!(
        site.count(&format!("users WHERE user_id = '{PATIENT}'"))
            .await,
        0
    );
}
