//! Redis, append-only, never evicting.

use anyhow::Result;
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{find::Program, ports::Ports, process::Running, run_dir::RunDir, tied};

/// Starts Redis and waits until it has loaded its data.
pub(super) fn start(program: &Program, run: &RunDir, ports: &mut Ports) -> Result<Server> {
    let port = ports.take()?;
    let folder = data_dir(run, "redis")?;

    let mut command = tied::command(&program.path, None);
    program.prepare(&mut command);
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
