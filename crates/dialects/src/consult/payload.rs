//! The fields of a client's event, taken out one by one so that each failure has its own text.

use chat_domain::ConversationId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::Rejection;

pub(super) const FIELDS_MISSING: &str = "Missing required fields";
pub(super) const INVALID_DATA: &str = "Invalid data provided";

/// One event's payload, and what to say when a field is missing.
pub(super) struct Payload<'a> {
    pub(super) event: &'static str,
    pub(super) fields: Fields<'a>,
    missing: &'static str,
}

/// The JSON of one field; `None` when it is absent or null.
pub(super) type Field<'a> = Option<&'a RawValue>;

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
    pub(super) client_message_id: Field<'a>,
    pub(super) message_ids: Field<'a>,
    pub(super) since: Field<'a>,
    pub(super) token: Field<'a>,
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
    /// Reads the object `json`.
    pub(super) fn parse(
        event: &'static str,
        missing: &'static str,
        json: &'a str,
    ) -> Result<Self, Rejection> {
        // A derived struct would also take an array, as its fields in order.
        if !json.trim_start().starts_with('{') {
            return Err(Rejection::invalid(event, missing));
        }
        let fields =
            serde_json::from_str(json).map_err(|_| Rejection::invalid(event, INVALID_DATA))?;
        Ok(Self {
            event,
            fields,
            missing,
        })
    }

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

    /// Returns the value of `field`, if it has one.
    pub(super) fn value<T: DeserializeOwned>(
        &self,
        field: Field<'_>,
    ) -> Result<Option<T>, Rejection> {
        field
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(|_| Rejection::invalid(self.event, INVALID_DATA))
    }

    /// Returns the string in `field`; an empty one counts as missing.
    pub(super) fn text(&self, field: Field<'_>) -> Result<Option<String>, Rejection> {
        let text: Option<String> = self.value(field)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Returns the string in `field`, which must be there.
    pub(super) fn required(&self, field: Field<'_>) -> Result<String, Rejection> {
        self.text(field)?
            .ok_or_else(|| Rejection::invalid(self.event, self.missing))
    }

    /// Returns the id of a conversation, which must be there.
    pub(super) fn conversation(&self) -> Result<ConversationId, Rejection> {
        let text = self.required(self.fields.conversation_id)?;
        ConversationId::parse(&text)
            .map_err(|_| Rejection::invalid(self.event, "conversationId must be a UUID"))
    }
}
