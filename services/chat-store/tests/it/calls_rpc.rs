//! What gateways ask about calls over NATS, decided in Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::HashMap, sync::Arc};

use chat_domain::{
    ChatError, ConversationId, ErrorKind, Role, UserId,
    call::{
        CallId, DeviceId, GatewayId, Notice, Party, Recipient, Ringing, Route, Signal, SignalKind,
        Summary, Tell,
    },
};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::{
    app::{App, calls::Calls},
    redis::RedisCalls,
};
use test_kit::redis::Namespace;

use crate::{
    rpc::Asked,
    world::{Ear, Pair, World},
};

/// A consultant and a patient who can call each other.
struct Phones {
    world: World,
    asked: Asked,
    pair: Pair,
    conversation: ConversationId,
    _namespace: Namespace,
}

fn device(socket: u64) -> DeviceId {
    DeviceId {
        gateway: GatewayId(u64::MAX),
        socket,
    }
}

impl Phones {
    async fn new() -> Self {
        let world = World::new().await;
        let namespace = Namespace::new().unwrap();
        let pg = Arc::new(world.pg().await);
        let state = RedisCalls::new(namespace.url(), namespace.name(), pg.clone()).unwrap();
        let calls = Calls::new(Arc::new(state), pg.clone(), pg.clone(), HashMap::new());
        let store: App = world.store_with(&pg, Ear::deaf(), calls);
        let (pair, conversation) = world.talk(&store).await;
        Self {
            asked: Asked::new(&store).await,
            world,
            pair,
            conversation,
            _namespace: namespace,
        }
    }

    fn app(&self) -> String {
        self.world.id.as_str().to_owned()
    }

    fn caller(&self) -> &UserId {
        &self.pair.patient.user.id
    }

    fn callee(&self) -> &UserId {
        &self.pair.consultant.user.id
    }

    fn call(&self) -> v1::InitiateCallRequest {
        v1::InitiateCallRequest {
            app: self.app(),
            caller_id: self.caller().as_str().to_owned(),
            device: device(1).to_wire(),
            callee_id: self.callee().as_str().to_owned(),
            conversation_id: self.conversation.to_wire(),
            kind: "video".to_owned(),
        }
    }

    async fn initiate(&self, request: &v1::InitiateCallRequest) -> Result<Ringing, ChatError> {
        let reply: v1::InitiateCallReply = self.asked.ask(Rpc::InitiateCall, request).await?;
        Ok(reply.try_into()?)
    }

    async fn ring(&self) -> CallId {
        let Ringing::New(id) = self.initiate(&self.call()).await.unwrap() else {
            panic!("it does not ring");
        };
        id
    }

    fn caller_party(&self) -> v1::CallParty {
        let party = Party {
            user: self.caller().clone(),
            device: device(1),
            peer: self.callee().clone(),
            call: None,
        };
        (&party).into()
    }

    fn callee_party(&self) -> v1::CallParty {
        let party = Party {
            user: self.callee().clone(),
            device: device(2),
            peer: self.caller().clone(),
            call: None,
        };
        (&party).into()
    }

    async fn accept(&self, socket: u64) -> Result<CallId, ChatError> {
        let party = v1::CallParty {
            device: device(socket).to_wire(),
            ..self.callee_party()
        };
        let request = v1::AcceptCallRequest {
            app: self.app(),
            party: Some(party),
        };
        let reply: v1::AcceptCallReply = self.asked.ask(Rpc::AcceptCall, &request).await?;
        Ok(CallId::from_wire(&reply.call_id)?)
    }

    async fn end(&self, party: v1::CallParty) -> Result<Option<CallId>, ChatError> {
        let request = v1::EndCallRequest {
            app: self.app(),
            party: Some(party),
        };
        let reply: v1::EndCallReply = self.asked.ask(Rpc::EndCall, &request).await?;
        let id = reply.call_id.map(|id| CallId::from_wire(&id));
        Ok(id.transpose()?)
    }

    async fn offer(&self) -> Route {
        let request = v1::SignalRequest {
            app: self.app(),
            party: Some(self.caller_party()),
            signal: Some((&Signal::new(SignalKind::Offer, "{}").unwrap()).into()),
        };
        let reply: v1::SignalReply = self.asked.ask(Rpc::Signal, &request).await.unwrap();
        reply.try_into().unwrap()
    }

    async fn back(&self, user: &UserId, socket: u64, replaces: Option<u64>) -> v1::DeviceBackReply {
        let request = v1::DeviceBackRequest {
            app: self.app(),
            user_id: user.as_str().to_owned(),
            device: device(socket).to_wire(),
            replaces: replaces.map(|socket| device(socket).to_wire()),
        };
        self.asked.ask(Rpc::DeviceBack, &request).await.unwrap()
    }
}

#[tokio::test]
async fn a_call_is_begun_accepted_and_ended() {
    let phones = Phones::new().await;

    let id = phones.ring().await;

    assert_eq!(phones.offer().await, Route::Parked);
    let again = phones.initiate(&phones.call()).await.unwrap();
    assert_eq!(again, Ringing::Already(id));
    assert_eq!(phones.accept(2).await.unwrap(), id);
    assert_eq!(phones.accept(2).await.unwrap(), id);
    let late = phones.accept(3).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    let ended = phones.end(phones.callee_party()).await.unwrap();
    assert_eq!(ended, Some(id));
    let nothing = phones.end(phones.caller_party()).await.unwrap();
    assert_eq!(nothing, None);
}

#[tokio::test]
async fn a_device_that_connects_hears_what_rings() {
    let phones = Phones::new().await;
    let id = phones.ring().await;

    let reply = phones.back(phones.callee(), 5, None).await;

    let notice = reply.notices.into_iter().next().unwrap();
    let (notice, call) = <(Notice, Summary)>::try_from(notice).unwrap();
    let to = Recipient::Device(phones.callee().clone(), device(5));
    assert_eq!((notice.tell, notice.to), (Tell::Incoming, to));
    assert_eq!((call.id, call.conversation), (id, phones.conversation));
    assert_eq!(
        (&call.caller, &call.callee),
        (phones.caller(), phones.callee())
    );
    assert!(reply.missed.is_empty());
}

#[tokio::test]
async fn a_caller_that_was_gone_takes_its_call_up_on_another_device() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let gone = v1::DeviceGoneRequest {
        app: phones.app(),
        user_id: phones.caller().as_str().to_owned(),
        device: device(1).to_wire(),
    };

    let _: v1::DeviceGoneReply = phones.asked.ask(Rpc::DeviceGone, &gone).await.unwrap();
    let reply = phones.back(phones.caller(), 9, Some(1)).await;

    assert!(reply.notices.is_empty());
    let party = v1::CallParty {
        device: device(9).to_wire(),
        ..phones.caller_party()
    };
    assert_eq!(phones.end(party).await.unwrap(), Some(id));
}

#[tokio::test]
async fn a_call_is_declined_for_a_reason() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let request = v1::RejectCallRequest {
        app: phones.app(),
        party: Some(phones.callee_party()),
        reason: Some("in a meeting".to_owned()),
    };

    let reply: v1::RejectCallReply = phones.asked.ask(Rpc::RejectCall, &request).await.unwrap();

    assert_eq!(CallId::from_wire(&reply.call_id).unwrap(), id);
}

#[tokio::test]
async fn gateways_say_that_they_live_and_what_they_told() {
    let phones = Phones::new().await;
    let told = v1::CallsToldRequest {
        app: phones.app(),
        user_id: phones.callee().as_str().to_owned(),
        call_ids: vec![phones.ring().await.to_wire()],
    };

    let alive = v1::GatewayAliveRequest { gateway: u64::MAX };
    let _: v1::GatewayAliveReply = phones.asked.ask(Rpc::GatewayAlive, &alive).await.unwrap();
    let _: v1::CallsToldReply = phones.asked.ask(Rpc::CallsTold, &told).await.unwrap();
}

#[tokio::test]
async fn what_nobody_may_ask_is_refused() {
    let phones = Phones::new().await;
    let good = phones.call();
    let stranger = phones.world.caller(Role::Patient).user.id;

    for (bad, kind) in [
        (
            v1::InitiateCallRequest {
                caller_id: stranger.as_str().to_owned(),
                ..good.clone()
            },
            ErrorKind::Unauthorized,
        ),
        (
            v1::InitiateCallRequest {
                callee_id: stranger.as_str().to_owned(),
                ..good.clone()
            },
            ErrorKind::Unauthorized,
        ),
        (
            v1::InitiateCallRequest {
                callee_id: good.caller_id.clone(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                kind: "hologram".to_owned(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                device: "short".into(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                conversation_id: [7; 16].to_vec().into(),
                ..good.clone()
            },
            ErrorKind::NotFound,
        ),
    ] {
        let error = phones.initiate(&bad).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bad:?}");
    }
    let nothing = phones.accept(2).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
}
