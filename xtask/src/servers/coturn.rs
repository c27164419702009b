//! coturn, the relay of calls, with the settings of a deployment but for what makes it loopback's.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{
    find::Program, places::Places, ports::Ports, process::Running, run_dir::RunDir, secret, tied,
};

/// A STUN Binding request (RFC 8489, section 5), and how the answer to it begins.
const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42care-chat-up";
const BOUND: &[u8] = b"\x01\x01";

/// A relay that answers.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Its port and process.
    pub(crate) server: Server,
    /// What signs the credentials that it takes.
    pub(crate) secret: String,
}

impl Relay {
    /// What the stores are to tell clients: one STUN URL.
    pub(crate) fn stun_urls(&self) -> String {
        self.server.url.replacen("turn:", "stun:", 1)
    }

    /// What the stores are to tell clients: TURN over either protocol, separated by a comma.
    pub(crate) fn turn_urls(&self) -> String {
        ["udp", "tcp"]
            .map(|transport| format!("{}?transport={transport}", self.server.url))
            .join(",")
    }
}

/// Starts coturn and waits until it answers.
pub(super) fn start(
    program: &Program,
    places: &Places,
    run: &RunDir,
    ports: &mut Ports,
) -> Result<Relay> {
    let port = ports.take()?;
    let folder = data_dir(run, "coturn")?;
    let secret = secret::kept(&run.path.join("turn.secret"))?;
    let deployed = places.workspace.join("deploy/coturn/turnserver.conf");
    let deployed = fs::read_to_string(&deployed)
        .with_context(|| format!("cannot read {}", deployed.display()))?;
    let config = run.path.join("turnserver.conf");
    let folder = folder.display();
    secret::write_private(
        &config,
        &format!(
            "{deployed}\n\
             listening-port={port}\n\
             listening-ip=127.0.0.1\n\
             relay-ip=127.0.0.1\n\
             allow-loopback-peers\n\
             allowed-peer-ip=127.0.0.1\n\
             static-auth-secret={secret}\n\
             userdb={folder}/turndb\n\
             pidfile={folder}/pid\n",
        ),
    )?;

    let mut command = tied::command(&program.path, None);
    program.prepare(&mut command).arg("-c").arg(&config);
    let mut running = Running::start("coturn", command, &run.log("coturn"), Signal::TERM)?;
    running.wait_until(PATIENCE, || answers(port, BINDING, BOUND))?;
    Ok(Relay {
        server: Server {
            url: format!("turn:127.0.0.1:{port}"),
            monitor_url: None,
            running,
        },
        secret,
    })
}
