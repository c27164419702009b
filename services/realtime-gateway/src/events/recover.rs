//! Clients that come back to a session: they show where they stood, and are sent what they missed.
//!
//! All or nothing: what cannot be told in full is a session of its own, whose client is told to
//! fetch. Not here: how a claim is proved ([`session::cursor`](crate::session)), and how what was
//! missed gets to the client ([`delivery`](crate::delivery)).

use std::collections::HashMap;

use chat_domain::{ChatError, ConversationId, ErrorKind, MessageId, Seq, Timestamp, User, UserId};
use chat_proto::{WireError, WireId as _, v1};
use dialects::{ServerEvent, consult};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::Chat;
use crate::{
    registry::UserKey,
    session::{BadClaim, Beginning, Claim, MAX_LISTED, Place, Places, Room, SessionTag},
    store::{Opened, Resumed, Stood},
};

/// How much earlier than a client's last event its receipts are looked for: clocks differ.
const MARGIN_MS: i64 = 60_000;
/// How old the newest message of a conversation must be that is not listed: by then every message
/// made before it is there to be seen.
const SETTLED_MS: i64 = 60_000;
/// The most messages that one event of receipts names.
const MAX_RECEIPTS: usize = 500;

/// A session that goes on.
pub(super) struct Recovered {
    pub(super) tag: SessionTag,
    pub(super) pid: String,
    pub(super) places: Places,
    pub(super) greeting: Vec<ServerEvent>,
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
        user: &User,
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
        let claim = self.parts.recovery.open(owner, &pid, offset, now)?;
        self.confirm_interest().await;
        let store = &self.parts.store;
        let resumed = store.resume_session(&key.app, user, &stood(&claim)).await?;
        self.parts.delivery.opened(key, &resumed.opened);
        Ok(Recovered {
            tag: claim.beginning.tag,
            pid,
            greeting: receipts(&resumed.receipts, &key.user)?,
            places: places(&claim, &resumed),
        })
    }
}

/// Describes the beginning of a session with such conversations; `None` when nothing can be said of
/// those that it would not list.
pub(super) fn beginning(opened: &Opened, now: Timestamp) -> Option<Beginning> {
    let is_all = opened.complete && opened.heads.len() <= MAX_LISTED;
    let since = if is_all {
        None
    } else {
        let newest = opened.changed_at.get(MAX_LISTED)?;
        let is_settled = 0 < newest.0 && newest.0 + SETTLED_MS <= now.0;
        Some(is_settled.then_some(*newest)?)
    };
    let listed = opened.heads.iter().take(MAX_LISTED).copied();
    Some(Beginning {
        tag: SessionTag::random(),
        at: now,
        epoch: opened.epoch,
        since,
        listed: listed.collect(),
    })
}

/// Returns the places of a session that begins so.
pub(super) fn first_places(opened: &Opened) -> Places {
    let places = opened.heads.iter().enumerate().map(|(index, (id, last))| {
        let listed = u8::try_from(index).ok().filter(|_| index < MAX_LISTED);
        match listed {
            Some(index) => Place::listed(*id, *last, index),
            None => Place::implied(*id, *last),
        }
    });
    Places::new(opened.epoch, opened.complete, places)
}

/// Says what the store has to know of a claim.
fn stood(claim: &Claim) -> Stood {
    let places = claim.places.iter();
    let named = places.clone().filter_map(|place| match place.room {
        // Nothing of it is missing.
        Room::Left => Some((place.conversation, Seq(u64::MAX))),
        Room::Heard | Room::Joined => Some((place.conversation, place.after()?)),
    });
    let joined = places
        .filter(|place| place.room == Room::Joined)
        .map(|place| place.conversation);
    Stood {
        named: named.collect(),
        others_since: claim.beginning.since,
        epoch: claim.beginning.epoch,
        joined: joined.collect(),
        receipts_since: Timestamp(claim.at.0 - MARGIN_MS),
    }
}

/// Returns the places of a session that goes on: where it stood, behind in what it missed.
fn places(claim: &Claim, resumed: &Resumed) -> Places {
    let opened = &resumed.opened;
    let mut last: HashMap<ConversationId, Seq> = opened.heads.iter().copied().collect();
    last.extend(resumed.stands.iter().map(|(id, _after, last)| (*id, *last)));
    let others = resumed
        .stands
        .iter()
        .filter(|(_id, after, _last)| *after != Seq(u64::MAX));
    let others: HashMap<ConversationId, Seq> =
        others.map(|(id, after, _last)| (*id, *after)).collect();
    let stands = |id: &ConversationId| others.get(id).or_else(|| last.get(id)).copied();

    let mut all: HashMap<ConversationId, Place> = opened
        .heads
        .iter()
        .map(|(id, _last)| *id)
        .chain(others.keys().copied())
        .filter_map(|id| Some((id, Place::implied(id, stands(&id)?))))
        .collect();
    for place in &claim.places {
        let place = match (place.room, place.after()) {
            (Room::Heard | Room::Joined, Some(_)) => *place,
            (Room::Left, _) => place.moved(last.get(&place.conversation).copied()),
            (Room::Heard | Room::Joined, None) => place.moved(stands(&place.conversation)),
        };
        all.insert(place.conversation, place);
    }
    let mut places = Places::new(opened.epoch, opened.complete, all.into_values());
    for (conversation, _after, last) in &resumed.stands {
        places.observe(*conversation, opened.epoch, *last);
    }
    places
}

/// Says what was received meanwhile, as if it had just been.
fn receipts(receipts: &[v1::MessagesReceived], me: &UserId) -> Result<Vec<ServerEvent>, ChatError> {
    let mut events = Vec::new();
    for received in receipts {
        let conversation = ConversationId::from_wire(&received.conversation_id)?;
        let by = UserId::new(&received.user_id)?;
        let ids = received.message_ids.iter();
        let ids = ids.map(|id| MessageId::from_wire(id));
        let ids: Vec<MessageId> = ids.collect::<Result<_, WireError>>()?;
        for ids in ids.chunks(MAX_RECEIPTS) {
            match received.receipt() {
                v1::ReceiptKind::Read => events.push(consult::messages_read(conversation, ids)),
                v1::ReceiptKind::Delivered if by != *me => {
                    let at = Timestamp(received.at_ms);
                    events.push(consult::message_delivered(conversation, ids, &by, at));
                }
                v1::ReceiptKind::Delivered | v1::ReceiptKind::Unspecified => {}
            }
        }
    }
    Ok(events)
}
