//! The rooms of one socket: those it joined and those it left.
//!
//! Of any other conversation of its user a socket hears the messages, and nothing else.

use chat_domain::{ChatError, ConversationId};
use smallvec::SmallVec;

/// How many rooms a socket may be in or have left.
const MAX: usize = 1_000;

/// Takes no memory of its own before the second room.
#[derive(Debug, Default)]
pub(super) struct Rooms(SmallVec<[(ConversationId, Room); 1]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Joined,
    Left,
}

impl Rooms {
    pub(super) fn hears(&self, conversation: ConversationId) -> bool {
        self.find(conversation) != Some(Room::Left)
    }

    pub(super) fn is_joined(&self, conversation: ConversationId) -> bool {
        self.find(conversation) == Some(Room::Joined)
    }

    pub(super) fn join(&mut self, conversation: ConversationId) -> Result<(), ChatError> {
        self.set(conversation, Room::Joined)
    }

    pub(super) fn leave(&mut self, conversation: ConversationId) -> Result<(), ChatError> {
        self.set(conversation, Room::Left)
    }

    fn find(&self, conversation: ConversationId) -> Option<Room> {
        self.0
            .iter()
            .find(|(id, _)| *id == conversation)
            .map(|(_, room)| *room)
    }

    fn set(&mut self, conversation: ConversationId, room: Room) -> Result<(), ChatError> {
        if let Some((_, present)) = self.0.iter_mut().find(|(id, _)| *id == conversation) {
            *present = room;
            return Ok(());
        }
        if MAX <= self.0.len() {
            return Err(ChatError::TooLarge("the number of rooms"));
        }
        self.0.push((conversation, room));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn conversation(n: usize) -> ConversationId {
        ConversationId(Uuid::from_u128(n as u128))
    }

    #[test]
    fn only_a_joined_room_has_it_all_and_a_left_one_nothing() {
        let mut rooms = Rooms::default();
        let id = conversation(1);
        assert!(rooms.hears(id) && !rooms.is_joined(id));

        rooms.join(id).unwrap();
        assert!(rooms.hears(id) && rooms.is_joined(id));

        rooms.leave(id).unwrap();
        assert!(!rooms.hears(id) && !rooms.is_joined(id));

        rooms.join(id).unwrap();
        assert!(rooms.hears(id) && rooms.is_joined(id));
    }

    #[test]
    fn they_are_bounded() {
        let mut rooms = Rooms::default();
        for n in 0..MAX {
            rooms.join(conversation(n)).unwrap();
        }

        assert!(rooms.leave(conversation(MAX)).is_err());
        assert!(rooms.leave(conversation(0)).is_ok());
    }
}
