//! How every connection of a process to NATS is made: to which servers, trusting whom, as whom.
//!
//! It connects nowhere.

use std::{fmt, path::PathBuf};

use async_nats::{ConnectOptions, ServerAddr};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::{KeyPair, KeyPairType};
use rustls::ClientConfig;

use super::NatsError;
use crate::{NatsArgs, Secret, TlsError, tls};

/// The settings of NATS, read and checked.
#[derive(Clone)]
pub struct NatsAccess {
    /// At least one.
    pub servers: Vec<ServerAddr>,
    /// How to speak TLS, which is spoken if this is there and never else.
    pub tls: Option<NatsTls>,
    nkey: Option<(Secret, KeyPair)>,
}

/// Where it is written whom to believe, and what to show. The files are read for each connection, so
/// what was renewed there counts from the next one.
#[derive(Debug, Clone)]
pub struct NatsTls {
    ca: PathBuf,
    own: Option<(PathBuf, PathBuf)>,
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
        let tls = match self.nats_ca_file.clone() {
            Some(ca) => {
                let own = self.nats_cert_file.clone().zip(self.nats_key_file.clone());
                let tls = NatsTls { ca, own };
                tls.config()?;
                Some(tls)
            }
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

impl NatsTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Returns a [`TlsError`] that names the one that cannot be used; whoever connects tries again.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        let own = self.own.as_ref().map(|(own, key)| (&**own, &**key));
        tls::client(&self.ca, own)
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
        let Some(NatsTls { ca, own }) = &self.tls else {
            return options;
        };
        let options = options.require_tls(true).add_root_certificates(ca.clone());
        match own {
            Some((own, key)) => options.add_client_certificate(own.clone(), key.clone()),
            None => options,
        }
    }
}

impl fmt::Debug for NatsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsAccess").finish_non_exhaustive()
    }
}
