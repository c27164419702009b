//! Coming and going.
//!
//! A client that could not connect because the broker or the store is away would give up for good,
//! so it is let in and told later what it missed.

use std::{sync::Arc, time::Duration};

use chat_domain::{ChatError, User};
use dialects::Fact;
use service_kit::auth::Principal;
use tokio::time::timeout;

use super::{
    Chat,
    recover::{Claimed, Recovered},
};
use crate::{
    delivery::Delivery,
    headcount::send_away,
    journal::What,
    metrics::Metric,
    random,
    registry::{Enrolment, Positions, Registry, UserKey},
    revocations::end_if_revoked,
    session::{
        self, ChatSocket, Entrance, MAX_LISTED, Places, Recovery, Refusal, Room, Session,
        authenticate,
    },
    store::{Opened, Store},
    transport::{Accepted, Class, ConnectRequest, Reason, Refused, SocketId},
    wire,
};

/// How long a connecting client waits for the confirmation of its subscription.
const CONFIRM: Duration = Duration::from_secs(1);
/// The pause before the first and the longest before a further attempt to catch up.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

impl Chat {
    /// Lets a client in: token, then interest in the user's events, then the user's positions, or
    /// those of the session that the client comes back to.
    pub(super) async fn connect_socket(
        &self,
        request: &ConnectRequest,
    ) -> Result<Accepted<Session>, Refused> {
        let now = service_kit::now();
        let refuse = |refusal: Refusal| {
            count(refusal.label());
            Refused::from(refusal)
        };
        let principal = authenticate(&self.parts.verifier, request, now).map_err(refuse)?;
        let rested = self.parts.quotas.rested(&key_of(&principal));
        rested.map_err(|after| refuse(Refusal::Resting(after)))?;
        // Others would not know what to do with one more argument of every event.
        let may_come_back = principal.app.policy.recovery && request.handshake.names_version_first;
        Ok(self.enter(principal, request, may_come_back).await)
    }

    /// Lets in whoever is known.
    pub(super) async fn enter(
        &self,
        principal: Principal,
        request: &ConnectRequest,
        may_come_back: bool,
    ) -> Accepted<Session> {
        let now = service_kit::now();
        let key = key_of(&principal);
        let enrolment = self.parts.registry.enrol(key.clone());
        let claimed = Claimed::read(request.auth.as_deref()).filter(|_| may_come_back);
        let is_back = claimed.is_some();
        if let Some(claimed) = claimed {
            match self.recover(&key, &principal, claimed).await {
                Ok(recovered) => {
                    count("recovered");
                    count_recovery("recovered");
                    return self.continued(principal, enrolment, recovered);
                }
                Err(error) => {
                    count_recovery(error.label());
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "a session is not recovered");
                }
            }
        }
        let opened = self.open(&key, &principal.user).await;
        let room = Room::initial(principal.app.dialect);
        let mut entrance = Entrance {
            enrolment,
            greeting: Vec::new(),
            is_back: false,
        };
        let Some(opened) = opened else {
            let places = Places::default().in_room(room);
            return Accepted {
                session: Session::new(principal, entrance, places, None),
                id: SocketId::random(),
                pid: None,
            };
        };
        if is_back {
            entrance.greeting =
                wire::frames(session::terms(&principal.app), &Fact::Resync(&opened.heads));
        }
        let beginning = session::beginning(&opened, now).filter(|_| may_come_back);
        let places = session::first_places(&opened, room);
        let Some(beginning) = beginning else {
            return Accepted {
                session: Session::new(principal, entrance, places, None),
                id: SocketId::random(),
                pid: None,
            };
        };
        let owner = (&key.app, &key.user);
        let recovery = Recovery {
            key: Arc::clone(&self.parts.recovery),
            tag: beginning.tag,
        };
        Accepted {
            session: Session::new(principal, entrance, places, Some(recovery)),
            id: self.parts.recovery.socket_id(owner, beginning.tag),
            pid: Some(self.parts.recovery.pid(owner, &beginning)),
        }
    }

    /// Lets a client in again.
    fn continued(
        &self,
        principal: Principal,
        enrolment: Enrolment,
        recovered: Recovered,
    ) -> Accepted<Session> {
        let Recovered {
            tag,
            pid,
            places,
            greeting,
        } = recovered;
        let key = Arc::clone(&self.parts.recovery);
        let id = key.socket_id((&principal.app.id, &principal.user.id), tag);
        let entrance = Entrance {
            enrolment,
            greeting,
            is_back: true,
        };
        let recovery = Some(Recovery { key, tag });
        Accepted {
            session: Session::new(principal, entrance, places, recovery),
            id,
            pid: Some(pid),
        }
    }

    /// Finds out where the user's conversations stand; `None` when nobody can say now.
    async fn open(&self, key: &UserKey, user: &User) -> Option<Opened> {
        let known = self.parts.delivery.standing(key);
        let is_enough = |known: &Opened| known.complete && known.heads.len() <= MAX_LISTED;
        if known.as_ref().is_some_and(is_enough) {
            count("accepted");
            return known;
        }
        let opening = Opening {
            registry: Arc::clone(&self.parts.registry),
            delivery: Arc::clone(&self.parts.delivery),
            store: self.parts.store.clone(),
            user: key.clone(),
        };
        self.confirm_interest().await;
        match opening.open(user).await {
            Ok(opened) => {
                count("accepted");
                Some(opened)
            }
            Err(error) => {
                count("degraded");
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "connected without positions, catching up later");
                self.parts.tasks.spawn(opening.catch_up(user.clone()));
                known
            }
        }
    }

    /// Waits until the user's events come here. Without a connection they will, and all positions
    /// are checked then.
    pub(super) async fn confirm_interest(&self) {
        match timeout(CONFIRM, self.parts.interest.confirmed()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connected early");
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connected early");
            }
        }
    }

    /// Adds a socket that is in.
    pub(super) fn attach(&self, socket: &ChatSocket) {
        metrics::gauge!(Metric::Sockets.name()).increment(1.0);
        self.expiry.add(socket);
        let Some(entrance) = socket.session().take_entrance() else {
            return;
        };
        let Entrance {
            enrolment,
            greeting,
            is_back,
        } = *entrance;
        let journal = &self.parts.journal;
        journal.note_socket(socket, What::Came { is_back });
        let evicted = self.parts.registry.attach(enrolment, socket.clone());
        if let Some(oldest) = evicted {
            send_away(&oldest);
        }
        self.parts.headcount.came(&socket.session().key());
        if is_back {
            self.parts.delivery.moved(socket);
        }
        wire::welcome(socket);
        for event in greeting {
            wire::send(socket, &event, Class::Message);
        }
        if socket.session().with_places(|places| places.is_behind()) {
            self.parts.delivery.refill(socket);
        }
        self.parts.delivery.arrived(socket);
        self.parts.calls.arrive(socket);
        // It may have been revoked since it was looked at.
        end_if_revoked(self.parts.verifier.revocations(), socket);
    }

    /// Forgets a socket that is gone.
    pub(super) fn detach(&self, socket: &ChatSocket, reason: Reason) {
        metrics::gauge!(Metric::Sockets.name()).decrement(1.0);
        tracing::debug!(reason = ?reason, "socket gone");
        let revocations = self.parts.verifier.revocations();
        let is_revoked = revocations.cover(socket.session().marks());
        let what = if reason == Reason::ServerDisconnect && is_revoked {
            What::Revoked
        } else {
            What::Went(reason)
        };
        self.parts.journal.note_socket(socket, what);
        self.parts.typing.stop_all(socket.number());
        self.parts.calls.depart(socket);
        self.expiry.remove(socket);
        let user = socket.session().key();
        self.parts.registry.detach(&user, socket);
        self.parts.headcount.went(&user);
    }
}

pub(super) fn key_of(principal: &Principal) -> UserKey {
    UserKey {
        app: principal.app.id.clone(),
        user: principal.user.id.clone(),
    }
}

fn count(outcome: &'static str) {
    metrics::counter!(Metric::Connects.name(), "outcome" => outcome).increment(1);
}

fn count_recovery(outcome: &'static str) {
    metrics::counter!(Metric::Recoveries.name(), "outcome" => outcome).increment(1);
}

/// Learning where the conversations of a user stand.
struct Opening {
    registry: Arc<Registry>,
    delivery: Arc<Delivery>,
    store: Store,
    user: UserKey,
}

impl Opening {
    fn is_due(&self) -> bool {
        self.registry.positions(&self.user) == Some(Positions::Unknown)
    }

    async fn open(&self, user: &User) -> Result<Opened, ChatError> {
        let opened = self.store.open_session(&self.user.app, user).await?;
        self.delivery.opened(&self.user, &opened);
        Ok(opened)
    }

    /// Opens as soon as it is possible, and has the sockets that came before fetch what they missed.
    async fn catch_up(self, user: User) {
        let mut pause = BACKOFF.0;
        while self.is_due() {
            tokio::time::sleep(random::jitter(pause)).await;
            pause = (pause * 2).min(BACKOFF.1);
            let Ok(opened) = self.open(&user).await else {
                continue;
            };
            for socket in self.registry.sockets(&self.user).iter() {
                wire::tell(socket, &Fact::Resync(&opened.heads));
            }
        }
    }
}
