//! What the figures are held against: the same work without the system around it.

#![expect(
    clippy::print_stdout,
    reason = "a child process tells its port on standard output"
)]

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use crate::{endpoints::Endpoints, machine};

/// What the append function reaches without services, NATS and sockets.
#[derive(Debug, Deserialize)]
pub(crate) struct AppendRate {
    pub(crate) batched_per_second: f64,
}

/// Runs the example that calls the append function from SQL, on the same server.
pub(crate) fn append_function(
    program: &Path,
    endpoints: &Endpoints,
    seconds: u64,
) -> anyhow::Result<AppendRate> {
    let output = Command::new(program)
        .args(["--seconds", &seconds.to_string()])
        .env("DATABASE_URL", &endpoints.postgres.url)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the append yardstick printed no JSON")
}

/// Measures what the disk takes to keep what Postgres writes for one commit, in microseconds.
pub(crate) fn sync(folder: &Path) -> anyhow::Result<Histogram<u64>> {
    const PAGE: usize = 8_192;
    const N_PAGES: usize = 128;
    let path = folder.join("sync-yardstick");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; PAGE * N_PAGES])?;
    file.sync_all()?;

    let mut taken = Histogram::new(3)?;
    for n in 0..4 * N_PAGES {
        file.seek(SeekFrom::Start((n % N_PAGES * PAGE).try_into()?))?;
        let started = Instant::now();
        file.write_all(&[1; PAGE])?;
        file.sync_data()?;
        taken.record(started.elapsed().as_micros().try_into()?)?;
    }
    std::fs::remove_file(path)?;
    Ok(taken)
}

/// Accepts connections on a port that it prints, one waiting task each, until it is killed.
pub(crate) async fn hold_sockets() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Nobody writes: it waits until the peer goes away.
            let _ = stream.read(&mut [0]).await;
        });
    }
}

/// Measures what a socket and a task cost a process that does nothing with them.
pub(crate) async fn bytes_per_held_socket(count: usize) -> anyhow::Result<u64> {
    let mut child = Held::start()?;
    let address = child.address()?;

    let _warm = TcpStream::connect(&address).await?;
    let before = machine::resident_bytes(child.0.id())?;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(TcpStream::connect(&address).await?);
    }
    // The kernel connects before the process accepts.
    let deadline = Instant::now() + Duration::from_secs(30);
    while machine::open_files(child.0.id())? < count {
        ensure!(
            Instant::now() < deadline,
            "the yardstick does not accept its connections"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = machine::resident_bytes(child.0.id())?;
    Ok(after.saturating_sub(before) / u64::try_from(count)?.max(1))
}

/// The process that holds sockets; it ends with this value.
struct Held(Child);

impl Held {
    fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .arg("hold-sockets")
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    fn address(&mut self) -> anyhow::Result<String> {
        let stdout = self
            .0
            .stdout
            .take()
            .context("the yardstick has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It is gone already, or it is ours to end: nothing to do about a failure.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
