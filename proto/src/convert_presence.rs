//! Presence between wire and domain.

use chat_domain::{Presence, PresenceChange, Timestamp, UserId};

use crate::{WireError, v1};

impl From<(&UserId, &PresenceChange)> for v1::PresenceChanged {
    fn from((user, change): (&UserId, &PresenceChange)) -> Self {
        Self {
            user_id: user.as_str().to_owned(),
            presence: change.now.as_str().to_owned(),
            at_ms: change.at.0,
            name: None,
        }
    }
}

impl TryFrom<v1::PresenceChanged> for (UserId, Presence, Timestamp) {
    type Error = WireError;

    fn try_from(changed: v1::PresenceChanged) -> Result<Self, WireError> {
        Ok((
            UserId::new(&changed.user_id)?,
            Presence::parse(&changed.presence)?,
            Timestamp(changed.at_ms),
        ))
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::Status;

    use super::*;

    #[test]
    fn changes_survive_the_wire_and_nonsense_does_not() {
        let user = UserId::new("u").unwrap();
        let now = Presence::Online(Status::Away);
        let change = PresenceChange {
            was: Presence::Offline,
            now,
            at: Timestamp(7),
        };

        let wire = v1::PresenceChanged::from((&user, &change));
        let bad = v1::PresenceChanged {
            presence: "online".to_owned(),
            ..wire.clone()
        };

        let read = <(UserId, Presence, Timestamp)>::try_from(wire).unwrap();
        assert_eq!(read, (user, now, Timestamp(7)));
        assert!(<(UserId, Presence, Timestamp)>::try_from(bad).is_err());
    }
}
