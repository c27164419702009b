//! Presence with everything in place: announced over NATS, decided in Redis, told to contacts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use chat_domain::{ErrorKind, Presence, Status, Timestamp, UserId};
use chat_proto::{WireId as _, subject::Rpc, v1, v1::envelope::Body};
use chat_store::{
    app::presence::sweep,
    ports::{Directory as _, Relation},
};
use futures_util::FutureExt as _;
use tokio_util::sync::DropGuard;

use crate::{
    calls_phones::{Line, Phones, device},
    calls_subject::read_log,
    presence_subject::{drained, pass, read_presence},
};

const AVAILABLE: Presence = Presence::Online(Status::Available);

impl Phones {
    fn announce(&self) -> DropGuard {
        read_presence(&self.state, "reader", Arc::new(self.announcer()))
    }

    async fn gone(&self, user: &UserId, socket: u64) {
        let gone = v1::DeviceGoneRequest {
            app: self.app(),
            user_id: user.as_str().to_owned(),
            device: device(socket).to_wire(),
            ago_ms: 0,
        };
        let _: v1::DeviceGoneReply = self.asked.ask(Rpc::DeviceGone, &gone).await.unwrap();
    }

    /// Lets time pass, and what is due be told.
    async fn pass(&self, seconds: u64) {
        let app = &self.world.id;
        pass(&self.namespace, app, Duration::from_secs(seconds));
        sweep(self.state.as_ref(), std::slice::from_ref(app))
            .await
            .unwrap();
        drained(&self.namespace, "presence").await;
    }

    async fn set_status(&self, user: &UserId, status: &str) -> Result<(), chat_domain::ChatError> {
        let request = v1::SetStatusRequest {
            app: self.app(),
            user_id: user.as_str().to_owned(),
            status: status.to_owned(),
        };
        let v1::SetStatusReply {} = self.asked.ask(Rpc::SetStatus, &request).await?;
        Ok(())
    }
}

impl Line {
    /// The next thing that is said of somebody's presence.
    async fn change(&mut self) -> (UserId, Presence) {
        let Body::PresenceChanged(changed) = self.next().await else {
            panic!("no presence");
        };
        let (user, presence, _) = <(UserId, Presence, Timestamp)>::try_from(changed).unwrap();
        (user, presence)
    }

    /// Asserts that nothing was said that has not been heard.
    fn assert_silent(&mut self) {
        assert!(self.next().now_or_never().is_none());
    }
}

#[tokio::test]
async fn contacts_hear_who_comes_and_goes_and_strangers_do_not() {
    let phones = Phones::new().await;
    let (others, _) = phones.world.talk(&phones.store).await;
    let stranger = others.patient.user.id;
    let mut consultant = phones.listen(phones.callee()).await;
    let mut patient = phones.listen(phones.caller()).await;
    let mut elsewhere = phones.listen(&stranger).await;
    let _reader = phones.announce();

    phones.back(phones.caller(), 1, None).await;
    let came = consultant.change().await;
    phones.gone(phones.caller(), 1).await;
    phones.pass(9).await;
    let went = consultant.change().await;

    assert_eq!(came, (phones.caller().clone(), AVAILABLE));
    assert_eq!(went, (phones.caller().clone(), Presence::Offline));
    for silent in [&mut consultant, &mut patient, &mut elsewhere] {
        silent.assert_silent();
    }
}

#[tokio::test]
async fn a_status_is_told_to_contacts_and_to_ones_other_devices() {
    let phones = Phones::new().await;
    let mut consultant = phones.listen(phones.callee()).await;
    let mut patient = phones.listen(phones.caller()).await;
    let _reader = phones.announce();
    phones.back(phones.caller(), 1, None).await;
    assert_eq!(consultant.change().await.1, AVAILABLE);
    phones.pass(2).await;

    phones.set_status(phones.caller(), "away").await.unwrap();
    phones.set_status(phones.caller(), "away").await.unwrap();
    drained(&phones.namespace, "presence").await;

    let away = (phones.caller().clone(), Presence::Online(Status::Away));
    assert_eq!(consultant.change().await, away);
    assert_eq!(patient.change().await, away);
    consultant.assert_silent();
    let unknown = phones.set_status(phones.caller(), "asleep").await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn whoever_is_in_a_call_is_busy() {
    let phones = Phones::new().await;
    let _readers = (
        phones.announce(),
        read_log(&phones.state, "reader", Arc::new(phones.recorder())),
    );
    phones.back(phones.caller(), 1, None).await;
    phones.pass(2).await;
    let mut consultant = phones.listen(phones.callee()).await;

    phones.ring().await;
    phones.accept(2).await.unwrap();
    crate::calls_subject::drained(&phones.namespace).await;
    drained(&phones.namespace, "presence").await;
    phones.pass(2).await;
    phones.end(phones.caller_party()).await.unwrap();
    crate::calls_subject::drained(&phones.namespace).await;
    drained(&phones.namespace, "presence").await;

    let mut heard = Vec::new();
    while let Some(body) = consultant.next().now_or_never() {
        if let Body::PresenceChanged(changed) = body {
            heard.push(changed.presence);
        }
    }
    assert_eq!(heard, ["busy", "available"]);
}

#[tokio::test]
async fn a_consultant_with_very_many_patients_is_announced_to_all_of_them_once() {
    let phones = Phones::new().await;
    let consultant = phones.callee();
    let sql = phones.world.sql().await;
    // Two conversations with each.
    for booking in ["a", "b"] {
        sqlx::query(
            "WITH made AS (
                 INSERT INTO conversations (conversation_id, app_id, booking_id, first_id,
                     first_role, second_id, second_role)
                 SELECT gen_random_uuid(), $1, $3 || n, $2, 'consultant', 'p' || n, 'patient'
                 FROM generate_series(1, 5000) n
                 RETURNING conversation_id, app_id, first_id, second_id
             )
             INSERT INTO participants (conversation_id, app_id, user_id)
             SELECT conversation_id, app_id, unnest(ARRAY[first_id, second_id]) FROM made",
        )
        .bind(phones.app())
        .bind(consultant.as_str())
        .bind(booking)
        .execute(&sql)
        .await
        .unwrap();
    }
    let mut last = phones.listen(&UserId::new("p5000").unwrap()).await;
    let _reader = phones.announce();

    phones.back(consultant, 2, None).await;
    drained(&phones.namespace, "presence").await;

    assert_eq!(last.change().await, (consultant.clone(), AVAILABLE));
    last.assert_silent();
    let (app, users) = (&phones.world.id, [consultant]);
    let contacts = phones
        .pg
        .list_contacts(app, Relation::Conversation, &users, 10_000);
    assert_eq!(contacts.await.unwrap().len(), 5_001);
}
