//! Failures on their way out: the one place of this service that knows status codes.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chat_domain::{ChatError, ErrorKind};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use service_kit::auth::TokenError;

/// A request that failed, answered as `{statusCode, message, error}` and perhaps `details`, unless the
/// routes of a dialect have a [`Style`] of their own.
#[derive(Debug)]
pub(super) struct RestError {
    pub(super) status: StatusCode,
    pub(super) message: Cow<'static, str>,
    /// What is wrong with the request: each the name of a field, a space, and the rule it breaks.
    pub(super) details: Vec<String>,
    /// Why the token was refused, if it was.
    pub(super) token: Option<TokenError>,
    /// Where the fields of `details` were looked for.
    pub(super) place: &'static str,
    /// What happened behind it, for the log alone.
    cause: Option<ChatError>,
}

/// How the routes of a dialect tell a failure: its status and its JSON.
pub(super) type Style = fn(&RestError) -> (StatusCode, Value);

/// The failure that an answer tells, for those who tell it otherwise.
#[derive(Clone)]
struct Failed(Arc<RestError>);

/// Tells the failures of routes in the style of their dialect.
pub(super) fn restyle(style: Style, mut response: Response) -> Response {
    let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() else {
        return response;
    };
    let (status, body) = style(&error);
    let mut styled = (status, Json(body)).into_response();
    if let Some(retry_after) = response.headers_mut().remove(RETRY_AFTER) {
        styled.headers_mut().insert(RETRY_AFTER, retry_after);
    }
    styled
}

impl RestError {
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            details: Vec::new(),
            token: None,
            place: "body",
            cause: None,
        }
    }

    /// The token is missing, bad, or of somebody who has no business here.
    pub(super) fn token(error: TokenError) -> Self {
        let answer = match error {
            TokenError::Missing | TokenError::Invalid | TokenError::Expired => {
                Self::new(StatusCode::UNAUTHORIZED, error.message(None))
            }
            TokenError::Role => Self::forbidden("Insufficient permissions"),
        };
        Self {
            token: Some(error),
            ..answer
        }
    }

    /// Says where the fields that are wrong were looked for.
    pub(super) fn in_the(self, place: &'static str) -> Self {
        Self { place, ..self }
    }

    /// Returns what is wrong with the request, in one sentence.
    pub(super) fn sentence(&self) -> &str {
        self.details.first().map_or(&*self.message, String::as_str)
    }

    /// A request that says something it must not; each detail names one thing.
    pub(super) fn invalid(details: Vec<String>) -> Self {
        Self {
            details,
            ..Self::new(StatusCode::BAD_REQUEST, "Validation failed")
        }
    }

    pub(super) fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
}

impl From<ChatError> for RestError {
    fn from(error: ChatError) -> Self {
        let kind = error.kind();
        // These are no mistakes in the request: it may be right at another time.
        let out_of_window = matches!(
            error,
            ChatError::WindowNotOpen { .. } | ChatError::WindowExpired
        );
        let answer = if kind == ErrorKind::Invalid && !out_of_window {
            Self::invalid(vec![error.to_string()])
        } else {
            Self::new(status(kind), error.to_string())
        };
        Self {
            cause: Some(error),
            ..answer
        }
    }
}

const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Unauthorized => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What a failure looks like where a dialect has no style of its own. Each detail is the name of a field, a
/// space, and the rule that it breaks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureBody<'a> {
    status_code: u16,
    message: &'a str,
    error: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let status = self.status;
        if let Some(cause) = self.cause.as_ref().filter(|_| status.is_server_error()) {
            tracing::error!(error = cause as &dyn std::error::Error, "request failed");
        }
        let body = FailureBody {
            status_code: status.as_u16(),
            message: &self.message,
            error: status.canonical_reason().unwrap_or("Error"),
            details: &self.details,
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after(status, self.cause.as_ref()) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Failed(Arc::new(self)));
        response
    }
}

/// Says when a retry may succeed: in whole seconds, at least one.
fn retry_after(status: StatusCode, cause: Option<&ChatError>) -> Option<HeaderValue> {
    let seconds = if let Some(ChatError::RateLimited { retry_after_ms }) = cause {
        retry_after_ms.div_ceil(1_000).max(1)
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        1
    } else {
        return None;
    };
    Some(HeaderValue::from(seconds))
}
