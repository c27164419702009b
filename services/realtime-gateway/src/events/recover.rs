//! Clients that come back to a session: they show where they stood, and are sent what they missed.
//!
//! All or nothing: what cannot be told in full is a session of its own, whose client is told to
//! fetch. Not here: how a claim is proved ([`session`](crate::session)), and how what was
//! missed gets to the client ([`delivery`](crate::delivery)).

use chat_domain::{ChatError, ConversationId, ErrorKind, MessageId, Timestamp, UserId};
use chat_proto::{WireError, WireId as _, v1};
use dialects::{Fact, Terms};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use service_kit::auth::Principal;
use socketio_protocol::Frame;

use super::Chat;
use crate::{
    registry::UserKey,
    session::{self, BadClaim, Places, Room, SessionTag},
    wire,
};

/// The most messages that one event of receipts names.
const MAX_RECEIPTS: usize = 500;

/// A session that goes on.
pub(super) struct Recovered {
    pub(super) tag: SessionTag,
    pub(super) pid: String,
    pub(super) places: Places,
    pub(super) greeting: Vec<Frame>,
}

/// What the library adds to what a client connects with.
#[derive(Deserialize)]
pub(super) struct Claimed {
    pid: Option<Value>,
    offset: Option<Value>,
}

impl Claimed {
    /// Reads what a client connects with; `None` for one that does not come back.
    pub(super) fn read(auth: Option<&RawValue>) -> Option<Self> {
        let claimed: Self = serde_json::from_str(auth?.get()).ok()?;
        claimed.pid.is_some().then_some(claimed)
    }
}

/// Why a client gets a session of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRecovered {
    #[error("the claim is not good")]
    Claim(#[from] BadClaim),
    #[error("what was missed cannot be told")]
    Store(#[from] ChatError),
}

impl NotRecovered {
    /// Returns the name of the outcome in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Claim(BadClaim::Forged) => "forged",
            Self::Claim(BadClaim::Expired) => "expired",
            Self::Claim(BadClaim::GivenUp) => "given_up",
            Self::Store(error) => match error.kind() {
                ErrorKind::TooLarge => "too_much",
                ErrorKind::Unavailable => "unavailable",
                ErrorKind::Invalid
                | ErrorKind::Unauthenticated
                | ErrorKind::Unauthorized
                | ErrorKind::NotFound
                | ErrorKind::Conflict
                | ErrorKind::RateLimited
                | ErrorKind::Internal => "refused",
            },
        }
    }
}

impl Chat {
    /// Continues the session that a client claims.
    pub(super) async fn recover(
        &self,
        key: &UserKey,
        principal: &Principal,
        claimed: Claimed,
    ) -> Result<Recovered, NotRecovered> {
        let (Some(Value::String(pid)), offset) = (claimed.pid, claimed.offset) else {
            return Err(BadClaim::Forged.into());
        };
        let offset = match &offset {
            None => None,
            Some(Value::String(offset)) => Some(offset.as_str()),
            Some(_) => return Err(BadClaim::Forged.into()),
        };
        let owner = (&key.app, &key.user);
        let now = service_kit::now();
        let room = Room::initial(principal.app.dialect);
        let claim = self.parts.recovery.open(owner, &pid, offset, now)?;
        let claim = claim.in_room(room);
        self.confirm_interest().await;
        let store = &self.parts.store;
        let stood = claim.stood();
        let resumed = store.resume_session(&key.app, &principal.user, &stood);
        let resumed = resumed.await?;
        self.parts.delivery.opened(key, &resumed.opened);
        Ok(Recovered {
            tag: claim.beginning.tag,
            pid,
            greeting: receipts(session::terms(&principal.app), &resumed.receipts, &key.user)?,
            places: claim.places(&resumed, room),
        })
    }
}

/// Says what was received meanwhile, as if it had just been.
fn receipts(
    terms: Terms,
    receipts: &[v1::MessagesReceived],
    me: &UserId,
) -> Result<Vec<Frame>, ChatError> {
    let mut frames = Vec::new();
    for received in receipts {
        let conversation = ConversationId::from_wire(&received.conversation_id)?;
        let reader = UserId::new(&received.user_id)?;
        let at = Timestamp(received.at_ms);
        let ids = received.message_ids.iter();
        let ids = ids.map(|id| MessageId::from_wire(id));
        let ids: Vec<MessageId> = ids.collect::<Result<_, WireError>>()?;
        for ids in ids.chunks(MAX_RECEIPTS) {
            let fact = match received.receipt() {
                v1::ReceiptKind::Read => Fact::Read {
                    conversation,
                    ids,
                    reader: &reader,
                    at,
                },
                v1::ReceiptKind::Delivered if reader != *me => Fact::Delivered {
                    conversation,
                    ids,
                    sender: me,
                    reader: &reader,
                    at,
                },
                v1::ReceiptKind::Delivered | v1::ReceiptKind::Unspecified => continue,
            };
            frames.extend(wire::frames(terms, &fact));
        }
    }
    Ok(frames)
}
