//! The certificate that the ports of this process show, read again from its files while they serve.
//!
//! Whom connections of our own believe is not here: that is read whenever one is made.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use der::{
    AnyRef, Decode as _, Reader as _, SliceReader, Tag, Tagged as _,
    asn1::{GeneralizedTime, UtcTime},
};
use metrics::gauge;
use parking_lot::RwLock;
use rustls::{
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{TlsError, certificates, pair, private_key};

/// How often the files are read again.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// A certificate with its key, and the files that both come from.
#[derive(Debug)]
pub(super) struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Shown {
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Arc::new(read(certificate, key)?)),
        })
    }

    /// Shows what the files hold from now on, whenever that can be used.
    pub(super) async fn renew(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(READ_AGAIN);
        let mut is_usable = true;
        loop {
            ticks.tick().await;
            let outcome = read(&self.certificate, &self.key);
            let was_usable = mem::replace(&mut is_usable, outcome.is_ok());
            gauge!("chat_certificate_files_usable").set(f64::from(u8::from(is_usable)));
            match outcome {
                Ok(new) => self.show(new),
                // One of the two files is often written before the other.
                Err(error) if was_usable => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the files of the certificate cannot be used, so the last one that could is \
                     still shown: write the certificate and its key anew; no restart is needed"
                ),
                Err(_) => {}
            }
        }
    }

    fn show(&self, new: CertifiedKey) {
        if let Some(expiry) = new.cert.first().and_then(|own| expiry(own).ok()) {
            gauge!("chat_certificate_expires_timestamp_seconds").set(expiry.as_secs_f64());
        }
        if self.current.read().cert != new.cert {
            tracing::info!("a renewed certificate is shown");
            *self.current.write() = Arc::new(new);
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let provider = aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificates(certificate)?, private_key(key)?, &provider)
        .map_err(|source| pair(certificate, source))
}

/// Returns when a certificate expires, counted from 1970 (RFC 5280, 4.1): its body's third sequence,
/// after those of the algorithm and the issuer, has the two ends of its validity.
fn expiry(certificate: &[u8]) -> der::Result<Duration> {
    let mut parts = SliceReader::new(AnyRef::from_der(certificate)?.value())?;
    let mut body = SliceReader::new(parts.decode::<AnyRef<'_>>()?.value())?;
    let mut sequence = || loop {
        let part = body.decode::<AnyRef<'_>>()?;
        if part.tag() == Tag::Sequence {
            return der::Result::Ok(part);
        }
    };
    let (_algorithm, _issuer, validity) = (sequence()?, sequence()?, sequence()?);
    let mut ends = SliceReader::new(validity.value())?;
    let (_begin, end): (AnyRef<'_>, AnyRef<'_>) = (ends.decode()?, ends.decode()?);
    if end.tag() == Tag::UtcTime {
        return Ok(end.decode_as::<UtcTime>()?.to_unix_duration());
    }
    Ok(end.decode_as::<GeneralizedTime>()?.to_unix_duration())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
    use uuid::Uuid;

    use super::*;
    use crate::TlsArgs;

    /// Where a certificate for `localhost` and its key lie. They go with it.
    struct Files {
        folder: PathBuf,
        args: TlsArgs,
    }

    impl Files {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("shown-{}", Uuid::new_v4()));
            std::fs::create_dir_all(&folder).unwrap();
            let args = TlsArgs {
                tls_cert_file: Some(folder.join("certificate")),
                tls_key_file: Some(folder.join("key")),
            };
            Self { folder, args }
        }

        /// Writes a new pair, and returns the certificate.
        fn renew(&self) -> CertificateDer<'static> {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            self.write("certificate", &made.cert.pem());
            self.write("key", &made.signing_key.serialize_pem());
            made.cert.der().clone()
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.folder.join(file), text).unwrap();
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }

    type Ends = (
        client::TlsStream<DuplexStream>,
        server::TlsStream<DuplexStream>,
    );

    /// Lets a client that believes one certificate alone connect.
    async fn connect(acceptor: &TlsAcceptor, known: &CertificateDer<'static>) -> Option<Ends> {
        let mut roots = RootCertStore::empty();
        roots.add(known.clone()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let (near, far) = duplex(16_384);
        let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        client.ok().zip(server.ok())
    }

    async fn says(ends: &mut Ends, word: &[u8; 4]) {
        let mut heard = [0; 4];
        ends.0.write_all(word).await.unwrap();
        ends.1.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, word);
    }

    /// Moves the clock until the files were read once more.
    async fn read_again() {
        tokio::time::sleep(READ_AGAIN + Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_shown_and_connections_go_on() {
        let files = Files::new();
        let old = files.renew();
        let acceptor = files.args.acceptor().unwrap().unwrap();
        let mut before = connect(&acceptor, &old).await.unwrap();

        let new = files.renew();
        assert!(connect(&acceptor, &new).await.is_none());
        read_again().await;

        assert!(connect(&acceptor, &old).await.is_none());
        says(&mut connect(&acceptor, &new).await.unwrap(), b"new.").await;
        says(&mut before, b"old.").await;
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_cannot_be_used_leave_the_old_certificate() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let _here = metrics::set_default_local_recorder(&recorder);
        let tells = |line: &str| metrics.render().lines().any(|told| told == line);
        let files = Files::new();
        let old = files.renew();
        let acceptor = files.args.acceptor().unwrap().unwrap();
        let other_key = KeyPair::generate().unwrap().serialize_pem();
        let key = std::fs::read_to_string(files.folder.join("key")).unwrap();

        for (file, text) in [("certificate", ""), ("key", "no key"), ("key", &other_key)] {
            files.write(file, text);
            read_again().await;
            assert!(connect(&acceptor, &old).await.is_some(), "{file} {text}");
            assert!(tells("chat_certificate_files_usable 0"), "{file} {text}");
        }
        drop(std::fs::remove_file(files.folder.join("certificate")));
        files.write("key", &key);
        read_again().await;
        assert!(connect(&acceptor, &old).await.is_some());

        let new = files.renew();
        read_again().await;
        assert!(connect(&acceptor, &new).await.is_some());
        assert!(tells("chat_certificate_files_usable 1"));
        let expiry = expiry(&new).unwrap().as_secs();
        assert!(tells(&format!(
            "chat_certificate_expires_timestamp_seconds {expiry}"
        )));
    }

    #[test]
    fn the_expiry_is_that_of_the_certificate() {
        for (year, seconds) in [(2031, 1_924_992_000), (2050, 2_524_608_000)] {
            let mut params = CertificateParams::default();
            params.not_after = date_time_ymd(year, 1, 1);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();

            assert_eq!(expiry(made.der()), Ok(Duration::from_secs(seconds)));
            for end in 0..made.der().len() {
                assert!(expiry(&made.der()[..end]).is_err());
            }
        }
    }
}
