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
    http_described::{fetch, template},
    http_site::{Ask, NOTHING, PATIENT, PUBLIC_URL, STRANGER, Site, ice_servers, meeting, with},
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
            document: fetch(&site.clients).await,
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
        let path = template.replace("{id}", NOTHING);
        for tag in operation["tags"].as_array().unwrap() {
            let who = user_of(tag.as_str().unwrap(), template);
            self.ask("", method, &path, |ask| ask).await;
            self.ask(foreign_to(who), method, &path, |ask| ask).await;
            self.ask(who, method, &path, |ask| ask).await;
            let malformed = template.replace("{id}", &"x".repeat(200));
            self.ask(who, method, &malformed, |ask| ask).await;
            for name in integers(operation) {
                let path = format!("{path}?{name}=x");
                self.ask(who, method, &path, |ask| ask).await;
            }
            if operation
                .pointer("/requestBody/content/application~1json")
                .is_some()
            {
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

    /// Returns what is described and was not given.
    fn missing(&self) -> Given {
        let described = operations(&self.document).into_iter();
        let described = described.flat_map(|(template, method, operation)| {
            let statuses: Vec<String> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            let refusals = statuses
                .into_iter()
                .filter(|it| it.starts_with('4') && it != SLOW);
            refusals
                .map(move |status| (template.clone(), method.clone(), status))
                .collect::<Vec<_>>()
        });
        described.filter(|it| !self.given.contains(it)).collect()
    }
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, of_path)| {
        let of_path = of_path.as_object().unwrap().iter();
        of_path.map(|(method, it)| (path.clone(), method.clone(), it.clone()))
    });
    operations.collect()
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

    assert_eq!(asker.missing(), Given::new());
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
