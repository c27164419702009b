//! TLS: what the ports of a process show to those who connect, and whom its own connections believe.
//!
//! Postgres and Redis have drivers that read settings of their own; which connection speaks TLS is
//! said where it is made.

mod shown;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use tokio_rustls::TlsAcceptor;

use self::shown::Shown;

/// What every port of the process shows. Without it they speak plain HTTP, for a load balancer or a
/// mesh that ends TLS before them.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// PEM file with the certificate of this service, and those between it and its authority. With
    /// it, every port of the process speaks TLS and nothing else.
    #[arg(long, env = "CHAT_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,

    /// PEM file with the private key of that certificate.
    #[arg(long, env = "CHAT_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
}

/// Files that TLS cannot be spoken with. The service does not start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, not readable, or holds nothing of its kind.
    #[error("cannot read {path} as PEM")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A certificate and a key are none, or not each other's.
    #[error("{path} and its key cannot be used")]
    Pair {
        /// The certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// An authority is none.
    #[error("{path} holds no authority")]
    Authority {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl TlsArgs {
    /// Returns what greets those who connect, if they are to be greeted. It shows what the files hold
    /// a minute after they were written at the latest; what cannot be used there is logged and never
    /// shown. Clones share it, and one is enough for a process: [`crate::Service::tls`].
    ///
    /// # Errors
    ///
    /// Returns a [`TlsError`] that names the file; `start` hands it on.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime, which reads the files again.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, TlsError> {
        let Some((path, key)) = self.files() else {
            return Ok(None);
        };
        let shown = Arc::new(Shown::read(path, key)?);
        tokio::spawn(Arc::clone(&shown).renew());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(shown);
        Ok(Some(Arc::new(config).into()))
    }

    /// The certificate and its key, if ports speak TLS.
    pub(crate) fn files(&self) -> Option<(&Path, &Path)> {
        self.tls_cert_file
            .as_deref()
            .zip(self.tls_key_file.as_deref())
    }
}

/// Returns how to connect to servers for which the authorities in `ca` vouch, and no others, with a
/// certificate of one's own and its key if there are.
pub(crate) fn client(ca: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authority {
                path: ca.to_owned(),
                source,
            })?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((path, key)) => builder
            .with_client_auth_cert(certificates(path)?, private_key(key)?)
            .map_err(|source| pair(path, source)),
    }
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = || {
        let all = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(all)
    };
    read().map_err(|source| file(path, source))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| file(path, source))
}

fn file(path: &Path, source: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        source,
    }
}

fn pair(path: &Path, source: rustls::Error) -> TlsError {
    TlsError::Pair {
        path: path.to_owned(),
        source,
    }
}
