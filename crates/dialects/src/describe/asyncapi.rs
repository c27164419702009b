//! The `AsyncAPI` document of the sockets: made from the vocabularies, written by nobody.
//!
//! It speaks of what crosses a socket, not of how Socket.IO frames it.

use chat_domain::Dialect;
use serde_json::{Map, Value, json};

use super::{Kind, Property, Schemas, Vocabulary, name, needed, object, optional, vocabulary};
use crate::{ReadyBody, namespace};

const ABOUT: &str = "\
Events of the sockets. Clients of Socket.IO (Engine.IO 4, at `/socket.io/`) connect to the namespace that is \
a channel's address, with `auth: {token}`; of two dialects in one namespace the token's app decides. Clients \
without Socket.IO speak the same at `/ws`.\n\n\
`receive` is what the server receives: what a client emits. Where it asks for an acknowledgement, that is \
`x-acknowledgement`. Unknown events are ignored; a failed one is told as `error`. Fields that are not described \
may come with a client's event and are not looked at.\n\n\
Where connection state recovery is on, events have one more argument, a text: the library's own offset. Other \
services may send a user events under names that no dialect has (`notify`); they are not described here.";

/// Why a client at `/ws` is not let in.
const REFUSAL: [Property; 3] = [
    needed("message", Kind::Text),
    needed("code", Kind::Text),
    optional("data", Kind::Object),
];
/// The first message of a client at `/ws`.
const TOKEN: [Property; 1] = [needed("token", Kind::Text)];

/// Returns the document of these dialects, as JSON.
#[must_use]
pub fn asyncapi(dialects: &[Dialect]) -> Value {
    let mut document = Document::default();
    for dialect in dialects {
        document.add(*dialect);
    }
    document.add_plain();
    let Document {
        channels,
        operations,
        messages,
        schemas,
    } = document;
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "care-chat sockets",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    })
}

#[derive(Default)]
struct Document {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// Who sends a message. The same name may mean something else in either direction.
#[derive(Clone, Copy)]
enum By {
    Client,
    Server,
}

impl Document {
    fn add(&mut self, dialect: Dialect) {
        let channel = name(dialect);
        let Vocabulary { text, said, heard } = vocabulary(dialect);
        let mut schemas = Schemas::of(channel);
        self.open(channel, namespace(dialect), text);
        for event in heard {
            let payload = event.schema(&mut schemas);
            let message = json!({ "name": event.name, "summary": event.text, "payload": payload });
            self.tell(channel, By::Server, event.name, message);
        }
        for event in said {
            let message = json!({
                "name": event.name,
                "summary": event.text,
                "payload": event.schema(),
                "x-acknowledgement": event.acknowledgement(dialect, &mut schemas),
                "x-answer": event.answer(dialect),
                "examples": [{ "payload": event.example(false) }],
            });
            self.tell(channel, By::Client, event.name, message);
            if !event.answers.is_empty() {
                let answers = event.answers.iter();
                let answers = answers.map(|name| reference(channel, &key(By::Server, name)));
                let reply = json!({
                    "channel": { "$ref": format!("#/channels/{channel}") },
                    "messages": answers.collect::<Vec<_>>(),
                });
                self.operations[&id(channel, By::Client, event.name)]["reply"] = reply;
            }
        }
        schemas.collect_into(&mut self.schemas);
    }

    fn add_plain(&mut self) {
        let channel = "ws";
        let mut schemas = Schemas::of(channel);
        self.open(
            channel,
            "/ws",
            "The same for clients without Socket.IO: text frames `{event, data, id?}`. The first is `auth`, \
             unless a header or a cookie brought the token; it is answered by `ready`. Then events are those of \
             the app's dialect. An event with an `id` is answered by `{id, event, data}` alone, as `x-answer` \
             says.",
        );
        let auth = json!({
            "name": "auth",
            "summary": "Say who one is.",
            "payload": object(&[&TOKEN], &[]),
        });
        self.tell(channel, By::Client, "auth", auth);
        let ready = json!({
            "name": "ready",
            "summary": "The token is good, and events may come and go.",
            "payload": schemas.spell::<ReadyBody<'static>>(),
        });
        self.tell(channel, By::Server, "ready", ready);
        let error = json!({
            "name": "error",
            "summary": "The token is not good, or a frame was not understood.",
            "payload": object(&[&REFUSAL], &[]),
        });
        self.tell(channel, By::Server, "error", error);
        schemas.collect_into(&mut self.schemas);
    }

    fn open(&mut self, channel: &str, address: &str, text: &str) {
        let opened = json!({
            "address": address,
            "title": channel,
            "description": text,
            "messages": {},
        });
        self.channels.insert(channel.to_owned(), opened);
    }

    /// Adds a message to a channel, and what sends it.
    fn tell(&mut self, channel: &str, by: By, name: &str, message: Value) {
        let (id, key) = (id(channel, by, name), key(by, name));
        let action = match by {
            By::Client => "receive",
            By::Server => "send",
        };
        let operation = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{channel}") },
            "summary": message["summary"],
            "messages": [reference(channel, &key)],
            "security": [{ "$ref": "#/components/securitySchemes/token" }],
        });
        self.channels[channel]["messages"][&key] =
            json!({ "$ref": format!("#/components/messages/{id}") });
        self.operations.insert(id.clone(), operation);
        self.messages.insert(id, message);
    }
}

/// Refers to what an event of the server says.
pub(super) fn payload_of(dialect: Dialect, event: &str) -> Value {
    let id = id(name(dialect), By::Server, event);
    json!({ "$ref": format!("#/components/messages/{id}/payload") })
}

fn reference(channel: &str, key: &str) -> Value {
    json!({ "$ref": format!("#/channels/{channel}/messages/{key}") })
}

fn id(channel: &str, by: By, name: &str) -> String {
    format!("{channel}.{}", key(by, name))
}

/// Names a message; keys know no colon.
fn key(by: By, name: &str) -> String {
    let name = name.replace(':', ".");
    match by {
        By::Client => format!("say.{name}"),
        By::Server => format!("hear.{name}"),
    }
}
