//! Calls with everything in place: asked over NATS, decided in Redis, kept in Postgres, told to users.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chat_domain::{
    ChatError, ErrorKind, Role, SubjectId,
    call::{CallId, Handed, Outcome, Party, Phase, Recipient, Ringing, Route, Tell},
};
use chat_proto::{WireId as _, v1, v1::envelope::Body};
use chat_store::{
    app::calls::{Recorder, sweep},
    ports::{Answer, Sink},
    ports_calls::{CallHistory as _, CallState as _, Logged},
};
use parking_lot::Mutex;
use test_kit::{eventually, redis::Namespace};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    calls_phones::{Phones, device},
    calls_subject::{drained, read_log},
    world::{Pair, World, new, send},
};

impl Phones {
    fn read_log(&self, sink: impl Sink<Logged> + 'static) -> DropGuard {
        read_log(&self.state, "reader", Arc::new(sink))
    }

    async fn outcome(&self, id: CallId) -> Option<Outcome> {
        match self.pg.find_call(&self.world.id, id).await.unwrap()?.phase {
            Phase::Over(outcome) => Some(outcome),
            Phase::Ringing | Phase::Connected => None,
        }
    }
}

#[tokio::test]
async fn each_side_hears_what_concerns_it_in_order() {
    let phones = Phones::new().await;
    let mut caller = phones.listen(phones.caller()).await;
    let mut callee = phones.listen(phones.callee()).await;
    let _reader = phones.read_log(phones.recorder());

    let id = phones.ring().await;
    assert_eq!(phones.offer().await, Route::Parked);
    assert_eq!(caller.tell().await, Tell::Ringing);
    let (incoming, call) = callee.notice().await;
    phones.accept(2).await.unwrap();
    assert_eq!(caller.tell().await, Tell::Accepted);
    let (connected, _) = callee.notice().await;
    let (elsewhere, _) = callee.notice().await;
    let Body::CallSignals(signals) = callee.next().await else {
        panic!("no signals");
    };
    phones.end(phones.callee_party()).await.unwrap();
    let (ended, over) = caller.notice().await;

    let everybody = Recipient::AllDevices(phones.callee().clone());
    assert_eq!((incoming.tell, incoming.to), (Tell::Incoming, everybody));
    assert_eq!((call.id, call.conversation), (id, phones.conversation));
    let one = Recipient::Device(phones.callee().clone(), device(2));
    assert_eq!((connected.tell, connected.to), (Tell::Connected, one));
    let others = Recipient::OtherDevices(phones.callee().clone(), device(2));
    assert_eq!(
        (elsewhere.tell, elsewhere.to),
        (Tell::AnsweredElsewhere, others)
    );
    let handed = Handed::try_from(signals).unwrap();
    assert_eq!(handed.to, (phones.callee().clone(), device(2)));
    assert_eq!((handed.first, handed.signals.len()), (1, 1));
    assert_eq!((ended.tell, ended.version), (Tell::Ended, 3));
    assert_eq!(over.outcome, Some(Outcome::Ended));
}

#[tokio::test]
async fn whoever_calls_somebody_busy_hears_it_and_it_is_kept() {
    let phones = Phones::new().await;
    let first = phones.ring().await;
    let _reader = phones.read_log(phones.recorder());
    let other = Pair {
        consultant: phones.pair.consultant.clone(),
        patient: phones.world.caller(Role::Patient),
        booking: SubjectId::new("another").unwrap(),
    };
    let put = phones
        .store
        .put_booking(&phones.world.id, other.as_booking(), None);
    put.await.unwrap();
    let mut line = phones.listen(&other.patient.user.id).await;

    let request = v1::InitiateCallRequest {
        caller_id: other.patient.user.id.as_str().to_owned(),
        conversation_id: other.open(&phones.store).await.id.to_wire(),
        ..phones.call()
    };
    let Ringing::Busy(second) = phones.initiate(&request).await.unwrap() else {
        panic!("it is not busy");
    };

    assert_eq!(line.tell().await, Tell::Busy);
    drained(&phones.namespace).await;
    assert_eq!(phones.outcome(second).await, Some(Outcome::Busy));
    assert_eq!(phones.outcome(first).await, None);
}

/// Takes everything, and says once that it did not.
struct Forgetful {
    recorder: Recorder,
    forgot: AtomicBool,
}

impl Sink<Logged> for Forgetful {
    fn take<'a>(&'a self, batch: &'a [Logged]) -> Answer<'a, ()> {
        Box::pin(async {
            self.recorder.take(batch).await?;
            if self.forgot.swap(true, Ordering::Relaxed) {
                return Ok(());
            }
            Err(ChatError::Conflict("what was that"))
        })
    }
}

#[tokio::test]
async fn an_outcome_is_written_once_though_the_log_is_read_twice() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();

    let _reader = phones.read_log(Forgetful {
        recorder: phones.recorder(),
        forgot: AtomicBool::new(false),
    });
    drained(&phones.namespace).await;

    assert_eq!(phones.messages().await, ["system: Video call cancelled"]);
    assert_eq!(phones.outcome(id).await, Some(Outcome::Cancelled));
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_does_not_hold_up_the_others() {
    let phones = Phones::new().await;
    let lost = phones.ring().await;
    let callee = Party::try_from(phones.callee_party()).unwrap();
    // Postgres has no such text.
    let reason = Some("\0".into());
    let rejected = phones.state.reject(&phones.world.id, &callee, reason);
    assert_eq!(rejected.await.unwrap(), lost);
    let next = phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();

    let _reader = phones.read_log(phones.recorder());
    drained(&phones.namespace).await;

    assert_eq!(phones.outcome(lost).await, None);
    assert_eq!(phones.outcome(next).await, Some(Outcome::Cancelled));
}

#[tokio::test]
async fn an_app_that_wants_no_messages_about_calls_gets_none() {
    let world = World::with_policy("policy.calls.outcome_messages = false").await;
    let phones = Phones::of(world).await;
    let id = phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();

    let _reader = phones.read_log(phones.recorder());
    drained(&phones.namespace).await;

    assert_eq!(phones.outcome(id).await, Some(Outcome::Cancelled));
    assert!(phones.messages().await.is_empty());
}

#[tokio::test]
async fn a_missed_call_is_told_at_the_next_connect_and_once() {
    let phones = Phones::new().await;
    let _reader = phones.read_log(phones.recorder());
    let id = phones.ring().await;
    phones.end(phones.caller_party()).await.unwrap();
    drained(&phones.namespace).await;

    let first = phones.back(phones.callee(), 7, None).await;
    let second = phones.back(phones.callee(), 8, None).await;

    assert_eq!(first.missed.len(), 1);
    assert_eq!(CallId::from_wire(&first.missed[0].id).unwrap(), id);
    assert!(second.missed.is_empty());
}

#[tokio::test]
async fn nobody_answers_once_though_redis_forgot_everything_while_it_rang() {
    let world = World::with_policy("policy.calls.ring_seconds = 1").await;
    let phones = Phones::of(world).await;
    let _reader = phones.read_log(phones.recorder());
    let mut caller = phones.listen(phones.caller()).await;
    let id = phones.ring().await;
    assert_eq!(caller.tell().await, Tell::Ringing);

    phones.namespace.clear().unwrap();
    let apps = [phones.world.id.clone()];
    eventually("the call is over", async || {
        sweep(phones.state.as_ref(), &apps).await.unwrap();
        phones.outcome(id).await
    })
    .await;
    drained(&phones.namespace).await;
    phones.namespace.clear().unwrap();
    sweep(phones.state.as_ref(), &apps).await.unwrap();
    let again = phones.ring().await;

    assert_eq!(caller.tell().await, Tell::NoAnswer);
    let (ringing, _) = caller.notice().await;
    assert_eq!((ringing.call, ringing.tell), (again, Tell::Ringing));
    assert_eq!(phones.outcome(id).await, Some(Outcome::NoAnswer));
    assert_eq!(phones.messages().await, ["system: Missed video call"]);
}

/// A way to a server that can be cut and mended.
struct Wire {
    address: String,
    target: String,
    open: Mutex<Option<DropGuard>>,
}

impl Wire {
    async fn cut(target: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: free.local_addr().unwrap().to_string(),
            target: target.to_owned(),
            open: Mutex::new(None),
        }
    }

    async fn mend(&self) {
        let listener = TcpListener::bind(&self.address).await.unwrap();
        let (stop, target) = (CancellationToken::new(), self.target.clone());
        let stopped = stop.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (target, stopped) = (target.clone(), stopped.clone());
                tokio::spawn(stopped.run_until_cancelled_owned(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }));
            }
        }));
        *self.open.lock() = Some(stop.drop_guard());
    }

    fn sever(&self) {
        self.open.lock().take();
    }
}

#[tokio::test]
async fn calls_come_back_with_redis_and_chat_never_left() {
    let namespace = Namespace::new().unwrap();
    let target = namespace.url().trim_start_matches("redis://").to_owned();
    let wire = Wire::cut(&target).await;
    let url = format!("redis://{}", wire.address);
    let phones = Phones::over(&url, namespace, World::new().await).await;
    let _reader = phones.read_log(phones.recorder());
    let unavailable = async || {
        let error = phones.initiate(&phones.call()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let message = new("are you there");
        let sent = send(
            &phones.store,
            &phones.pair.patient,
            phones.conversation,
            message,
        );
        sent.await.unwrap();
    };
    let rings = async || {
        let ringing = phones.initiate(&phones.call()).await.ok();
        ringing.map(|_| ())
    };

    unavailable().await;
    wire.mend().await;
    eventually("it rings", rings).await;
    drained(&phones.namespace).await;
    wire.sever();
    eventually("Redis is missed", async || {
        let outcome = phones.state.lag().await;
        outcome.is_err().then_some(())
    })
    .await;
    unavailable().await;
    wire.mend().await;
    eventually("it still rings", rings).await;
    phones.end(phones.caller_party()).await.unwrap();
    drained(&phones.namespace).await;

    let texts = phones.messages().await;
    assert_eq!(texts.last().unwrap(), "system: Video call cancelled");
    assert_eq!(texts.len(), 3);
}
