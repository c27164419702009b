//! Where one socket stands in the conversations of its user: up to which message everything was
//! queued for it, and its rooms.
//!
//! A message is queued when it is the next one. When it is not, or when the client reads too
//! slowly for it, the socket is *behind* there: nothing more of that conversation is queued but what
//! is fetched from the store, until it has caught up. So a replay after a reconnect, the refill of a
//! slow client and a message lost on the way are one and the same.
//!
//! Sans-IO. Not here: who is told what (`delivery`), and how a client proves where it stood
//! ([`cursor`](super::cursor)).

mod place;

use chat_domain::{ChatError, ConversationId, Seq};
use smallvec::SmallVec;

use place::UNKNOWN;
pub use place::{Place, Room};

use crate::{journal::Standing, transport::Sent};

/// How many rooms a socket may be in or have left.
const MAX_ROOMS: usize = 1_000;

/// The places of one socket. Takes no memory of its own before the second conversation.
#[derive(Debug, Default)]
pub struct Places {
    /// Sorted by conversation.
    known: SmallVec<[Place; 1]>,
    /// The generation of the numbers; 0 until one was heard of.
    epoch: u64,
    /// Whether every other conversation began after the session: all of it is news.
    complete: bool,
    /// The numbers that the session began with mean nothing any more.
    is_outdated: bool,
    /// What the socket hears of a conversation unless it joined or left.
    initial: Room,
    /// There while somebody fetches for the socket.
    behind: Option<Box<SmallVec<[Missing; 1]>>>,
}

/// A conversation in which the socket is behind.
#[derive(Debug, Clone, Copy)]
struct Missing {
    conversation: ConversationId,
    /// The highest place known to be taken.
    known: Seq,
}

/// What became of a message that is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits for the client.
    Queued,
    /// The socket needs it no more: it was queued before, or the socket left.
    Unneeded,
    /// The socket is behind. With `first` it was not before: somebody has to fetch for it.
    Behind {
        /// It was not before.
        first: bool,
    },
    /// The socket is gone.
    Closed,
    /// Where the socket stood means nothing any more: it has to begin anew.
    Lost,
}

impl Places {
    /// Makes those of a socket that begins at `places`. With `complete`, every other conversation
    /// began later.
    #[must_use]
    pub fn new(epoch: u64, complete: bool, places: impl IntoIterator<Item = Place>) -> Self {
        let mut known: SmallVec<[Place; 1]> = places.into_iter().collect();
        known.sort_unstable_by_key(|place| place.conversation);
        known.dedup_by_key(|place| place.conversation);
        Self {
            known,
            epoch,
            complete,
            is_outdated: false,
            initial: Room::default(),
            behind: None,
        }
    }

    /// Changes what is heard of conversations that were neither joined nor left: of those that are
    /// known already, too.
    #[must_use]
    pub fn in_room(mut self, room: Room) -> Self {
        for place in &mut self.known {
            if place.room == self.initial {
                place.room = room;
            }
        }
        self.initial = room;
        self
    }

    /// Tells whether messages of the conversation are for the socket: unless it left.
    #[must_use]
    pub fn hears(&self, conversation: ConversationId) -> bool {
        self.room(conversation) != Room::Left
    }

    /// Tells whether it also gets typing and read events.
    #[must_use]
    pub fn is_joined(&self, conversation: ConversationId) -> bool {
        self.room(conversation) == Room::Joined
    }

    /// Says up to which message of a conversation everything was queued, if that is known, and how it
    /// goes on from there.
    #[must_use]
    pub fn standing(&self, conversation: ConversationId) -> (Option<Seq>, Standing) {
        let after = match self.find(conversation) {
            Some(place) => place.after(),
            None => self.complete.then_some(Seq(0)),
        };
        let standing = if !self.hears(conversation) {
            Standing::Outside
        } else if after.is_none() {
            Standing::Unknown
        } else if self.is_behind_in(conversation) {
            Standing::Behind
        } else {
            Standing::Known
        };
        (after, standing)
    }

    /// Enters a room.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::TooLarge`] when the socket is in too many or left too many.
    pub fn join(&mut self, conversation: ConversationId) -> Result<(), ChatError> {
        self.set(conversation, Room::Joined)
    }

    /// Leaves a room, and what was missing there.
    ///
    /// # Errors
    ///
    /// As [`Places::join`].
    pub fn leave(&mut self, conversation: ConversationId) -> Result<(), ChatError> {
        self.set(conversation, Room::Left)?;
        self.give_up(conversation);
        Ok(())
    }

    /// Takes a message of a conversation, which comes after all those before it that this gateway
    /// knows of. If it is the next one, `queue` is to queue it.
    pub fn offer(
        &mut self,
        conversation: ConversationId,
        (epoch, seq): (u64, Seq),
        queue: impl FnOnce(&Self) -> Sent,
    ) -> Offered {
        if !self.enter_epoch(epoch) {
            return self.lost(epoch);
        }
        let place = self.enter(conversation);
        if place.room == Room::Left {
            place.after = if place.after == UNKNOWN {
                seq
            } else {
                place.after.max(seq)
            };
            return Offered::Unneeded;
        }
        match place.after {
            UNKNOWN => self.queue(conversation, seq, queue),
            after if seq <= after => Offered::Unneeded,
            after if seq == after.next() => self.queue(conversation, seq, queue),
            _ => self.defer(conversation, seq),
        }
    }

    /// Takes a message that was fetched from behind [`Places::missing`]. The store is the authority:
    /// what it leaves out does not exist.
    pub fn fill(
        &mut self,
        conversation: ConversationId,
        (epoch, seq): (u64, Seq),
        queue: impl FnOnce(&Self) -> Sent,
    ) -> Offered {
        if !self.enter_epoch(epoch) {
            return self.lost(epoch);
        }
        let place = self.enter(conversation);
        if place.room == Room::Left || (place.after != UNKNOWN && seq <= place.after) {
            return Offered::Unneeded;
        }
        self.queue(conversation, seq, queue)
    }

    /// Learns that places up to `head` are taken. Returns true when the socket is behind now and was
    /// not before.
    pub fn observe(&mut self, conversation: ConversationId, epoch: u64, head: Seq) -> bool {
        if !self.enter_epoch(epoch) {
            return false;
        }
        let is_news = self.complete || self.find(conversation).is_some();
        if !is_news {
            return false;
        }
        let place = self.enter(conversation);
        if place.room == Room::Left {
            place.after = place.after.max(head);
            return false;
        }
        let is_behind = place.after < head;
        is_behind && self.defer(conversation, head) == Offered::Behind { first: true }
    }

    /// Returns a conversation in which the socket is behind, and the place behind which to fetch;
    /// `None` ends the fetching, until somebody is told to begin again.
    pub fn missing(&mut self) -> Option<(ConversationId, Seq)> {
        let next = self.behind.as_ref()?.first().map(|one| one.conversation);
        let Some(conversation) = next else {
            self.behind = None;
            return None;
        };
        Some((conversation, self.enter(conversation).after))
    }

    /// Tells whether anything is missing, or being fetched.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Tells whether the socket is behind in a conversation and has not got its message `seq`.
    #[must_use]
    pub fn awaits(&self, conversation: ConversationId, seq: Seq) -> bool {
        self.is_behind_in(conversation)
            && self
                .find(conversation)
                .is_some_and(|place| place.after < seq)
    }

    /// Lets go of everything that is missing in a conversation, at least up to `head`.
    pub fn skip(&mut self, conversation: ConversationId, head: Seq) {
        let place = self.enter(conversation);
        if place.after != UNKNOWN {
            place.after = place.after.max(head);
        }
        place.is_first = false;
        self.give_up(conversation);
    }

    /// Lets go of everything that is missing in a conversation.
    pub fn give_up(&mut self, conversation: ConversationId) {
        let Some(behind) = &mut self.behind else {
            return;
        };
        let index = behind
            .iter()
            .position(|one| one.conversation == conversation);
        let known = index.map(|index| behind.remove(index).known);
        let place = self.find_mut(conversation);
        if let (Some(known), Some(place)) = (known, place)
            && place.after < known
        {
            place.after = known;
            place.is_first = false;
        }
    }

    /// Returns the places that differ from the session's beginning; `None` when nothing that is said
    /// of it holds any more.
    #[must_use]
    pub fn changes(&self) -> Option<impl Iterator<Item = &Place>> {
        let changes = self.known.iter().filter(|place| !place.is_first);
        (!self.is_outdated).then_some(changes)
    }

    fn room(&self, conversation: ConversationId) -> Room {
        self.find(conversation)
            .map_or(self.initial, |place| place.room)
    }

    fn set(&mut self, conversation: ConversationId, room: Room) -> Result<(), ChatError> {
        let is_new = self.room(conversation) == self.initial;
        let in_rooms = self.known.iter().filter(|place| place.room != self.initial);
        if is_new && MAX_ROOMS <= in_rooms.count() {
            return Err(ChatError::TooLarge("the number of rooms"));
        }
        let place = self.enter(conversation);
        place.room = room;
        place.is_first = false;
        Ok(())
    }

    fn queue(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        queue: impl FnOnce(&Self) -> Sent,
    ) -> Offered {
        let place = self.enter(conversation);
        let before = *place;
        place.after = seq;
        place.is_first = false;
        match queue(self) {
            Sent::Queued => {
                self.catch_up(conversation, seq);
                Offered::Queued
            }
            Sent::Full => {
                let after = if before.after == UNKNOWN {
                    Seq(seq.0.saturating_sub(1))
                } else {
                    before.after
                };
                *self.enter(conversation) = Place { after, ..before };
                self.defer(conversation, seq)
            }
            Sent::Dropped | Sent::Closed => {
                *self.enter(conversation) = before;
                Offered::Closed
            }
        }
    }

    fn defer(&mut self, conversation: ConversationId, known: Seq) -> Offered {
        let first = self.behind.is_none();
        let behind = self.behind.get_or_insert_default();
        match behind
            .iter_mut()
            .find(|one| one.conversation == conversation)
        {
            Some(missing) => missing.known = missing.known.max(known),
            None => behind.push(Missing {
                conversation,
                known,
            }),
        }
        Offered::Behind { first }
    }

    /// Notes that everything up to `seq` is queued.
    fn catch_up(&mut self, conversation: ConversationId, seq: Seq) {
        if let Some(behind) = &mut self.behind {
            behind.retain(|one| one.conversation != conversation || seq < one.known);
        }
    }

    fn is_behind_in(&self, conversation: ConversationId) -> bool {
        let mut behind = self.behind.iter().flat_map(|behind| behind.iter());
        behind.any(|one| one.conversation == conversation)
    }

    /// Enters the generation of what is at hand; false when that cannot be.
    fn enter_epoch(&mut self, epoch: u64) -> bool {
        if epoch <= self.epoch {
            return epoch == self.epoch;
        }
        if self
            .behind
            .as_ref()
            .is_some_and(|behind| !behind.is_empty())
        {
            return false;
        }
        self.is_outdated |= self.epoch != 0;
        if self.is_outdated {
            // The conversations' trackers know what is new; numbers say nothing.
            for place in &mut self.known {
                place.after = UNKNOWN;
            }
            self.complete = false;
        }
        self.epoch = epoch;
        true
    }

    const fn lost(&self, epoch: u64) -> Offered {
        if epoch < self.epoch {
            // Of a generation that is over.
            Offered::Unneeded
        } else {
            Offered::Lost
        }
    }

    fn find(&self, conversation: ConversationId) -> Option<&Place> {
        let index = self.index(conversation).ok()?;
        self.known.get(index)
    }

    fn find_mut(&mut self, conversation: ConversationId) -> Option<&mut Place> {
        let index = self.index(conversation).ok()?;
        self.known.get_mut(index)
    }

    fn index(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.known
            .binary_search_by_key(&conversation, |place| place.conversation)
    }

    /// Returns the place in a conversation, making one if there is none.
    fn enter(&mut self, conversation: ConversationId) -> &mut Place {
        let index = self.index(conversation).unwrap_or_else(|index| {
            let after = self.complete.then_some(Seq(0));
            let place = Place::new(conversation, after).in_room(self.initial);
            self.known.insert(index, place);
            index
        });
        #[expect(clippy::indexing_slicing, reason = "found or inserted")]
        &mut self.known[index]
    }
}

#[cfg(test)]
mod tests;
