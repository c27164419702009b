//! What other services say to users' sockets, and the way there.
//!
//! Everything else that they write goes to use cases as it is.

use chat_domain::{AppId, ChatError, UserId};

use crate::ports::Answer;

/// An event of another service for a user's sockets.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    user: UserId,
    event: String,
    data: String,
}

impl Notification {
    /// The longest name of an event, in bytes.
    pub const MAX_EVENT: usize = 64;
    /// The longest data, in bytes.
    pub const MAX_DATA: usize = 32 * 1024;

    /// Checks an event and its data, which is JSON; no data is `null`.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Malformed`] for a name with other characters than letters, digits and
    /// `_ - . :`, or that means something already, and for data that is no JSON;
    /// [`ChatError::TooLarge`] past the limits.
    pub fn new(user: UserId, event: &str, data: &str) -> Result<Self, ChatError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if event.is_empty() || !event.bytes().all(is_plain) {
            return Err(ChatError::Malformed("no name of an event"));
        }
        if event.len() > Self::MAX_EVENT {
            return Err(ChatError::TooLarge("the name of the event"));
        }
        if dialects::is_taken(event) {
            return Err(ChatError::Malformed("the event has a meaning already"));
        }
        if data.len() > Self::MAX_DATA {
            return Err(ChatError::TooLarge("the data of the event"));
        }
        let data = if data.is_empty() { "null" } else { data };
        // Read in full: what is nested too deeply would end its receivers, too.
        let value: serde_json::Value =
            serde_json::from_str(data).map_err(|_| ChatError::Malformed("the data is not JSON"))?;
        Ok(Self {
            user,
            event: event.to_owned(),
            data: value.to_string(),
        })
    }

    /// Returns whose sockets it is for.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Returns the name of the event.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Returns its argument, as compact JSON.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notification({}, {}, [redacted])", self.user, self.event)
    }
}

/// Tells users' sockets what other services say.
pub trait UserNotifier: Send + Sync {
    /// Hands an event over to the broker, for sure. Who is not connected then misses it.
    fn notify<'a>(&'a self, app: &'a AppId, notification: &'a Notification) -> Answer<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(event: &str, data: &str) -> bool {
        Notification::new(UserId::new("u").unwrap(), event, data).is_err()
    }

    #[test]
    fn an_event_has_a_name_of_its_own_and_json() {
        assert!(!refused("booking:updated", r#"{"a":1}"#));
        assert!(!refused("booking_updated", ""));
        for event in [
            "",
            "a b",
            "a\"b",
            "é",
            "disconnect",
            "new_message",
            "call:new",
        ] {
            assert!(refused(event, "{}"), "{event}");
        }
        assert!(refused(&"x".repeat(65), "{}"));
        assert!(refused("x", "{"));
        assert!(refused(
            "x",
            &format!("\"{}\"", "x".repeat(Notification::MAX_DATA))
        ));
        assert!(refused(
            "x",
            &format!("{}{}", "[".repeat(500), "]".repeat(500))
        ));
    }
}
