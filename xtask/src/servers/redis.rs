//! Redis, append-only, never evicting.

use std::fs;

use anyhow::Result;
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{
    find::Program, places::Places, ports::Ports, process::Running, run_dir::RunDir, secret, tied,
};

/// The user of the stores; what it may do is in deploy/redis/store.acl.
const STORE: &str = "store";

/// Returns the URL of a server for the stores, who may do little.
///
/// # Errors
///
/// When the password can't be read.
pub(crate) fn url_of_stores(run: &RunDir, server: &Server) -> Result<String> {
    let login = format!("redis://{STORE}:{}@", password(run)?);
    Ok(server.url.replacen("redis://", &login, 1))
}

fn password(run: &RunDir) -> Result<String> {
    secret::kept(&run.path.join("redis-store.password"))
}

/// Starts Redis and waits until it has loaded its data.
///
/// On loopback, whoever names no user may do everything: tests, and people who look.
pub(super) fn start(
    program: &Program,
    places: &Places,
    run: &RunDir,
    ports: &mut Ports,
) -> Result<Server> {
    let port = ports.take()?;
    let folder = data_dir(run, "redis")?;

    let mut command = tied::command(&program.path, None);
    let config = run.path.join("redis.conf");
    let rules = fs::read_to_string(places.workspace.join("deploy/redis/store.acl"))?;
    let user = format!("user {STORE} on >{} {rules}", password(run)?);
    secret::write_private(&config, &user)?;
    program.prepare(&mut command).arg(&config);
    for (name, value) in [
        ("--port", port.to_string().as_str()),
        ("--bind", "127.0.0.1"),
        ("--daemonize", "no"),
        ("--appendonly", "yes"),
        ("--save", ""),
        ("--maxmemory-policy", "noeviction"),
    ] {
        command.args([name, value]);
    }
    command.arg("--dir").arg(folder);
    let mut running = Running::start("redis", command, &run.log("redis"), Signal::TERM)?;
    running.wait_until(PATIENCE, || answers(port, "PING\r\n", "+PONG"))?;
    Ok(Server {
        url: format!("redis://127.0.0.1:{port}"),
        monitor_url: None,
        running,
    })
}
