//! Identifiers. Those of other systems are opaque text; ours are UUIDv7.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use crate::ChatError;

/// Declares an identifier that another system made: opaque, non-empty, at most 128 bytes.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest identifier accepted, in bytes.
            pub const MAX_BYTES: usize = 128;

            /// Checks and wraps an identifier.
            ///
            /// # Errors
            ///
            /// Returns [`ChatError::InvalidId`] when `text` is empty, longer than
            /// [`Self::MAX_BYTES`] or holds a control character; the caller answers "invalid".
            pub fn new(text: &str) -> Result<Self, ChatError> {
                let fits = (1..=Self::MAX_BYTES).contains(&text.len());
                if !fits || text.chars().any(char::is_control) {
                    return Err(ChatError::InvalidId(stringify!($name)));
                }
                Ok(Self(text.into()))
            }

            /// Returns the identifier as it came.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }
    };
}

opaque_id!(
    /// An app (tenant) of the deployment, by its name in the apps file.
    AppId
);
opaque_id!(
    /// A user of one app.
    UserId
);
opaque_id!(
    /// What a conversation is about: a booking, or the key of a pair of users.
    SubjectId
);
opaque_id!(
    /// What an issuer calls a token (`jti`) or a sign-in (`sid`).
    IssuedName
);

/// Declares an identifier that this system makes.
macro_rules! own_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the hyphenated form.
            ///
            /// # Errors
            ///
            /// Returns [`ChatError::InvalidId`] for any other text; the caller answers "invalid".
            pub fn parse(text: &str) -> Result<Self, ChatError> {
                // `Uuid` also takes braces, URNs and the form without hyphens; the wire does not.
                if text.len() != 36 {
                    return Err(ChatError::InvalidId(stringify!($name)));
                }
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| ChatError::InvalidId(stringify!($name)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

own_id!(
    /// A conversation.
    ConversationId
);
own_id!(
    /// A message: a UUIDv7 whose 12 `rand_a` bits are [`MessageId::shard`] of its conversation, so
    /// that the id alone finds the partition (time) and the shard.
    MessageId
);

own_id!(
    /// A file that was uploaded, or may be.
    AttachmentId
);

impl MessageId {
    /// Builds the id of a message of `conversation` made at `unix_ms`, from 62 random bits.
    #[must_use]
    pub fn new(conversation: ConversationId, unix_ms: u64, random: u64) -> Self {
        let high = (unix_ms << 16) | 0x7000 | u64::from(Self::shard(conversation));
        let low = (random & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        Self(Uuid::from_u64_pair(high, low))
    }

    /// Returns the shard (0..4096) that a conversation and all its messages live on.
    #[must_use]
    pub fn shard(conversation: ConversationId) -> u16 {
        // FNV-1a: stable for ever, which `std`'s hashers are not.
        let hash = conversation
            .0
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        u16::try_from(hash >> 52).unwrap_or(0)
    }

    /// Returns when the id was made, in milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        self.0.as_u64_pair().0 >> 16
    }
}

/// The place of a message in its conversation; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Returns the place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What makes a send idempotent: the same key from the same sender in the same conversation is
/// the same message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientKey(Arc<str>);

impl ClientKey {
    /// The longest key accepted, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks and wraps a key.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::InvalidId`] when `text` is empty, longer than [`Self::MAX_BYTES`] or
    /// holds a control character.
    pub fn new(text: &str) -> Result<Self, ChatError> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            return Err(ChatError::InvalidId("clientMessageId"));
        }
        Ok(Self(text.into()))
    }

    /// Returns the key as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_carry_time_and_shard() {
        let conversation = ConversationId(Uuid::from_u128(7));

        let id = MessageId::new(conversation, 1_790_000_000_123, u64::MAX);

        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.unix_ms(), 1_790_000_000_123);
        let rand_a = u16::try_from(id.0.as_u64_pair().0 & 0xfff).unwrap();
        assert_eq!(rand_a, MessageId::shard(conversation));
    }

    #[test]
    fn the_shard_of_a_conversation_never_changes() {
        let conversation = ConversationId(Uuid::from_u128(0x0123_4567_89ab_cdef));

        assert_eq!(MessageId::shard(conversation), 2080);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let hyphenated = "0199a7de-0000-7000-8000-000000000001";

        assert!(ConversationId::parse(hyphenated).is_ok());
        for other in [
            "",
            "abc",
            "{0199a7de-0000-7000-8000-000000000001}",
            "0199a7de000070008000000000000001",
        ] {
            assert!(ConversationId::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn opaque_ids_are_bounded() {
        assert!(UserId::new("a.b*>c d").is_ok());
        assert!(UserId::new(&"x".repeat(128)).is_ok());
        for bad in [
            String::new(),
            "x".repeat(129),
            "a\nb".to_owned(),
            "a\0".to_owned(),
        ] {
            assert!(UserId::new(&bad).is_err());
        }
    }
}
