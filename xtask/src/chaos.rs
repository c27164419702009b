//! `cargo xtask chaos`: the fault suite against a system of its own, every service behind proxies.
//!
//! Starts things and starts them again when the suite asks; what goes wrong, and whether the system
//! bears it, is the suite's business (`crates/chaos`). The two talk in lines over pipes:
//!
//! | the suite says | and is answered |
//! |---|---|
//! | `ready` | `system FILE`, once the system runs: the endpoints file |
//! | `start NAME` | `pid N`; the process must have ended |
//! | `ended NAME` | `running`, or how it ended |
//! | `over ok`, `over failed` | its input is closed once the system is gone |

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cli::Args,
    fetch::Source,
    links::{self, Link, Links},
    places::Places,
    ports::Ports,
    process::{self, Task},
    run_dir::Keep,
    servers::{Durability, Servers},
    services::Profile,
    system::{Options, System},
    test, tied,
};

const GATEWAYS: usize = 3;
const STORES: usize = 2;

/// What CI runs: always the same faults.
const CI: [&str; 2] = ["--seed", "1"];

/// Runs the suite and says whether the system bore everything.
///
/// # Errors
///
/// When anything can't be built or started.
pub(crate) fn command(args: Args, places: &Places) -> Result<bool> {
    run(&args.rest(), places)
}

/// Runs the short form of it.
///
/// # Errors
///
/// When the system did not bear it, too.
pub(crate) fn check(places: &Places) -> Result<()> {
    let is_borne = run(&CI.map(str::to_owned), places)?;
    ensure!(is_borne, "the history has violations; see above");
    Ok(())
}

fn run(args: &[String], places: &Places) -> Result<bool> {
    let options = Options {
        gateways: GATEWAYS,
        stores: STORES,
        port: None,
        keep: Keep::ThisRun,
        // Faults end processes, and what was committed has to outlive them.
        durability: Durability::Full,
        profile: Profile::Dev,
        source: Source::Private,
    };
    let build = test::build(places)?;
    let mut suite = None;
    let mut system = System::start_linked(&options, places, Some(build), |servers, ports| {
        let links = links(servers, ports)?;
        suite = Some(Suite::start(places, &links, args)?);
        Ok(links)
    })?;
    let suite = suite.as_mut().context("the suite was not started")?;
    let endpoints = system.run.path.join("endpoints.json");
    system.write_endpoints(&endpoints)?;
    suite.say(&format!("system {}", endpoints.display()))?;

    let outcome = serve(&mut system, suite);
    if !matches!(outcome, Ok(true)) {
        suite.input = None; // It heals what it broke, and ends.
        keep_logs(&system.run.path.join("log"), &evidence(places))?;
    }
    drop(system);
    suite.input = None;
    let is_borne = outcome?;
    let status = suite.task.wait()?;
    ensure!(
        status.success() == is_borne,
        "the suite ended unexpectedly ({status})"
    );
    Ok(is_borne)
}

/// Where histories are written, and what belongs to one that is kept.
fn evidence(places: &Places) -> PathBuf {
    places.target.join("chaos")
}

/// A proxy for each service in front of each server that it uses.
fn links(servers: &Servers, ports: &mut Ports) -> Result<Links> {
    let target = |url| links::port(url).context("a server without a port");
    let postgres = ("postgres", target(&servers.postgres.url)?);
    let nats = ("nats", target(&servers.nats.url)?);
    let redis = ("redis", target(&servers.redis.url)?);
    let gateways = (1..=GATEWAYS).map(|i| (format!("g{i}"), vec![nats]));
    let stores = (1..=STORES).map(|i| (format!("s{i}"), vec![postgres, nats, redis]));
    let mut links = Vec::new();
    for (service, used) in gateways.chain(stores) {
        for (server, target) in used {
            links.push(Link {
                service: service.clone(),
                server,
                port: ports.take()?,
                target,
            });
        }
    }
    Ok(Links(links))
}

/// Does what the suite asks for until it is over.
fn serve(system: &mut System, suite: &mut Suite) -> Result<bool> {
    loop {
        let line = suite.line()?;
        match line.split_once(' ') {
            Some(("start", name)) => {
                let mut processes = system.processes();
                let running = processes.iter_mut().find(|running| running.name == name);
                let running = running.with_context(|| format!("there is no {name}"))?;
                running.start_again()?;
                let answer = format!("pid {}", running.pid());
                suite.say(&answer)?;
            }
            Some(("ended", name)) => {
                let mut processes = system.processes();
                let running = processes.iter_mut().find(|running| running.name == name);
                let running = running.with_context(|| format!("there is no {name}"))?;
                let answer = running
                    .ended()
                    .map_or_else(|| "running".to_owned(), |status| status.to_string());
                suite.say(&answer)?;
            }
            Some(("over", verdict)) => return Ok(verdict == "ok"),
            _ => bail!("the suite said {line:?}"),
        }
    }
}

fn keep_logs(logs: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(logs)? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    println!("the logs are in {}", folder.display());
    Ok(())
}

/// The running suite; dropped, it ends.
struct Suite {
    task: Task,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Suite {
    /// Starts it and waits until its proxies listen.
    fn start(places: &Places, links: &Links, args: &[String]) -> Result<Self> {
        let program = places.target.join("debug/chaos");
        let mut command = tied::command(program, None);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.arg("--evidence").arg(evidence(places));
        for Link {
            service,
            server,
            port,
            target,
        } in &links.0
        {
            command.args(["--link", &format!("{service}/{server}={port}:{target}")]);
        }
        command.args(args);
        let mut task = Task::start(command)?;
        let (input, output) = task.pipes().context("the suite has no pipes")?;

        let (sender, lines) = mpsc::sync_channel(64);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let suite = Self {
            task,
            input: Some(input),
            lines,
        };
        let line = suite.line()?;
        ensure!(line == "ready", "the suite said {line:?}");
        Ok(suite)
    }

    /// Waits for the next line that it says.
    fn line(&self) -> Result<String> {
        loop {
            match self.lines.recv_timeout(process::POLL) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => bail!("the suite ended unexpectedly"),
                Err(RecvTimeoutError::Timeout) if process::interrupted() => bail!("interrupted"),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the suite is over")?;
        writeln!(input, "{line}")?;
        Ok(())
    }
}
