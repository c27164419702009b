//! The one conversation of two users, and who may have one.

use chat_domain::{
    AppId, ChatError, Conversation, ConversationId, Dialect, Participant, Role, Subject, User,
    UserId,
};
use uuid::Uuid;

use super::{App, Caller, Member};
use crate::ports::{Acquaintance, NewConversation};

impl App {
    /// Returns the conversation of the caller and another user, made unless it was there.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::PeerNotFound`], [`ChatError::ToOneself`], [`ChatError::WrongRoles`] or
    /// [`ChatError::NotAssociated`] when the two may not write to each other, as the directory has it
    /// now; and [`ChatError::Malformed`] in apps whose people meet by booking.
    pub async fn open_pair(
        &self,
        caller: &Caller,
        peer: &UserId,
    ) -> Result<Conversation, ChatError> {
        let app = &caller.app;
        let mut found = self
            .store
            .find_acquaintance(&app.id, &caller.user.id, peer)
            .await?;
        if found.known.iter().all(|user| user.id != caller.user.id) {
            // Its token is the first that is heard of it.
            self.store.add_user(&app.id, &caller.user).await?;
            found.known.push(caller.user.clone());
        }
        let participants = pair(app.dialect, &caller.user.id, peer, &found)?;
        let new = NewConversation {
            id: ConversationId(Uuid::now_v7()),
            app: app.id.clone(),
            booking: None,
            participants,
        };
        let mut conversation = self.store.open_conversation(&new).await?;
        self.people.introduce([&mut conversation]).await;
        Ok(conversation)
    }

    /// Returns the conversation of a member and another user, if there is one and the two may still
    /// write to each other.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_pair`].
    pub(super) async fn pair_of(
        &self,
        member: Member<'_>,
        peer: &UserId,
    ) -> Result<Option<Conversation>, ChatError> {
        let Member { app, user, .. } = member;
        let found = self.store.find_acquaintance(app, user, peer).await?;
        let [first, second] = pair(self.app(app)?.dialect, user, peer, &found)?;
        let sides = [&first.user, &second.user];
        self.store.find_conversation_of(app, None, sides).await
    }

    /// Returns the conversation of the caller and another user, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_pair`] when there is none and there may be none.
    pub(super) async fn pair_for_reading(
        &self,
        caller: &Caller,
        peer: &UserId,
    ) -> Result<Option<Conversation>, ChatError> {
        let Caller { app, user, .. } = caller;
        let sides = match (app.dialect, user.role) {
            (Dialect::Care, Role::Doctor) => [&user.id, peer],
            (Dialect::Care, _) => [peer, &user.id],
            _ => [(&user.id).min(peer), (&user.id).max(peer)],
        };
        let found = self
            .store
            .find_conversation_of(&app.id, None, sides)
            .await?;
        if found.is_none() {
            return self.pair_of(caller.into(), peer).await;
        }
        Ok(found)
    }

    /// Checks that a participant of a conversation may still write in it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_pair`], and of a booking [`ChatError::NotOfBooking`].
    pub(super) async fn check_writer(
        &self,
        app: &AppId,
        user: &UserId,
        conversation: &Conversation,
    ) -> Result<(), ChatError> {
        let config = self.app(app)?;
        match (config.dialect, &conversation.subject) {
            (Dialect::Care, Subject::Pair) => {
                let peer = conversation
                    .peer_of(user)
                    .ok_or(ChatError::NotParticipant)?;
                let found = self.store.find_acquaintance(app, user, &peer.user).await?;
                pair(config.dialect, user, &peer.user, &found).map(drop)
            }
            (Dialect::Booking, Subject::Booking(booking)) => {
                let sides = self.sides_of_booking(config, booking).await?;
                if sides.iter().any(|side| &side.user == user) {
                    return Ok(());
                }
                Err(ChatError::NotOfBooking)
            }
            // Who is in the directory stays there, and a consultation stays with its two.
            (Dialect::Consult | Dialect::Clinic, _)
            | (Dialect::Care, Subject::Booking(_))
            | (Dialect::Booking, Subject::Pair) => Ok(()),
        }
    }
}

/// Returns the two sides in the order that makes a pair unique: the professional first, of equals the
/// smaller id.
fn pair(
    dialect: Dialect,
    caller: &UserId,
    peer: &UserId,
    found: &Acquaintance,
) -> Result<[Participant; 2], ChatError> {
    let find = |id: &UserId| {
        let user = found.known.iter().find(|user| &user.id == id);
        user.ok_or(ChatError::PeerNotFound)
    };
    let side = |user: &User| Participant::new(user.id.clone(), user.role);
    match dialect {
        Dialect::Care => {
            let (caller, peer) = (find(caller)?, find(peer)?);
            let (doctor, patient) = match (caller.role, peer.role) {
                (Role::Doctor, Role::Patient) => (caller, peer),
                (Role::Patient, Role::Doctor) => (peer, caller),
                _ => return Err(ChatError::WrongRoles),
            };
            if !found.associated {
                return Err(ChatError::NotAssociated);
            }
            Ok([side(doctor), side(patient)])
        }
        Dialect::Clinic => {
            if caller == peer {
                return Err(ChatError::ToOneself);
            }
            let (first, second) = (find(caller.min(peer))?, find(caller.max(peer))?);
            Ok([side(first), side(second)])
        }
        Dialect::Consult | Dialect::Booking => {
            Err(ChatError::Malformed("people of this app meet by booking"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, role: Role) -> User {
        User {
            id: UserId::new(id).unwrap(),
            role,
            name: None,
            email: None,
            avatar_url: None,
        }
    }

    fn told(
        dialect: Dialect,
        known: &[User],
        associated: bool,
        [caller, peer]: [&str; 2],
    ) -> String {
        let found = Acquaintance {
            known: known.to_vec(),
            associated,
        };
        let (caller, peer) = (UserId::new(caller).unwrap(), UserId::new(peer).unwrap());
        match pair(dialect, &caller, &peer, &found) {
            Ok([first, second]) => format!("{} {}", first.user, second.user),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn doctors_and_patients_talk_who_are_associated() {
        let known = [user("d", Role::Doctor), user("a", Role::Patient)];
        let alike = [user("a", Role::Patient), user("b", Role::Patient)];
        let told = |known, associated, ids| told(Dialect::Care, known, associated, ids);

        assert_eq!(told(&known, true, ["a", "d"]), "d a");
        assert_eq!(told(&known, true, ["d", "a"]), "d a");
        assert_eq!(
            told(&known, false, ["d", "a"]),
            "Doctor and patient are not associated"
        );
        assert_eq!(
            told(&alike, true, ["a", "b"]),
            "Patients can only chat with doctors and vice versa"
        );
        assert_eq!(
            told(&known, true, ["a", "a"]),
            "Patients can only chat with doctors and vice versa"
        );
        assert_eq!(
            told(&known, true, ["a", "x"]),
            "One or both users not found"
        );
    }

    #[test]
    fn everybody_of_a_clinic_talks_to_everybody_else() {
        let known = [user("b@c", Role::Doctor), user("a@c", Role::Doctor)];
        let told = |ids| told(Dialect::Clinic, &known, false, ids);

        assert_eq!(told(["a@c", "b@c"]), "a@c b@c");
        assert_eq!(told(["b@c", "a@c"]), "a@c b@c");
        assert_eq!(told(["a@c", "a@c"]), "Cannot send message to yourself");
        assert_eq!(told(["a@c", "x@c"]), "One or both users not found");
    }
}
