//! Every refusal that the document lists for a route does occur there: each is asked for. That no other occurs is what
//! [`http_described`](crate::http_described) holds all tests to.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, time::Duration};

use axum::Router;
use chat_domain::BoxError;
use chat_store::http as rest;
use futures_util::stream;
use serde_json::{Value, json};
use service_kit::limits::Rate;

use crate::{
    http_described::{OF_CLIENTS, OF_SERVICES, fetch, filled, operations, template},
    http_site::{
        Ask, BOOKING, NOTHING, PATIENT, PUBLIC_URL, SERVICE_TOKEN, STRANGER, Site, ice_servers,
        meeting, with,
    },
};

/// Of a client that stops in the middle: of all that read a body, by the same code.
const SLOW: &str = "408";

/// A path, a method and a status.
type Given = BTreeSet<(String, String, String)>;

/// Asks, and keeps what was answered.
struct Asker<'a> {
    document: Value,
    site: &'a Site,
    hasty: Router,
    given: Given,
}

impl<'a> Asker<'a> {
    async fn new(site: &'a Site) -> Self {
        let once = Rate::of(1, Duration::from_hours(1), 1);
        Self {
            document: fetch(&site.clients, &OF_CLIENTS).await,
            site,
            hasty: rest::router(site.app.clone(), site.verifier.clone(), ice_servers(), once),
            given: Given::new(),
        }
    }

    async fn ask(&mut self, who: &str, method: &str, path: &str, change: impl FnOnce(Ask) -> Ask) {
        self.ask_at(self.site.clients.clone(), (who, method, path), change)
            .await;
    }

    async fn ask_at(
        &mut self,
        router: Router,
        (who, method, path): (&str, &str, &str),
        change: impl FnOnce(Ask) -> Ask,
    ) {
        let ask = change(Ask::new(&method.to_uppercase(), path).of_app(who));
        let status = ask.of(&router).await.status;
        let plain = path.split('?').next().unwrap();
        let template = template(&self.document, plain).unwrap().to_owned();
        self.given
            .insert((template, method.to_owned(), status.as_str().to_owned()));
    }

    /// Asks for what follows from what a route reads.
    async fn ask_wrongly(&mut self, template: &str, method: &str, operation: &Value) {
        let path = filled(template, NOTHING);
        for tag in operation["tags"].as_array().unwrap() {
            let who = user_of(tag.as_str().unwrap(), template);
            self.ask("", method, &path, |ask| ask).await;
            self.ask(foreign_to(who), method, &path, |ask| ask).await;
            self.ask(who, method, &path, |ask| ask).await;
            let malformed = filled(template, &"x".repeat(200));
            self.ask(who, method, &malformed, |ask| ask).await;
            for name in integers(operation) {
                let path = format!("{path}?{name}=x");
                self.ask(who, method, &path, |ask| ask).await;
            }
            if takes_json(operation) {
                let text = "{}".to_owned();
                self.ask(who, method, &path, |ask| ask.raw("text/plain", text))
                    .await;
                self.ask(who, method, &path, |ask| ask.json(&json!({})))
                    .await;
                let long = json!({ "long": "x".repeat(1_000_000) });
                self.ask(who, method, &path, |ask| ask.json(&long)).await;
            }
            for _ in 0..2 {
                let request = (who, method, path.as_str());
                self.ask_at(self.hasty.clone(), request, |ask| ask).await;
            }
        }
    }

    async fn ask_all_wrongly(&mut self) {
        for (template, method, operation) in operations(&self.document.clone()) {
            self.ask_wrongly(&template, &method, &operation).await;
        }
    }
}

/// Returns what is described and was not given.
fn missing(document: &Value, given: &Given) -> Given {
    let mut missing = Given::new();
    for (template, method, operation) in operations(document) {
        let statuses = operation["responses"].as_object().unwrap().keys();
        for status in statuses.filter(|it| it.starts_with('4') && *it != SLOW) {
            missing.insert((template.clone(), method.clone(), status.clone()));
        }
    }
    missing.retain(|it| !given.contains(it));
    missing
}

fn takes_json(operation: &Value) -> bool {
    let content = "/requestBody/content/application~1json";
    operation.pointer(content).is_some()
}

fn integers(operation: &Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    let integers = parameters.filter(|it| it.pointer("/schema/minimum").is_some());
    integers.filter_map(|it| it["name"].as_str()).collect()
}

const DOCTOR: &str = "other doctor doc";
const ANNA: &str = "other patient anna";
const ADA: &str = "clinic doctor ada@clinic.com";
const CARL: &str = "booking client carl";

fn user_of(tag: &str, template: &str) -> &'static str {
    match tag {
        "consult" => "jiggy patient 22222222-2222-4222-8222-22222222aaaa",
        "care" if template.starts_with("/doctors/") => DOCTOR,
        "care" => ANNA,
        "clinic" => ADA,
        "booking" => CARL,
        _ => "",
    }
}

fn foreign_to(who: &str) -> &'static str {
    if who == ANNA || who == DOCTOR {
        ADA
    } else {
        ANNA
    }
}

/// Who is there, and who may write to whom.
async fn seed(site: &Site) {
    let shop = json!({"ownerId": "owner", "name": "Shop"});
    let booked = json!({"businessId": "shop", "clientId": "carl"});
    for (app, path, body) in [
        ("other", "users/doc", json!({"role": "doctor"})),
        ("other", "users/anna", json!({"role": "patient"})),
        ("other", "associations/doc/anna", json!({})),
        ("clinic", "users/ada@clinic.com", json!({"role": "doctor"})),
        ("clinic", "users/bob@clinic.com", json!({"role": "admin"})),
        ("booking", "users/owner", json!({"role": "business"})),
        ("booking", "users/carl", json!({"role": "client"})),
        ("booking", "businesses/shop", shop),
        ("booking", "bookings/b-1", booked),
    ] {
        site.tell_of(app, path, &body).await;
    }
}

#[tokio::test]
async fn no_refusal_is_described_that_never_comes() {
    let site = Site::with_files("{}").await;
    seed(&site).await;
    let mut asker = Asker::new(&site).await;

    asker.ask_all_wrongly().await;
    asker.ask_for_nothing().await;
    asker.repeat_keys().await;
    asker.upload_wrongly().await;

    assert_eq!(missing(&asker.document, &asker.given), Given::new());
}

#[tokio::test]
async fn no_refusal_to_services_is_described_that_never_comes() {
    let site = Site::start().await;
    let document = fetch(&site.internal, &OF_SERVICES).await;
    let mut given = Given::new();
    let bearer = format!("Bearer {SERVICE_TOKEN}");

    site.tell("POST", "messages", &said_once("one")).await;
    let held = Ask::new(
        "PUT",
        &format!("/internal/v1/apps/jiggy/holds/users/{PATIENT}"),
    )
    .header("authorization", &bearer)
    .header("chat-actor", "olga")
    .json(&json!({"reason": "a case"}));
    assert_eq!(held.of(&site.internal).await.status, 204);
    for (template, method, operation) in operations(&document) {
        let of = |app: &str| template.replace("{app}", app).replace("{kind}", "users");
        let path = filled(&of("jiggy"), PATIENT);
        let ask = |path: &str| Ask::new(&method.to_uppercase(), path);
        let services = |path: &str, actor: &str| {
            let ask = ask(path).header("authorization", &bearer);
            ask.header("chat-actor", actor)
        };
        let mut asked = vec![ask(&path), services(&path, " ")];
        if takes_json(&operation) {
            let long = json!({ "long": "x".repeat(1_000_000) });
            asked.extend([
                services(&filled(&of("nobody"), PATIENT), "olga").json(&json!({})),
                services(&path, "olga").raw("text/plain", "{}"),
                services(&path, "olga").json(&long),
            ]);
        } else {
            let path = format!("{}?user={PATIENT}", filled(&of("nobody"), PATIENT));
            asked.push(services(&path, "olga"));
        }
        if template.ends_with("/messages") {
            asked.push(services(&path, "olga").json(&said_once("another")));
        } else if template.ends_with("/erasure") {
            asked.push(services(&path, "olga"));
        }
        for ask in asked {
            let status = ask.of(&site.internal).await.status;
            given.insert((template.clone(), method.clone(), status.as_str().to_owned()));
        }
    }

    assert_eq!(missing(&document, &given), Given::new());
}

fn said_once(text: &str) -> Value {
    json!({"bookingId": BOOKING, "content": text, "idempotencyKey": "a-key"})
}

impl Asker<'_> {
    /// Asks for what is not there, and for too much.
    #[expect(clippy::too_many_lines, reason = "a table")]
    async fn ask_for_nothing(&mut self) {
        let patient = format!("jiggy patient {PATIENT}");
        let chat = "/api/v1/chat";
        let file = json!({"fileName": "a.png", "contentType": "image/png", "size": 9});
        let to_nobody = json!({"receiver_email": "nobody@clinic.com", "content": "Hi"});
        let unbooked = with(&meeting(), &json!({"bookingId": STRANGER}));
        let sent = json!({"senderType": "patient", "content": "Hi"});
        let long = "x".repeat(201);
        for (who, method, path, body) in [
            (
                &*patient,
                "post",
                format!("{chat}/conversations"),
                unbooked.clone(),
            ),
            (
                &patient,
                "post",
                format!("{chat}/messages"),
                with(&unbooked, &sent),
            ),
            (
                &patient,
                "get",
                format!("{chat}/conversations/{NOTHING}/unread?userId={PATIENT}"),
                Value::Null,
            ),
            (
                &patient,
                "post",
                format!("{chat}/conversations/{NOTHING}/read"),
                json!({"messageIds": [NOTHING]}),
            ),
            (
                &patient,
                "post",
                format!("{chat}/conversations/{NOTHING}/attachments"),
                file.clone(),
            ),
            (
                &patient,
                "get",
                format!("{chat}/search?query={long}"),
                Value::Null,
            ),
            (
                ANNA,
                "post",
                "/users/send-message".to_owned(),
                json!({"doctorId": "nobody", "content": "Hi"}),
            ),
            (
                ANNA,
                "post",
                "/chat/conversations/nobody/attachments".to_owned(),
                file.clone(),
            ),
            (
                ANNA,
                "get",
                format!("/chat/search?query={long}"),
                Value::Null,
            ),
            (
                DOCTOR,
                "post",
                "/doctors/patients/nobody/messages".to_owned(),
                json!({"message": "Hi"}),
            ),
            (ADA, "post", "/api/messages".to_owned(), to_nobody.clone()),
            (
                ADA,
                "post",
                "/api/messages".to_owned(),
                with(&to_nobody, &json!({"content": ""})),
            ),
            (
                ADA,
                "post",
                "/api/attachments".to_owned(),
                with(&to_nobody, &file),
            ),
            (ADA, "get", "/api/users/search?q=x".to_owned(), Value::Null),
            (
                ADA,
                "get",
                format!("/api/users/search?q={long}"),
                Value::Null,
            ),
            (
                CARL,
                "post",
                "/api/messages".to_owned(),
                json!({"bookingId": "nothing", "content": "Hi"}),
            ),
            (
                CARL,
                "post",
                "/api/messages/booking/nothing/attachments".to_owned(),
                file.clone(),
            ),
        ] {
            self.ask(who, method, &path, |ask| {
                if body.is_null() { ask } else { ask.json(&body) }
            })
            .await;
        }
    }

    /// Says two things under one key.
    async fn repeat_keys(&mut self) {
        let patient = format!("jiggy patient {PATIENT}");
        let consult = with(&meeting(), &json!({"senderType": "patient"}));
        for (who, path, body) in [
            (&*patient, "/api/v1/chat/messages", consult),
            (ANNA, "/users/send-message", json!({"doctorId": "doc"})),
            (DOCTOR, "/doctors/patients/anna/messages", json!({})),
            (
                ADA,
                "/api/messages",
                json!({"receiver_email": "bob@clinic.com"}),
            ),
        ] {
            for text in ["one", "another"] {
                let said = json!({"content": text, "message": text});
                let body = with(&body, &said);
                let keyed = |ask: Ask| ask.header("idempotency-key", "a-key").json(&body);
                self.ask(who, "post", path, keyed).await;
            }
        }
    }

    /// Sends bytes that were not permitted, and not as they were.
    async fn upload_wrongly(&mut self) {
        let without_files = Site::start().await;
        let place = format!("/api/v1/uploads/{NOTHING}?size=1&expires=1&signature=x");
        let request = ("", "put", &*place);
        self.ask_at(without_files.clients.clone(), request, |ask| ask)
            .await;
        let conversation = self.site.conversation().await;
        let file = json!({"fileName": "a.png", "contentType": "image/png", "size": 2});
        let path = format!("conversations/{conversation}/attachments");
        let url = self
            .site
            .post("patient", &path, &file)
            .await
            .text("uploadUrl");
        let place = url.strip_prefix(PUBLIC_URL).unwrap();
        self.ask("", "put", place, |ask| ask.bytes(vec![0; 3]))
            .await;
        let broken = || stream::iter([Err::<_, BoxError>("reset by peer".into())]);
        self.ask("", "put", place, |ask| ask.streamed(broken()))
            .await;
    }
}
