//! What a loss of Redis, with its log, does not take back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use chat_domain::{
    ErrorKind,
    call::{
        Call, CallId, Change, Found, Initiate, Outcome, Phase, Ringing, Route, SignalKind, Tell,
    },
};
use chat_store::{
    app::calls::sweep,
    ports::Sink as _,
    ports_calls::{CallHistory as _, CallState as _, GATEWAY_LEASE, Logged},
};

use crate::{
    calls_phones::{Phones, device as phone},
    calls_subject::{
        RULES, Shared, Subject as _, app, call_id, device, drained, party, read_log, request,
        signal, user,
    },
};

impl Phones {
    pub(crate) async fn found(&self, id: CallId) -> Call {
        self.state.find(&self.world.id, id).await.unwrap().unwrap()
    }

    /// Redis forgets everything, and somebody asks for something.
    async fn lose(&self) {
        self.namespace.clear().unwrap();
        let apps = [self.world.id.clone()];
        sweep(self.state.as_ref(), &apps).await.unwrap();
    }
}

#[tokio::test]
async fn what_somebody_was_answered_stays_so() {
    // Nobody reads the log here.
    let phones = Phones::new().await;

    let id = phones.ring().await;
    phones.lose().await;
    assert_eq!(phones.accept(2).await.unwrap(), id);
    phones.lose().await;
    let accepted = phones.found(id).await;
    let ended = phones.end(phones.callee_party()).await.unwrap();
    phones.lose().await;

    assert_eq!(accepted.phase, Phase::Connected);
    assert_eq!(accepted.callee.device, Some(phone(2)));
    assert_eq!(ended, Some(id));
    assert_eq!(phones.found(id).await.phase, Phase::Over(Outcome::Ended));
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_confirmed() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let sql = phones.world.sql().await;
    for statement in [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN RAISE EXCEPTION 'no writes' USING ERRCODE = 'read_only_sql_transaction'; END$$",
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON calls \
         EXECUTE FUNCTION refuse()",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }

    let refused = phones.end(phones.caller_party()).await.unwrap_err();
    sqlx::query("DROP TRIGGER refuse ON calls")
        .execute(&sql)
        .await
        .unwrap();
    let ended = phones.end(phones.caller_party()).await.unwrap();

    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(ended, Some(id));
    let row = phones.pg.find_call(&phones.world.id, id).await.unwrap();
    assert_eq!(row.unwrap().phase, Phase::Over(Outcome::Cancelled));
}

#[tokio::test]
async fn an_end_that_only_its_row_knows_is_told_and_written_once() {
    let phones = Phones::new().await;
    let mut callee = phones.listen(phones.callee()).await;
    let id = phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();

    phones.lose().await;
    let _reader = read_log(
        &phones.state,
        "reader",
        std::sync::Arc::new(phones.recorder()),
    );
    drained(&phones.namespace).await;
    phones.lose().await;
    drained(&phones.namespace).await;
    let next = phones.ring().await;

    assert_eq!(phones.messages().await, ["system: Video call cancelled"]);
    let (ended, _) = callee.notice().await;
    assert_eq!((ended.call, ended.tell), (id, Tell::Ended));
    let (incoming, _) = callee.notice().await;
    assert_eq!((incoming.call, incoming.tell), (next, Tell::Incoming));
    let again = phones.pg.mark_followed(&[id]).await.unwrap();
    assert_eq!(again, []);
}

#[tokio::test]
async fn a_change_is_told_although_its_row_is_ahead_of_it() {
    let phones = Phones::new().await;
    let mut callee = phones.listen(phones.callee()).await;
    let recorder = phones.recorder();
    let last = async |id| {
        let last = phones.state.find_last(&phones.world.id, id).await;
        [Logged {
            app: phones.world.id.clone(),
            transition: last.unwrap().unwrap(),
        }]
    };
    let id = phones.ring().await;
    let ringing = last(id).await;
    phones.accept(2).await.unwrap();
    let accepted = last(id).await;
    phones.end(phones.callee_party()).await.unwrap();

    recorder.take(&ringing).await.unwrap();
    recorder.take(&accepted).await.unwrap();

    // Not that it rings: it is over.
    assert_eq!(callee.tell().await, Tell::Connected);
    assert_eq!(callee.tell().await, Tell::AnsweredElsewhere);
}

#[tokio::test]
async fn of_two_calls_of_a_user_the_newer_one_goes_on() {
    let phones = Phones::new().await;
    let old = phones.ring().await;
    // Its end is lost before anybody wrote it down.
    phones.namespace.clear().unwrap();
    let request = Initiate {
        call: CallId(uuid::Uuid::now_v7()),
        caller: phones.callee().clone(),
        device: phone(2),
        callee: phones.caller().clone(),
        conversation: phones.conversation,
        kind: chat_domain::call::CallKind::Audio,
        n: 0,
    };
    let other = Shared::new();
    let ringing = other.calls.initiate(&app(), &request, RULES).await;
    assert_eq!(ringing.unwrap(), Ringing::New(request.call));
    let transition = other.logged().await.remove(0);
    let began = transition.call.started_at;
    let logged = Logged {
        app: phones.world.id.clone(),
        transition,
    };
    phones.pg.record(&[logged]).await.unwrap();

    phones.lose().await;

    assert_eq!(phones.found(request.call).await.phase, Phase::Ringing);
    let old = phones.found(old).await;
    assert_eq!(old.phase, Phase::Over(Outcome::Cancelled));
    assert_eq!(old.ended_at, Some(began));
}

/// A connected call that Redis lost and has again.
async fn restored() -> Shared {
    let shared = Shared::new();
    let (calls, app) = (&shared.calls, app());
    let ringing = calls.initiate(&app, &request(1, 0, 0, 1), RULES).await;
    assert_eq!(ringing.unwrap(), Ringing::New(call_id(1)));
    calls.accept(&app, &party(1, 0, 0)).await.unwrap();
    assert_eq!(place(&shared).await, 1);
    let transition = calls.find_last(&app, call_id(1)).await.unwrap().unwrap();
    assert_eq!(transition.change, Change::Accepted);
    shared.logged().await;
    shared.namespace.clear().unwrap();
    calls.restore(&[Logged { app, transition }]).await.unwrap();
    shared
}

async fn place(shared: &Shared) -> u64 {
    let candidate = signal(SignalKind::Candidate, "c");
    let (app, party) = (app(), party(0, 0, 1));
    let route = shared.calls.signal(&app, &party, &candidate).await;
    let Route::Relay { place, .. } = route.unwrap() else {
        panic!("it does not pass");
    };
    place
}

#[tokio::test]
async fn signals_pass_in_places_that_nobody_has_seen() {
    let shared = restored().await;

    let first = place(&shared).await;

    assert!(1 < first);
    assert_eq!(place(&shared).await, first + 1);
}

#[tokio::test]
async fn a_device_that_nobody_announces_again_is_gone() {
    let shared = restored().await;
    let calls = &shared.calls;

    // Its sibling does not take its place before it had its chance.
    let sibling = calls
        .back(&app(), &user(1), device(1, 1), None, Duration::ZERO)
        .await;
    assert_eq!(sibling.unwrap(), Found::default());
    calls
        .back(
            &app(),
            &user(0),
            device(0, 0),
            Some(device(0, 0)),
            Duration::MAX,
        )
        .await
        .unwrap();
    shared.pass(GATEWAY_LEASE + RULES.grace + Duration::from_secs(1));
    calls.expire(&app(), 10).await.unwrap();

    let last = calls.find_last(&app(), call_id(1)).await.unwrap().unwrap();
    assert_eq!(
        last.change,
        Change::Ended(chat_domain::call::Side::Callee),
        "{last:?}"
    );
}

#[tokio::test]
async fn devices_that_are_announced_again_keep_their_call() {
    let shared = restored().await;
    let calls = &shared.calls;

    for who in [0, 1] {
        let (user, device) = (user(who), device(who, 0));
        calls
            .back(&app(), &user, device, Some(device), Duration::MAX)
            .await
            .unwrap();
    }
    shared.pass(GATEWAY_LEASE + RULES.grace + Duration::from_secs(1));
    calls.expire(&app(), 10).await.unwrap();

    let call = calls.find(&app(), call_id(1)).await.unwrap().unwrap();
    assert_eq!(call.phase, Phase::Connected);
}

#[tokio::test]
async fn a_change_after_a_loss_outranks_what_was_decided_before() {
    let shared = restored().await;

    let ended = shared.calls.hang_up(&app(), &party(0, 0, 1)).await;

    assert_eq!(ended.unwrap(), Some(call_id(1)));
    let log = shared.logged().await;
    let end = log.last().unwrap();
    assert!(matches!(end.change, Change::Ended(_)));
    assert!(3 < end.call.version);
}
