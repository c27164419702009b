//! From a CONNECT to a principal.

use std::{sync::Arc, time::Duration};

use chat_domain::{ChatError, Dialect, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{
    apps::{App, Apps, Identity},
    auth::{Principal, TokenError, Verifier},
    http,
};
use socketio_protocol::plain;

use crate::transport::{AfterRefusal, ConnectRequest, Refused};

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its token is missing or not good; where it is known, in the words of its dialect.
    Token(TokenError, Option<Dialect>),
    /// Its app's clients connect elsewhere.
    Namespace,
    /// Its page is none of its app's.
    Origin,
    /// Its user kept on after refusals, and has to wait so long.
    Resting(Duration),
}

impl Refusal {
    /// Returns the name of the outcome in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Token(error, _) => error.code(),
            Self::Namespace => "invalid_namespace",
            Self::Origin => "origin_refused",
            Self::Resting(_) => "rate_limited",
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (message, data) = match refusal {
            Refusal::Token(error, dialect) => (
                error.message(dialect),
                Some(json!({ "code": error.code() })),
            ),
            Refusal::Namespace => ("Invalid namespace", None),
            Refusal::Origin => ("Forbidden", Some(json!({ "code": "origin_refused" }))),
            Refusal::Resting(after) => {
                let retry_after_ms = ChatError::retry_after_ms(after);
                let data = json!({ "code": "rate_limited", "retryAfterMs": retry_after_ms });
                ("rate limit exceeded", Some(data))
            }
        };
        Self {
            message: message.to_owned(),
            data,
            then: AfterRefusal::KeepTransport,
        }
    }
}

/// Finds out who asks: by the token in the packet, else in `Authorization`, else in the cookie.
///
/// # Errors
///
/// Returns a [`Refusal`]; the client gets it as `connect_error`.
pub fn authenticate(
    verifier: &Verifier,
    request: &ConnectRequest,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let token = token(request).ok_or(Refusal::Token(TokenError::Missing, None))?;
    let principal = verifier
        .verify(&token, now)
        .map_err(|error| Refusal::Token(error, verifier.dialect(&token)))?;
    let is_plain = *request.namespace == *plain::NAMESPACE;
    if !is_plain && *request.namespace != *dialects::namespace(principal.app.dialect) {
        return Err(Refusal::Namespace);
    }
    let handshake = &request.handshake;
    if let Some(origin) = &handshake.origin
        && !http::is_origin_allowed(origin, handshake.host.as_deref(), &principal.app.origins)
    {
        return Err(Refusal::Origin);
    }
    Ok(principal)
}

/// Returns the app whose clients may say who they are, if that is what a client without a token may do
/// in its namespace. A token always wins, a bad one too.
#[must_use]
pub fn declaring<'a>(apps: &'a Apps, request: &ConnectRequest) -> Option<&'a Arc<App>> {
    if token(request).is_some() {
        return None;
    }
    let handshake = &request.handshake;
    let app = apps.iter().find(|app| {
        app.identity == Identity::Declared
            && *request.namespace == *dialects::namespace(app.dialect)
    })?;
    let is_allowed =
        |origin| http::is_origin_allowed(origin, handshake.host.as_deref(), &app.origins);
    handshake
        .origin
        .as_deref()
        .is_none_or(is_allowed)
        .then_some(app)
}

fn token(request: &ConnectRequest) -> Option<String> {
    #[derive(Deserialize)]
    struct Auth {
        token: Option<Value>,
    }

    let auth = request.auth.as_ref();
    let auth = auth.and_then(|json| serde_json::from_str::<Auth>(json.get()).ok());
    match auth.and_then(|auth| auth.token) {
        None => {}
        Some(Value::Null) => {}
        Some(Value::String(token)) if token.trim().is_empty() => {}
        Some(Value::String(token)) => return Some(token),
        // Something else was meant as a token: it is not made up for by a cookie.
        Some(other) => return Some(other.to_string()),
    }
    let handshake = &request.handshake;
    let is_bearer = |text: &&str| {
        let scheme = text.trim_start().get(..7);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))
    };
    let bearer = handshake.authorization.as_deref().filter(is_bearer);
    bearer
        .or(handshake.access_token.as_deref())
        .map(str::to_owned)
}
