//! Brokers: the one of the test run, or one of a test's own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use async_nats::Client;
use uuid::Uuid;

/// Connects to the broker that all tests share.
///
/// # Errors
///
/// Returns why it could not be reached, or that `NATS_URL` is missing.
pub async fn connect() -> anyhow::Result<Client> {
    let url =
        std::env::var("NATS_URL").context("NATS_URL is not set; `cargo xtask test` sets it")?;
    Ok(async_nats::connect(url).await?)
}

/// A broker of a test's own, which the test can stop and start again at the same address.
///
/// For tests that take the broker away, and for those that answer requests: on the shared broker,
/// other stores would answer them too. It ends with this value, and with the process.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    port: u16,
    /// Where it keeps streams, if it does.
    streams: Option<PathBuf>,
    /// Further settings.
    settings: Option<PathBuf>,
    running: Option<Child>,
}

impl Server {
    /// Starts a broker on a free port.
    ///
    /// # Errors
    ///
    /// Returns that there is no `nats-server` in `CHAT_NATS_SERVER`, on the `PATH` or where
    /// `cargo xtask` puts it, or why it did not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(None, None)
    }

    /// Starts a broker with JetStream, whose streams go with it.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_jetstream() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("streams-{}", Uuid::new_v4()));
        Self::start_with(Some(folder), None)
    }

    /// Starts a broker with JetStream and further settings, as they stand in its configuration.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_set(settings: &str) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("streams-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("nats.conf");
        std::fs::write(&file, settings)?;
        Self::start_with(Some(folder), Some(file))
    }

    fn start_with(streams: Option<PathBuf>, settings: Option<PathBuf>) -> anyhow::Result<Self> {
        let program = find().context("no nats-server; `cargo xtask up` fetches one")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self {
            program,
            port,
            streams,
            settings,
            running: None,
        };
        server.resume()?;
        Ok(server)
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it at once. Everything in flight is lost.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // Its shell ends the broker and itself once its input closes.
            drop(child.stdin.take());
            drop(child.wait());
        }
    }

    /// Starts it again after [`Self::stop`].
    ///
    /// # Errors
    ///
    /// Returns why it could not be started.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        let streams = self
            .streams
            .iter()
            .flat_map(|folder| ["--jetstream".into(), "--store_dir".into(), folder.clone()]);
        let settings = self
            .settings
            .iter()
            .flat_map(|file| ["--config".into(), file.clone()]);
        // The shell ties the broker to this process: however it dies, the shell's input closes.
        let child = Command::new("sh")
            .arg("-c")
            .arg(r#""$0" "$@" & broker=$!; cat >/dev/null; kill -9 $broker; wait $broker"#)
            .arg(&self.program)
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(streams)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("sh could not be started")?;
        self.running = Some(child);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(folder) = &self.streams {
            // It lies in the folder for temporary files anyway.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHAT_NATS_SERVER") {
        return Some(path.into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::split_paths(&paths)
        .chain(["/usr/sbin".into(), "/usr/local/bin".into()])
        .chain(["usr/sbin", "usr/bin"].map(|folder| root.join(".dev/root").join(folder)))
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
}
