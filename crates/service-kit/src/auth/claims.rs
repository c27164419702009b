//! What the claims of a verified token say. RFC 7519, section 4.1.

use std::sync::Arc;

use chat_domain::{Dialect, Role, Timestamp, User, UserId};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Principal, Revocations, TokenError};
use crate::apps::App;

/// How far the clocks of issuer and service may be apart, in seconds.
const LEEWAY_S: i64 = 30;

/// The last second that a `Timestamp` can show: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Claims by which issuers tell a refresh or identity token from an access token.
const USE_CLAIMS: [&str; 4] = ["token_use", "token_type", "type", "typ"];

type Claims = Map<String, Value>;

/// Checks `nbf` and `exp` against `now`.
pub(super) fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
    if let Some(not_before) = claims.get("nbf") {
        let not_before = seconds(Some(not_before))?;
        if now.0 < (not_before - LEEWAY_S) * 1000 {
            return Err(TokenError::Invalid);
        }
    }
    if (seconds(claims.get("exp"))? + LEEWAY_S) * 1000 <= now.0 {
        return Err(TokenError::Expired);
    }
    Ok(())
}

/// Reads whom the token names.
pub(super) fn principal(
    app: &Arc<App>,
    claims: &Claims,
    revocations: &Revocations,
) -> Result<Principal, TokenError> {
    let names = app.tokens.claims();
    if USE_CLAIMS
        .iter()
        .any(|name| is_other_use(claims.get(*name)))
    {
        return Err(TokenError::Invalid);
    }
    let id = first(claims, &names.user_id).ok_or(TokenError::Invalid)?;
    let id = user_id(app.dialect, id.as_str().ok_or(TokenError::Invalid)?)?;
    let role = first(claims, &names.role)
        .and_then(Value::as_str)
        .and_then(|role| Role::parse(role).ok())
        .filter(|role| role.belongs_to(app.dialect))
        .ok_or(TokenError::Role)?;
    let name = |claim| claims.get(claim).and_then(Value::as_str);
    let (session, token) = (name("sid"), name("jti"));
    let marks = revocations.marks(&app.id, &id, (session, token), issued_at(claims));
    Ok(Principal {
        app: Arc::clone(app),
        user: User {
            id,
            role,
            name: optional_text(claims, &names.name),
            email: optional_text(claims, &names.email),
            avatar_url: None,
        },
        expires_at: Timestamp(seconds(claims.get("exp"))? * 1000),
        token_id: token.map(str::to_owned),
        marks,
    })
}

/// Reads a date. Fractions are legal in RFC 7519 and refused here: no issuer of ours writes them, and
/// a claim that is not what it should be is not to be interpreted.
fn seconds(claim: Option<&Value>) -> Result<i64, TokenError> {
    claim
        .and_then(Value::as_u64)
        .map(|seconds| i64::try_from(seconds).map_or(LAST_SECOND, |s| s.min(LAST_SECOND)))
        .ok_or(TokenError::Invalid)
}

/// Reads when the token was issued, for which a fraction does no harm.
fn issued_at(claims: &Claims) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and nobody depends on it"
    )]
    let seconds = claims.get("iat").and_then(Value::as_f64)? as i64;
    Some(Timestamp(seconds.saturating_mul(1000)))
}

fn is_other_use(claim: Option<&Value>) -> bool {
    claim.and_then(Value::as_str).is_some_and(|text| {
        ["refresh", "id"]
            .iter()
            .any(|other| text.eq_ignore_ascii_case(other))
    })
}

fn user_id(dialect: Dialect, text: &str) -> Result<UserId, TokenError> {
    let id = match dialect {
        Dialect::Consult => {
            // `Uuid` also takes braces, URNs and the form without hyphens; the wire does not.
            let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
            UserId::new(&id.ok_or(TokenError::Invalid)?.to_string())
        }
        Dialect::Clinic => UserId::new(&text.to_lowercase()),
        Dialect::Care => UserId::new(text),
        Dialect::Booking => UserId::new(text),
    };
    id.map_err(|_| TokenError::Invalid)
}

/// Returns the first of the named claims that is present. `user.id` is `id` inside of `user`.
fn first<'a>(claims: &'a Claims, names: &[String]) -> Option<&'a Value> {
    names
        .iter()
        .filter_map(|name| {
            claims.get(name).or_else(|| {
                let mut path = name.split('.');
                let outermost = claims.get(path.next()?)?;
                path.try_fold(outermost, |value, step| value.get(step))
            })
        })
        .find(|value| !value.is_null())
}

/// Reads a text that is only shown. One that could not be stored is left out.
fn optional_text(claims: &Claims, names: &[String]) -> Option<String> {
    first(claims, names)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
        .map(str::to_owned)
}
