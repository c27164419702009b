//! A token as it came, and the search for the key that signed it.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::TokenError;
use crate::apps::{App, Apps, Key, KeySource};

/// The longest token accepted, in bytes.
const MAX_BYTES: usize = 4096;

/// What is read of a header (RFC 7515, section 4.1). Where it says the key is to be found is ignored.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// A token that is well-formed; nothing in it may be believed before [`Self::find_app`].
pub(super) struct Token<'a> {
    signed: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
}

/// A key that may have signed a token, with how likely that is: the lowest rank is tried first.
struct Candidate<'a> {
    rank: u8,
    app: &'a Arc<App>,
    key: Key,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenError> {
        let text = text.trim();
        let text = crate::http::bearer(text).unwrap_or(text);
        if text.is_empty() || text.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Missing);
        }
        Self::parse_jws(text).ok_or(TokenError::Invalid)
    }

    fn parse_jws(text: &'a str) -> Option<Self> {
        if MAX_BYTES < text.len() {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        if header.crit.is_some() {
            // RFC 7515, section 4.1.11: an extension that we do not know must not be ignored.
            return None;
        }
        Some(Self {
            signed,
            signature,
            algorithm: header.alg.parse().ok()?,
            kid: header.kid,
            claims: decode(claims)?,
        })
    }

    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Returns the app whose key signed the token and whose issuer and audience it names.
    pub(super) fn find_app(&self, apps: &'a Apps) -> Result<&'a Arc<App>, TokenError> {
        let mut candidates = Vec::new();
        for app in apps.iter() {
            for source in app.tokens.keys() {
                self.collect(app, source, &mut candidates);
            }
        }
        candidates.sort_by_key(|candidate| candidate.rank);
        candidates
            .iter()
            .find(|candidate| {
                self.is_signed_by(&candidate.key) && candidate.app.tokens.accepts(&self.claims)
            })
            .map(|candidate| candidate.app)
            .ok_or(TokenError::Invalid)
    }

    fn collect(&self, app: &'a Arc<App>, source: &KeySource, candidates: &mut Vec<Candidate<'a>>) {
        if source.algorithm() != self.algorithm {
            return;
        }
        let keys = source.keys();
        for key in keys.iter() {
            let rank = match (&self.kid, key.kid()) {
                (Some(wanted), Some(kid)) if wanted == kid => 0,
                (Some(_), Some(_)) => continue,
                _ if app.tokens.expects_issuer_of(&self.claims) => 1,
                _ => 2,
            };
            candidates.push(Candidate {
                rank,
                app,
                key: key.clone(),
            });
        }
        let is_known = |kid: &str| keys.iter().any(|key| key.kid() == Some(kid));
        if self.kid.as_deref().is_some_and(|kid| !is_known(kid)) {
            source.want_refresh();
        }
    }

    fn is_signed_by(&self, key: &Key) -> bool {
        crypto::verify(
            self.signature,
            self.signed.as_bytes(),
            key.decoding(),
            self.algorithm,
        )
        .unwrap_or(false)
    }
}

/// Decodes one part of a token: base64url without padding, of a JSON object.
fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}
