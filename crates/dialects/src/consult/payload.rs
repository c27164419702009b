//! The fields that a client's event of this dialect may have.

use chat_domain::ConversationId;
use serde::Deserialize;

pub(super) use crate::payload::INVALID_DATA;
use crate::{
    Rejection,
    payload::{self, Field},
};

pub(super) const FIELDS_MISSING: &str = "Missing required fields";

/// One event's payload.
pub(super) type Payload<'a> = payload::Payload<Fields<'a>>;

/// Every field that an event of this dialect may have; none is looked at before it is needed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) conversation_id: Field<'a>,
    pub(super) user_id: Field<'a>,
    pub(super) user_type: Field<'a>,
    pub(super) sender_type: Field<'a>,
    pub(super) content: Field<'a>,
    pub(super) message_type: Field<'a>,
    pub(super) file_url: Field<'a>,
    pub(super) file_name: Field<'a>,
    pub(super) attachment_id: Field<'a>,
    pub(super) client_message_id: Field<'a>,
    pub(super) message_ids: Field<'a>,
    pub(super) to_user_id: Field<'a>,
    pub(super) call_id: Field<'a>,
    pub(super) call_type: Field<'a>,
    pub(super) reason: Field<'a>,
    pub(super) offer: Field<'a>,
    pub(super) answer: Field<'a>,
    pub(super) candidate: Field<'a>,
    data: Field<'a>,
}

impl<'a> Payload<'a> {
    /// Reads the object `json`, or the one under its key `data`: some clients wrap.
    pub(super) fn parse_wrapped(
        event: &'static str,
        missing: &'static str,
        json: &'a str,
    ) -> Result<Self, Rejection> {
        let outer = Self::parse(event, missing, json)?;
        match (outer.fields.conversation_id, outer.fields.data) {
            (None, Some(inner)) => Self::parse(event, missing, inner.get()),
            _ => Ok(outer),
        }
    }

    /// Returns the id of a conversation, which must be there.
    pub(super) fn conversation(&self) -> Result<ConversationId, Rejection> {
        let text = self.required(self.fields.conversation_id)?;
        ConversationId::parse(&text)
            .map_err(|_| Rejection::invalid(self.event, "conversationId must be a UUID"))
    }
}
