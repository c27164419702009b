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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn key() -> RecoveryKey {
        RecoveryKey::new(b"deployment", HOUR)
    }

    fn owner(app: &str, user: &str) -> Owner<'static> {
        let app = AppId::new(app).unwrap();
        let user = UserId::new(user).unwrap();
        (Box::leak(Box::new(app)), Box::leak(Box::new(user)))
    }

    fn conversation(n: usize) -> ConversationId {
        ConversationId(Uuid::from_u128(n as u128))
    }

    fn beginning(n_listed: usize) -> Beginning {
        Beginning {
            tag: SessionTag::random(),
            at: NOW,
            epoch: 3,
            since: None,
            listed: (0..n_listed).map(|n| (conversation(n), Seq(7))).collect(),
        }
    }

    /// Returns the places of a session that began so.
    fn places(beginning: &Beginning) -> Places {
        let listed = beginning.listed.iter().zip(0..);
        let listed = listed.map(|((id, seq), index)| Place::listed(*id, *seq, index));
        Places::new(beginning.epoch, true, listed)
    }

    fn queue(places: &mut Places, conversation: ConversationId, seq: u64) {
        let offered = places.offer(conversation, (3, Seq(seq)), |_| {
            crate::transport::Sent::Queued
        });
        assert_eq!(offered, crate::session::Offered::Queued);
    }

    #[test]
    fn a_client_without_events_stands_where_it_began() {
        let (owner, beginning) = (owner("a", "ann"), beginning(2));
        let pid = key().pid(owner, &beginning);

        let claim = key().open(owner, &pid, None, NOW).unwrap();

        assert_eq!(claim.beginning, beginning);
        let after: Vec<_> = claim.places.iter().map(Place::after).collect();
        assert_eq!(after, [Some(Seq(7)), Some(Seq(7))]);
    }

    #[test]
    fn what_changed_is_in_the_offset() {
        let (owner, beginning) = (owner("a", "ann"), beginning(2));
        let mut places = places(&beginning);
        queue(&mut places, conversation(1), 8);
        queue(&mut places, conversation(9), 1);
        places.join(conversation(0)).unwrap();
        places.leave(conversation(5)).unwrap();
        let pid = key().pid(owner, &beginning);
        let offset = key().offset(owner, beginning.tag, &places, NOW);

        let claim = key().open(owner, &pid, Some(&offset), NOW).unwrap();

        let mut stands: Vec<_> = claim
            .places
            .iter()
            .map(|place| {
                (
                    place.conversation,
                    place.after().map(|seq| seq.0),
                    place.room,
                )
            })
            .collect();
        stands.sort_by_key(|(id, ..)| *id);
        let expected = [
            (conversation(0), Some(7), Room::Joined),
            (conversation(1), Some(8), Room::Heard),
            (conversation(5), Some(0), Room::Left),
            (conversation(9), Some(1), Room::Heard),
        ];
        assert_eq!(stands, expected);
    }

    #[test]
    fn neither_is_of_use_to_anybody_else() {
        let (ann, beginning) = (owner("a", "ann"), beginning(1));
        let places = places(&beginning);
        let pid = key().pid(ann, &beginning);
        let offset = key().offset(ann, beginning.tag, &places, NOW);

        for other in [owner("a", "bob"), owner("b", "ann")] {
            let claim = key().open(other, &pid, Some(&offset), NOW);
            assert_eq!(claim, Err(BadClaim::Forged));
            // Nor with a pid of one's own.
            let own = key().pid(other, &beginning);
            let claim = key().open(other, &own, Some(&offset), NOW);
            assert_eq!(claim, Err(BadClaim::Forged));
        }
        let elsewhere = RecoveryKey::new(b"another deployment", HOUR);
        let claim = elsewhere.open(ann, &pid, None, NOW);
        assert_eq!(claim, Err(BadClaim::Forged));
    }

    #[test]
    fn an_offset_goes_with_its_own_pid() {
        let owner = owner("a", "ann");
        let (one, two) = (beginning(1), beginning(1));
        let offset = key().offset(owner, one.tag, &places(&one), NOW);
        let pid = key().pid(owner, &two);

        let claim = key().open(owner, &pid, Some(&offset), NOW);

        assert_eq!(claim, Err(BadClaim::Forged));
    }

    #[test]
    fn the_window_begins_with_the_last_event() {
        let (owner, beginning) = (owner("a", "ann"), beginning(1));
        let pid = key().pid(owner, &beginning);
        let later = |ms: i64| Timestamp(NOW.0 + ms);
        let (in_time, late) = (later(3_600_000), later(3_601_000));
        assert!(key().open(owner, &pid, None, in_time).is_ok());
        let claim = key().open(owner, &pid, None, late);
        assert_eq!(claim, Err(BadClaim::Expired));

        let offset = key().offset(owner, beginning.tag, &places(&beginning), in_time);

        assert!(key().open(owner, &pid, Some(&offset), late).is_ok());
    }

    #[test]
    fn a_patient_pays_little() {
        let (owner, beginning) = (owner("a", "ann"), beginning(1));
        let mut places = places(&beginning);
        places.join(conversation(0)).unwrap();
        queue(&mut places, conversation(0), 8);

        let offset = key().offset(owner, beginning.tag, &places, NOW);

        assert_eq!(offset.len(), 26);
    }

    #[test]
    fn a_session_that_grew_too_much_is_given_up() {
        let (owner, beginning) = (owner("a", "ann"), beginning(MAX_LISTED));
        let mut places = places(&beginning);
        for n in 0..200 {
            places.join(conversation(n)).unwrap();
        }
        let pid = key().pid(owner, &beginning);
        assert!(pid.len() < MAX_TEXT);

        let offset = key().offset(owner, beginning.tag, &places, NOW);

        let claim = key().open(owner, &pid, Some(&offset), NOW);
        assert_eq!(claim, Err(BadClaim::GivenUp));
    }

    #[test]
    fn the_socket_id_is_the_sessions() {
        let (owner, tag) = (owner("a", "ann"), SessionTag::random());

        let id = key().socket_id(owner, tag);

        assert_eq!(id, key().socket_id(owner, tag));
        assert_ne!(id, key().socket_id(owner, SessionTag::random()));
    }

    #[test]
    fn no_character_can_be_changed_nor_left_out() {
        let (owner, beginning) = (owner("a", "ann"), beginning(2));
        let mut places = places(&beginning);
        queue(&mut places, conversation(1), 8);
        let pid = key().pid(owner, &beginning);
        let offset = key().offset(owner, beginning.tag, &places, NOW);
        let forgeries = |text: &str| {
            let swapped = (0..text.len()).map(|at| {
                let other = if text.as_bytes()[at] == b'A' {
                    "B"
                } else {
                    "A"
                };
                let mut forged = text.to_owned();
                forged.replace_range(at..=at, other);
                forged
            });
            let cut = (0..text.len()).map(|at| text[..at].to_owned());
            swapped.chain(cut).collect::<Vec<_>>()
        };

        for forged in forgeries(&pid) {
            assert!(key().open(owner, &forged, None, NOW).is_err(), "{forged}");
        }
        for forged in forgeries(&offset) {
            let claim = key().open(owner, &pid, Some(&forged), NOW);
            assert!(claim.is_err(), "{forged}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_borne(pid in "\\PC{0,80}", offset in "[A-Za-z0-9_-]{0,120}") {
            let owner = owner("a", "ann");
            let own = key().pid(owner, &beginning(3));

            prop_assert!(key().open(owner, &pid, Some(&offset), NOW).is_err());
            prop_assert!(key().open(owner, &own, Some(&offset), NOW).is_err());
        }

        #[test]
        fn what_is_written_is_read(
            listed in prop::collection::vec(any::<u32>(), 0..64),
            since in prop::option::of(0_i64..4_000_000_000_000),
            steps in prop::collection::vec((0_usize..80, 0_u8..3, any::<u32>()), 0..30),
        ) {
            let owner = owner("a", "ann");
            let listed = listed.into_iter().enumerate();
            let beginning = Beginning {
                since: since.map(Timestamp),
                listed: listed.map(|(n, seq)| (conversation(n), Seq(seq.into()))).collect(),
                ..beginning(0)
            };
            let mut places = places(&beginning);
            for (n, step, seq) in steps {
                let id = conversation(n);
                match step {
                    0 => places.join(id).unwrap(),
                    1 => places.leave(id).unwrap(),
                    _ => {
                        let _ = places.fill(id, (3, Seq(seq.into())), |_| crate::transport::Sent::Queued);
                    }
                }
            }
            let pid = key().pid(owner, &beginning);
            let offset = key().offset(owner, beginning.tag, &places, NOW);

            let claim = key().open(owner, &pid, Some(&offset), NOW).unwrap();

            prop_assert_eq!(&claim.beginning, &beginning);
            let before = places.changes().unwrap().copied();
            let read = Places::new(3, true, claim.places);
            let after = read.changes().unwrap().copied();
            prop_assert_eq!(before.collect::<Vec<_>>(), after.collect::<Vec<_>>());
        }
    }
}
