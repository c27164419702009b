//! Who calls: the token of a request, and whether a browser may have sent it by itself.

use chat_domain::Dialect;
use http::{HeaderMap, request::Parts};
use service_kit::{
    auth::TokenError,
    http::{CredentialSource, change_allowed, credentials},
};

use super::{Api, error::RestError};
use crate::app::Caller;

/// Returns the caller of a request to the routes of `dialect`.
///
/// # Errors
///
/// Answers 401 for a missing or bad token, 403 for one whose role or app has no business here, and
/// 403 for a change that a cookie authenticates but that comes from a foreign page, and 429 for one
/// request too many.
pub(super) fn authenticate(
    api: &Api,
    dialect: Dialect,
    parts: &Parts,
) -> Result<Caller, RestError> {
    let credential =
        credentials(&parts.headers).ok_or_else(|| RestError::token(TokenError::Missing))?;
    let principal = api
        .verifier
        .verify(credential.token, service_kit::now())
        .map_err(RestError::token)?;
    if principal.app.dialect != dialect {
        return Err(RestError::token(TokenError::Role));
    }
    api.quota.take(&principal)?;
    let origins = &principal.app.origins;
    match credential.source {
        CredentialSource::Cookie
            if !parts.method.is_safe() && !change_allowed(&parts.headers, origins) =>
        {
            Err(RestError::forbidden("Origin is not allowed"))
        }
        CredentialSource::Cookie | CredentialSource::Bearer => Ok(Caller {
            app: principal.app,
            user: principal.user,
            device: None,
        }),
    }
}

/// Returns the dialect of the app whose key verifies the token of a request, for paths that two
/// dialects share. It authenticates nobody.
pub(super) fn dialect_of(api: &Api, headers: &HeaderMap) -> Option<Dialect> {
    let credential = credentials(headers)?;
    let principal = api.verifier.verify(credential.token, service_kit::now());
    Some(principal.ok()?.app.dialect)
}
