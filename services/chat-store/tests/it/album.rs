//! Two who talk and attach files, in any dialect.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{Role, User, UserId};
use chat_store::app::Caller;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    attachments_bucket as bucket,
    http_site::{Answer, Ask, CONSULTANT, PATIENT, PUBLIC_URL, STRANGER, Site, meeting, with},
};

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Two who talk, and somebody else, in one dialect.
pub(crate) struct Album {
    pub(crate) site: Site,
    pub(crate) sender: String,
    pub(crate) receiver: String,
    pub(crate) stranger: String,
    /// Where files are announced.
    pub(crate) announce: String,
    /// Where messages are sent.
    pub(crate) send: &'static str,
    /// What a message needs beside its file.
    pub(crate) message: Value,
    /// Below which path files are.
    pub(crate) files: &'static str,
    is_snake: bool,
}

impl Album {
    pub(crate) async fn consult_with(policy: &str) -> Self {
        Self::consult_at(Site::with_files(policy).await).await
    }

    pub(crate) async fn consult_at(site: Site) -> Self {
        let conversation = site.conversation().await;
        Self {
            site,
            sender: format!("jiggy patient {PATIENT}"),
            receiver: format!("jiggy consultant {CONSULTANT}"),
            stranger: format!("jiggy patient {STRANGER}"),
            announce: format!("POST /api/v1/chat/conversations/{conversation}/attachments"),
            send: "POST /api/v1/chat/messages",
            message: with(&meeting(), &json!({"senderType": "patient"})),
            files: "/api/v1/chat/attachments",
            is_snake: false,
        }
    }

    pub(crate) async fn consult() -> Self {
        Self::consult_with("{}").await
    }

    pub(crate) async fn care() -> Self {
        let site = Site::with_files("{}").await;
        for (id, role) in [("doc", "doctor"), ("anna", "patient"), ("otto", "patient")] {
            let user = json!({"role": role, "name": id});
            site.tell_of("other", &format!("users/{id}"), &user).await;
        }
        site.tell_of("other", "associations/doc/anna", &json!({}))
            .await;
        Self {
            site,
            sender: "other patient anna".to_owned(),
            receiver: "other doctor doc".to_owned(),
            stranger: "other patient otto".to_owned(),
            announce: "POST /chat/conversations/doc/attachments".to_owned(),
            send: "POST /users/send-message",
            message: json!({"doctorId": "doc"}),
            files: "/chat/attachments",
            is_snake: false,
        }
    }

    pub(crate) async fn clinic() -> Self {
        let site = Site::with_files("{}").await;
        for id in ["ada@c.org", "bob@c.org", "eve@c.org"] {
            let user = json!({"role": "doctor", "name": id, "email": id});
            site.tell_of("clinic", &format!("users/{id}"), &user).await;
        }
        Self {
            site,
            sender: "clinic doctor ada@c.org".to_owned(),
            receiver: "clinic doctor bob@c.org".to_owned(),
            stranger: "clinic doctor eve@c.org".to_owned(),
            announce: "POST /api/attachments".to_owned(),
            send: "POST /api/messages",
            message: json!({"receiver_email": "bob@c.org"}),
            files: "/api/attachments",
            is_snake: true,
        }
    }

    pub(crate) async fn booking() -> Self {
        let site = Site::with_files("{}").await;
        for (path, body) in [
            ("users/olga", json!({"role": "business", "name": "Olga"})),
            ("users/carl", json!({"role": "client", "name": "Carl"})),
            (
                "businesses/hair",
                json!({"ownerId": "olga", "name": "Hair"}),
            ),
            (
                "bookings/b-1",
                json!({"businessId": "hair", "clientId": "carl"}),
            ),
        ] {
            site.tell_of("booking", path, &body).await;
        }
        Self {
            site,
            sender: "booking client carl".to_owned(),
            receiver: "booking business olga".to_owned(),
            stranger: "booking client eve".to_owned(),
            announce: "POST /api/messages/booking/b-1/attachments".to_owned(),
            send: "POST /api/messages",
            message: json!({"bookingId": "b-1"}),
            files: "/api/messages/attachments",
            is_snake: false,
        }
    }

    /// Says a key as the dialect spells it.
    fn key(&self, name: &'static str) -> String {
        let spell = |c: char| match c {
            'A'..='Z' if self.is_snake => format!("_{}", c.to_ascii_lowercase()),
            _ => c.to_string(),
        };
        name.chars().map(spell).collect()
    }

    pub(crate) fn field<'a>(&self, body: &'a Value, name: &'static str) -> &'a str {
        let value = &body[self.key(name)];
        value.as_str().unwrap_or_else(|| panic!("{name}: {body}"))
    }

    pub(crate) async fn announce(&self, who: &str, changes: &Value) -> Answer {
        let mut file = json!({
            self.key("fileName"): "Röntgen.png",
            self.key("contentType"): "image/png",
            "size": PNG.len(),
        });
        if self.is_snake {
            file["receiver_email"] = json!("bob@c.org");
        }
        self.site
            .ask(who, &self.announce, &with(&file, changes))
            .await
    }

    pub(crate) async fn put(&self, url: &str, bytes: &[u8]) -> StatusCode {
        let Some(path) = url.strip_prefix(PUBLIC_URL) else {
            return bucket::put(url, bytes).await;
        };
        let answer = Ask::new("PUT", path).bytes(bytes.to_vec());
        answer.of(&self.site.clients).await.status
    }

    /// Announces and uploads a picture, and returns its id.
    pub(crate) async fn upload(&self) -> String {
        let announced = self.announce(&self.sender, &json!({})).await;
        assert!(announced.status.is_success(), "{announced:?}");
        let answer = announced.body.get("data").unwrap_or(&announced.body);
        let put = self.put(self.field(answer, "uploadUrl"), PNG).await;
        assert!(put.is_success(), "{put}");
        self.field(answer, "attachmentId").to_owned()
    }

    pub(crate) async fn send(&self, id: &str, changes: &Value) -> Answer {
        let file = json!({self.key("attachmentId"): id, self.key("messageType"): "image"});
        let message = with(&with(&self.message, &file), changes);
        self.site.ask(&self.sender, self.send, &message).await
    }

    pub(crate) async fn read(&self, who: &str, id: &str) -> Answer {
        let request = format!("GET {}/{id}", self.files);
        self.site.ask(who, &request, &Value::Null).await
    }

    /// Returns a user of the app as it is authenticated.
    pub(crate) fn caller(&self, who: &str) -> Caller {
        let mut words = who.split(' ');
        let mut word = || words.next().unwrap();
        let app = self.site.app.apps();
        let app = app.get(&chat_domain::AppId::new(word()).unwrap()).unwrap();
        let user = User {
            role: Role::parse(word()).unwrap(),
            id: UserId::new(word()).unwrap(),
            name: None,
            email: None,
            avatar_url: None,
        };
        Caller {
            app: app.clone(),
            user,
            device: None,
        }
    }
}
