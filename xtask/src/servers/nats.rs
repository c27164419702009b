//! NATS with JetStream, alone or, for faults between servers, as a cluster.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{
    find::Program,
    links::{self, Link},
    places::Places,
    ports::Ports,
    process::Running,
    run_dir::RunDir,
    secret, tied,
};

/// Who may do everything; on loopback, whoever says nothing else: tests, and people who look.
const ADMIN: &str = "admin";

/// The users of deploy/nats/permissions.conf.
const USERS: [&str; 4] = [ADMIN, "gateway", "store", "internal"];

/// Returns the URL of a server for one of the users that may do little.
///
/// # Errors
///
/// When the user's password can't be read.
pub(crate) fn url_of(run: &RunDir, server: &Server, user: &str) -> Result<String> {
    let login = format!("nats://{user}:{}@", password(run, user)?);
    Ok(server.url.replacen("nats://", &login, 1))
}

fn password(run: &RunDir, user: &str) -> Result<String> {
    secret::kept(&run.path.join(format!("nats-{user}.password")))
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
    for user in USERS {
        permissions = permissions.replace(&format!("@{user}@"), &password(run, user)?);
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
