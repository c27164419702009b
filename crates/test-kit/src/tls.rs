//! Certificates of an authority of the test's own, and doors with TLS in front of servers without.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use uuid::Uuid;

/// What a client of Postgres says before TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Somebody who vouches for names. Its files go with it.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a certificate that an [`Authority`] made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// What is said before TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A client of Postgres asks whether TLS is spoken.
    Postgres,
}

impl Authority {
    /// Makes one that nobody knows.
    ///
    /// # Errors
    ///
    /// Returns what could not be made or written.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = std::env::temp_dir().join(format!("authority-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&folder)?;
        let authority = Self { folder, issuer };
        std::fs::write(authority.file(), authority.issuer.pem())?;
        Ok(authority)
    }

    /// Returns where its own certificate is, in PEM.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Makes a certificate for the name of a host.
    ///
    /// # Errors
    ///
    /// Returns what could not be made or written.
    pub fn issue(&self, name: &str) -> anyhow::Result<Issued> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        let path = |kind: &str| {
            self.folder
                .join(format!("{name}-{}.{kind}", Uuid::new_v4()))
        };
        let issued = Issued {
            certificate: path("certificate"),
            key: path("key"),
        };
        std::fs::write(&issued.certificate, certificate.pem())?;
        std::fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }

    /// Connects like a client that believes this authority alone.
    ///
    /// # Errors
    ///
    /// Returns why the two did not come together.
    pub async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        self.greet(stream, name).await
    }

    /// Speaks TLS over a connection, like a client that believes this authority alone.
    ///
    /// # Errors
    ///
    /// Returns why the two did not come together.
    pub async fn greet(&self, stream: TcpStream, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from(self.issuer.der().to_vec());
        roots.add(own).map_err(io::Error::other)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // It lies in the folder for temporary files anyway.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Opens a port on loopback that speaks TLS and passes on to `server`, which does not; it is there
/// for as long as the test's runtime.
///
/// # Errors
///
/// Returns what is wrong with the certificate or the port.
pub async fn door(issued: &Issued, before: Before, server: String) -> anyhow::Result<SocketAddr> {
    let certificates = CertificateDer::pem_file_iter(&issued.certificate)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates.collect::<Result<_, _>>()?, key(&issued.key)?)?;
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (tls, server) = (tls.clone(), server.clone());
            tokio::spawn(async move {
                if before == Before::Postgres {
                    let mut asked = [0; 8];
                    client.read_exact(&mut asked).await?;
                    if asked != SSL_REQUEST {
                        return Ok(());
                    }
                    client.write_all(b"S").await?;
                }
                let mut client = tls.accept(client).await?;
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                io::Result::Ok(())
            });
        }
    });
    Ok(address)
}

fn key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).context("the key")
}
