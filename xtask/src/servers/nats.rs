//! NATS with JetStream.

use std::fs;

use anyhow::Result;
use rustix::process::Signal;

use super::{PATIENCE, Server, answers, data_dir};
use crate::{find::Program, ports::Ports, process::Running, run_dir::RunDir, tied};

/// Starts NATS and waits until it is healthy, JetStream included.
pub(super) fn start(program: &Program, run: &RunDir, ports: &mut Ports) -> Result<Server> {
    let (port, monitor) = (ports.take()?, ports.take()?);
    let config = run.path.join("nats.conf");
    let store = data_dir(run, "nats")?;
    fs::write(
        &config,
        format!(
            "listen: \"127.0.0.1:{port}\"\n\
             http: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: \"{}\" }}\n",
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
