//! NATS with JetStream, alone or, for faults between servers, as a cluster.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{
    find::Program,
    links::{self, Link},
    places::Places,
    ports::Ports,
    process::{self, Running},
    run_dir::RunDir,
    secret, tied,
};

/// Who may do everything; on loopback, whoever says nothing else: tests, and people who look.
const ADMIN: &str = "admin";

/// The services of deploy/nats/permissions.conf.
pub(crate) const SERVICES: [&str; 3] = ["gateway", "store", "internal"];

/// Returns the seed by which one of the services that may do little is known, once NATS was started.
///
/// # Errors
///
/// When it can't be read.
pub(crate) fn seed_of(run: &RunDir, service: &str) -> Result<String> {
    let made = fs::read_to_string(nkey_file(run, service))?;
    Ok(halves(&made)?.0.to_owned())
}

fn nkey_file(run: &RunDir, service: &str) -> PathBuf {
    run.path.join(format!("nats-{service}.nkey"))
}

/// The seed of an nkey, and its public half.
fn halves(made: &str) -> Result<(&str, &str)> {
    made.trim().split_once('\n').context("no nkey was made")
}

/// Starts NATS and waits until it is healthy, JetStream included.
pub(super) fn start(
    program: &Program,
    places: &Places,
    run: &RunDir,
    ports: &mut Ports,
) -> Result<Server> {
    let mut server = launch(program, places, run, ports, &Member::alone())?;
    wait_until_healthy(&mut server)?;
    Ok(server)
}

/// Servers that are one, and what each has to pass to reach another.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// The first one, `nats`, is not among them.
    pub(crate) peers: Vec<Server>,
    /// Nothing leads over them yet.
    pub(crate) routes: Vec<Link>,
}

impl Cluster {
    /// Starts three servers, which are healthy as soon as something leads over their routes; returns the
    /// first one, and the others.
    pub(super) fn start(
        program: &Program,
        places: &Places,
        run: &RunDir,
        ports: &mut Ports,
    ) -> Result<(Server, Self)> {
        let listens = [ports.take()?, ports.take()?, ports.take()?];
        let mut routes = Vec::new();
        let mut servers = Vec::new();
        for (i, name) in NAMES.into_iter().enumerate() {
            // Each to the one before it in the ring: of three, that is every pair, once.
            let before = (i + NAMES.len() - 1) % NAMES.len();
            let route = Link {
                service: name.to_owned(),
                server: NAMES[before],
                port: ports.take()?,
                target: listens[before],
                known: listens[before],
            };
            let member = Member {
                name,
                listens: Some(listens[i]),
                route: route.port,
            };
            servers.push(launch(program, places, run, ports, &member)?);
            routes.push(route);
        }
        let mut servers = servers.into_iter();
        let first = servers.next().context("a cluster of none")?;
        let peers = servers.collect();
        Ok((first, Self { peers, routes }))
    }
}

/// What members are called: services, logs and the fault suite know them by these names.
const NAMES: [&str; 3] = ["nats", "nats2", "nats3"];

/// One of a cluster, or all there is.
struct Member {
    name: &'static str,
    /// Where it listens for the others.
    listens: Option<u16>,
    /// Where it reaches the one before it.
    route: u16,
}

impl Member {
    const fn alone() -> Self {
        Self {
            name: NAMES[0],
            listens: None,
            route: 0,
        }
    }

    /// Its part of the configuration. Nobody is told of other ways than those here: neither clients,
    /// who have a proxy each, nor members, whose routes are to be cut.
    fn cluster(&self) -> String {
        let Some(listens) = self.listens else {
            return String::new();
        };
        format!(
            "server_name: {}\n\
             cluster {{ name: chat, listen: \"127.0.0.1:{listens}\", no_advertise: true, \
             advertise: \"127.0.0.1:1\", routes: [\"nats-route://127.0.0.1:{}\"] }}\n",
            self.name, self.route,
        )
    }
}

/// Waits until a server is healthy, JetStream included.
///
/// # Errors
///
/// When it is not in time; shows the end of its log.
pub(crate) fn wait_until_healthy(server: &mut Server) -> Result<()> {
    let monitor = server.monitor_url.as_deref().and_then(links::port);
    let monitor = monitor.context("NATS tells nothing about itself")?;
    server.running.wait_until(PATIENCE, || {
        answers(monitor, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200")
    })
}

/// Starts one without waiting for it.
fn launch(
    program: &Program,
    places: &Places,
    run: &RunDir,
    ports: &mut Ports,
    member: &Member,
) -> Result<Server> {
    let (port, monitor) = (ports.take()?, ports.take()?);
    let name = member.name;
    let config = run.path.join(format!("{name}.conf"));
    let store = data_dir(run, name)?;
    let mut permissions =
        fs::read_to_string(places.workspace.join("deploy/nats/permissions.conf"))?;
    let admin = secret::kept(&run.path.join("nats-admin.password"))?;
    permissions = permissions.replace(&format!("@{ADMIN}@"), &admin);
    for service in SERVICES {
        let made = secret::kept_or(&nkey_file(run, service), || {
            let script = places.workspace.join("deploy/nats/nkey.sh");
            process::output(Command::new("sh").arg(script)).context(
                "no nkey was made; it takes openssl 1.1.1 or newer (OPENSSL names another)",
            )
        })?;
        permissions = permissions.replace(&format!("@{service}@"), halves(&made)?.1);
    }
    secret::write_private(
        &config,
        &format!(
            "listen: \"127.0.0.1:{port}\"\n\
             http: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: \"{}\" }}\n\
             {}\
             no_auth_user: {ADMIN}\n\
             {permissions}",
            store.display(),
            member.cluster(),
        ),
    )?;

    let mut command = tied::command(&program.path, None);
    program.prepare(&mut command).arg("--config").arg(&config);
    Ok(Server {
        url: format!("nats://127.0.0.1:{port}"),
        monitor_url: Some(format!("http://127.0.0.1:{monitor}")),
        running: Running::start(name, command, &run.log(name), Signal::TERM)?,
    })
}
