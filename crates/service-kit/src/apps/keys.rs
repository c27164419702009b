//! The keys of an app, and where they come from.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use tokio::sync::Notify;

/// A key that verifies tokens.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    kid: Option<String>,
    decoding: Arc<DecodingKey>,
}

impl Key {
    pub(super) fn new(kid: Option<String>, decoding: DecodingKey) -> Self {
        Self {
            kid,
            decoding: Arc::new(decoding),
        }
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The configuration: they never change.
    Fixed,
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS behind a URL.
    Url(reqwest::Url),
}

/// One entry of an app's `keys`: a single algorithm, and the keys that it may be used with.
#[derive(Debug)]
pub(crate) struct KeySource {
    algorithm: Algorithm,
    pub(super) origin: Origin,
    pub(super) refresh: Duration,
    keys: RwLock<Arc<[Key]>>,
    wanted: Notify,
}

impl KeySource {
    pub(super) fn new(
        algorithm: Algorithm,
        origin: Origin,
        refresh: Duration,
        keys: Vec<Key>,
    ) -> Self {
        Self {
            algorithm,
            origin,
            refresh,
            keys: RwLock::new(keys.into()),
            wanted: Notify::new(),
        }
    }

    /// Returns the only algorithm that these keys verify.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the keys as they are now.
    pub(crate) fn keys(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read())
    }

    /// Asks for the keys to be fetched again, because a token names one that is not here. How often
    /// that is heeded is not up to whoever sends tokens.
    pub(crate) fn want_refresh(&self) {
        self.wanted.notify_one();
    }

    pub(super) fn replace(&self, keys: Vec<Key>) {
        *self.keys.write() = keys.into();
    }

    /// Waits until [`Self::want_refresh`] was called.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
