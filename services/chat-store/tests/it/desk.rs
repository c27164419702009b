//! A store that reads what other services write, over a broker of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use async_nats::{
    Client, HeaderMap,
    jetstream::{self, Context},
};
use chat_domain::{Direction, MessageKind, PageRequest, Role, SubjectId};
use chat_proto::subject::{IN_STREAM, STORE_QUEUE};
use chat_store::{
    app::{App, Intake},
    nats::{InLimits, InReader, Notifier},
    pg::Pg,
    ports_in::UserNotifier,
};
use serde_json::{Value, json};
use test_kit::{eventually, nats::Server};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{Ear, Pair, World};
pub(crate) const LIMITS: InLimits = InLimits {
    max_bytes: 1 << 20,
    in_flight: 8,
};

/// A store that hears other services over a broker of its own.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) store: App,
    pub(crate) pg: Pg,
    _broker: Server,
    pub(crate) client: Client,
    pub(crate) context: Context,
}

/// A reader of the stream, until it is told to end.
pub(crate) struct Reading {
    pub(crate) soft: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Reading {
    /// Ends it as a process that drains does.
    pub(crate) async fn end(self) {
        self.soft.cancel();
        self.task.await.unwrap();
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let broker = Server::start_with_jetstream().unwrap();
        let client = eventually("the broker is up", async || {
            async_nats::connect(broker.url()).await.ok()
        })
        .await;
        let world = World::new().await;
        Self {
            store: world.store(Ear::new()).await,
            pg: world.pg_of(2).await,
            world,
            _broker: broker,
            context: jetstream::new(client.clone()),
            client,
        }
    }

    /// Begins to read, and waits until there is a stream.
    pub(crate) async fn read(&self) -> Reading {
        let notifier = Arc::new(Notifier::new(self.client.clone()));
        self.read_with(notifier).await
    }

    pub(crate) async fn read_with(&self, notifier: Arc<dyn UserNotifier>) -> Reading {
        let intake = Intake::new(&self.store, notifier);
        let reader = InReader::new(self.client.clone(), intake, LIMITS);
        let soft = CancellationToken::new();
        let task = tokio::spawn(reader.run(soft.clone()));
        eventually("there is a consumer", async || {
            let stream = self.context.get_stream(IN_STREAM).await.ok()?;
            stream.consumer_info(STORE_QUEUE).await.ok()
        })
        .await;
        Reading { soft, task }
    }

    pub(crate) async fn write(
        &self,
        kind: &str,
        headers: &[(&str, &str)],
        payload: impl Into<Vec<u8>>,
    ) {
        let app = &self.world.id;
        self.write_to(&format!("chat.v1.in.{app}.{kind}"), headers, payload.into())
            .await;
    }

    pub(crate) async fn write_to(&self, subject: &str, headers: &[(&str, &str)], payload: Vec<u8>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let context = &self.context;
        let published = context.publish_with_headers(subject.to_owned(), map, payload.into());
        published.await.unwrap().await.unwrap();
    }

    pub(crate) async fn json(&self, kind: &str, body: &Value) {
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        self.write(kind, &headers, body.to_string()).await;
    }

    pub(crate) async fn count(&self, stream: &str) -> u64 {
        let mut stream = self.context.get_stream(stream).await.unwrap();
        stream.info().await.unwrap().state.messages
    }

    /// Waits until everything that was written is taken or dead.
    pub(crate) async fn drained(&self) {
        eventually("the stream is empty", async || {
            (self.count(IN_STREAM).await == 0).then_some(())
        })
        .await;
    }

    /// Waits until something was delivered so often in all, and is still there.
    pub(crate) async fn tried(&self, times: u64) {
        eventually("it is tried again", async || {
            let stream = self.context.get_stream(IN_STREAM).await.unwrap();
            let info = stream.consumer_info(STORE_QUEUE).await.unwrap();
            (times <= info.delivered.consumer_sequence).then_some(())
        })
        .await;
        assert_eq!(self.count(IN_STREAM).await, 1);
    }

    /// Two people whose booking is not there yet.
    pub(crate) fn strangers(&self) -> Pair {
        Pair {
            consultant: self.world.caller(Role::Consultant),
            patient: self.world.caller(Role::Patient),
            booking: SubjectId::new(&Uuid::new_v4().to_string()).unwrap(),
        }
    }

    /// The system messages in the conversation of a booking.
    pub(crate) async fn texts(&self, pair: &Pair) -> Vec<String> {
        let conversation = pair.open(&self.store).await.id;
        let page = PageRequest::new(Direction::Newest { offset: 0 }, 10).unwrap();
        let read = self.store.page(&pair.patient, conversation, page);
        let (_, messages) = read.await.unwrap();
        let text = |message: &chat_domain::Message| {
            assert_eq!(message.content.kind(), MessageKind::System);
            message.content.text().to_owned()
        };
        messages.iter().map(text).collect()
    }
}

pub(crate) fn booking(pair: &Pair) -> Value {
    json!({
        "id": pair.booking.as_str(),
        "consultantId": pair.consultant.user.id.as_str(),
        "patientId": pair.patient.user.id.as_str(),
    })
}

pub(crate) fn message(pair: &Pair, text: &str) -> Value {
    json!({ "bookingId": pair.booking.as_str(), "content": text })
}
