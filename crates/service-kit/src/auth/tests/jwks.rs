//! Public keys: in PEM files, key sets in files, and key sets behind URLs.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use parking_lot::Mutex;

use super::*;
use crate::Lifecycle;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(10);

/// A directory of files that goes with the test.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("service-kit-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &impl ToString) -> &Self {
        std::fs::write(self.0.join(name), text.to_string()).unwrap();
        self
    }

    fn verifier(&self, key: &str) -> Verifier {
        let text = format!("[apps.consult]\ndialect = \"consult\"\nkeys = [{{ {key} }}]");
        let apps = Apps::parse(&text, &self.0.join("apps.toml")).unwrap();
        Verifier::new(Arc::new(apps))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// An issuer on loopback: a key set that can be changed, and a count of how often it was fetched.
#[derive(Clone, Default)]
struct Issuer {
    set: Arc<Mutex<Option<Value>>>,
    n_fetches: Arc<AtomicUsize>,
}

impl Issuer {
    /// Serves until the test ends, and returns the URL.
    async fn serve(&self) -> String {
        let issuer = self.clone();
        let answer = async move || {
            issuer.n_fetches.fetch_add(1, Ordering::Relaxed);
            let set = issuer.set.lock().clone();
            set.map_or(Err(StatusCode::INTERNAL_SERVER_ERROR), |set| {
                Ok(set.to_string())
            })
        };
        let router = Router::new().route("/jwks", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/jwks")
    }

    fn publish(&self, keys: &[Value]) {
        *self.set.lock() = Some(key_set(keys));
    }
}

fn key_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

fn all_keys() -> [SigningKey; 3] {
    [SigningKey::rsa(), SigningKey::ec(), SigningKey::ed()]
}

/// Waits until the token is valid.
async fn valid_in_the_end(verifier: &Verifier, token: &str) {
    let wait = async {
        while verifier.verify(token, NOW).is_err() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    assert!(waited.is_ok(), "the token never became valid");
}

#[test]
fn pem_keys_verify_their_algorithm_alone() {
    let files = Files::new();
    for key in all_keys() {
        let algorithm = format!("{:?}", key.algorithm);
        files.write("key.pem", &key.public_pem);
        let verifier = files.verifier(&format!(
            "algorithm = \"{algorithm}\", public_key_file = \"key.pem\""
        ));

        let good = key.token(&json!({}), &claims(&json!({})));
        assert!(verifier.verify(&good, NOW).is_ok(), "{algorithm}");

        // The public key is public: whoever has it must not be able to sign with it.
        let forged = SigningKey::hmac(&key.public_pem).token(&json!({}), &claims(&json!({})));
        assert_eq!(
            verifier.verify(&forged, NOW).unwrap_err(),
            TokenError::Invalid
        );
        for other in all_keys() {
            let token = other.token(&json!({}), &claims(&json!({})));
            assert_eq!(
                verifier.verify(&token, NOW).unwrap_err(),
                TokenError::Invalid
            );
        }
    }
}

#[test]
fn a_key_set_file_may_hold_keys_of_every_kind() {
    let keys = all_keys();
    let mut set: Vec<_> = keys
        .iter()
        .map(|key| key.jwk(&format!("{:?}", key.algorithm)))
        .collect();
    set.push(json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }));
    set.push(json!("no key at all"));
    set.push(SigningKey::hmac(SECRET).jwk("HS256"));
    let files = Files::new();
    files.write("jwks.json", &key_set(&set));

    for key in &keys {
        let name = format!("{:?}", key.algorithm);
        let verifier = files.verifier(&format!(
            "algorithm = \"{name}\", jwks_file = \"jwks.json\""
        ));
        for header in [json!({ "kid": name }), json!({})] {
            let token = key.token(&header, &claims(&json!({})));
            assert!(verifier.verify(&token, NOW).is_ok(), "{name} {header}");
        }
        let unknown = key.token(&json!({ "kid": "../../x" }), &claims(&json!({})));
        assert_eq!(
            verifier.verify(&unknown, NOW).unwrap_err(),
            TokenError::Invalid
        );
        let secret = SigningKey::hmac(SECRET).token(&json!({}), &claims(&json!({})));
        assert_eq!(
            verifier.verify(&secret, NOW).unwrap_err(),
            TokenError::Invalid
        );
    }
}

#[test]
fn keys_for_encryption_or_another_algorithm_are_skipped() {
    let key = SigningKey::rsa();
    for (name, value) in [("use", "enc"), ("alg", "RS512"), ("alg", "RSA-OAEP")] {
        let mut jwk = key.jwk("k");
        jwk[name] = json!(value);
        let files = Files::new();
        files.write(
            "jwks.json",
            &key_set(&[jwk, SigningKey::rsa().jwk("other")]),
        );
        let verifier = files.verifier(r#"algorithm = "RS256", jwks_file = "jwks.json""#);

        let token = key.token(&json!({}), &claims(&json!({})));

        assert!(verifier.verify(&token, NOW).is_err(), "{name} = {value}");
    }
}

#[tokio::test]
async fn keys_behind_a_url_are_there_from_the_first_token() {
    for key in all_keys() {
        let issuer = Issuer::default();
        issuer.publish(&[key.jwk("k1")]);
        let (lifecycle, verifier) = (Lifecycle::new(), url_app(&key, &issuer.serve().await));

        verifier.apps().watch_keys(&lifecycle).await;

        let token = key.token(&json!({ "kid": "k1" }), &claims(&json!({})));
        assert!(verifier.verify(&token, NOW).is_ok());
    }
}

#[tokio::test]
async fn a_rotation_is_followed_without_restart() {
    let (old, new) = (SigningKey::ec(), SigningKey::ec());
    let issuer = Issuer::default();
    issuer.publish(&[old.jwk("old")]);
    let (lifecycle, verifier) = (Lifecycle::new(), url_app(&old, &issuer.serve().await));
    verifier.apps().watch_keys(&lifecycle).await;
    let old_token = old.token(&json!({ "kid": "old" }), &claims(&json!({})));
    let new_token = new.token(&json!({ "kid": "new" }), &claims(&json!({})));
    assert!(verifier.verify(&old_token, NOW).is_ok());

    issuer.publish(&[new.jwk("new")]);

    valid_in_the_end(&verifier, &new_token).await;
    assert!(verifier.verify(&old_token, NOW).is_err());
    assert_eq!(issuer.n_fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn unknown_kids_cause_one_fetch_a_minute() {
    let key = SigningKey::ec();
    let issuer = Issuer::default();
    issuer.publish(&[key.jwk("k1")]);
    let (lifecycle, verifier) = (Lifecycle::new(), url_app(&key, &issuer.serve().await));
    verifier.apps().watch_keys(&lifecycle).await;
    let flood = |n| {
        let token = key.token(&json!({ "kid": format!("k{n}") }), &claims(&json!({})));
        assert!(verifier.verify(&token, NOW).is_err());
    };
    let fetched = async |wanted| {
        while issuer.n_fetches.load(Ordering::Relaxed) < wanted {
            tokio::task::yield_now().await;
        }
    };

    flood(100);
    tokio::time::timeout(DEADLINE, fetched(2)).await.unwrap();
    for n in 100..1000 {
        flood(n);
        tokio::task::yield_now().await;
    }

    assert_eq!(issuer.n_fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_again() {
    let key = SigningKey::ed();
    let issuer = Issuer::default();
    let (lifecycle, verifier) = (Lifecycle::new(), url_app(&key, &issuer.serve().await));
    verifier.apps().watch_keys(&lifecycle).await;
    let token = key.token(&json!({ "kid": "k1" }), &claims(&json!({})));
    assert_eq!(
        verifier.verify(&token, NOW).unwrap_err(),
        TokenError::Invalid
    );

    issuer.publish(&[key.jwk("k1")]);

    valid_in_the_end(&verifier, &token).await;
}

#[tokio::test]
async fn a_broken_key_set_leaves_the_keys_that_are_there() {
    let key = SigningKey::ed();
    let issuer = Issuer::default();
    issuer.publish(&[key.jwk("k1")]);
    let (lifecycle, verifier) = (Lifecycle::new(), url_app(&key, &issuer.serve().await));
    verifier.apps().watch_keys(&lifecycle).await;
    let token = key.token(&json!({ "kid": "k1" }), &claims(&json!({})));

    for broken in [json!([]), json!({ "keys": [] }), json!("x".repeat(300_000))] {
        *issuer.set.lock() = Some(broken);
        verifier.apps().watch_keys(&lifecycle).await;
        assert!(verifier.verify(&token, NOW).is_ok());
    }
}

#[tokio::test]
async fn a_key_set_file_that_changes_is_read_again() {
    let (old, new) = (SigningKey::ec(), SigningKey::ec());
    let files = Files::new();
    files.write("jwks.json", &key_set(&[old.jwk("old")]));
    let verifier =
        files.verifier(r#"algorithm = "ES256", jwks_file = "jwks.json", refresh_seconds = 1"#);
    let lifecycle = Lifecycle::new();
    verifier.apps().watch_keys(&lifecycle).await;
    let token = new.token(&json!({ "kid": "new" }), &claims(&json!({})));
    assert!(verifier.verify(&token, NOW).is_err());

    files.write("jwks.json", &key_set(&[new.jwk("new")]));

    valid_in_the_end(&verifier, &token).await;
}

#[tokio::test]
async fn headers_that_point_to_keys_are_ignored() {
    let (key, attacker) = (SigningKey::ec(), SigningKey::ec());
    let files = Files::new();
    files.write("jwks.json", &key_set(&[key.jwk("k1")]));
    let verifier = files.verifier(r#"algorithm = "ES256", jwks_file = "jwks.json""#);
    let evil = Issuer::default();
    evil.publish(&[attacker.jwk("k1")]);
    let url = evil.serve().await;

    for header in [
        json!({ "jku": url, "kid": "k1" }),
        json!({ "x5u": url }),
        json!({ "jwk": attacker.jwk("k1"), "kid": "k1" }),
        json!({ "x5c": ["AA=="], "kid": "k1" }),
    ] {
        let token = attacker.token(&header, &claims(&json!({})));
        assert_eq!(
            verifier.verify(&token, NOW).unwrap_err(),
            TokenError::Invalid
        );
        // They are no reason to refuse a token that is good, either.
        let token = key.token(&header, &claims(&json!({})));
        assert!(verifier.verify(&token, NOW).is_ok(), "{header}");
    }
    assert_eq!(evil.n_fetches.load(Ordering::Relaxed), 0);
}

fn url_app(key: &SigningKey, url: &str) -> Verifier {
    let algorithm = key.algorithm;
    verifier(&format!(
        r#"
        [apps.consult]
        dialect = "consult"
        keys = [{{ algorithm = "{algorithm:?}", jwks_url = "{url}" }}]
        "#
    ))
}
