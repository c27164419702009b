//! `cargo xtask token` and the tokens of the demo users: JSON Web Tokens, signed with HS256.
//!
//! For development; nothing here verifies a token.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{apps::APPS, cli::Args, json, places::Places, run_dir};

/// A day in seconds, the life of a token unless told otherwise.
pub(crate) const DAY: u64 = 86_400;

/// What a token says about its bearer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims<'a> {
    pub(crate) user: &'a str,
    pub(crate) role: &'a str,
    pub(crate) email: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// Prints a token for a user of the running system, or of the last one.
///
/// # Errors
///
/// When a required flag is missing or no system has run yet.
pub(crate) fn print(mut args: Args, places: &Places) -> Result<()> {
    let app: String = args
        .option("--app")?
        .unwrap_or_else(|| APPS[0].name.to_owned());
    let user: String = args.option("--user")?.context("--user is required")?;
    let role: String = args.option("--role")?.context("--role is required")?;
    let email: Option<String> = args.option("--email")?;
    let name: Option<String> = args.option("--name")?;
    let seconds = args.option("--ttl")?.unwrap_or(DAY);
    let endpoints = args.path("--endpoints")?;
    args.finish()?;

    let secret = match endpoints {
        Some(file) => {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            secret_in(&text, &app).with_context(|| format!("no app {app:?} in the file"))?
        }
        None => fs::read_to_string(run_dir::lasting(places).join(format!("app-{app}.secret")))
            .with_context(|| format!("no `cargo xtask up` with an app {app:?} has run here yet"))?,
    };
    let claims = Claims {
        user: &user,
        role: &role,
        email: email.as_deref(),
        name: name.as_deref(),
    };
    println!("{}", sign(&secret, claims, seconds)?);
    Ok(())
}

/// Signs a token that is good for `seconds` from now.
///
/// # Errors
///
/// When the clock stands before 1970.
pub(crate) fn sign(secret: &str, claims: Claims<'_>, seconds: u64) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    signed(secret, claims, now, now + seconds)
}

fn signed(secret: &str, claims: Claims<'_>, issued: u64, expires: u64) -> Result<String> {
    let mut members = vec![
        ("sub", json::string(claims.user)),
        ("role", json::string(claims.role)),
        ("iat", issued.to_string()),
        ("exp", expires.to_string()),
    ];
    members.extend(claims.email.map(|email| ("email", json::string(email))));
    members.extend(claims.name.map(|name| ("name", json::string(name))));

    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(json::object(members));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{header}.{payload}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    Ok(format!("{header}.{payload}.{signature}"))
}

/// Reads back a secret from what [`crate::apps::Apps::to_json`] wrote.
fn secret_in(endpoints: &str, app: &str) -> Option<String> {
    let app = json::string(app);
    let start = format!("{app}:{{\"dialect\":{app},\"secret\":\"");
    let (_, rest) = endpoints.split_once(&start)?;
    rest.split_once('"').map(|(secret, _)| secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_every_other_library_makes_of_it() {
        let claims = Claims {
            user: "u1",
            role: "patient",
            email: None,
            name: Some("Ada"),
        };

        let token = signed("secret", claims, 1, 2).unwrap();

        // Computed with Python's hmac.
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
             eyJzdWIiOiJ1MSIsInJvbGUiOiJwYXRpZW50IiwiaWF0IjoxLCJleHAiOjIsIm5hbWUiOiJBZGEifQ.\
             ciMZ4PiBfFLF0UycfD7JhumQwhX0CMjX7QgY14ql8mg",
        );
    }

    #[test]
    fn a_secret_is_found_by_the_name_of_its_app() {
        let text = r#"{"apps":{"consult":{"dialect":"consult","secret":"one"},"care":{"dialect":"care","secret":"two"}}}"#;

        assert_eq!(secret_in(text, "care").as_deref(), Some("two"));
        assert_eq!(secret_in(text, "clinic"), None);
    }
}
