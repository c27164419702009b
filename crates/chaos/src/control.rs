//! What `cargo xtask chaos` does for the suite: it starts processes again. It says how in lines over
//! pipes; see `xtask/src/chaos.rs`.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use tokio::sync::{Mutex, mpsc};

/// The way to xtask.
#[derive(Debug, Clone)]
pub struct Control(Arc<Mutex<Pipes>>);

#[derive(Debug)]
struct Pipes {
    /// What a thread reads: waiting for it is no task that could be cancelled.
    input: mpsc::Receiver<String>,
}

impl Pipes {
    fn open() -> Self {
        let (sender, input) = mpsc::channel(8);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { input }
    }

    /// Says a line; the pipe has room for many, and xtask reads all the time.
    fn say(line: &str) -> anyhow::Result<()> {
        let mut output = std::io::stdout().lock();
        writeln!(output, "{line}")?;
        Ok(output.flush()?)
    }

    async fn hear(&mut self) -> anyhow::Result<String> {
        self.input.recv().await.context("xtask is gone")
    }
}

impl Control {
    /// Says that the proxies listen, and waits for the system: its endpoints file.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn ready() -> anyhow::Result<(Self, PathBuf)> {
        let mut pipes = Pipes::open();
        Pipes::say("ready")?;
        let line = pipes.hear().await?;
        let file = line.strip_prefix("system ").context("there is no system")?;
        let file = PathBuf::from(file);
        Ok((Self(Arc::new(Mutex::new(pipes))), file))
    }

    /// Starts a process that has ended, and returns its id.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn start(&self, name: &str) -> anyhow::Result<u32> {
        self.ask_for(&format!("start {name}"), "pid").await
    }

    /// Returns how a process ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn ended(&self, name: &str) -> anyhow::Result<Option<String>> {
        let answer = self.ask(&format!("ended {name}")).await?;
        Ok((answer != "running").then_some(answer))
    }

    /// Begins to copy Postgres into a standby, as the process `copy`; returns where it will listen.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn copy(&self) -> anyhow::Result<u16> {
        self.ask_for("copy", "port").await
    }

    /// Starts the standby over the copy, and returns its process id.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn follow(&self) -> anyhow::Result<u32> {
        self.ask_for("follow", "pid").await
    }

    /// From now on the standby is what is called Postgres; the one before is gone.
    ///
    /// # Errors
    ///
    /// Returns that xtask is gone.
    pub async fn switch(&self) -> anyhow::Result<()> {
        self.ask("switch").await.map(drop)
    }

    /// Says how it went, and waits until the system is gone.
    pub async fn over(&self, is_ok: bool) {
        let mut pipes = self.0.lock().await;
        let verdict = if is_ok { "over ok" } else { "over failed" };
        let _ = Pipes::say(verdict);
        while pipes.hear().await.is_ok() {}
    }

    /// Asks for a number that is answered behind its name.
    async fn ask_for<N: std::str::FromStr>(&self, line: &str, name: &str) -> anyhow::Result<N> {
        let answer = self.ask(line).await?;
        match answer.split_once(' ').map(|(what, n)| (what, n.parse())) {
            Some((what, Ok(number))) if what == name => Ok(number),
            _ => bail!("{line:?} was answered {answer:?}"),
        }
    }

    async fn ask(&self, line: &str) -> anyhow::Result<String> {
        let mut pipes = self.0.lock().await;
        Pipes::say(line)?;
        pipes.hear().await
    }
}
