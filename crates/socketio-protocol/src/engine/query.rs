//! The query string that every Engine.IO request carries. Whether the session it names exists is
//! not known here.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// How the packets of a session travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// HTTP requests: GET waits for packets, POST brings some.
    Polling,
    /// A WebSocket.
    Websocket,
}

/// The parameters that matter. The version is checked, and always 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// `transport`.
    pub transport: Transport,
    /// `sid`: absent, or empty, in a request that begins a session.
    pub sid: Option<Cow<'a, str>>,
    /// Whether `EIO` comes before `transport`. Their order means nothing to the protocol, and tells
    /// client libraries apart.
    pub names_version_first: bool,
}

/// A refused request, in the words of the reference server. Clients see the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryError {
    /// `transport` is missing or unknown.
    UnknownTransport,
    /// No session has this `sid`, or it moved to another transport.
    UnknownSid,
    /// A session begins with a GET.
    BadHandshakeMethod,
    /// Anything else, such as a WebSocket transport without an upgrade.
    BadRequest,
    /// The request is well-formed and refused.
    Forbidden,
    /// `EIO` is not 4.
    UnsupportedVersion,
}

impl<'a> Query<'a> {
    /// Parses the part of the request target behind the `?`. Unknown parameters are ignored.
    ///
    /// # Errors
    ///
    /// Returns [`QueryError::UnknownTransport`] or [`QueryError::UnsupportedVersion`], in this
    /// order, and [`QueryError::BadRequest`] when a parameter comes twice or is not
    /// percent-encoded UTF-8. The caller answers with [`QueryError::status`] and
    /// [`QueryError::body`].
    pub fn parse(query: &'a str) -> Result<Self, QueryError> {
        let (mut transport, mut eio, mut sid) = (None, None, None);
        let mut names_version_first = false;
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let parameter = match key {
                "transport" => &mut transport,
                "EIO" => &mut eio,
                "sid" => &mut sid,
                _ => continue,
            };
            let value = percent_decode(value).ok_or(QueryError::BadRequest)?;
            if parameter.replace(value).is_some() {
                return Err(QueryError::BadRequest);
            }
            names_version_first |= transport.is_none() && eio.is_some();
        }

        let transport = match transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::Websocket,
            _ => return Err(QueryError::UnknownTransport),
        };
        if eio.as_deref() != Some("4") {
            return Err(QueryError::UnsupportedVersion);
        }
        Ok(Self {
            transport,
            sid: sid.filter(|sid| !sid.is_empty()),
            names_version_first,
        })
    }
}

impl QueryError {
    /// Returns the number that clients see.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// Returns the HTTP status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownTransport => 400,
            Self::UnknownSid => 400,
            Self::BadHandshakeMethod => 400,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::UnsupportedVersion => 400,
        }
    }

    /// Returns the text that clients see.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// Returns the JSON body of the answer.
    #[must_use]
    pub fn body(self) -> String {
        format!(r#"{{"code":{},"message":"{self}"}}"#, self.code())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for QueryError {}

/// Decodes one value; `None` when it is malformed.
fn percent_decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(value.into());
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_handshake_has_no_sid() {
        let expected = Query {
            transport: Transport::Polling,
            sid: None,
            names_version_first: true,
        };

        assert_eq!(
            Query::parse("EIO=4&transport=polling&t=x1"),
            Ok(expected.clone())
        );
        assert_eq!(Query::parse("EIO=4&transport=polling&sid="), Ok(expected));
    }

    #[test]
    fn a_sid_may_be_percent_encoded() {
        let query = Query::parse("sid=r1%2eabc&transport=websocket&EIO=4").unwrap();

        assert_eq!(query.transport, Transport::Websocket);
        assert_eq!(query.sid.as_deref(), Some("r1.abc"));
    }

    #[test]
    fn the_order_of_version_and_transport_is_told() {
        let is_first = |query| Query::parse(query).unwrap().names_version_first;

        assert!(is_first("a=b&EIO=4&transport=websocket"));
        assert!(!is_first("transport=websocket&EIO=4&t=1.5"));
    }

    #[test]
    fn the_transport_is_checked_before_the_version() {
        assert_eq!(Query::parse(""), Err(QueryError::UnknownTransport));
        assert_eq!(Query::parse("EIO=4"), Err(QueryError::UnknownTransport));
        assert_eq!(
            Query::parse("transport=abc"),
            Err(QueryError::UnknownTransport)
        );
        assert_eq!(
            Query::parse("transport=polling"),
            Err(QueryError::UnsupportedVersion)
        );
        assert_eq!(
            Query::parse("transport=polling&EIO=3"),
            Err(QueryError::UnsupportedVersion)
        );
    }

    #[test]
    fn a_parameter_comes_once_and_well_encoded() {
        let query = |sid: &str| format!("EIO=4&transport=polling&sid={sid}");

        for sid in ["a&sid=b", "%", "%4", "%zz", "%+1", "%FF"] {
            assert_eq!(Query::parse(&query(sid)), Err(QueryError::BadRequest));
        }
    }

    #[test]
    fn refusals_read_as_those_of_the_reference_server() {
        let bodies = [
            (
                QueryError::UnknownTransport,
                r#"{"code":0,"message":"Transport unknown"}"#,
            ),
            (
                QueryError::UnknownSid,
                r#"{"code":1,"message":"Session ID unknown"}"#,
            ),
            (
                QueryError::BadHandshakeMethod,
                r#"{"code":2,"message":"Bad handshake method"}"#,
            ),
            (
                QueryError::BadRequest,
                r#"{"code":3,"message":"Bad request"}"#,
            ),
            (QueryError::Forbidden, r#"{"code":4,"message":"Forbidden"}"#),
            (
                QueryError::UnsupportedVersion,
                r#"{"code":5,"message":"Unsupported protocol version"}"#,
            ),
        ];

        for (error, body) in bodies {
            assert_eq!(error.body(), body);
        }
    }

    proptest! {
        #[test]
        fn any_sid_survives_percent_encoding(sid in any::<String>()) {
            let encoded = sid.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"));

            let decoded = percent_decode(&encoded);

            prop_assert_eq!(decoded.as_deref(), Some(&*sid));
        }

        #[test]
        fn parse_never_panics(query in "(EIO|transport|sid|[=&%4]|polling|\\PC){0,12}") {
            let _ = Query::parse(&query);
        }
    }
}
