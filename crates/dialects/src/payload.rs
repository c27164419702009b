//! A client's payload, whose fields are taken out one by one so that each failure has its own text.
//!
//! Which fields there are is the dialects' business.

use chat_domain::Attachment;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::Rejection;

pub(crate) const INVALID_DATA: &str = "Invalid data provided";

/// One event's payload, and what to say when a field is missing.
pub(crate) struct Payload<F> {
    pub(crate) event: &'static str,
    pub(crate) fields: F,
    missing: &'static str,
}

/// The JSON of one field; `None` when it is absent or null.
pub(crate) type Field<'a> = Option<&'a RawValue>;

impl<'a, F: Deserialize<'a>> Payload<F> {
    /// Reads the object `json`.
    pub(crate) fn parse(
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
}

impl<F> Payload<F> {
    /// Returns the value of `field`, if it has one.
    pub(crate) fn value<T: DeserializeOwned>(
        &self,
        field: Field<'_>,
    ) -> Result<Option<T>, Rejection> {
        field
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(|_| Rejection::invalid(self.event, INVALID_DATA))
    }

    /// Returns the string in `field`; an empty one counts as missing.
    pub(crate) fn text(&self, field: Field<'_>) -> Result<Option<String>, Rejection> {
        let text: Option<String> = self.value(field)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Returns where the file of a message is: what was uploaded under the id in `upload`, else the
    /// address in `url`.
    pub(crate) fn file(
        &self,
        upload: Field<'_>,
        url: Field<'_>,
    ) -> Result<Option<String>, Rejection> {
        match self.text(upload)? {
            Some(id) => Ok(Some(Attachment::reference(&id))),
            None => self.text(url),
        }
    }

    /// Returns the string in `field`, which must be there.
    pub(crate) fn required(&self, field: Field<'_>) -> Result<String, Rejection> {
        self.text(field)?.ok_or_else(|| self.missing())
    }

    /// Says that something is missing.
    pub(crate) fn missing(&self) -> Rejection {
        Rejection::invalid(self.event, self.missing)
    }
}
