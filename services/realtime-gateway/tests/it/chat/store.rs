//! A chat-store in memory, behind the port: it stores and publishes like the real one, and fails,
//! loses and repeats on demand.

mod answers;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chat_domain::{
    AppId, ChatError, ClientKey, Content, Conversation, ConversationId, Message, MessageId,
    MessageKind, Participant, Revocation, RevocationPage, Role, Seq, Subject, SubjectId, Timestamp,
    User, UserId,
};
use chat_proto::{
    WireId as _,
    subject::{self, Rpc},
    v1,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use prost::Message as _;
use realtime_gateway::ports::Requests;
use uuid::Uuid;

use super::switchboard::Calls;

/// What becomes of a published event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Publish,
    Lose,
    Repeat,
}

pub(crate) struct FakeStore {
    pub(super) nats: async_nats::Client,
    pub(crate) calls: Calls,
    pub(super) conversations: Mutex<HashMap<ConversationId, Stored>>,
    /// Fates of the next message events; then they are published.
    pub(crate) fates: Mutex<VecDeque<Fate>>,
    pub(crate) is_down: AtomicBool,
    /// Appends are stored, but so many answers are lost.
    pub(crate) lost_answers: AtomicI64,
    pub(crate) epoch: AtomicU64,
    /// How far the clock is behind the gateways', in milliseconds.
    pub(crate) behind_ms: AtomicI64,
    revocations: Mutex<Vec<(u64, Revocation)>>,
    /// How often each request came.
    requests: Mutex<HashMap<Rpc, usize>>,
}

pub(super) struct Stored {
    pub(super) conversation: Conversation,
    pub(super) messages: Vec<Message>,
    keys: HashMap<(UserId, String), Seq>,
    /// Survives a failover: that takes longer than the clock runs behind.
    last_at: i64,
}

impl FakeStore {
    pub(crate) fn new(nats: async_nats::Client) -> Arc<Self> {
        Arc::new(Self {
            nats,
            calls: Calls::default(),
            conversations: Mutex::default(),
            fates: Mutex::default(),
            is_down: AtomicBool::new(false),
            lost_answers: AtomicI64::new(0),
            epoch: AtomicU64::new(1),
            behind_ms: AtomicI64::new(0),
            revocations: Mutex::default(),
            requests: Mutex::default(),
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp(service_kit::now().0 - self.behind_ms.load(Ordering::SeqCst))
    }

    /// Makes a conversation between the two.
    pub(crate) fn converse(&self, consultant: &UserId, patient: &UserId) -> ConversationId {
        let side = |user: &UserId, role| Participant::new(user.clone(), role);
        let sides = [
            side(consultant, Role::Consultant),
            side(patient, Role::Patient),
        ];
        let booking = SubjectId::new(&Uuid::new_v4().to_string()).unwrap();
        self.begin("consult", Subject::Booking(booking), sides)
    }

    /// Makes a conversation in an app.
    pub(crate) fn begin(
        &self,
        app: &str,
        subject: Subject,
        participants: [Participant; 2],
    ) -> ConversationId {
        let id = ConversationId(Uuid::now_v7());
        let conversation = Conversation {
            id,
            app: AppId::new(app).unwrap(),
            subject,
            participants,
            last_seq: Seq(0),
            created_at: self.now(),
            updated_at: self.now(),
        };
        let stored = Stored {
            conversation,
            messages: Vec::new(),
            keys: HashMap::new(),
            last_at: 0,
        };
        self.conversations.lock().insert(id, stored);
        id
    }

    /// Stores a message as if it came by REST, and returns its place.
    pub(crate) async fn post(&self, id: ConversationId, sender: &UserId, text: &str) -> Seq {
        let key = Uuid::new_v4().to_string();
        let role = self.role(id, sender);
        let message = self.insert(id, sender, role, &key, text.to_owned(), false);
        self.publish_message(id, &message, Bytes::new()).await;
        message.seq
    }

    /// Revokes tokens; gateways hear of it if `told`.
    pub(crate) async fn revoke(&self, revocation: Revocation, told: bool) {
        {
            let mut all = self.revocations.lock();
            let number = all.len() as u64 + 1;
            all.push((number, revocation));
        }
        if told {
            self.nats
                .publish(subject::REVOKED, Bytes::new())
                .await
                .unwrap();
        }
    }

    /// Tells of two at a time.
    fn list_revocations(&self, payload: Bytes) -> Bytes {
        let request = v1::ListRevocationsRequest::decode(payload).unwrap();
        let all = self.revocations.lock();
        let new = all.iter().filter(|(number, _)| request.after < *number);
        let page = RevocationPage {
            epoch: self.epoch.load(Ordering::SeqCst),
            revocations: new.take(2).cloned().collect(),
            more: request.after + 2 < all.len() as u64,
        };
        encode(&v1::ListRevocationsReply::from(&page))
    }

    pub(crate) fn last_seq(&self, id: ConversationId) -> Seq {
        self.conversations.lock()[&id].conversation.last_seq
    }

    /// Forgets the newest messages, as a failover to a lagging standby does.
    pub(crate) fn fail_over(&self, id: ConversationId, n_lost: usize) {
        let mut conversations = self.conversations.lock();
        let stored = conversations.get_mut(&id).unwrap();
        let n_left = stored.messages.len() - n_lost;
        stored.messages.truncate(n_left);
        stored.conversation.last_seq = Seq(n_left as u64);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn n_requests(&self, rpc: Rpc) -> usize {
        self.requests.lock().get(&rpc).copied().unwrap_or_default()
    }

    pub(crate) fn is_delivered(&self, id: ConversationId, seq: u64) -> bool {
        let conversations = self.conversations.lock();
        let index = usize::try_from(seq - 1).unwrap();
        conversations[&id].messages[index].delivered_at.is_some()
    }

    fn role(&self, id: ConversationId, user: &UserId) -> Role {
        let conversations = self.conversations.lock();
        conversations[&id]
            .conversation
            .participant(user)
            .unwrap()
            .role
    }

    fn insert(
        &self,
        id: ConversationId,
        sender: &UserId,
        role: Role,
        key: &str,
        text: String,
        key_is_clients: bool,
    ) -> Message {
        let mut conversations = self.conversations.lock();
        let stored = conversations.get_mut(&id).unwrap();
        let by = (sender.clone(), key.to_owned());
        if let Some(seq) = stored.keys.get(&by) {
            return stored.messages[usize::try_from(seq.0 - 1).unwrap()].clone();
        }
        let seq = stored.conversation.last_seq.next();
        let at = Timestamp(self.now().0.max(stored.last_at + 1));
        stored.last_at = at.0;
        let unix_ms = u64::try_from(at.0).unwrap();
        let message = Message {
            id: MessageId::new(id, unix_ms, Uuid::new_v4().as_u64_pair().0),
            conversation: id,
            seq,
            sender: sender.clone(),
            sender_role: role,
            client_key: key_is_clients.then(|| ClientKey::new(key).unwrap()),
            content: Content::stored(MessageKind::Text, text, None),
            created_at: at,
            delivered_at: None,
            read_at: None,
        };
        stored.conversation.last_seq = seq;
        stored.conversation.updated_at = at;
        stored.messages.push(message.clone());
        stored.keys.insert(by, seq);
        message
    }

    async fn publish_message(&self, id: ConversationId, message: &Message, origin: Bytes) {
        let fate = self.fates.lock().pop_front().unwrap_or(Fate::Publish);
        let conversation = self.conversations.lock()[&id].conversation.clone();
        let body = v1::envelope::Body::MessageAppended(v1::MessageAppended {
            conversation: Some((&conversation).into()),
            message: Some(message.into()),
        });
        let times = match fate {
            Fate::Lose => 0,
            Fate::Publish => 1,
            Fate::Repeat => 2,
        };
        for _ in 0..times {
            self.publish(&conversation, body.clone(), origin.clone())
                .await;
        }
    }

    pub(super) async fn publish(
        &self,
        conversation: &Conversation,
        body: v1::envelope::Body,
        origin: Bytes,
    ) {
        let users = conversation.participants.iter().map(|side| &side.user);
        let envelope = v1::Envelope {
            version: 1,
            app: conversation.app.as_str().to_owned(),
            epoch: self.epoch.load(Ordering::SeqCst),
            targets: users.clone().map(|user| user.as_str().to_owned()).collect(),
            origin,
            traceparent: String::new(),
            body: Some(body),
        };
        let payload = Bytes::from(envelope.encode_to_vec());
        for user in users {
            let subject = subject::user(&conversation.app, user);
            self.nats.publish(subject, payload.clone()).await.unwrap();
        }
    }

    pub(super) fn visible(&self, user: &UserId, id: &str) -> Result<Conversation, ChatError> {
        let id = ConversationId::parse(id)?;
        let conversations = self.conversations.lock();
        let stored = conversations
            .get(&id)
            .ok_or(ChatError::ConversationNotFound)?;
        let conversation = stored.conversation.clone();
        match conversation.participant(user) {
            Some(_) => Ok(conversation),
            None => Err(ChatError::NotParticipant),
        }
    }
}

/// The port of a gateway to the store that it shares with others.
pub(crate) struct ToStore(pub(crate) Arc<FakeStore>);

impl Requests for ToStore {
    fn request(
        &self,
        subject: String,
        payload: Bytes,
        _timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, ChatError>> {
        async move {
            let rpc = subject::parse_rpc(&subject).unwrap();
            *self.0.requests.lock().entry(rpc).or_default() += 1;
            if self.0.is_down.load(Ordering::SeqCst) {
                return Err(unavailable());
            }
            match self.0.answer(rpc, payload).await {
                Err(error @ ChatError::Unavailable { .. }) => Err(error),
                Err(error) => Ok(chat_proto::reply::<v1::AppendReply>(Err(&error))),
                Ok(answer) => Ok(answer),
            }
        }
        .boxed()
    }
}

pub(super) fn encode<M: prost::Message>(answer: &M) -> Bytes {
    let outcome = v1::reply::Outcome::Ok(answer.encode_to_vec().into());
    let reply = v1::Reply {
        outcome: Some(outcome),
    };
    reply.encode_to_vec().into()
}

fn unavailable() -> ChatError {
    ChatError::Unavailable {
        dependency: "store",
        source: "taken down by the test".into(),
    }
}
