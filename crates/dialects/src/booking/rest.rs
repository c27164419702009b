//! The JSON of REST answers that are no messages.

use chat_domain::{Booking, Business, Conversation, Message, MessageId, Role, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{MessageBody, PersonBody};
use crate::text::{Text, texts};

#[derive(Debug, Serialize, JsonSchema)]
struct BusinessBody<'a> {
    _id: &'a str,
    name: Option<&'a str>,
}

/// A booking as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BookingBody<'a> {
    #[serde(rename = "_id")]
    id: Option<&'a str>,
    business: Option<BusinessBody<'a>>,
    user: Option<PersonBody<'a>>,
    status: Option<&'a str>,
    starts_at: Option<Text<Timestamp>>,
    ends_at: Option<Text<Timestamp>>,
}

/// The conversation of a booking in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationBody<'a> {
    booking: BookingBody<'a>,
    last_message: Option<MessageBody<'a>>,
    last_seq: u64,
    unread_count: u64,
}

impl<'a> ConversationBody<'a> {
    /// Combines a conversation, what the directory says of its booking, and where the caller stands.
    #[must_use]
    pub fn new(
        conversation: &'a Conversation,
        booking: Option<&'a (Booking, Option<Business>)>,
        last: Option<&'a Message>,
        unread_count: u64,
    ) -> Self {
        let about = booking.map(|(booking, _)| booking);
        let business = booking.map(|(booking, business)| BusinessBody {
            _id: booking.professional.as_str(),
            name: business.as_ref().map(|business| business.name.as_str()),
        });
        let client = conversation
            .participants
            .iter()
            .find(|side| side.role == Role::Client);
        Self {
            booking: BookingBody {
                id: super::body::booking_of(conversation),
                business,
                user: client.map(PersonBody::from),
                status: about.and_then(|booking| booking.status.as_deref()),
                starts_at: about.and_then(|booking| booking.starts_at).map(Text),
                ends_at: about.and_then(|booking| booking.ends_at).map(Text),
            },
            last_message: last.map(|message| MessageBody::new(message, conversation)),
            last_seq: conversation.last_seq.0,
            unread_count,
        }
    }
}

/// The answer to marking messages as read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarkedBody<'a> {
    msg: &'static str,
    count: usize,
    #[serde(serialize_with = "texts")]
    #[schemars(with = "Vec<Text<MessageId>>")]
    message_ids: &'a [MessageId],
}

impl<'a> MarkedBody<'a> {
    /// Lists the messages that were really marked.
    #[must_use]
    pub const fn new(ids: &'a [MessageId]) -> Self {
        Self {
            msg: "Messages marked as read",
            count: ids.len(),
            message_ids: ids,
        }
    }
}
