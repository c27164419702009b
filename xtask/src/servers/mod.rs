//! Private instances of the servers: Postgres, NATS and Redis, and haproxy in front of it all.
//!
//! On loopback, on ports and with data of their own; a system's services are never touched.

pub(crate) mod haproxy;
mod nats;
pub(crate) mod postgres;
mod redis;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;

use crate::{
    fetch::{self, Source},
    find::{Program, Tool},
    places::Places,
    ports::Ports,
    process::Running,
    run_dir::RunDir,
};

/// How long a server may take to start; a crashed Postgres replays its log first.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether Postgres waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// As in production; what is measured.
    Full,
    /// Faster, and lost in a power cut; for tests.
    None,
}

/// The programs that [`Servers::start`] and [`haproxy::start`] run.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) postgres: Program,
    pub(crate) nats: Program,
    pub(crate) redis: Program,
    pub(crate) haproxy: Program,
}

impl Programs {
    /// Finds or fetches the programs of all servers.
    ///
    /// # Errors
    ///
    /// Says which are missing and how to get them.
    pub(crate) fn get(places: &Places, source: Source) -> Result<Self> {
        let programs = fetch::find_or_fetch(&Tool::SERVERS, places, source)?;
        match <[Program; 4]>::try_from(programs) {
            Ok([postgres, nats, redis, haproxy]) => Ok(Self {
                postgres,
                nats,
                redis,
                haproxy,
            }),
            Err(_) => anyhow::bail!("a program is missing"),
        }
    }
}

/// The servers that services need; dropped, they end, Postgres last.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Presence and ringing.
    pub(crate) redis: Server,
    /// Requests and fan-out.
    pub(crate) nats: Server,
    /// The durable authority. The URL is a superuser's, so that tests can create databases.
    pub(crate) postgres: Server,
}

/// One server that answers.
#[derive(Debug)]
pub(crate) struct Server {
    /// How clients reach it.
    pub(crate) url: String,
    /// Its process.
    pub(crate) running: Running,
}

impl Servers {
    /// Starts all three and waits until they answer.
    ///
    /// # Errors
    ///
    /// When one does not start; shows the end of its log.
    pub(crate) fn start(
        programs: &Programs,
        run: &RunDir,
        ports: &mut Ports,
        durability: Durability,
    ) -> Result<Self> {
        Ok(Self {
            nats: nats::start(&programs.nats, run, ports)?,
            redis: redis::start(&programs.redis, run, ports)?,
            postgres: postgres::start(&programs.postgres, run, ports, durability)?,
        })
    }

    /// All of them, for whoever watches over them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Running> {
        [
            &mut self.redis.running,
            &mut self.nats.running,
            &mut self.postgres.running,
        ]
        .into_iter()
    }
}

/// Sends `request` to a loopback port and says whether the answer begins with `expected`.
fn answers(port: u16, request: &str, expected: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer == expected.as_bytes())
    };
    ask().unwrap_or(false)
}

/// The data folder of a server, created when it is not there.
fn data_dir(run: &RunDir, name: &str) -> Result<PathBuf> {
    let folder = run.path.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
