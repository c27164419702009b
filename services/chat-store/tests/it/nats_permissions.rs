//! What the users of deploy/nats/permissions.conf may say and hear, on a real broker.

use std::{collections::HashMap, sync::Arc};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, jetstream};
use chat_domain::{AppId, UserId};
use chat_proto::subject::{
    IN_DEAD, JOURNAL_ALL, JOURNAL_STREAM, REVOKED, RPC_ALL, Rpc, STORE_QUEUE, USED, gateway_beat,
    journal, out, rpc, user,
};
use futures_util::StreamExt as _;
use nkeys::KeyPair;
use parking_lot::Mutex;
use test_kit::{eventually, nats::Server};

const PERMISSIONS: &str = include_str!("../../../../deploy/nats/permissions.conf");

/// A broker, and the nkeys of those that it knows.
struct Broker {
    server: Server,
    seeds: HashMap<&'static str, String>,
}

fn broker() -> Broker {
    let mut settings = PERMISSIONS.replace("@admin@", "secret");
    let mut seeds = HashMap::new();
    for name in ["gateway", "store", "internal"] {
        let pair = KeyPair::new_user();
        settings = settings.replace(&format!("@{name}@"), &pair.public_key());
        seeds.insert(name, pair.seed().unwrap());
    }
    Broker {
        server: Server::start_set(&settings).unwrap(),
        seeds,
    }
}

/// A client, and what the broker refused it.
async fn login(broker: &Broker, name: &str) -> (Client, Arc<Mutex<Vec<String>>>) {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&refused);
    let client = ConnectOptions::with_nkey(broker.seeds[name].clone())
        .custom_inbox_prefix(format!("_INBOX.{name}"))
        .retry_on_initial_connect()
        .event_callback(move |event| {
            let heard = Arc::clone(&heard);
            async move {
                if let Event::ServerError(error) = event {
                    heard.lock().push(error.to_string().to_lowercase());
                }
            }
        })
        .connect(broker.server.url())
        .await
        .unwrap();
    (client, refused)
}

fn app() -> AppId {
    AppId::new("consult").unwrap()
}

fn of_user() -> String {
    user(&app(), &UserId::new("u").unwrap())
}

/// Where gateways note what became of that user's messages.
fn noted() -> String {
    journal(&app(), &UserId::new("u").unwrap())
}

#[tokio::test]
async fn whoever_the_broker_does_not_know_is_not_let_in() {
    let broker = broker();
    let (known, _) = login(&broker, "internal").await;
    known.flush().await.unwrap();
    let stranger = KeyPair::new_user().seed().unwrap();

    for options in [
        ConnectOptions::new(),
        ConnectOptions::with_nkey(stranger),
        ConnectOptions::with_user_and_password("admin".to_owned(), "guessed".to_owned()),
    ] {
        let refused = options.connect(broker.server.url()).await.unwrap_err();
        assert_eq!(refused.kind(), ConnectErrorKind::AuthorizationViolation);
    }
}

#[tokio::test]
async fn whoever_says_what_it_may_not_is_refused() {
    let broker = broker();
    let append = rpc(Rpc::Append, "k");
    let subject = |text: &str| text.to_owned();

    for (name, subjects) in [
        (
            "gateway",
            vec![
                out(&app(), "message.created"),
                subject("chat.v1.in.consult.user"),
                subject(REVOKED),
                subject("_INBOX.gateway.forged"),
                subject("$JS.API.CONSUMER.CREATE.CHAT_JOURNAL.spy"),
                subject("$JS.API.STREAM.LIST"),
            ],
        ),
        (
            "store",
            vec![
                append.clone(),
                gateway_beat("g1"),
                noted(),
                subject("chat.v1.in.consult.user"),
                subject("$JS.API.STREAM.PURGE.CHAT_OUT"),
                subject("$JS.API.STREAM.DELETE.CHAT_OUT"),
            ],
        ),
        (
            "internal",
            vec![
                append.clone(),
                of_user(),
                subject(REVOKED),
                subject(USED),
                gateway_beat("g1"),
                out(&app(), "message.created"),
                subject(IN_DEAD),
                noted(),
                subject("_INBOX.gateway.forged"),
                subject("$JS.API.CONSUMER.CREATE.CHAT_JOURNAL.spy"),
                subject("$JS.API.STREAM.MSG.GET.CHAT_JOURNAL"),
                subject("$JS.API.STREAM.DELETE.CHAT_IN"),
                subject("$JS.API.CONSUMER.CREATE.CHAT_IN.spy"),
            ],
        ),
    ] {
        let (client, refused) = login(&broker, name).await;
        for subject in subjects {
            client.publish(subject.clone(), "x".into()).await.unwrap();

            let told = format!("publish to \"{}\"", subject.to_lowercase());
            eventually(&format!("{name} is refused {subject}"), async || {
                refused
                    .lock()
                    .iter()
                    .any(|text| text.contains(&told))
                    .then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn whoever_listens_to_what_is_not_for_it_is_refused() {
    let broker = broker();

    for (name, subjects) in [
        (
            "gateway",
            [
                RPC_ALL,
                "chat.v1.in.>",
                "chat.v1.out.>",
                JOURNAL_ALL,
                "_INBOX.>",
                ">",
            ],
        ),
        (
            "store",
            [
                "chat.v1.usr.>",
                "chat.v1.gw.>",
                JOURNAL_ALL,
                "_INBOX.gateway.>",
                "_INBOX.>",
                ">",
            ],
        ),
        (
            "internal",
            [
                RPC_ALL,
                "chat.v1.usr.>",
                "chat.v1.in.>",
                JOURNAL_ALL,
                "_INBOX.gateway.>",
                ">",
            ],
        ),
    ] {
        let (client, refused) = login(&broker, name).await;
        for subject in subjects {
            let _subscription = client.subscribe(subject).await.unwrap();

            let told = format!("subscription to \"{}\"", subject.to_lowercase());
            eventually(&format!("{name} is refused {subject}"), async || {
                refused
                    .lock()
                    .iter()
                    .any(|text| text.contains(&told))
                    .then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_each_has_to_do_it_may() {
    let broker = broker();
    let (store, of_store) = login(&broker, "store").await;
    let (gateway, of_gateway) = login(&broker, "gateway").await;
    let (internal, of_internal) = login(&broker, "internal").await;
    let queue = STORE_QUEUE.to_owned();
    let mut requests = store.queue_subscribe(RPC_ALL, queue).await.unwrap();
    let mut events = gateway.subscribe(of_user()).await.unwrap();
    for client in [&store, &gateway] {
        client.flush().await.unwrap();
    }
    let streams = jetstream::new(store.clone());
    let stream = |name: &str, subjects: &str| jetstream::stream::Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        ..Default::default()
    };
    let told = stream("CHAT_OUT", "chat.v1.out.>");
    streams.get_or_create_stream(told).await.unwrap();
    let written = stream("CHAT_IN", "chat.v1.in.*.*");
    let written = streams.get_or_create_stream(written).await.unwrap();

    let notes = stream(JOURNAL_STREAM, JOURNAL_ALL);
    let notes = streams.get_or_create_stream(notes).await.unwrap();
    gateway.publish(noted(), "x".into()).await.unwrap();
    gateway.flush().await.unwrap();
    // JetStream keeps it in its own time.
    let note = eventually("the note is kept", async || {
        notes.get_last_raw_message_by_subject(&noted()).await.ok()
    })
    .await;
    assert_eq!(note.payload, "x");

    let asked = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.request(rpc(Rpc::Append, "k"), "?".into()).await }
    });
    let request = requests.next().await.unwrap();
    store
        .publish(request.reply.unwrap(), "!".into())
        .await
        .unwrap();
    store.publish(of_user(), "event".into()).await.unwrap();
    store.publish(REVOKED, "x".into()).await.unwrap();
    gateway.publish(USED, "x".into()).await.unwrap();
    let tells = out(&app(), "message.created");
    streams
        .publish(tells, "x".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let of_others = jetstream::new(internal);
    let entry = of_others.publish("chat.v1.in.consult.user", "{}".into());
    entry.await.unwrap().await.unwrap();
    let consumer = jetstream::consumer::pull::Config {
        durable_name: Some("intake".to_owned()),
        ..Default::default()
    };
    let intake = written.create_consumer(consumer.clone()).await.unwrap();
    let mut taken = intake.fetch().max_messages(1).messages().await.unwrap();
    taken
        .next()
        .await
        .unwrap()
        .unwrap()
        .double_ack()
        .await
        .unwrap();
    let out_stream = of_others.get_stream("CHAT_OUT").await.unwrap();
    let reader = out_stream.create_consumer(consumer).await.unwrap();
    let mut read = reader.fetch().max_messages(1).messages().await.unwrap();
    read.next()
        .await
        .unwrap()
        .unwrap()
        .double_ack()
        .await
        .unwrap();

    assert_eq!(asked.await.unwrap().unwrap().payload, "!");
    assert_eq!(events.next().await.unwrap().payload, "event");
    for refused in [of_store, of_gateway, of_internal] {
        assert_eq!(*refused.lock(), [] as [&str; 0]);
    }
}
