//! Reads what other services write: protobuf or JSON, into one value of the domain.
//!
//! It says of everything what is wrong with it, for those who look through the dead letters; that
//! text may quote what was written, so it is never logged.

use bytes::Bytes;
use chat_domain::{
    Booking, Business, ChatError, ClientKey, ConversationId, Dialect, IssuedName, Revoked, Role,
    Timestamp, User,
};
use chat_proto::{subject::InKind, v1};
use serde::de::DeserializeOwned;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    app::{Inbound, SystemMessage, Target},
    ports_in::Notification,
};

/// Why something can never be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

impl From<ChatError> for Refused {
    fn from(error: ChatError) -> Self {
        Self(error.to_string())
    }
}

/// What was written, and for whom.
pub(super) struct Written {
    pub(super) kind: InKind,
    pub(super) dialect: Dialect,
    pub(super) is_json: bool,
    pub(super) payload: Bytes,
    /// Makes a message the same one when it comes again, unless it says so itself.
    pub(super) key: ClientKey,
}

impl Written {
    /// Reads it.
    pub(super) fn read(self) -> Result<Inbound, Refused> {
        let dialect = self.dialect;
        match self.kind {
            InKind::User => user(dialect, self.decode()?),
            InKind::Booking => booking(dialect, self.decode()?),
            InKind::Business => business(dialect, self.decode()?),
            InKind::Association => association(dialect, &self.decode()?),
            InKind::Message => {
                let message = self.decode()?;
                system_message(dialect, message, self.key)
            }
            InKind::Notify => {
                let v1::InNotify {
                    user_id,
                    event,
                    data,
                } = self.decode()?;
                let user = dialect.user_id(&user_id)?;
                let notification = Notification::new(user, &event, &data)?;
                Ok(Inbound::Notify(notification))
            }
            InKind::Revocation => revocation(dialect, &self.decode()?),
        }
    }

    fn decode<M: prost::Message + Default + DeserializeOwned>(&self) -> Result<M, Refused> {
        if self.is_json {
            serde_json::from_slice(&self.payload).map_err(|error| Refused(error.to_string()))
        } else {
            M::decode(self.payload.clone()).map_err(|error| Refused(error.to_string()))
        }
    }
}

fn user(dialect: Dialect, user: v1::InUser) -> Result<Inbound, Refused> {
    Ok(Inbound::User {
        user: User {
            id: dialect.user_id(&user.id)?,
            role: Role::parse(&user.role)?,
            name: text("name", user.name)?,
            email: text("email", user.email)?,
            avatar_url: text("avatarUrl", user.avatar_url)?,
        },
        version: user.version,
    })
}

fn booking(dialect: Dialect, booking: v1::InBooking) -> Result<Inbound, Refused> {
    Ok(Inbound::Booking {
        booking: Booking {
            id: dialect.booking_id(&booking.id)?,
            professional: dialect.user_id(&booking.professional_id)?,
            client: dialect.user_id(&booking.client_id)?,
            starts_at: instant("startsAt", booking.starts_at.as_deref())?,
            ends_at: instant("endsAt", booking.ends_at.as_deref())?,
            status: text("status", booking.status)?,
        },
        version: booking.version,
    })
}

fn business(dialect: Dialect, business: v1::InBusiness) -> Result<Inbound, Refused> {
    Ok(Inbound::Business {
        business: Business {
            id: dialect.user_id(&business.id)?,
            owner: dialect.user_id(&business.owner_id)?,
            name: text("name", Some(business.name))?.unwrap_or_default(),
        },
        version: business.version,
    })
}

fn association(dialect: Dialect, association: &v1::InAssociation) -> Result<Inbound, Refused> {
    Ok(Inbound::Association {
        doctor: dialect.user_id(&association.doctor_id)?,
        patient: dialect.user_id(&association.patient_id)?,
        removed: association.removed,
        version: association.version,
    })
}

fn system_message(
    dialect: Dialect,
    message: v1::InMessage,
    key: ClientKey,
) -> Result<Inbound, Refused> {
    let target = match (&message.conversation_id, &message.booking_id) {
        (Some(id), None) => Target::Conversation(ConversationId::parse(id)?),
        (None, Some(id)) => Target::Booking(dialect.booking_id(id)?),
        _ => return Err(Refused("conversationId or bookingId is needed".to_owned())),
    };
    let key = match message.idempotency_key {
        Some(own) => ClientKey::new(&own)?,
        None => key,
    };
    Ok(Inbound::Message(SystemMessage {
        target,
        text: message.content,
        key,
    }))
}

fn revocation(dialect: Dialect, revocation: &v1::InRevocation) -> Result<Inbound, Refused> {
    let v1::InRevocation {
        user_id,
        session_id,
        token_id,
        expires_at,
    } = revocation;
    let revoked = match (user_id, session_id, token_id) {
        (Some(id), None, None) => Revoked::User {
            user: dialect.user_id(id)?,
            issued_until: service_kit::now(),
        },
        (None, Some(name), None) => Revoked::Session(IssuedName::new(name)?),
        (None, None, Some(name)) => Revoked::Token(IssuedName::new(name)?),
        _ => {
            let reason = "exactly one of userId, sessionId and tokenId is needed";
            return Err(Refused(reason.to_owned()));
        }
    };
    Ok(Inbound::Revocation {
        revoked,
        expires_at: instant("expiresAt", expires_at.as_deref())?,
    })
}

fn text(name: &str, text: Option<String>) -> Result<Option<String>, Refused> {
    if text
        .as_ref()
        .is_some_and(|text| text.chars().any(char::is_control))
    {
        return Err(Refused(format!("{name} holds control characters")));
    }
    Ok(text)
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    text.map(|text| OffsetDateTime::parse(text, &Rfc3339))
        .transpose()
        .map(|instant| instant.map(Timestamp::from_datetime))
        .map_err(|_| Refused(format!("{name} must be an ISO 8601 instant")))
}
