//! Tokens of every kind against apps of every kind.

mod jwks;
mod keys;
mod tokens;

use std::{path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chat_domain::Timestamp;
use serde_json::{Value, json};

use super::*;
use keys::SigningKey;

/// When all these tests happen, in seconds.
const NOW_S: i64 = 1_790_000_000;
const NOW: Timestamp = Timestamp(NOW_S * 1000);

const PATIENT: &str = "0199a7de-0000-7000-8000-000000000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// Returns a verifier of the apps of a file with this text.
fn verifier(apps: &str) -> Verifier {
    let apps = Apps::parse(apps, Path::new("apps.toml")).unwrap();
    Verifier::new(Arc::new(apps))
}

/// Returns a verifier of one app with a secret, and further settings.
fn consult_app(settings: &str) -> Verifier {
    verifier(&format!(
        r#"
        [apps.consult]
        dialect = "consult"
        {settings}
        [[apps.consult.keys]]
        algorithm = "HS256"
        secret = "{SECRET}"
        "#
    ))
}

/// Returns claims that every default app of the dialect `consult` accepts, changed by `changes`; a
/// change to null takes the claim out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "sub": PATIENT, "role": "patient", "exp": NOW_S + 60 });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    claims
}

fn encode(part: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part)
}

fn hs256(claims: &Value) -> String {
    SigningKey::hmac(SECRET).token(&json!({}), claims)
}
