//! What was committed is told, whoever dies and whatever is down.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Subscriber};
use chat_domain::{AppId, Direction, PageRequest, Seq, UserId};
use chat_proto::{
    subject::{self, STORE_INBOX},
    v1,
};
use chat_store::{
    app::{App, BatchLimits, sweep_outbox},
    nats::Publisher,
    pg::Pg,
    ports::{Answer, Event, Fact, Outbox as _, Sink},
};
use futures_util::StreamExt as _;
use prost::Message as _;
use service_kit::{NatsArgs, Service};
use test_kit::eventually;

use crate::world::{Ear, World, new, no_roster, private_calls, send, send_many};

/// How long an event may take. Only a failure waits so long.
const SOON: Duration = Duration::from_secs(20);

/// Connects like the service does.
async fn connect(url: &str) -> Client {
    let health = Service::detached().health.dependency("nats");
    let args = NatsArgs {
        nats_url: vec![url.parse().unwrap()],
        ..NatsArgs::default()
    };
    let access = args.access().unwrap();
    service_kit::nats::connect(&access, STORE_INBOX, "test", health)
        .await
        .unwrap()
}

/// Other services, of which there are none.
struct Nobody;

impl Sink<Vec<Event>> for Nobody {
    fn take<'a>(&'a self, _: &'a [Vec<Event>]) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A store that tells over `client`.
async fn telling_store(world: &World, client: Client) -> (App, Pg, Arc<Publisher>) {
    let pg = world.pg().await;
    let (publisher, work) = Publisher::new(client, Arc::new(pg.clone()), Arc::new(Nobody), 64);
    tokio::spawn(work);
    let (store, publisher) = (Arc::new(pg.clone()), Arc::new(publisher));
    let (calls, roster) = (
        private_calls(&store, &world.apps),
        no_roster(&store, &world.apps),
    );
    let app = App::new(
        store.clone(),
        store,
        publisher.clone(),
        calls,
        roster,
        Arc::clone(&world.apps),
        BatchLimits::default(),
    );
    (app, pg, publisher)
}

/// What a gateway with a socket of this user hears.
async fn listen(client: &Client, app: &AppId, user: &UserId) -> Subscriber {
    let subscriber = client.subscribe(subject::user(app, user)).await.unwrap();
    client.flush().await.unwrap();
    subscriber
}

async fn heard(ear: &mut Subscriber) -> v1::Envelope {
    let message = tokio::time::timeout(SOON, ear.next()).await.unwrap();
    v1::Envelope::decode(message.unwrap().payload).unwrap()
}

fn appended(envelope: &v1::Envelope) -> &v1::Message {
    let Some(v1::envelope::Body::MessageAppended(body)) = &envelope.body else {
        panic!("no message in {envelope:?}")
    };
    body.message.as_ref().unwrap()
}

async fn is_empty(pg: &Pg) -> Option<()> {
    (pg.age_seconds().await.unwrap() == 0.0).then_some(())
}

/// Lets a second pass: every row of the outbox is overdue.
async fn make_overdue(world: &World) {
    let sql = world.sql().await;
    sqlx::query("UPDATE outbox SET due_at = due_at - interval '1 hour'")
        .execute(&sql)
        .await
        .unwrap();
}

#[tokio::test]
async fn both_sides_hear_a_message_and_the_outbox_empties() {
    let world = World::new().await;
    let client = test_kit::nats::connect().await.unwrap();
    let (store, pg, _) = telling_store(&world, client.clone()).await;
    let (pair, conversation) = world.talk(&store).await;
    let mut consultant = listen(&client, &world.id, &pair.consultant.user.id).await;
    let mut patient = listen(&client, &world.id, &pair.patient.user.id).await;

    let sent = send(&store, &pair.patient, conversation, new("hello")).await;

    let sent = v1::Message::from(&sent.unwrap().message);
    for ear in [&mut consultant, &mut patient] {
        let envelope = heard(ear).await;
        assert_eq!(*appended(&envelope), sent);
        assert_eq!(envelope.app, world.id.as_str());
        assert_eq!(envelope.epoch, store.epoch().await.unwrap());
        assert_eq!(envelope.targets.len(), 2);
    }
    eventually("the row is removed", async || is_empty(&pg).await).await;
    let page = PageRequest::new(Direction::Newest { offset: 0 }, 1).unwrap();
    store
        .page(&pair.consultant, conversation, page)
        .await
        .unwrap();
    let envelope = heard(&mut patient).await;
    let Some(v1::envelope::Body::MessagesReceived(receipt)) = envelope.body else {
        panic!("a receipt")
    };
    assert_eq!(receipt.receipt(), v1::ReceiptKind::Delivered);
    assert_eq!(receipt.user_id, pair.consultant.user.id.as_str());
    assert_eq!(receipt.message_ids, [sent.id]);
}

#[tokio::test]
async fn what_a_dead_store_committed_is_told_by_another() {
    let world = World::new().await;
    // It dies after its commits: nothing is told.
    let dying = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&dying).await;
    send_many(&dying, &pair.patient, conversation, 70).await;
    drop(dying);
    let client = test_kit::nats::connect().await.unwrap();
    let mut ear = listen(&client, &world.id, &pair.consultant.user.id).await;
    let (_store, pg, publisher) = telling_store(&world, client).await;

    let early = pg.claim(10).await.unwrap();
    make_overdue(&world).await;
    sweep_outbox(&pg, &pg, publisher.as_ref()).await.unwrap();

    assert_eq!(early, [], "the writer has its second");
    for place in 1..=70 {
        assert_eq!(appended(&heard(&mut ear).await).seq, place);
    }
    eventually("the rows are removed", async || is_empty(&pg).await).await;
}

#[tokio::test]
async fn a_sweeper_that_dies_leaves_its_rows_to_others() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send(&store, &pair.patient, conversation, new("x"))
        .await
        .unwrap();
    make_overdue(&world).await;
    let pg = world.pg().await;

    let taken = pg.claim(10).await.unwrap();
    let at_once = pg.claim(10).await.unwrap();
    make_overdue(&world).await;
    let later = pg.claim(10).await.unwrap();

    assert_eq!(taken.len(), 1);
    assert_eq!(
        taken[0].ranges,
        [(world.id.clone(), conversation, Seq(1), Seq(1))]
    );
    assert_eq!(at_once, []);
    assert_eq!(later, taken);
}

#[tokio::test]
async fn nobody_sweeps_what_cannot_be_told() {
    let world = World::new().await;
    let deaf = Ear::deaf();
    let store = world.store(deaf.clone()).await;
    let (pair, conversation) = world.talk(&store).await;
    send(&store, &pair.patient, conversation, new("x"))
        .await
        .unwrap();
    make_overdue(&world).await;
    let pg = world.pg().await;

    let more = sweep_outbox(&pg, &pg, deaf.as_ref()).await.unwrap();

    assert!(!more);
    assert_eq!(
        pg.claim(10).await.unwrap().len(),
        1,
        "the row is still to be had"
    );
}

#[tokio::test]
async fn a_sweep_tells_every_message_of_every_conversation() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let mut expected = Vec::new();
    for count in 1..=3 {
        let (pair, conversation) = world.talk(&store).await;
        expected.extend(send_many(&store, &pair.patient, conversation, count).await);
    }
    make_overdue(&world).await;
    let (pg, ear) = (world.pg().await, Ear::new());

    while sweep_outbox(&pg, &pg, ear.as_ref()).await.unwrap() {}

    let told: Vec<_> = ear
        .events()
        .into_iter()
        .map(|event| match event.fact {
            Fact::MessageAppended(_, message) => message,
            Fact::MessagesReceived { .. } => panic!("only messages have an outbox"),
        })
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn without_nats_everything_works_and_events_follow_later() {
    let world = World::new().await;
    let mut broker = test_kit::nats::Server::start().unwrap();
    broker.stop();
    // Down at the start already.
    let (store, pg, publisher) = telling_store(&world, connect(&broker.url()).await).await;
    let (pair, conversation) = world.talk(&store).await;

    let sent = send_many(&store, &pair.patient, conversation, 3).await;
    let page = PageRequest::new(Direction::Newest { offset: 0 }, 3).unwrap();
    let (_, mut read) = store
        .page(&pair.consultant, conversation, page)
        .await
        .unwrap();
    make_overdue(&world).await;
    sweep_outbox(&pg, &pg, publisher.as_ref()).await.unwrap();

    read.reverse();
    let ids = |messages: &[chat_domain::Message]| {
        messages
            .iter()
            .map(|message| message.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&read), ids(&sent));
    assert_eq!(
        is_empty(&pg).await,
        None,
        "the outbox keeps what was not told"
    );

    // It comes, goes and comes again.
    for round in 0..2 {
        broker.resume().unwrap();
        let gateway = connect(&broker.url()).await;
        let mut ear = listen(&gateway, &world.id, &pair.consultant.user.id).await;
        let first = if round == 0 { 1 } else { 4 };
        let mut next = first;
        eventually("the missed events arrive", async || {
            make_overdue(&world).await;
            sweep_outbox(&pg, &pg, publisher.as_ref()).await.unwrap();
            while let Ok(Some(message)) =
                tokio::time::timeout(Duration::from_millis(50), ear.next()).await
            {
                let envelope = v1::Envelope::decode(message.payload).unwrap();
                let message = appended(&envelope);
                next = next.max(if message.seq == next { next + 1 } else { next });
            }
            (next == first + 3).then_some(())
        })
        .await;
        eventually("the outbox empties", async || is_empty(&pg).await).await;
        broker.stop();
        eventually("the store notices", async || {
            (!chat_store::ports::Events::ready(publisher.as_ref())).then_some(())
        })
        .await;
        send_many(&store, &pair.patient, conversation, 3).await;
        assert_eq!(is_empty(&pg).await, None);
    }
}
