//! Key sets. RFC 7517.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::keys::Key;

/// A document that is no key set, or holds no key of the algorithm.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwksError {
    #[error("not a JSON Web Key Set")]
    Malformed(#[from] serde_json::Error),
    #[error("no {0:?} key in the key set")]
    NoKey(Algorithm),
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Reads the keys that may verify `algorithm`. Others, and those of a kind unknown here, are skipped.
pub(super) fn parse(json: &[u8], algorithm: Algorithm) -> Result<Vec<Key>, JwksError> {
    let set: KeySet = serde_json::from_slice(json)?;
    let keys: Vec<_> = set
        .keys
        .into_iter()
        .filter_map(|jwk| serde_json::from_value(jwk).ok())
        .filter_map(|jwk| key(&jwk, algorithm))
        .collect();
    if keys.is_empty() {
        return Err(JwksError::NoKey(algorithm));
    }
    Ok(keys)
}

fn key(jwk: &Jwk, algorithm: Algorithm) -> Option<Key> {
    let (kind_fits, name) = match (&jwk.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => (true, KeyAlgorithm::RS256),
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => {
            (key.curve == EllipticCurve::P256, KeyAlgorithm::ES256)
        }
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => {
            (key.curve == EllipticCurve::Ed25519, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let is_for_it = jwk.common.key_algorithm.is_none_or(|named| named == name);
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    if !(kind_fits && is_for_it && signs) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key::new(jwk.common.key_id.clone(), decoding))
}
