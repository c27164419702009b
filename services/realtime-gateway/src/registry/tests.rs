//! Tests of the registry with an interest that only takes notes.

use std::task::{Context, Poll};

use chat_domain::Role;
use futures_util::{FutureExt as _, future::BoxFuture};
use service_kit::{
    apps::Apps,
    auth::{Principal, Revocations},
};
use socketio_protocol::Frame;
use uuid::Uuid;

use super::*;
use crate::{
    ports::Unconfirmed,
    session::{Entrance, Places, Session},
    transport::{Class, Link, Progress, Reason, Sent, Socket, SocketId},
};

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Interest for Notes {
    fn subscribe(&self, user: UserKey) -> Subscription {
        let mut notes = self.0.lock();
        notes.push(format!("+{}", user.user));
        Subscription(notes.len() as u64)
    }

    fn unsubscribe(&self, subscription: Subscription) {
        self.0.lock().push(format!("-{}", subscription.0));
    }

    fn confirmed(&self) -> BoxFuture<'_, Result<(), Unconfirmed>> {
        async { Ok(()) }.boxed()
    }
}

struct Deaf;

impl Link for Deaf {
    fn progress(&self) -> Progress {
        Progress::Taken
    }

    fn is_open(&self, _socket: u64) -> bool {
        false
    }

    fn poll_drained(&self, _cx: &Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn send(&self, _socket: u64, _frames: &[Frame], _class: Class) -> Sent {
        Sent::Closed
    }

    fn disconnect(&self, _socket: u64) {}

    fn close(&self, _reason: Reason) {}
}

struct Fixture {
    notes: Arc<Notes>,
    conversations: Arc<Conversations>,
    registry: Arc<Registry>,
    apps: Apps,
}

impl Fixture {
    fn new() -> Self {
        let notes = Arc::new(Notes::default());
        let conversations = Arc::new(Conversations::default());
        let interest = Arc::clone(&notes) as Arc<dyn Interest>;
        let apps = "[apps.consult]\ndialect = \"consult\"\n[[apps.consult.keys]]\n\
                    algorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
        Self {
            registry: Arc::new(Registry::new(interest, Arc::clone(&conversations), 2)),
            notes,
            conversations,
            apps: Apps::parse(apps, "apps.toml".as_ref()).unwrap(),
        }
    }

    fn socket(&self, number: u64, user: &UserKey) -> ChatSocket {
        let principal = Principal {
            app: Arc::clone(self.apps.get(&user.app).unwrap()),
            user: chat_domain::User {
                id: user.user.clone(),
                role: Role::Patient,
                name: None,
                email: None,
                avatar_url: None,
            },
            expires_at: Timestamp(0),
            token_id: None,
            marks: Revocations::default().marks_of(&user.app, &user.user),
        };
        let entrance = Entrance {
            enrolment: self.registry.enrol(user.clone()),
            greeting: Vec::new(),
            is_back: false,
        };
        let session = Session::new(principal, entrance, Places::default(), None);
        let id = SocketId::new([0; 15]);
        Socket::new(number, id, "/chat".into(), Arc::new(Deaf), session)
    }

    fn attach(&self, socket: &ChatSocket) -> Option<ChatSocket> {
        let entrance = socket.session().take_entrance()?;
        self.registry.attach(entrance.enrolment, socket.clone())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.0.lock().clone()
    }
}

fn user(name: &str) -> UserKey {
    UserKey {
        app: AppId::new("consult").unwrap(),
        user: UserId::new(name).unwrap(),
    }
}

fn conversation(n: u128) -> ConversationId {
    ConversationId(Uuid::from_u128(n))
}

#[test]
fn a_user_is_subscribed_to_once_and_until_the_last_socket_is_gone() {
    let fixture = Fixture::new();
    let ann = user("ann");
    let (one, two) = (fixture.socket(1, &ann), fixture.socket(2, &ann));
    assert_eq!(fixture.attach(&one), None);
    assert_eq!(fixture.attach(&two), None);

    fixture.registry.detach(&ann, &one);
    assert_eq!(fixture.notes(), ["+ann"]);
    assert_eq!(fixture.registry.sockets(&ann).len(), 1);
    fixture.registry.detach(&ann, &two);

    assert_eq!(fixture.notes(), ["+ann", "-1"]);
    assert_eq!(fixture.registry.n_users(), 0);
}

#[test]
fn a_socket_that_never_got_in_leaves_nothing() {
    let fixture = Fixture::new();
    let ann = user("ann");

    drop(fixture.socket(1, &ann));

    assert_eq!(fixture.notes(), ["+ann", "-1"]);
    assert_eq!(fixture.registry.positions(&ann), None);
}

#[test]
fn a_socket_too_many_pushes_out_the_oldest() {
    let fixture = Fixture::new();
    let ann = user("ann");
    let sockets = [1, 2, 3].map(|number| fixture.socket(number, &ann));

    let evicted = sockets.each_ref().map(|socket| fixture.attach(socket));

    assert_eq!(evicted, [None, None, Some(sockets[0].clone())]);
}

#[test]
fn a_late_goodbye_spares_the_successor() {
    let fixture = Fixture::new();
    let ann = user("ann");
    let (old, new) = (fixture.socket(1, &ann), fixture.socket(2, &ann));
    assert_eq!(fixture.attach(&old), None);
    fixture.registry.detach(&ann, &old);
    assert_eq!(fixture.attach(&new), None);

    fixture.registry.detach(&ann, &old);

    assert_eq!(*fixture.registry.sockets(&ann), [new]);
}

#[test]
fn order_is_kept_while_a_participant_is_here() {
    let fixture = Fixture::new();
    let (ann, bob) = (user("ann"), user("bob"));
    let sockets = [(1, &ann), (2, &bob)].map(|(number, user)| fixture.socket(number, user));
    for socket in &sockets {
        assert_eq!(fixture.attach(socket), None);
        let heads = [(conversation(1), Seq(7), Timestamp(0))];
        let key = socket.session().key();
        let behind = fixture.registry.open(&key, heads, true, 1);
        assert_eq!(behind, []);
    }

    fixture.registry.detach(&ann, &sockets[0]);
    let next = |tracker: &mut crate::delivery::Tracker<_>, _app: &_| tracker.next();
    assert_eq!(
        fixture.conversations.with(conversation(1), next),
        Some(Seq(8))
    );
    fixture.registry.detach(&bob, &sockets[1]);

    assert!(fixture.conversations.is_empty());
}

#[test]
fn an_unknown_conversation_begins_at_one_when_all_others_are_known() {
    let fixture = Fixture::new();
    let next = |n| {
        let next = |tracker: &mut crate::delivery::Tracker<_>, _app: &_| tracker.next();
        fixture.conversations.with(conversation(n), next)
    };
    let at = (1, Seq(5), Timestamp(9));

    let (ann, bob) = (user("ann"), user("bob"));
    let _sockets = [fixture.socket(1, &ann), fixture.socket(2, &bob)];
    for (user, complete) in [(&ann, true), (&bob, false)] {
        let behind = fixture.registry.open(user, [], complete, 1);
        assert_eq!(behind, []);
    }
    assert!(fixture.registry.locate(&ann, conversation(1), at).is_some());
    assert!(fixture.registry.locate(&bob, conversation(2), at).is_some());

    assert_eq!(next(1), Some(Seq(1)));
    assert_eq!(next(2), Some(Seq(5)));
    assert!(
        fixture
            .registry
            .locate(&user("eve"), conversation(3), at)
            .is_none()
    );
    assert_eq!(next(3), None);
}

#[test]
fn a_position_ahead_of_the_order_kept_here_is_a_gap() {
    let fixture = Fixture::new();
    let (ann, bob) = (user("ann"), user("bob"));
    let _sockets = [fixture.socket(1, &ann), fixture.socket(2, &bob)];
    let id = conversation(1);
    let open = |user, head| {
        let heads = [(id, Seq(head), Timestamp(0))];
        fixture.registry.open(user, heads, true, 1)
    };

    assert_eq!(open(&ann, 3), []);
    assert_eq!(open(&bob, 5), [id]);
}

#[test]
fn an_idle_user_costs_little() {
    assert!(size_of::<(UserKey, LocalUser)>() <= 128);
}

#[test]
fn a_conversation_that_began_while_its_user_was_here_is_all_news() {
    let fixture = Fixture::new();
    let ann = user("ann");
    let _socket = fixture.socket(1, &ann);
    let open = |heads: &[(ConversationId, Seq)]| {
        let heads = heads.iter().map(|(id, head)| (*id, *head, Timestamp(0)));
        let behind = fixture.registry.open(&ann, heads, true, 1);
        behind
            .into_iter()
            .map(|id| id.0.as_u128())
            .collect::<Vec<_>>()
    };

    assert_eq!(open(&[(conversation(1), Seq(5))]), []);
    // Its events were lost.
    assert_eq!(
        open(&[(conversation(1), Seq(5)), (conversation(2), Seq(3))]),
        [2]
    );
}
