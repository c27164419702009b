//! Session ids of Engine.IO: `<replica>.<random><mac>`. Clients see an opaque text. Whoever knows
//! one can speak for its client, so they are never logged.

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Bytes that nobody can guess.
const RANDOM_LEN: usize = 16;
/// Bytes of the MAC that are kept: enough where each guess costs a request.
const MAC_LEN: usize = 12;

/// Makes and checks session ids. All replicas of a deployment have the same key.
pub struct SidKey(hmac::Key);

/// The name of a session within its replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionKey([u8; RANDOM_LEN]);

impl SidKey {
    /// Takes the secret of the deployment.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Draws a secret for this process alone: other replicas will not know its sessions.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(&random::<32>())
    }

    /// Returns the id of a session that `replica` holds.
    pub(super) fn seal(&self, replica: &str, session: SessionKey) -> String {
        let mut bytes = [0; RANDOM_LEN + MAC_LEN];
        let mac = self.mac(replica, session);
        for (to, from) in bytes.iter_mut().zip(session.0.iter().chain(&mac)) {
            *to = *from;
        }
        format!("{replica}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the replica and the session that an id of this deployment names.
    pub(super) fn open<'a>(&self, sid: &'a str) -> Option<(&'a str, SessionKey)> {
        let (replica, text) = sid.rsplit_once('.')?;
        let mut bytes = [0; RANDOM_LEN + MAC_LEN];
        let n = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        if n != bytes.len() {
            return None;
        }
        let (session, mac) = bytes.split_first_chunk::<RANDOM_LEN>()?;
        let session = SessionKey(*session);
        let expected = self.mac(replica, session);
        aws_lc_rs::constant_time::verify_slices_are_equal(mac, &expected).ok()?;
        Some((replica, session))
    }

    fn mac(&self, replica: &str, session: SessionKey) -> [u8; MAC_LEN] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(replica.as_bytes());
        context.update(b".");
        context.update(&session.0);
        let tag = context.sign();
        let mut mac = [0; MAC_LEN];
        for (to, from) in mac.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        mac
    }
}

impl SessionKey {
    /// Draws a key.
    pub(super) fn generate() -> Self {
        Self(random())
    }

    /// Returns eight random bits.
    pub(super) const fn first_byte(self) -> u8 {
        self.0[0]
    }
}

/// Draws random bytes, fit for secrets.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "the system's generator does not fail once it runs"
    )]
    rand::fill(&mut bytes).expect("random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_replica_and_session() {
        let key = SidKey::new(b"deployment");
        let session = SessionKey::generate();

        let sid = key.seal("gateway-1.eu", session);

        assert!(key.open(&sid) == Some(("gateway-1.eu", session)));
    }

    #[test]
    fn an_id_of_another_deployment_names_nothing() {
        let sid = SidKey::new(b"theirs").seal("a", SessionKey::generate());

        assert!(SidKey::new(b"ours").open(&sid).is_none());
    }

    #[test]
    fn no_character_of_an_id_can_be_changed() {
        let key = SidKey::new(b"deployment");
        let sid = key.seal("a", SessionKey::generate());

        for i in 0..sid.len() {
            let mut bytes = sid.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();

            assert!(key.open(&forged).is_none(), "character {i}");
        }
    }
}
