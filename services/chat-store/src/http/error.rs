//! Failures on their way out: the one place of this service that knows status codes.

use std::borrow::Cow;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chat_domain::{ChatError, ErrorKind};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::Serialize;

/// A request that failed, answered as `{statusCode, message, error}` and perhaps `details`.
#[derive(Debug)]
pub(super) struct RestError {
    status: StatusCode,
    message: Cow<'static, str>,
    details: Vec<String>,
    /// What happened behind it, for the log alone.
    cause: Option<ChatError>,
}

impl RestError {
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            details: Vec::new(),
            cause: None,
        }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
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
        let body = Body {
            status_code: status.as_u16(),
            message: &self.message,
            error: status.canonical_reason().unwrap_or("Error"),
            details: &self.details,
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after(status, self.cause.as_ref()) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
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
