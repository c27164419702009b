//! haproxy, the one public port, in front of gateways and stores.

use std::{fmt::Write as _, fs, net::SocketAddr};

use anyhow::Result;
use rustix::process::{Resource, Signal};

use super::{PATIENCE, answers};
use crate::{find::Program, places::Places, process::Running, run_dir::RunDir, tied};

/// More is not needed on one machine.
const MOST_CONNECTIONS: u64 = 20_000;

/// File descriptors for listeners, checks and logs.
const SPARE_FILES: u64 = 200;

/// A replica to send requests to.
#[derive(Debug)]
pub(crate) struct Replica<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
}

/// Starts haproxy on `addresses` and waits until it answers.
///
/// # Errors
///
/// When it does not start; shows the end of its log.
pub(crate) fn start(
    program: &Program,
    places: &Places,
    run: &RunDir,
    addresses: &[SocketAddr],
    gateways: &[Replica<'_>],
    stores: &[Replica<'_>],
) -> Result<Running> {
    let backends = run.path.join("backends.cfg");
    fs::write(
        &backends,
        backend("gateways", gateways) + &backend("stores", stores),
    )?;
    let bind: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();

    let mut command = tied::command(&program.path, None);
    program.prepare(&mut command);
    command.arg("-db");
    command
        .arg("-f")
        .arg(places.workspace.join("deploy/haproxy/haproxy.cfg"));
    command.arg("-f").arg(&backends);
    command.env("CHAT_BIND", bind.join(","));
    command.env("CHAT_MAXCONN", most_connections().to_string());
    let mut running = Running::start("haproxy", command, &run.log("haproxy"), Signal::TERM)?;
    if let Some(port) = addresses.first().map(SocketAddr::port) {
        running.wait_until(PATIENCE, || {
            answers(port, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.")
        })?;
    }
    Ok(running)
}

fn backend(name: &str, replicas: &[Replica<'_>]) -> String {
    let mut text = format!("backend {name}\n");
    for Replica {
        name,
        port,
        admin_port,
    } in replicas
    {
        // Writing to a string never fails.
        let _ = writeln!(text, "    server {name} 127.0.0.1:{port} port {admin_port}");
    }
    text
}

/// Two file descriptors a connection, out of what a process may have.
fn most_connections() -> u64 {
    let files = rustix::process::getrlimit(Resource::Nofile).maximum;
    files.map_or(MOST_CONNECTIONS, |files| {
        (files.saturating_sub(SPARE_FILES) / 2).clamp(100, MOST_CONNECTIONS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replica_is_checked_on_its_admin_port() {
        let replica = Replica {
            name: "g1",
            port: 1,
            admin_port: 2,
        };

        assert_eq!(
            backend("gateways", &[replica]),
            "backend gateways\n    server g1 127.0.0.1:1 port 2\n",
        );
    }
}
