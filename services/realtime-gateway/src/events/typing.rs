//! Who is typing. Relayed to the others, never stored; a start that is not renewed ends by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chat_domain::{ChatError, Conversation, ConversationId, ErrorKind, Place, User};
use chat_proto::{WireId as _, subject, v1};
use dialects::Fact;
use parking_lot::Mutex;
use prost::Message as _;
use service_kit::TraceParent;

use super::{Chat, Request};
use crate::{delivery::DelayLine, ports::Publisher, wire};

/// How long somebody types who says nothing more.
const LASTS: Duration = Duration::from_secs(5);
/// How many starts may wait for their end.
const MAX_WAITING: usize = 100_000;
/// How many ends are handled at once.
const BATCH: usize = 256;

/// A socket typing in a conversation.
type Key = (u64, ConversationId);

/// Everybody who types at this gateway.
pub struct TypingSignals {
    publisher: Arc<dyn Publisher>,
    active: Mutex<BTreeMap<Key, Typist>>,
    /// Ends of starts; the number tells whether a later start came.
    line: DelayLine<(Key, u64)>,
}

struct Typist {
    user: User,
    conversation: Arc<Conversation>,
    n_starts: u64,
}

impl std::fmt::Debug for TypingSignals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypingSignals").finish_non_exhaustive()
    }
}

impl TypingSignals {
    /// Makes it for nobody.
    #[must_use]
    pub fn new(publisher: Arc<dyn Publisher>) -> Self {
        Self {
            publisher,
            active: Mutex::default(),
            line: DelayLine::new(LASTS, MAX_WAITING),
        }
    }

    /// Ends what was not renewed. Runs until dropped.
    pub async fn run(&self) {
        loop {
            for (key, n_starts) in self.line.due(BATCH).await {
                let ended = {
                    let mut active = self.active.lock();
                    let is_last = active
                        .get(&key)
                        .is_some_and(|typist| typist.n_starts == n_starts);
                    is_last.then(|| active.remove(&key)).flatten()
                };
                self.publish_stop(ended);
            }
        }
    }

    /// Ends the typing of a socket in a conversation, if it types there.
    pub fn stop(&self, socket: u64, conversation: ConversationId) {
        self.publish_stop(self.forget(socket, conversation));
    }

    /// Ends it without telling.
    fn forget(&self, socket: u64, conversation: ConversationId) -> Option<Typist> {
        self.active.lock().remove(&(socket, conversation))
    }

    /// Ends the typing of a socket everywhere.
    pub fn stop_all(&self, socket: u64) {
        let nil = ConversationId(uuid::Uuid::nil());
        let ended: Vec<Typist> = {
            let mut active = self.active.lock();
            let keys = active.range((socket, nil)..(socket + 1, nil));
            let keys: Vec<Key> = keys.map(|(key, _typist)| *key).collect();
            keys.iter().filter_map(|key| active.remove(key)).collect()
        };
        for typist in ended {
            self.publish_stop(Some(typist));
        }
    }

    fn start(&self, socket: u64, user: &User, conversation: &Arc<Conversation>) {
        let key = (socket, conversation.id);
        let n_starts = {
            let mut active = self.active.lock();
            let typist = active.entry(key).or_insert_with(|| Typist {
                user: user.clone(),
                conversation: Arc::clone(conversation),
                n_starts: 0,
            });
            typist.n_starts += 1;
            typist.n_starts
        };
        if self.line.push((key, n_starts)) {
            self.publish(user, conversation, true);
        } else {
            self.active.lock().remove(&key);
        }
    }

    fn publish_stop(&self, ended: Option<Typist>) {
        if let Some(typist) = ended {
            self.publish(&typist.user, &typist.conversation, false);
        }
    }

    /// Tells the others in the conversation.
    fn publish(&self, user: &User, conversation: &Conversation, active: bool) {
        let typing = v1::Typing {
            conversation_id: conversation.id.to_wire(),
            user_id: user.id.as_str().to_owned(),
            role: user.role.as_str().to_owned(),
            active,
        };
        for other in &conversation.participants {
            if other.user == user.id {
                continue;
            }
            let envelope = v1::Envelope {
                version: 1,
                app: conversation.app.as_str().to_owned(),
                targets: vec![other.user.as_str().to_owned()],
                traceparent: TraceParent::current().to_string(),
                body: Some(v1::envelope::Body::Typing(typing.clone())),
                ..v1::Envelope::default()
            };
            let subject = subject::user(&conversation.app, &other.user);
            self.publisher
                .publish(subject, envelope.encode_to_vec().into());
        }
    }
}

impl Chat {
    /// Relays that the client types, or types no longer. There is no event in answer.
    pub(super) async fn type_in(
        &self,
        request: &Request,
        place: &Place,
        active: bool,
    ) -> Result<(), ChatError> {
        let session = request.socket.session();
        let (typing, user) = (&self.parts.typing, session.user());
        let by = self.origin(&request.socket);
        match (self.membership.find(session, place, by).await, place) {
            (Ok(conversation), _) if active => {
                typing.start(request.socket.number(), user, &conversation);
            }
            (Ok(conversation), _) => {
                typing.forget(request.socket.number(), conversation.id);
                // Also without a start before it: the end of one may have been lost.
                typing.publish(user, &conversation, false);
            }
            // Whether somebody may be written to is not told by typing.
            (Err(error), Place::Peer(_)) if error.kind() != ErrorKind::Unavailable => {}
            (Err(error), _) => return Err(error),
        }
        super::count(&request.command, "ok");
        let heard = Fact::Heard(place);
        wire::acknowledge(&request.socket, &request.name, request.ack, &heard);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_domain::{AppId, Participant, Role, Seq, Subject, SubjectId, Timestamp, UserId};
    use tokio::time::{advance, timeout};

    use super::*;

    #[derive(Default)]
    struct Signals(Mutex<Vec<(String, bool)>>);

    impl Publisher for Signals {
        fn publish(&self, subject: String, payload: Bytes) {
            let envelope = v1::Envelope::decode(payload).unwrap();
            let Some(v1::envelope::Body::Typing(typing)) = envelope.body else {
                panic!("not a typing signal");
            };
            self.0.lock().push((subject, typing.active));
        }
    }

    fn user(name: &str, role: Role) -> User {
        User {
            id: UserId::new(name).unwrap(),
            role,
            name: None,
            email: None,
            avatar_url: None,
        }
    }

    fn conversation(n: u128) -> Arc<Conversation> {
        let side = |name: &str, role| Participant::new(UserId::new(name).unwrap(), role);
        Arc::new(Conversation {
            id: ConversationId(uuid::Uuid::from_u128(n)),
            app: AppId::new("consult").unwrap(),
            subject: Subject::Booking(SubjectId::new("b").unwrap()),
            participants: [side("ann", Role::Consultant), side("bob", Role::Patient)],
            last_seq: Seq(0),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        })
    }

    fn fixture() -> (Arc<Signals>, TypingSignals) {
        let signals = Arc::new(Signals::default());
        let publisher = Arc::clone(&signals) as Arc<dyn Publisher>;
        (signals, TypingSignals::new(publisher))
    }

    /// Lets ends take effect that are due.
    async fn settle(typing: &TypingSignals) {
        let _never_ends = timeout(Duration::from_millis(1), typing.run()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_ends_five_seconds_after_the_last_renewal() {
        let (signals, typing) = fixture();
        let ann = user("ann", Role::Consultant);
        let active = |signals: &Signals| -> Vec<bool> {
            signals.0.lock().iter().map(|(_, active)| *active).collect()
        };

        typing.start(1, &ann, &conversation(1));
        advance(Duration::from_secs(3)).await;
        typing.start(1, &ann, &conversation(1));
        advance(Duration::from_secs(4)).await;
        settle(&typing).await;
        assert_eq!(active(&signals), [true, true]);
        advance(Duration::from_secs(1)).await;
        settle(&typing).await;

        assert_eq!(active(&signals), [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn signals_go_to_the_others_alone() {
        let (signals, typing) = fixture();

        typing.start(1, &user("ann", Role::Consultant), &conversation(1));

        let app = AppId::new("consult").unwrap();
        let bob = subject::user(&app, &UserId::new("bob").unwrap());
        assert_eq!(*signals.0.lock(), [(bob, true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_is_gone_types_nowhere() {
        let (signals, typing) = fixture();
        let ann = user("ann", Role::Consultant);
        for (socket, n) in [(1, 1), (2, 1), (2, 2), (3, 1)] {
            typing.start(socket, &ann, &conversation(n));
        }
        signals.0.lock().clear();

        typing.stop_all(2);
        assert_eq!(signals.0.lock().len(), 2);
        typing.stop_all(2);
        assert_eq!(signals.0.lock().len(), 2);
        assert_eq!(typing.active.lock().len(), 2);
    }
}
