//! How the messages of other services read as JSON, and that they never print.
//!
//! Their fields come from `inbound.proto`, as everybody's do; what they mean is the store's.

use std::fmt;

use serde::{Deserialize as _, Deserializer};

use crate::v1;

/// Reads any JSON value as its text.
pub(crate) fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    serde_json::Value::deserialize(deserializer).map(|value| value.to_string())
}

/// Names and texts are personal.
macro_rules! never_prints {
    ($($kind:ident),*) => {$(
        impl fmt::Debug for v1::$kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($kind), "([redacted])"))
            }
        }
    )*};
}

never_prints!(
    InUser,
    InBooking,
    InBusiness,
    InAssociation,
    InMessage,
    InNotify,
    InRevocation,
    Notify
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_reads_by_the_names_that_its_service_uses() {
        for json in [
            r#"{"id":"b","consultantId":"c","patientId":"p","startsAt":"s","version":3}"#,
            r#"{"id":"b","businessId":"c","clientId":"p","startsAt":"s","version":3,"new":1}"#,
        ] {
            let booking: v1::InBooking = serde_json::from_str(json).unwrap();

            assert_eq!(booking.professional_id, "c");
            assert_eq!(booking.client_id, "p");
            assert_eq!(booking.starts_at.as_deref(), Some("s"));
            assert_eq!((booking.ends_at, booking.version), (None, Some(3)));
        }
    }

    #[test]
    fn the_data_of_an_event_is_any_json() {
        for (json, text) in [
            (
                r#"{"userId":"u","event":"e","data":{"a":[1, null]}}"#,
                r#"{"a":[1,null]}"#,
            ),
            (r#"{"userId":"u","event":"e","data":"x"}"#, r#""x""#),
            (r#"{"userId":"u","event":"e"}"#, ""),
        ] {
            let notify: v1::InNotify = serde_json::from_str(json).unwrap();

            assert_eq!(notify.data, text);
        }
    }

    #[test]
    fn nothing_of_it_prints() {
        let message = v1::InMessage {
            content: "secret".to_owned(),
            ..v1::InMessage::default()
        };

        assert_eq!(format!("{message:?}"), "InMessage([redacted])");
    }
}
