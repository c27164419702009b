//! What arrives for one user: envelopes, checked as if they were hostile.

use std::sync::Arc;

use bytes::Bytes;
use chat_domain::{Conversation, ConversationId, Message, MessageId, Role, Timestamp, UserId};
use chat_proto::{
    WireError, WireId as _,
    v1::{self, envelope::Body},
};
use dialects::{Fact, Terms};
use prost::Message as _;
use service_kit::{Span, SpanKind, TraceParent, traced};
use socketio_protocol::Frame;

use super::Delivery;
use crate::{
    calls::Calls,
    headcount::Headcount,
    metrics::Metric,
    ports::Inbox,
    presence::PresenceFeed,
    quotas::Quotas,
    registry::UserKey,
    revocations::RevocationFeed,
    session::ChatSocket,
    transport::{Class, Reason},
    wire,
};

/// The version of envelopes that is understood.
const VERSION: u32 = 1;

/// The [`Inbox`] of the interest connection.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is described at its type")]
pub struct DeliveryInbox {
    pub delivery: Arc<Delivery>,
    pub calls: Arc<Calls>,
    pub presence: Arc<PresenceFeed>,
    pub revocations: Arc<RevocationFeed>,
    pub quotas: Arc<Quotas>,
    pub headcount: Arc<Headcount>,
}

impl Inbox for DeliveryInbox {
    fn deliver(&self, user: &UserKey, payload: Bytes) {
        if let Err(error) = self.envelope(user, payload) {
            metrics::counter!(Metric::BadEnvelopes.name()).increment(1);
            tracing::warn!(error = &error as &dyn std::error::Error, "envelope dropped");
        }
    }

    fn resumed(&self) {
        self.delivery.resumed.notify_one();
        self.calls.resumed();
        self.revocations.told();
    }

    fn used(&self, payload: Bytes) {
        self.quotas.used_elsewhere(payload);
    }

    fn revoked(&self) {
        self.revocations.told();
    }
}

impl DeliveryInbox {
    fn envelope(&self, user: &UserKey, payload: Bytes) -> Result<(), WireError> {
        let envelope = v1::Envelope::decode(payload)?;
        if envelope.version != VERSION {
            return Err(WireError::Field("version"));
        }
        if envelope.app != user.app.as_str() {
            return Err(WireError::Field("app"));
        }
        // A kind that a newer release has is no body.
        let Some(body) = envelope.body else {
            return Ok(());
        };
        let (origin, traceparent) = (&envelope.origin, &envelope.traceparent);
        let name = format_args!("deliver {}", name(&body));
        let mut span = Span::below(traceparent, name, SpanKind::Consumer);
        span.set("messaging.system", "nats");
        if let Body::MessageAppended(appended) = body {
            let about = (&origin[..], traceparent.as_str(), span);
            let epoch = envelope.epoch;
            return self.delivery.message_appended(user, appended, epoch, about);
        }
        span.in_scope(|| self.other(user, body, origin))
    }

    /// Takes whatever is no message.
    fn other(&self, user: &UserKey, body: Body, origin: &[u8]) -> Result<(), WireError> {
        match body {
            Body::MessageAppended(_) => Ok(()),
            Body::MessagesReceived(received) => {
                self.delivery.messages_received(user, &received, origin)
            }
            Body::Typing(typing) => self.delivery.typing(user, &typing),
            Body::SessionMoved(moved) => {
                self.delivery.session_moved(user, &moved);
                Ok(())
            }
            Body::CallNotice(notice) => self.calls.notice(user, notice),
            Body::CallSignals(signals) => self.calls.signals(user, signals),
            Body::DeviceGone(v1::DeviceGone {}) => {
                self.calls.device_gone(user);
                Ok(())
            }
            Body::PresenceChanged(changed) => self.presence.changed(user, changed),
            Body::SocketsTold(told) => {
                self.headcount.told(user, &told);
                Ok(())
            }
            Body::Notify(notify) => self.delivery.notify(user, &notify),
            Body::Locate(locate) => {
                let conversation = ConversationId::from_wire(&locate.conversation_id)?;
                self.delivery.note_standing(user, conversation);
                Ok(())
            }
        }
    }
}

/// Names a kind of envelope in spans.
const fn name(body: &Body) -> &'static str {
    match body {
        Body::MessageAppended(_) => "message",
        Body::MessagesReceived(_) => "receipt",
        Body::Typing(_) => "typing",
        Body::SessionMoved(_) => "session_moved",
        Body::Locate(_) => "locate",
        Body::CallNotice(_) => "call_notice",
        Body::CallSignals(_) => "call_signals",
        Body::DeviceGone(_) => "device_gone",
        Body::PresenceChanged(_) => "presence",
        Body::SocketsTold(_) => "sockets_told",
        Body::Notify(_) => "notify",
    }
}

impl Delivery {
    fn message_appended(
        self: &Arc<Self>,
        user: &UserKey,
        appended: v1::MessageAppended,
        epoch: u64,
        (origin, traceparent, span): (&[u8], &str, Span),
    ) -> Result<(), WireError> {
        let conversation = appended
            .conversation
            .ok_or(WireError::Field("conversation"))?;
        let conversation = Conversation::try_from(conversation)?;
        let message = appended.message.ok_or(WireError::Field("message"))?;
        let message = Message::try_from(message)?;
        if message.conversation != conversation.id || conversation.app != user.app {
            return Err(WireError::Field("conversation"));
        }
        if conversation.participant(&user.user).is_none() {
            return Err(WireError::Field("targets"));
        }
        let take = || {
            tracing::debug!(conversation.id = %conversation.id, seq = message.seq.0, "fanning out");
            let origin = self.own_origin(origin);
            self.take(&conversation, &message, epoch, (origin, None, span));
        };
        match traceparent.parse::<TraceParent>() {
            Ok(trace) => traced!(trace, "fanout").in_scope(take),
            Err(_) => take(),
        }
        Ok(())
    }

    fn messages_received(
        &self,
        user: &UserKey,
        received: &v1::MessagesReceived,
        origin: &[u8],
    ) -> Result<(), WireError> {
        let receipt = received.receipt();
        let conversation = ConversationId::from_wire(&received.conversation_id)?;
        let ids: Result<Vec<MessageId>, WireError> = received
            .message_ids
            .iter()
            .map(|id| MessageId::from_wire(id))
            .collect();
        let ids = ids?;
        let reader = UserId::new(&received.user_id)?;
        let at = Timestamp(received.at_ms);
        match receipt {
            v1::ReceiptKind::Read => {
                let marker = self.own_origin(origin);
                let read = Fact::Read {
                    conversation,
                    ids: &ids,
                    reader: &reader,
                    at,
                };
                self.tell(
                    user,
                    |terms| wire::frames(terms, &read),
                    Class::Message,
                    |socket| {
                        socket.session().is_joined(conversation) && marker != Some(socket.number())
                    },
                );
            }
            v1::ReceiptKind::Delivered if user.user != reader => {
                let delivered = Fact::Delivered {
                    conversation,
                    ids: &ids,
                    sender: &user.user,
                    reader: &reader,
                    at,
                };
                self.tell(
                    user,
                    |terms| wire::frames(terms, &delivered),
                    Class::Message,
                    |socket| socket.session().hears(conversation),
                );
            }
            v1::ReceiptKind::Delivered | v1::ReceiptKind::Unspecified => {}
        }
        Ok(())
    }

    fn typing(&self, user: &UserKey, typing: &v1::Typing) -> Result<(), WireError> {
        let conversation = ConversationId::from_wire(&typing.conversation_id)?;
        let typist = UserId::new(&typing.user_id)?;
        let role = Role::parse(&typing.role)?;
        let typing = Fact::Typing {
            conversation,
            user: &typist,
            role,
            active: typing.active,
        };
        self.tell(
            user,
            |terms| wire::frames(terms, &typing),
            Class::Ephemeral,
            |socket| socket.session().is_joined(conversation),
        );
        Ok(())
    }

    /// Passes on what another service says. The store has checked it; a name that would end a packet
    /// is refused here, too.
    fn notify(&self, user: &UserKey, notify: &v1::Notify) -> Result<(), WireError> {
        if dialects::is_taken(&notify.event) || notify.event.contains(['"', '\\']) {
            return Err(WireError::Field("event"));
        }
        let _: serde::de::IgnoredAny =
            serde_json::from_str(&notify.data).map_err(|_| WireError::Field("data"))?;
        let frame = |terms: Terms| vec![wire::custom(terms.dialect, &notify.event, &notify.data)];
        self.tell(user, frame, Class::Message, |_| true);
        Ok(())
    }

    /// Closes connections whose client has a newer one.
    fn session_moved(&self, user: &UserKey, moved: &v1::SessionMoved) {
        for socket in self.registry.sockets(user).iter() {
            let session = socket.session();
            if session.is_superseded(&moved.session, Timestamp(moved.at_ms)) {
                socket.close_transport(Reason::Superseded);
            }
        }
    }

    /// Queues what is encoded once for some of a user's sockets.
    fn tell(
        &self,
        user: &UserKey,
        encode: impl FnOnce(Terms) -> Vec<Frame>,
        class: Class,
        hears: impl Fn(&ChatSocket) -> bool,
    ) {
        let sockets = self.registry.sockets(user);
        let Some(first) = sockets.first() else {
            return;
        };
        let frames = encode(first.session().terms());
        for socket in sockets.iter().filter(|socket| hears(socket)) {
            for frame in &frames {
                wire::send(socket, frame, class);
            }
        }
    }
}
