//! How browsers in a call find a way to each other: a server that tells them their outside address,
//! and a relay for when there is no direct way.
//!
//! The relay is not asked: as coturn's REST API has it, whoever knows the shared secret makes
//! credentials that expire by themselves. Who may call whom is not decided here.

use std::{fmt, time::Duration};

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chat_domain::Timestamp;
use service_kit::Secret;

use super::Caller;

/// Bytes of a pseudonym: too many to find two users with the same one.
const PSEUDONYM_BYTES: usize = 16;

/// The servers of a deployment; by default none, and then browsers call each other only within one
/// network.
#[derive(Debug, Default)]
pub struct IceServers {
    /// `stun:` URLs.
    pub stun_urls: Vec<String>,
    /// The relay, if there is one.
    pub relay: Option<Relay>,
}

/// A TURN server, or several that share a secret.
#[derive(Debug)]
pub struct Relay {
    /// `turn:` and `turns:` URLs, all leading to the same place.
    pub urls: Vec<String>,
    /// The server's `static-auth-secret`.
    pub secret: Secret,
    /// How long credentials are good for, to the second.
    pub lifetime: Duration,
}

/// What the relay takes from one user until `expires_at`.
#[derive(PartialEq, Eq)]
pub struct RelayCredentials {
    /// Expiry and pseudonym, separated by a colon.
    pub username: String,
    /// The MAC of the user name.
    pub password: String,
    /// When the relay stops taking them.
    pub expires_at: Timestamp,
}

impl Relay {
    /// Makes credentials for a user.
    ///
    /// The user name ends up in the relay's logs, so it holds a pseudonym: always the same one,
    /// because the relay's quota counts by it, and meaningless without the secret.
    #[must_use]
    pub fn credentials(&self, caller: &Caller, now: Timestamp) -> RelayCredentials {
        let expires_s = now.after(self.lifetime).0.div_euclid(1_000);
        let username = format!("{expires_s}:{}", self.pseudonym(caller));
        let mac = self.mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[&username]);
        RelayCredentials {
            password: BASE64_STANDARD.encode(mac),
            username,
            expires_at: Timestamp(expires_s * 1_000),
        }
    }

    fn pseudonym(&self, caller: &Caller) -> String {
        // Neither id holds a control character.
        let parts = [caller.app.id.as_str(), "\0", caller.user.id.as_str()];
        let mac = self.mac(hmac::HMAC_SHA256, &parts);
        let bytes = mac.as_ref().iter().take(PSEUDONYM_BYTES).copied();
        BASE64_URL_SAFE_NO_PAD.encode(bytes.collect::<Vec<_>>())
    }

    fn mac(&self, algorithm: hmac::Algorithm, parts: &[&str]) -> hmac::Tag {
        let key = hmac::Key::new(algorithm, self.secret.expose().as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayCredentials")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use chat_domain::{AppId, Role, User, UserId};
    use service_kit::apps::Apps;

    use super::*;

    const NOON: Timestamp = Timestamp(1_768_392_000_999);

    fn relay() -> Relay {
        Relay {
            urls: vec!["turn:relay.example".to_owned()],
            secret: "north".to_owned().into(),
            lifetime: Duration::from_hours(1),
        }
    }

    fn caller(app: &str, user: &str) -> Caller {
        let apps = format!(
            "[apps.{app}]\ndialect = \"consult\"\n\
             keys = [{{ algorithm = \"HS256\", secret = \"{}\" }}]",
            "s".repeat(32),
        );
        let apps = Apps::parse(&apps, Path::new("apps.toml")).unwrap();
        Caller {
            app: Arc::clone(apps.get(&AppId::new(app).unwrap()).unwrap()),
            user: User {
                id: UserId::new(user).unwrap(),
                role: Role::Patient,
                name: None,
                email: None,
                avatar_url: None,
            },
            device: None,
        }
    }

    #[test]
    fn credentials_are_those_of_coturns_rest_api() {
        let credentials = relay().credentials(&caller("a", "ben"), NOON);

        // printf 'a\0ben' | openssl dgst -sha256 -hmac north -binary | head -c16 | basenc --base64url
        // printf 'USERNAME' | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(credentials.username, "1768395600:DXzUkuD_onxba7W2J6d8MA");
        assert_eq!(credentials.password, "y0eg6Z9+ofpGlCIC8mcrauOwLUQ=");
        assert_eq!(credentials.expires_at, Timestamp(1_768_395_600_000));
    }

    #[test]
    fn a_pseudonym_lasts_and_belongs_to_one_user_of_one_app() {
        let name = |app, user, now| relay().credentials(&caller(app, user), now).username;
        let pseudonym = |app, user, now| name(app, user, now).split_once(':').unwrap().1.to_owned();

        let ben = pseudonym("a", "ben", NOON);

        assert_eq!(ben, pseudonym("a", "ben", Timestamp(0)));
        assert_ne!(ben, pseudonym("a", "ada", NOON));
        assert_ne!(ben, pseudonym("b", "ben", NOON));
        assert_ne!(pseudonym("a", "bb", NOON), pseudonym("ab", "b", NOON));
    }

    #[test]
    fn credentials_do_not_print() {
        let credentials = relay().credentials(&caller("a", "ben"), NOON);

        let printed = format!("{credentials:?} {:?}", relay());

        assert!(!printed.contains(&credentials.password) && !printed.contains("north"));
    }
}
