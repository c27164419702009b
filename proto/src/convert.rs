//! Between wire and domain. What comes in is checked as if it were hostile.

use bytes::Bytes;
use chat_domain::{
    AppId, Attachment, ChatError, ClientKey, Content, Conversation, ConversationId, ErrorKind,
    Message, MessageId, MessageKind, Participant, Role, Seq, Subject, SubjectId, Timestamp, User,
    UserId, call::CallId,
};
use prost::Message as _;
use uuid::Uuid;

use crate::v1;

/// A message that does not mean anything. The caller drops it and counts.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It is no protobuf of the expected type.
    #[error("undecodable message")]
    Undecodable(#[from] prost::DecodeError),
    /// A field is missing or malformed.
    #[error("bad field {0}")]
    Field(&'static str),
    /// A field breaks a rule of the domain.
    #[error("bad value")]
    Value(#[from] ChatError),
}

impl From<WireError> for ChatError {
    fn from(error: WireError) -> Self {
        Self::Internal(error.into())
    }
}

/// Encodes the outcome of a request.
#[must_use]
pub fn reply<M: prost::Message>(outcome: Result<M, &ChatError>) -> Bytes {
    let outcome = match outcome {
        Ok(answer) => v1::reply::Outcome::Ok(answer.encode_to_vec().into()),
        Err(error) => v1::reply::Outcome::Failure(failure(error)),
    };
    v1::Reply {
        outcome: Some(outcome),
    }
    .encode_to_vec()
    .into()
}

/// Renders an error for another process: its class and its outermost line.
#[must_use]
pub fn failure(error: &ChatError) -> v1::Failure {
    v1::Failure {
        code: error.kind().code().to_owned(),
        message: error.to_string(),
    }
}

impl From<v1::Failure> for ChatError {
    fn from(failure: v1::Failure) -> Self {
        let kind = match failure.code.as_str() {
            "unauthorized" => ErrorKind::Unauthorized,
            "not_found" => ErrorKind::NotFound,
            "invalid" => ErrorKind::Invalid,
            "rate_limited" => ErrorKind::RateLimited,
            "too_large" => ErrorKind::TooLarge,
            "conflict" => ErrorKind::Conflict,
            // Also what a newer release may have invented.
            _ => ErrorKind::Unavailable,
        };
        Self::Remote {
            kind,
            message: failure.message,
        }
    }
}

impl v1::Reply {
    /// Decodes a reply into its answer.
    ///
    /// # Errors
    ///
    /// Returns the failure that was sent, or [`ChatError::Internal`] for bytes without meaning.
    pub fn open<M: prost::Message + Default>(bytes: Bytes) -> Result<M, ChatError> {
        let reply = Self::decode(bytes).map_err(WireError::from)?;
        match reply.outcome {
            Some(v1::reply::Outcome::Ok(answer)) => Ok(M::decode(answer).map_err(WireError::from)?),
            Some(v1::reply::Outcome::Failure(failure)) => Err(failure.into()),
            None => Err(WireError::Field("outcome").into()),
        }
    }
}

/// Reads 16 bytes as an id.
fn uuid(bytes: &[u8], field: &'static str) -> Result<Uuid, WireError> {
    Uuid::from_slice(bytes).map_err(|_| WireError::Field(field))
}

/// Returns the id's bytes as the wire has them.
fn id_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// Declares the two directions between an id and its 16 bytes.
macro_rules! wire_id {
    ($id:ident) => {
        impl crate::WireId for $id {
            fn to_wire(self) -> Bytes {
                id_bytes(self.0)
            }

            fn from_wire(bytes: &[u8]) -> Result<Self, WireError> {
                uuid(bytes, stringify!($id)).map(Self)
            }
        }
    };
}
wire_id!(ConversationId);
wire_id!(MessageId);
wire_id!(CallId);

impl From<&User> for v1::User {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            role: user.role.as_str().to_owned(),
            name: user.name.clone(),
            email: user.email.clone(),
            avatar_url: user.avatar_url.clone(),
        }
    }
}

impl TryFrom<v1::User> for User {
    type Error = WireError;

    fn try_from(user: v1::User) -> Result<Self, WireError> {
        Ok(Self {
            id: UserId::new(&user.id)?,
            role: Role::parse(&user.role)?,
            name: user.name,
            email: user.email,
            avatar_url: user.avatar_url,
        })
    }
}

impl From<&Conversation> for v1::Conversation {
    fn from(conversation: &Conversation) -> Self {
        Self {
            id: id_bytes(conversation.id.0),
            app: conversation.app.as_str().to_owned(),
            booking_id: match &conversation.subject {
                Subject::Booking(booking) => booking.as_str().to_owned(),
                Subject::Pair => String::new(),
            },
            participants: conversation
                .participants
                .iter()
                .map(|participant| v1::Participant {
                    user_id: participant.user.as_str().to_owned(),
                    role: participant.role.as_str().to_owned(),
                    name: participant.name.as_deref().map(str::to_owned),
                    email: participant.email.as_deref().map(str::to_owned),
                })
                .collect(),
            last_seq: conversation.last_seq.0,
            created_at_ms: conversation.created_at.0,
            updated_at_ms: conversation.updated_at.0,
        }
    }
}

impl TryFrom<v1::Conversation> for Conversation {
    type Error = WireError;

    fn try_from(conversation: v1::Conversation) -> Result<Self, WireError> {
        let participants = conversation
            .participants
            .into_iter()
            .map(|participant| {
                Ok(Participant {
                    user: UserId::new(&participant.user_id)?,
                    role: Role::parse(&participant.role)?,
                    name: participant.name.map(String::into_boxed_str),
                    email: participant.email.map(String::into_boxed_str),
                })
            })
            .collect::<Result<Vec<_>, WireError>>()?;
        Ok(Self {
            id: ConversationId(uuid(&conversation.id, "conversation.id")?),
            app: AppId::new(&conversation.app)?,
            subject: match conversation.booking_id.as_str() {
                "" => Subject::Pair,
                booking => Subject::Booking(SubjectId::new(booking)?),
            },
            participants: participants
                .try_into()
                .map_err(|_| WireError::Field("conversation.participants"))?,
            last_seq: Seq(conversation.last_seq),
            created_at: Timestamp(conversation.created_at_ms),
            updated_at: Timestamp(conversation.updated_at_ms),
        })
    }
}

impl From<&Attachment> for v1::Attachment {
    fn from(attachment: &Attachment) -> Self {
        Self {
            url: attachment.url.clone(),
            name: attachment.name.clone(),
        }
    }
}

impl From<v1::Attachment> for Attachment {
    fn from(attachment: v1::Attachment) -> Self {
        Self {
            url: attachment.url,
            name: attachment.name,
        }
    }
}

impl From<&Message> for v1::Message {
    fn from(message: &Message) -> Self {
        Self {
            id: id_bytes(message.id.0),
            conversation_id: id_bytes(message.conversation.0),
            seq: message.seq.0,
            sender_id: message.sender.as_str().to_owned(),
            sender_role: message.sender_role.as_str().to_owned(),
            client_key: message
                .client_key
                .as_ref()
                .map(|key| key.as_str().to_owned()),
            kind: message.content.kind().as_str().to_owned(),
            text: message.content.text().to_owned(),
            attachment: message.content.attachment().map(Into::into),
            created_at_ms: message.created_at.0,
            delivered_at_ms: message.delivered_at.map(|at| at.0),
            read_at_ms: message.read_at.map(|at| at.0),
        }
    }
}

impl TryFrom<v1::Message> for Message {
    type Error = WireError;

    fn try_from(message: v1::Message) -> Result<Self, WireError> {
        if message.seq == 0 {
            return Err(WireError::Field("message.seq"));
        }
        Ok(Self {
            id: MessageId(uuid(&message.id, "message.id")?),
            conversation: ConversationId(uuid(
                &message.conversation_id,
                "message.conversation_id",
            )?),
            seq: Seq(message.seq),
            sender: UserId::new(&message.sender_id)?,
            sender_role: Role::parse(&message.sender_role)?,
            client_key: message
                .client_key
                .as_deref()
                .map(ClientKey::new)
                .transpose()?,
            content: Content::stored(
                MessageKind::parse(&message.kind)?,
                message.text,
                message.attachment.map(Into::into),
            ),
            created_at: Timestamp(message.created_at_ms),
            delivered_at: message.delivered_at_ms.map(Timestamp),
            read_at: message.read_at_ms.map(Timestamp),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let conversation = ConversationId(Uuid::from_u128(1));
        Message {
            id: MessageId::new(conversation, 5, 6),
            conversation,
            seq: Seq(3),
            sender: UserId::new("u").unwrap(),
            sender_role: Role::Patient,
            client_key: Some(ClientKey::new("k").unwrap()),
            content: Content::stored(MessageKind::Text, "hi".to_owned(), None),
            created_at: Timestamp(7),
            delivered_at: None,
            read_at: Some(Timestamp(8)),
        }
    }

    #[test]
    fn messages_survive_the_wire() {
        let wire = v1::Message::from(&message());

        assert_eq!(Message::try_from(wire).unwrap(), message());
    }

    #[test]
    fn hostile_messages_are_refused() {
        let good = v1::Message::from(&message());

        for bad in [
            v1::Message {
                seq: 0,
                ..good.clone()
            },
            v1::Message {
                id: Bytes::from_static(b"short"),
                ..good.clone()
            },
            v1::Message {
                sender_role: "root".to_owned(),
                ..good.clone()
            },
            v1::Message {
                sender_id: String::new(),
                ..good.clone()
            },
        ] {
            assert!(Message::try_from(bad).is_err());
        }
    }

    #[test]
    fn failures_keep_their_class_across_the_wire() {
        let bytes = reply::<v1::HeadsReply>(Err(&ChatError::NotParticipant));

        let error = v1::Reply::open::<v1::HeadsReply>(bytes).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(error.to_string(), ChatError::NotParticipant.to_string());
    }
}
