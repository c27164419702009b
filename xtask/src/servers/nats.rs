//! NATS with JetStream.

use std::fs;

use anyhow::Result;
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{
    find::Program, places::Places, ports::Ports, process::Running, run_dir::RunDir, secret, tied,
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
    let (port, monitor) = (ports.take()?, ports.take()?);
    let config = run.path.join("nats.conf");
    let store = data_dir(run, "nats")?;
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
             no_auth_user: {ADMIN}\n\
             {permissions}",
            store.display(),
        ),
    )?;

    let mut command = tied::command(&program.path, None);
    program.prepare(&mut command).arg("--config").arg(&config);
    let mut running = Running::start("nats", command, &run.log("nats"), Signal::TERM)?;
    running.wait_until(PATIENCE, || {
        answers(monitor, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200")
    })?;
    Ok(Server {
        url: format!("nats://127.0.0.1:{port}"),
        monitor_url: Some(format!("http://127.0.0.1:{monitor}")),
        running,
    })
}
