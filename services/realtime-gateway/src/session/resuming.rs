//! Where a session begins, and where it goes on.
//!
//! Sans-IO: what a store knows of a user's conversations in, places out.

use std::collections::HashMap;

use chat_domain::{ConversationId, Seq, Timestamp};

use super::{Beginning, Claim, MAX_LISTED, Place, Places, Room, SessionTag};
use crate::store::{Opened, Resumed, Stood};

/// How much earlier than a client's last event its receipts are looked for: clocks differ.
const MARGIN_MS: i64 = 60_000;
/// How old the newest message of a conversation must be that is not listed: by then every message
/// made before it is there to be seen.
const SETTLED_MS: i64 = 60_000;

/// Describes the beginning of a session with such conversations; `None` when nothing can be said of
/// those that it would not list.
#[must_use]
pub fn beginning(opened: &Opened, now: Timestamp) -> Option<Beginning> {
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

/// Returns the places of a session that begins so, and that hears as much of each from the beginning.
#[must_use]
pub fn first_places(opened: &Opened, room: Room) -> Places {
    let places = opened.heads.iter().enumerate().map(|(index, (id, last))| {
        let listed = u8::try_from(index).ok().filter(|_| index < MAX_LISTED);
        match listed {
            Some(index) => Place::listed(*id, *last, index),
            None => Place::implied(*id, *last),
        }
    });
    Places::new(opened.epoch, opened.complete, places).in_room(room)
}

impl Claim {
    /// Says what the session heard of each conversation from the beginning.
    #[must_use]
    pub fn in_room(mut self, room: Room) -> Self {
        for place in self.places.iter_mut().filter(|place| place.is_first()) {
            *place = place.in_room(room);
        }
        self
    }

    /// Says what the store has to know of it.
    #[must_use]
    pub fn stood(&self) -> Stood {
        let places = self.places.iter();
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
            others_since: self.beginning.since,
            epoch: self.beginning.epoch,
            joined: joined.collect(),
            receipts_since: Timestamp(self.at.0 - MARGIN_MS),
        }
    }

    /// Returns the places of a session that goes on: where it stood, behind in what it missed. Of
    /// conversations that are new it hears as much as `room` says.
    #[must_use]
    pub fn places(&self, resumed: &Resumed, room: Room) -> Places {
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
        for place in &self.places {
            let place = match (place.room, place.after()) {
                (Room::Heard | Room::Joined, Some(_)) => *place,
                (Room::Left, _) => place.passed(last.get(&place.conversation).copied()),
                (Room::Heard | Room::Joined, None) => place.moved(stands(&place.conversation)),
            };
            all.insert(place.conversation, place);
        }
        let places = Places::new(opened.epoch, opened.complete, all.into_values());
        let mut places = places.in_room(room);
        for (conversation, _after, last) in &resumed.stands {
            places.observe(*conversation, opened.epoch, *last);
        }
        places
    }
}
