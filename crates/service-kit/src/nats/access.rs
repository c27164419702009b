//! How every connection of a process to NATS is made: to which servers, trusting whom, as whom.
//!
//! It connects nowhere.

use std::fmt;

use async_nats::{ConnectOptions, ServerAddr};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::{KeyPair, KeyPairType};
use rustls::ClientConfig;

use super::NatsError;
use crate::{NatsArgs, Secret, tls};

/// The settings of NATS, read and checked.
#[derive(Clone)]
pub struct NatsAccess {
    /// At least one.
    pub servers: Vec<ServerAddr>,
    /// How to speak TLS, which is spoken if this is there and never else.
    pub tls: Option<ClientConfig>,
    nkey: Option<(Secret, KeyPair)>,
}

/// What a server that asked with a nonce is answered.
#[derive(Debug)]
pub struct Signed {
    /// The public half of the nkey: the user's name to the server.
    pub nkey: String,
    /// The signature, in base64 as a CONNECT has it.
    pub signature: String,
}

impl NatsArgs {
    /// Reads the files that the settings name, and checks all of it.
    ///
    /// # Errors
    ///
    /// Returns a [`NatsError`] that says what is wrong; `start` hands it on.
    pub fn access(&self) -> Result<NatsAccess, NatsError> {
        let servers = self
            .urls()
            .filter(|url| !url.is_empty())
            .map(str::parse::<ServerAddr>)
            .collect::<Result<Vec<_>, _>>()
            .map_err(NatsError::Url)?;
        if servers.is_empty() {
            return Err(NatsError::NoUrl);
        }
        let own = self
            .nats_cert_file
            .as_deref()
            .zip(self.nats_key_file.as_deref());
        let tls = match &self.nats_ca_file {
            Some(ca) => Some(tls::client(ca, own)?),
            None if servers.iter().any(ServerAddr::tls_required) => {
                return Err(NatsError::NoAuthority);
            }
            None => None,
        };
        let nkey = match &self.nats_nkey_seed {
            Some(seed) => {
                let pair = KeyPair::from_seed(seed.expose()).map_err(|_| NatsError::Seed)?;
                if pair.key_pair_type() != KeyPairType::User {
                    return Err(NatsError::Seed);
                }
                Some((seed.clone(), pair))
            }
            None => None,
        };
        Ok(NatsAccess { servers, tls, nkey })
    }
}

impl NatsAccess {
    /// Signs a server's nonce, if this service has an nkey.
    #[must_use]
    pub fn sign(&self, nonce: &str) -> Option<Signed> {
        let (_, pair) = self.nkey.as_ref()?;
        Some(Signed {
            nkey: pair.public_key(),
            signature: URL_SAFE_NO_PAD.encode(pair.sign(nonce.as_bytes()).ok()?),
        })
    }

    /// Says the same to the library.
    pub(super) fn options(&self) -> ConnectOptions {
        let options = match &self.nkey {
            Some((seed, _)) => ConnectOptions::with_nkey(seed.expose().to_owned()),
            None => ConnectOptions::new(),
        };
        match &self.tls {
            Some(config) => options.require_tls(true).tls_client_config(config.clone()),
            None => options,
        }
    }
}

impl fmt::Debug for NatsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsAccess").finish_non_exhaustive()
    }
}
