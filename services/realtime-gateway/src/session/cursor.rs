//! How a client that comes back proves where it stood: two signed texts that it keeps for us.
//!
//! The *pid* names the session and lists where its user's conversations stood when it began; the
//! client gets it with the answer to CONNECT. The *offset* goes with every event and holds what has
//! changed since. Both are of use to the same user of the same app alone, at any replica, and say
//! nothing of messages. Nothing is stored here: whoever has both can be served by a gateway that
//! never heard of the session. Whether the user may still see the conversations is asked elsewhere.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Buf, BufMut};
use chat_domain::{AppId, ConversationId, Seq, Timestamp, UserId};
use prost::encoding::{decode_varint, encode_varint};
use uuid::Uuid;

use super::{Place, Places, Room};
use crate::transport::{SocketId, random};

/// How many conversations a beginning lists.
pub const MAX_LISTED: usize = 64;
/// The most bytes of an offset before it is signed and encoded. A session that needs more can no
/// longer be recovered.
const MAX_OFFSET: usize = 768;
/// The longest text that is looked at.
const MAX_TEXT: usize = 4_096;
/// The offset of a session that can no longer be recovered.
const NONE: &str = "-";
/// The version of both.
const VERSION: u8 = 1;
/// Bytes of a MAC that are kept: enough where each guess costs a request.
const MAC_LEN: usize = 12;

/// Signs and reads pids and offsets. All replicas of a deployment have the same key.
pub struct RecoveryKey {
    key: hmac::Key,
    window: Duration,
}

/// The app and user of a session.
pub(crate) type Owner<'a> = (&'a AppId, &'a UserId);

/// What names a session: random, and told to clients only within a pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTag([u8; 12]);

/// What a pid says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The session.
    pub tag: SessionTag,
    /// When it began.
    pub at: Timestamp,
    /// The generation of the places.
    pub epoch: u64,
    /// Up to when everything in the conversations that are not listed was known; `None` when each of
    /// them began after the session.
    pub since: Option<Timestamp>,
    /// Where conversations stood, at most [`MAX_LISTED`].
    pub listed: Vec<(ConversationId, Seq)>,
}

/// What a client that comes back has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The session's beginning.
    pub beginning: Beginning,
    /// When the last event was queued that the client has.
    pub at: Timestamp,
    /// Where it stood then.
    pub places: Vec<Place>,
}

/// Why a claim is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClaim {
    /// It was not made here, not for this user, or is not whole.
    #[error("not one of ours")]
    Forged,
    /// It is too old.
    #[error("too old")]
    Expired,
    /// The session went beyond what an offset can hold.
    #[error("given up")]
    GivenUp,
}

/// What is signed.
#[derive(Clone, Copy)]
enum Kind {
    Pid = 1,
    Offset = 2,
    SocketId = 3,
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryKey").finish_non_exhaustive()
    }
}

impl SessionTag {
    /// Draws one.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }

    /// Returns its bytes, which only gateways may see.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl RecoveryKey {
    /// Derives the key from the secret of the deployment. A session can be recovered for `window`
    /// after its last event.
    #[must_use]
    pub fn new(deployment_key: &[u8], window: Duration) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, deployment_key);
        let derived = hmac::sign(&root, b"session recovery 1");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
            window,
        }
    }

    /// Draws a key for this process alone: other replicas will recover none of its sessions.
    #[must_use]
    pub fn generate(window: Duration) -> Self {
        Self::new(&random::<32>(), window)
    }

    /// Returns the `socket.id` of a session, the same each time it is recovered.
    #[must_use]
    pub fn socket_id(&self, owner: Owner<'_>, tag: SessionTag) -> SocketId {
        let mac = self.sign(Kind::SocketId, owner, tag, &[]);
        let mut id = [0; 15];
        copy(&mut id, mac.as_ref());
        SocketId::new(id)
    }

    /// Returns the pid of a session.
    #[must_use]
    pub fn pid(&self, owner: Owner<'_>, beginning: &Beginning) -> String {
        let mut body = Vec::with_capacity(64 + beginning.listed.len() * 19);
        body.put_u8(VERSION);
        body.put_slice(&beginning.tag.0);
        put_time(&mut body, beginning.at);
        encode_varint(beginning.epoch, &mut body);
        let since = beginning.since.map_or(0, |since| since.0.max(0) + 1);
        encode_varint(since.unsigned_abs(), &mut body);
        for (conversation, seq) in beginning.listed.iter().take(MAX_LISTED) {
            body.put_slice(conversation.0.as_bytes());
            encode_varint(seq.0, &mut body);
        }
        self.seal(Kind::Pid, owner, beginning.tag, body)
    }

    /// Returns the offset of an event that is queued at `now`.
    #[must_use]
    pub fn offset(
        &self,
        owner: Owner<'_>,
        tag: SessionTag,
        places: &Places,
        now: Timestamp,
    ) -> String {
        let Some(changes) = places.changes() else {
            return NONE.to_owned();
        };
        let mut body = Vec::with_capacity(48);
        body.put_u8(VERSION);
        put_time(&mut body, now);
        for place in changes {
            put_place(&mut body, place);
            if MAX_OFFSET < body.len() {
                return NONE.to_owned();
            }
        }
        self.seal(Kind::Offset, owner, tag, body)
    }

    /// Reads what a client of `owner` brings: its pid, and the offset of the last event it has.
    ///
    /// # Errors
    ///
    /// Returns [`BadClaim`]; the client gets a session of its own then.
    pub fn open(
        &self,
        owner: Owner<'_>,
        pid: &str,
        offset: Option<&str>,
        now: Timestamp,
    ) -> Result<Claim, BadClaim> {
        let beginning = self.open_pid(owner, pid).ok_or(BadClaim::Forged)?;
        let listed = beginning.listed.iter().zip(0..);
        let mut places: Vec<Place> = listed
            .map(|((conversation, seq), index)| Place::listed(*conversation, *seq, index))
            .collect();
        let mut at = beginning.at;
        if let Some(offset) = offset {
            if offset == NONE {
                return Err(BadClaim::GivenUp);
            }
            at = self
                .open_offset(owner, beginning.tag, offset, &mut places)
                .ok_or(BadClaim::Forged)?;
        }
        let age = now.0.saturating_sub(at.0);
        if self.window.as_millis() < u128::try_from(age).unwrap_or_default() {
            return Err(BadClaim::Expired);
        }
        Ok(Claim {
            beginning,
            at,
            places,
        })
    }

    fn open_pid(&self, owner: Owner<'_>, pid: &str) -> Option<Beginning> {
        let bytes = decode(pid)?;
        let tag = SessionTag(bytes.get(1..13)?.try_into().ok()?);
        let mut body = self.verify(Kind::Pid, owner, tag, &bytes)?;
        body.advance(13);
        let at = get_time(&mut body)?;
        let epoch = decode_varint(&mut body).ok()?;
        let since = i64::try_from(decode_varint(&mut body).ok()?).ok()?;
        let mut listed = Vec::new();
        while !body.is_empty() {
            let conversation = get_id(&mut body)?;
            let seq = Seq(decode_varint(&mut body).ok()?);
            listed.push((conversation, seq));
        }
        Some(Beginning {
            tag,
            at,
            epoch,
            since: (0 < since).then(|| Timestamp(since - 1)),
            listed,
        })
    }

    /// Changes `places`, which are those of the beginning, and returns when that was so.
    fn open_offset(
        &self,
        owner: Owner<'_>,
        tag: SessionTag,
        offset: &str,
        places: &mut Vec<Place>,
    ) -> Option<Timestamp> {
        let bytes = decode(offset)?;
        let mut body = self.verify(Kind::Offset, owner, tag, &bytes)?;
        body.advance(1);
        let at = get_time(&mut body)?;
        while !body.is_empty() {
            get_place(&mut body, places)?;
        }
        Some(at)
    }

    /// Signs `body` and encodes both.
    fn seal(&self, kind: Kind, owner: Owner<'_>, tag: SessionTag, mut body: Vec<u8>) -> String {
        let mac = self.sign(kind, owner, tag, &body);
        body.extend(mac.as_ref().iter().take(MAC_LEN));
        URL_SAFE_NO_PAD.encode(body)
    }

    /// Returns the body of `bytes` if its MAC and version are right.
    fn verify<'a>(
        &self,
        kind: Kind,
        owner: Owner<'_>,
        tag: SessionTag,
        bytes: &'a [u8],
    ) -> Option<&'a [u8]> {
        let (body, mac) = bytes.split_last_chunk::<MAC_LEN>()?;
        let tag_of_body = self.sign(kind, owner, tag, body);
        let expected = tag_of_body.as_ref().get(..MAC_LEN)?;
        constant_time::verify_slices_are_equal(mac, expected).ok()?;
        (body.first() == Some(&VERSION)).then_some(body)
    }

    fn sign(&self, kind: Kind, owner: Owner<'_>, tag: SessionTag, body: &[u8]) -> hmac::Tag {
        let (app, user) = owner;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind as u8]);
        // Neither holds a NUL.
        context.update(app.as_str().as_bytes());
        context.update(&[0]);
        context.update(user.as_str().as_bytes());
        context.update(&[0]);
        context.update(&tag.0);
        context.update(body);
        context.sign()
    }
}

/// Writes a place: a listed one in two or three bytes, another with its conversation.
fn put_place(body: &mut Vec<u8>, place: &Place) {
    let room = match place.room {
        Room::Heard => 0,
        Room::Joined => 1,
        Room::Left => 2,
    };
    let listed = place.listed.map_or(0, |index| u64::from(index) + 1);
    encode_varint(listed << 2 | room, body);
    if listed == 0 {
        body.put_slice(place.conversation.0.as_bytes());
    }
    let after = place.after().map_or(0, |seq| seq.0 + 1);
    encode_varint(after, body);
}

/// Reads a place into `places`, which begin with those that are listed.
fn get_place(body: &mut &[u8], places: &mut Vec<Place>) -> Option<()> {
    let key = decode_varint(body).ok()?;
    let room = match key & 3 {
        0 => Room::Heard,
        1 => Room::Joined,
        2 => Room::Left,
        _ => return None,
    };
    let place = match key >> 2 {
        0 => {
            let conversation = get_id(body)?;
            places.push(Place::new(conversation, None));
            places.last_mut()?
        }
        listed => places.get_mut(usize::try_from(listed - 1).ok()?)?,
    };
    let after = decode_varint(body).ok()?.checked_sub(1).map(Seq);
    *place = place.moved(after).in_room(room);
    Some(())
}

/// Writes a time in whole seconds.
fn put_time(body: &mut Vec<u8>, at: Timestamp) {
    let seconds = u32::try_from(at.0.div_euclid(1_000)).unwrap_or_default();
    body.put_u32(seconds);
}

fn get_time(body: &mut &[u8]) -> Option<Timestamp> {
    let seconds = body.try_get_u32().ok()?;
    Some(Timestamp(i64::from(seconds) * 1_000))
}

fn get_id(body: &mut &[u8]) -> Option<ConversationId> {
    let (id, rest) = body.split_first_chunk::<16>()?;
    *body = rest;
    Some(ConversationId(Uuid::from_bytes(*id)))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    (text.len() <= MAX_TEXT)
        .then(|| URL_SAFE_NO_PAD.decode(text).ok())
        .flatten()
}

fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests;
