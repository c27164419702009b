//! The connection below a client: TCP, and TLS above it for `https://`.

use std::{
    fmt::Debug,
    sync::{Arc, LazyLock},
};

use anyhow::{Context as _, bail};
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Who is trusted: what this machine trusts.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is one that is not trusted.
    let _counts = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
});

/// Either of the two.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}

/// Connects to `http://host:port` or `https://host`, and returns what `Host` is to say, too.
pub(crate) async fn connect(url: &str) -> anyhow::Result<(Box<dyn Stream>, String)> {
    let url: Url = url.parse().with_context(|| format!("{url} is no URL"))?;
    let host = url.host_str().context("a URL without host")?;
    let port = url.port_or_known_default().context("a URL without port")?;
    // An IPv6 address stands in brackets there.
    let bare = host.trim_matches(['[', ']']);
    let tcp = TcpStream::connect((bare, port)).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match url.scheme() {
        "http" => Box::new(tcp),
        "https" => {
            let name = ServerName::try_from(bare.to_owned())?;
            Box::new(
                TlsConnector::from(Arc::clone(&TLS))
                    .connect(name, tcp)
                    .await?,
            )
        }
        other => bail!("{other}:// is not spoken; http:// and https:// are"),
    };
    Ok((stream, format!("{host}:{port}")))
}
