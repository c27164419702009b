//! Two people who can call each other through a store, and what comes of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use chat_domain::{
    AppId, ChatError, ConversationId, Seq, UserId,
    call::{
        CallId, DeviceId, GatewayId, Notice, Party, Ringing, Route, Signal, SignalKind, Summary,
        Tell,
    },
};
use chat_proto::{
    WireId as _,
    subject::{self, Rpc},
    v1::{self, envelope::Body},
};
use chat_store::{
    app::{
        App,
        calls::{Calls, FollowUp, Recorder},
        presence::{Announcer, Roster},
    },
    nats::Notifier,
    pg::Pg,
    redis::RedisState,
};
use futures_util::StreamExt as _;
use prost::Message as _;
use test_kit::redis::Namespace;

use crate::{
    rpc::{Asked, TIMEOUT},
    world::{Ear, Pair, World},
};

/// A consultant and a patient who can call each other.
pub(crate) struct Phones {
    pub(crate) world: World,
    pub(crate) store: App,
    pub(crate) pg: Arc<Pg>,
    pub(crate) state: Arc<RedisState>,
    pub(crate) asked: Asked,
    pub(crate) pair: Pair,
    pub(crate) conversation: ConversationId,
    pub(crate) namespace: Namespace,
}

pub(crate) fn device(socket: u64) -> DeviceId {
    DeviceId {
        gateway: GatewayId(u64::MAX),
        socket,
    }
}

impl Phones {
    pub(crate) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    pub(crate) async fn of(world: World) -> Self {
        let namespace = Namespace::new().unwrap();
        let url = namespace.url().to_owned();
        Self::over(&url, namespace, world).await
    }

    /// With the state at `url`.
    pub(crate) async fn over(url: &str, namespace: Namespace, world: World) -> Self {
        let pg = Arc::new(world.pg().await);
        let state = RedisState::new(url, namespace.name(), pg.clone()).unwrap();
        let state = Arc::new(state);
        let apps = world.apps.clone();
        let calls = Calls::new(state.clone(), pg.clone(), pg.clone(), apps);
        let roster = Roster::new(state.clone(), pg.clone(), world.apps.clone());
        let store = world.store_with(&pg, Ear::deaf(), calls, roster);
        let (pair, conversation) = world.talk(&store).await;
        Self {
            asked: Asked::new(&store).await,
            world,
            store,
            pg,
            state,
            pair,
            conversation,
            namespace,
        }
    }

    /// What a store does with the log.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(
            self.state.clone(),
            self.pg.clone(),
            Arc::new(Notifier::new(self.asked.client.clone())),
            FollowUp::new(self.state.clone(), self.pg.clone(), self.state.clone()),
            self.store.clone(),
        )
    }

    /// What a store does with the log of presence.
    pub(crate) fn announcer(&self) -> Announcer {
        let notifier = Notifier::new(self.asked.client.clone());
        Announcer::new(
            self.pg.clone(),
            Arc::new(notifier),
            self.state.clone(),
            self.world.apps.clone(),
        )
    }

    /// What a gateway hears for one of the two.
    pub(crate) async fn listen(&self, user: &UserId) -> Line {
        let subject = subject::user(&self.world.id, user);
        let subscriber = self.asked.client.subscribe(subject).await.unwrap();
        self.asked.client.flush().await.unwrap();
        Line {
            app: self.world.id.clone(),
            user: user.clone(),
            subscriber,
        }
    }

    /// The messages of the conversation.
    pub(crate) async fn messages(&self) -> Vec<String> {
        let all = self
            .store
            .range(&self.world.id, self.conversation, Seq(0), 100);
        let (_, messages) = all.await.unwrap();
        let text = |message: &chat_domain::Message| {
            let content = &message.content;
            format!("{}: {}", content.kind().as_str(), content.text())
        };
        messages.iter().map(text).collect()
    }

    pub(crate) fn app(&self) -> String {
        self.world.id.as_str().to_owned()
    }

    pub(crate) fn caller(&self) -> &UserId {
        &self.pair.patient.user.id
    }

    pub(crate) fn callee(&self) -> &UserId {
        &self.pair.consultant.user.id
    }

    pub(crate) fn call(&self) -> v1::InitiateCallRequest {
        v1::InitiateCallRequest {
            app: self.app(),
            caller_id: self.caller().as_str().to_owned(),
            device: device(1).to_wire(),
            callee_id: self.callee().as_str().to_owned(),
            conversation_id: self.conversation.to_wire(),
            kind: "video".to_owned(),
            n: 0,
        }
    }

    pub(crate) async fn initiate(
        &self,
        request: &v1::InitiateCallRequest,
    ) -> Result<Ringing, ChatError> {
        let reply: v1::InitiateCallReply = self.asked.ask(Rpc::InitiateCall, request).await?;
        Ok(reply.try_into()?)
    }

    pub(crate) async fn ring(&self) -> CallId {
        let Ringing::New(id) = self.initiate(&self.call()).await.unwrap() else {
            panic!("it does not ring");
        };
        id
    }

    pub(crate) fn caller_party(&self) -> v1::CallParty {
        let party = Party {
            user: self.caller().clone(),
            device: device(1),
            peer: self.callee().clone(),
            call: None,
            age: Duration::MAX,
            n: 0,
        };
        (&party).into()
    }

    pub(crate) fn callee_party(&self) -> v1::CallParty {
        let party = Party {
            user: self.callee().clone(),
            device: device(2),
            peer: self.caller().clone(),
            call: None,
            age: Duration::MAX,
            n: 0,
        };
        (&party).into()
    }

    pub(crate) async fn accept(&self, socket: u64) -> Result<CallId, ChatError> {
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

    pub(crate) async fn end(&self, party: v1::CallParty) -> Result<Option<CallId>, ChatError> {
        let request = v1::EndCallRequest {
            app: self.app(),
            party: Some(party),
        };
        let reply: v1::EndCallReply = self.asked.ask(Rpc::EndCall, &request).await?;
        let id = reply.call_id.map(|id| CallId::from_wire(&id));
        Ok(id.transpose()?)
    }

    pub(crate) async fn offer(&self) -> Route {
        let request = v1::SignalRequest {
            app: self.app(),
            party: Some(self.caller_party()),
            signal: Some((&Signal::new(SignalKind::Offer, "{}").unwrap()).into()),
        };
        let reply: v1::SignalReply = self.asked.ask(Rpc::Signal, &request).await.unwrap();
        reply.try_into().unwrap()
    }

    pub(crate) async fn back(
        &self,
        user: &UserId,
        socket: u64,
        replaces: Option<u64>,
    ) -> v1::DeviceBackReply {
        let request = v1::DeviceBackRequest {
            app: self.app(),
            user_id: user.as_str().to_owned(),
            device: device(socket).to_wire(),
            replaces: replaces.map(|socket| device(socket).to_wire()),
            again: false,
            age_ms: 0,
        };
        self.asked.ask(Rpc::DeviceBack, &request).await.unwrap()
    }
}

/// The subject of one user.
pub(crate) struct Line {
    app: AppId,
    user: UserId,
    subscriber: async_nats::Subscriber,
}

impl Line {
    /// The next thing that is said about a call.
    pub(crate) async fn next(&mut self) -> Body {
        let message = tokio::time::timeout(TIMEOUT, self.subscriber.next()).await;
        let envelope = v1::Envelope::decode(message.unwrap().unwrap().payload).unwrap();
        assert_eq!(envelope.version, 1);
        assert_eq!(envelope.app, self.app.as_str());
        assert_eq!(envelope.targets, [self.user.as_str()]);
        envelope.body.unwrap()
    }

    pub(crate) async fn notice(&mut self) -> (Notice, Summary) {
        let Body::CallNotice(notice) = self.next().await else {
            panic!("no notice");
        };
        notice.try_into().unwrap()
    }

    pub(crate) async fn tell(&mut self) -> Tell {
        self.notice().await.0.tell
    }
}
