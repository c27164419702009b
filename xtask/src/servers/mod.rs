//! Private instances of the servers: Postgres, NATS, Redis and coturn, and haproxy in front of it all.
//!
//! On loopback, on ports and with data of their own; a system's services are never touched.

pub(crate) mod coturn;
pub(crate) mod haproxy;
pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod redis;

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
use coturn::Relay;
use nats::Cluster;

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

/// What NATS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broker {
    /// One server.
    Single,
    /// Three.
    Cluster,
}

/// The programs that [`Servers::start`] and [`haproxy::start`] run.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) postgres: Program,
    pub(crate) nats: Program,
    pub(crate) redis: Program,
    pub(crate) coturn: Program,
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
        match <[Program; 5]>::try_from(programs) {
            Ok([postgres, nats, redis, coturn, haproxy]) => Ok(Self {
                postgres,
                nats,
                redis,
                coturn,
                haproxy,
            }),
            Err(_) => anyhow::bail!("a program is missing"),
        }
    }
}

/// The servers that services need; dropped, they end, Postgres last.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Media of calls that find no direct way.
    pub(crate) coturn: Relay,
    /// Presence and ringing.
    pub(crate) redis: Server,
    /// Requests and fan-out.
    pub(crate) nats: Server,
    /// The others, where NATS is several servers.
    pub(crate) cluster: Cluster,
    /// The durable authority. The URL is a superuser's, so that tests can create databases.
    pub(crate) postgres: Server,
}

/// One server that answers.
#[derive(Debug)]
pub(crate) struct Server {
    /// How clients reach it.
    pub(crate) url: String,
    /// Where it tells about itself, if it does.
    pub(crate) monitor_url: Option<String>,
    /// Its process.
    pub(crate) running: Running,
}

impl Servers {
    /// Starts all of them and waits until they answer.
    ///
    /// # Errors
    ///
    /// When one does not start; shows the end of its log.
    pub(crate) fn start(
        programs: &Programs,
        places: &Places,
        run: &RunDir,
        ports: &mut Ports,
        durability: Durability,
    ) -> Result<Self> {
        Self::start_as(programs, places, run, ports, durability, Broker::Single)
    }

    /// As [`Servers::start`]; several servers of NATS answer when something leads over their routes.
    ///
    /// # Errors
    ///
    /// As [`Servers::start`].
    pub(crate) fn start_as(
        programs: &Programs,
        places: &Places,
        run: &RunDir,
        ports: &mut Ports,
        durability: Durability,
        broker: Broker,
    ) -> Result<Self> {
        let (nats, cluster) = match broker {
            Broker::Single => (
                nats::start(&programs.nats, places, run, ports)?,
                Cluster::default(),
            ),
            Broker::Cluster => Cluster::start(&programs.nats, places, run, ports)?,
        };
        Ok(Self {
            coturn: coturn::start(&programs.coturn, places, run, ports)?,
            nats,
            cluster,
            redis: redis::start(&programs.redis, places, run, ports)?,
            postgres: postgres::start(&programs.postgres, run, ports, durability)?,
        })
    }

    /// All of them, for whoever watches over them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Running> {
        [
            &mut self.coturn.server.running,
            &mut self.redis.running,
            &mut self.nats.running,
            &mut self.postgres.running,
        ]
        .into_iter()
        .chain(self.cluster.peers.iter_mut().map(|peer| &mut peer.running))
    }
}

/// Sends `request` to a loopback port and says whether the answer begins with `expected`.
fn answers(port: u16, request: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> bool {
    let expected = expected.as_ref();
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(request.as_ref())?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer == expected)
    };
    ask().unwrap_or(false)
}

/// The data folder of a server, created when it is not there.
fn data_dir(run: &RunDir, name: &str) -> Result<PathBuf> {
    let folder = run.path.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
