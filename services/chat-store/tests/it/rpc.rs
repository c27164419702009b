//! What gateways ask over NATS, on a broker where no other store answers.

use std::time::Duration;

use async_nats::Client;
use chat_domain::{ChatError, ErrorKind, Role, Seq};
use chat_proto::{
    WireId as _,
    subject::{self, Rpc},
    v1,
};
use chat_store::{app::App, nats::Server};
use service_kit::nats::request;
use test_kit::eventually;
use tokio_util::sync::CancellationToken;

use crate::world::{Ear, Pair, World, send_many};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// A store that answers on a broker of its own.
pub(crate) struct Asked {
    _broker: test_kit::nats::Server,
    pub(crate) client: Client,
    soft: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Asked {
    pub(crate) async fn new(store: &App) -> Self {
        Self::at_a_time(store, 16).await
    }

    /// One that answers `concurrency` requests at a time.
    async fn at_a_time(store: &App, concurrency: usize) -> Self {
        let broker = test_kit::nats::Server::start().unwrap();
        let client = eventually("the broker is up", async || {
            async_nats::connect(broker.url()).await.ok()
        })
        .await;
        let server = Server::join(client.clone()).await.unwrap();
        client.flush().await.unwrap();
        let soft = CancellationToken::new();
        let serving = tokio::spawn(server.serve(store.clone(), concurrency, soft.clone()));
        Self {
            _broker: broker,
            client,
            soft,
            serving,
        }
    }

    pub(crate) async fn ask<M: prost::Message + Default>(
        &self,
        rpc: Rpc,
        message: &impl prost::Message,
    ) -> Result<M, ChatError> {
        request(&self.client, subject::rpc(rpc, "key"), message, TIMEOUT).await
    }
}

fn item(key: &str, text: &str) -> v1::AppendItem {
    v1::AppendItem {
        key: key.to_owned(),
        key_is_clients: true,
        kind: "text".to_owned(),
        text: text.to_owned(),
        attachment: None,
    }
}

fn append(
    world: &World,
    pair: &Pair,
    target: &str,
    items: Vec<v1::AppendItem>,
) -> v1::AppendRequest {
    v1::AppendRequest {
        app: world.id.as_str().to_owned(),
        sender: Some((&pair.patient.user).into()),
        target: target.to_owned(),
        items,
        ..v1::AppendRequest::default()
    }
}

#[tokio::test]
async fn what_a_gateway_asks_is_answered() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::new(&store).await;
    let (app, id) = (world.id.as_str().to_owned(), conversation.to_string());
    let epoch = store.epoch().await.unwrap();

    let appended: v1::AppendReply = asked
        .ask(
            Rpc::Append,
            &append(&world, &pair, &id, vec![item("1", "a"), item("2", "b")]),
        )
        .await
        .unwrap();
    let opened: v1::OpenSessionReply = asked
        .ask(
            Rpc::OpenSession,
            &v1::OpenSessionRequest {
                app: app.clone(),
                user: Some((&pair.consultant.user).into()),
            },
        )
        .await
        .unwrap();
    let found: v1::GetConversationReply = asked
        .ask(
            Rpc::GetConversation,
            &v1::GetConversationRequest {
                app: app.clone(),
                user_id: pair.consultant.user.id.as_str().to_owned(),
                conversation_id: id.clone(),
                ..v1::GetConversationRequest::default()
            },
        )
        .await
        .unwrap();
    let heads: v1::HeadsReply = asked
        .ask(
            Rpc::Heads,
            &v1::HeadsRequest {
                app: app.clone(),
                conversation_ids: vec![conversation.to_wire()],
            },
        )
        .await
        .unwrap();
    let range: v1::RangeReply = asked
        .ask(
            Rpc::Range,
            &v1::RangeRequest {
                app: app.clone(),
                conversation_id: conversation.to_wire(),
                after_seq: 1,
                limit: 500,
            },
        )
        .await
        .unwrap();

    let head = v1::Head {
        conversation_id: conversation.to_wire(),
        last_seq: 2,
        changed_at_ms: 0,
    };
    let own_head = v1::Head {
        changed_at_ms: found.conversation.as_ref().unwrap().updated_at_ms,
        ..head.clone()
    };
    assert_eq!((appended.results.len(), appended.epoch), (2, epoch));
    assert_eq!(
        (&opened.heads, opened.complete, opened.epoch),
        (&vec![own_head], true, epoch)
    );
    assert_eq!(found.conversation, appended.conversation);
    assert_eq!((heads.heads, heads.epoch), (vec![head], epoch));
    assert_eq!((range.messages.len(), range.epoch), (1, epoch));
}

#[tokio::test]
async fn conversations_are_found_by_when_they_began() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::new(&store).await;
    let begun = async |app: &str, after_ms: i64, after_id: bytes::Bytes| {
        let request = v1::BegunRequest {
            app: app.to_owned(),
            after_ms,
            after_id,
        };
        let reply: v1::BegunReply = asked.ask(Rpc::Begun, &request).await.unwrap();
        reply.begun
    };
    let app = world.id.as_str();
    assert_eq!(begun(app, 0, bytes::Bytes::new()).await, []);
    send_many(&store, &pair.patient, conversation, 2).await;

    let found = begun(app, 0, bytes::Bytes::new()).await;

    let [one] = &found[..] else {
        panic!("{found:?}")
    };
    let wire = one.conversation.as_ref().unwrap();
    assert_eq!((&wire.id, wire.last_seq), (&conversation.to_wire(), 2));
    assert_eq!(begun(app, one.began_ms, wire.id.clone()).await, []);
    assert_eq!(
        begun(app, one.began_ms - 1, bytes::Bytes::new()).await,
        found
    );
    assert_eq!(begun("another", 0, bytes::Bytes::new()).await, []);
}

#[tokio::test]
async fn what_was_missed_is_synced_and_marked() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    send_many(&store, &pair.patient, conversation, 2).await;
    let asked = Asked::new(&store).await;
    let (app, id) = (world.id.as_str().to_owned(), conversation.to_string());

    let synced: v1::SyncReply = asked
        .ask(
            Rpc::Sync,
            &v1::SyncRequest {
                app: app.clone(),
                user_id: pair.consultant.user.id.as_str().to_owned(),
                since: vec![v1::Position {
                    conversation_id: id.clone(),
                    seq: 0,
                }],
                ..v1::SyncRequest::default()
            },
        )
        .await
        .unwrap();
    let received: v1::ReceiveReply = asked
        .ask(
            Rpc::Receive,
            &v1::ReceiveRequest {
                app,
                user_id: pair.consultant.user.id.as_str().to_owned(),
                receipt: v1::ReceiptKind::Read.into(),
                conversation_id: id,
                message_ids: synced.conversations[0]
                    .messages
                    .iter()
                    .map(|message| uuid::Uuid::from_slice(&message.id).unwrap().to_string())
                    .chain(["temp-1".to_owned()])
                    .collect(),
                ..v1::ReceiveRequest::default()
            },
        )
        .await
        .unwrap();

    let missed = &synced.conversations[0];
    assert_eq!((missed.messages.len(), missed.more), (2, false));
    assert_eq!(received.message_ids.len(), 2);
    let unread = store.unread(&pair.consultant, conversation).await;
    assert_eq!(unread.unwrap(), 0);
}

#[tokio::test]
async fn one_bad_message_does_not_stop_the_others_of_a_request() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::new(&store).await;
    let items = vec![
        item("1", "a"),
        item("2", "  "),
        item("1", "other"),
        item("3", "c"),
    ];

    let reply: v1::AppendReply = asked
        .ask(
            Rpc::Append,
            &append(&world, &pair, &conversation.to_string(), items),
        )
        .await
        .unwrap();

    let outcomes: Vec<_> = reply
        .results
        .into_iter()
        .map(|result| match result.outcome.unwrap() {
            v1::append_result::Outcome::Message(message) => message.seq.to_string(),
            v1::append_result::Outcome::Failure(failure) => failure.code,
        })
        .collect();
    assert_eq!(outcomes, ["1", "invalid", "conflict", "2"]);
}

#[tokio::test]
async fn failures_say_what_is_wrong() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let mut stranger = world.pair(&store).await;
    stranger.patient = world.caller(Role::Patient);
    let asked = Asked::new(&store).await;
    let id = conversation.to_string();
    let unknown = uuid::Uuid::new_v4().to_string();
    let good = append(&world, &pair, &id, vec![item("1", "a")]);
    let long = "x".repeat(4_001);

    for (bad, kind) in [
        (
            append(&world, &stranger, &id, vec![item("1", "a")]),
            ErrorKind::Unauthorized,
        ),
        (
            append(&world, &pair, &unknown, vec![item("1", "a")]),
            ErrorKind::NotFound,
        ),
        (
            append(&world, &pair, "", vec![item("1", "a")]),
            ErrorKind::Invalid,
        ),
        (append(&world, &pair, &id, vec![]), ErrorKind::Invalid),
        (
            append(&world, &pair, &id, vec![item("1", &long)]),
            ErrorKind::Invalid,
        ),
        (
            append(&world, &pair, &id, vec![item("", "a")]),
            ErrorKind::Invalid,
        ),
        (
            v1::AppendRequest {
                app: "other".to_owned(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::AppendRequest {
                sender: None,
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
    ] {
        let reply = asked.ask::<v1::AppendReply>(Rpc::Append, &bad).await;
        assert_eq!(reply.unwrap_err().kind(), kind, "{bad:?}");
    }
    // Bytes of another request.
    let other = v1::Head {
        conversation_id: "short".into(),
        last_seq: 1,
        changed_at_ms: 0,
    };
    let reply = asked.ask::<v1::HeadsReply>(Rpc::Heads, &other);
    assert_eq!(reply.await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_does_not_fit_into_a_reply_is_asked_for_again() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::new(&store).await;
    // 16 kB each: 80 of them are more than NATS carries.
    let long = "\u{1F600}".repeat(4_000);
    for batch in 0..4 {
        let items = (0..20).map(|number| item(&format!("{batch}-{number}"), &long));
        let request = append(&world, &pair, &conversation.to_string(), items.collect());
        let reply: v1::AppendReply = asked.ask(Rpc::Append, &request).await.unwrap();
        assert_eq!(reply.results.len(), 20);
    }

    let mut after_seq = 0;
    let mut replies = 0;
    while after_seq < 80 {
        let request = v1::RangeRequest {
            app: world.id.as_str().to_owned(),
            conversation_id: conversation.to_wire(),
            after_seq,
            limit: 500,
        };
        let reply: v1::RangeReply = asked.ask(Rpc::Range, &request).await.unwrap();
        assert_eq!(reply.messages[0].seq, after_seq + 1);
        after_seq = reply.messages.last().unwrap().seq;
        replies += 1;
    }
    let request = v1::SyncRequest {
        app: world.id.as_str().to_owned(),
        user_id: pair.patient.user.id.as_str().to_owned(),
        since: vec![v1::Position {
            conversation_id: conversation.to_string(),
            seq: 0,
        }],
        ..v1::SyncRequest::default()
    };
    let synced: v1::SyncReply = asked.ask(Rpc::Sync, &request).await.unwrap();

    assert_eq!(replies, 2);
    assert!(synced.conversations[0].more);
}

#[tokio::test]
async fn a_draining_store_answers_what_it_was_given_and_takes_no_more() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::new(&store).await;
    let requests: Vec<_> = (0..50)
        .map(|number| {
            let items = vec![item(&number.to_string(), "x")];
            append(&world, &pair, &conversation.to_string(), items)
        })
        .collect();

    let asking = futures_util::future::join_all(
        requests
            .iter()
            .map(|request| asked.ask::<v1::AppendReply>(Rpc::Append, request)),
    );
    let draining = async {
        eventually("some were stored", async || {
            let (head, _) = store
                .range(&world.id, conversation, Seq(0), 1)
                .await
                .unwrap();
            (head.last_seq > Seq(0)).then_some(())
        })
        .await;
        asked.soft.cancel();
    };
    let (replies, ()) = tokio::join!(asking, draining);
    tokio::time::timeout(TIMEOUT, asked.serving)
        .await
        .unwrap()
        .unwrap();

    // Either answered, or refused because nobody was there: never taken and left alone.
    let stored = replies.iter().filter(|reply| reply.is_ok()).count();
    let (head, _) = store
        .range(&world.id, conversation, Seq(0), 1)
        .await
        .unwrap();
    assert_eq!(head.last_seq, Seq(stored as u64));
    let late = request::<v1::HeadsReply>(
        &asked.client,
        subject::rpc(Rpc::Heads, "key"),
        &v1::HeadsRequest::default(),
        TIMEOUT,
    )
    .await;
    assert!(matches!(late, Err(ChatError::Unavailable { .. })));
    send_many(&store, &pair.patient, conversation, 1).await;
}

#[tokio::test]
async fn what_waited_too_long_for_its_turn_has_no_effect() {
    let world = World::new().await;
    let store = world.store(Ear::deaf()).await;
    let (pair, conversation) = world.talk(&store).await;
    let asked = Asked::at_a_time(&store, 1).await;
    let of = |key: &str| {
        append(
            &world,
            &pair,
            &conversation.to_string(),
            vec![item(key, key)],
        )
    };
    let sql = world.sql().await;
    let mut locked = sql.begin().await.unwrap();
    sqlx::query("LOCK TABLE conversations")
        .execute(&mut *locked)
        .await
        .unwrap();

    let (slow, waiting) = (of("slow"), of("waiting"));
    let slow = asked.ask::<v1::AppendReply>(Rpc::Append, &slow);
    let waiting = async {
        eventually("the first waits for the lock", async || {
            let is_locked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'conversations'::regclass)";
            let found = sqlx::query_scalar::<_, bool>(is_locked).fetch_one(&sql);
            found.await.unwrap().then_some(())
        })
        .await;
        asked.ask::<v1::AppendReply>(Rpc::Append, &waiting).await
    };
    let slow = tokio::select! {
        slow = slow => slow,
        _ = waiting => panic!("the second was answered"),
    };
    locked.rollback().await.unwrap();
    let next: v1::AppendReply = asked.ask(Rpc::Append, &of("next")).await.unwrap();

    assert!(slow.is_err());
    assert_eq!(next.results.len(), 1);
    let (_, messages) = store
        .range(&world.id, conversation, Seq(0), 9)
        .await
        .unwrap();
    let texts = messages.iter().map(|message| message.content.text());
    let texts: Vec<_> = texts.filter(|text| *text != "slow").collect();
    assert_eq!(texts, ["next"]);
}
