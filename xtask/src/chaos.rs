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
//! | `copy` | `port N`: Postgres is being copied into a standby that will listen there; `ended copy` tells when it is there |
//! | `follow` | `pid N` of the standby, started over the copy |
//! | `switch` | `ok`: the standby is Postgres now, under that name, and the one before is gone |
//! | `over ok`, `over failed` | its input is closed once the system is gone |

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    mem,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cli::Args,
    fetch::Source,
    links::{self, Clocks, Link, Links},
    places::Places,
    ports::Ports,
    process::{self, Running, Task},
    run_dir::Keep,
    servers::{Broker, Durability, Server, Servers, nats, postgres::Standby},
    services::{self, Profile},
    system::{Options, System},
    test, tied,
};

const GATEWAYS: usize = 3;
const STORES: usize = 2;

/// What CI runs: always the same faults.
const CI: [&str; 2] = ["--seed", "1"];

/// The exit status when the suite gave up waiting; `crates/chaos/src/main.rs` has it, too.
pub(crate) const GAVE_UP: u8 = 3;

/// The machine was too busy: nothing is known of the system.
#[derive(Debug)]
pub(crate) struct GaveUp;

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the suite gave up waiting, and judged nothing; see above")
    }
}

impl std::error::Error for GaveUp {}

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
        traces: false,
    };
    let build = test::build(places)?;
    let mut suite = None;
    let mut spare = None;
    let broker = Broker::Cluster;
    let mut system =
        System::start_linked(&options, places, Some(build), broker, |servers, ports| {
            let links = links(servers, ports, places)?;
            suite = Some(Suite::start(places, &links, args)?);
            for server in std::iter::once(&mut servers.nats).chain(&mut servers.cluster.peers) {
                nats::wait_until_healthy(server)?;
            }
            spare = Some(ports.take()?);
            Ok(links)
        })?;
    let suite = suite.as_mut().context("the suite was not started")?;
    let endpoints = system.run.path.join("endpoints.json");
    system.write_endpoints(&endpoints)?;
    suite.say(&format!("system {}", endpoints.display()))?;

    let mut failover = Failover::new(spare.context("no port is spare")?);
    let outcome = serve(&mut system, &mut failover, suite);
    if !matches!(outcome, Ok(true)) {
        suite.input = None; // It heals what it broke, and ends.
        keep_logs(&system.run.path.join("log"), &evidence(places))?;
    }
    drop(failover);
    drop(system);
    suite.input = None;
    let is_borne = outcome?;
    let status = suite.task.wait()?;
    if status.code() == Some(i32::from(GAVE_UP)) {
        return Err(GaveUp.into());
    }
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

/// A proxy for each service in front of each server that it uses, and on each route between two
/// servers; and a clock for each service.
fn links(servers: &Servers, ports: &mut Ports, places: &Places) -> Result<Links> {
    let target = |server: &Server| links::port(&server.url).context("a server without a port");
    let postgres = ("postgres", target(&servers.postgres)?);
    let redis = ("redis", target(&servers.redis)?);
    let first = target(&servers.nats)?;
    let mut all_nats = vec![("nats", first)];
    for peer in &servers.cluster.peers {
        all_nats.push(("nats", target(peer)?));
    }
    let nats = |i: usize| all_nats.iter().cycle().nth(i).copied();
    // Each gateway is at a server of its own, and so are the stores.
    let gateways = (1..=GATEWAYS).map(|i| (format!("g{i}"), vec![nats(i)]));
    let stores =
        (1..=STORES).map(|i| (format!("s{i}"), vec![Some(postgres), nats(i), Some(redis)]));
    // Never broken: it follows Postgres when that is another one.
    let suite = std::iter::once(("suite".to_owned(), vec![Some(postgres)]));
    let mut links = servers.cluster.routes.clone();
    for (service, used) in gateways.chain(stores).chain(suite) {
        for (server, target) in used.into_iter().flatten() {
            links.push(Link {
                service: service.clone(),
                server,
                port: ports.take()?,
                target,
                known: if server == "nats" { first } else { target },
            });
        }
    }
    Ok(Links {
        all: links,
        clocks: cfg!(target_os = "linux")
            .then(|| clocks(places))
            .transpose()?,
    })
}

/// Gives each service a clock of its own, which shows the right time.
fn clocks(places: &Places) -> Result<Clocks> {
    let folder = evidence(places).join("clocks");
    fs::create_dir_all(&folder)?;
    let library = folder.join("clock.so");
    let source = places.workspace.join("crates/chaos/clock.c");
    let mut compile = Command::new(services::compiler());
    compile.args(["-shared", "-fPIC", "-O1", "-o"]);
    process::output(compile.arg(&library).arg(source)).context("the clock can't be compiled")?;
    let names = (1..=GATEWAYS).map(|i| format!("g{i}"));
    for name in names.chain((1..=STORES).map(|i| format!("s{i}"))) {
        fs::write(folder.join(name), 0_i64.to_ne_bytes())?;
    }
    Ok(Clocks { library, folder })
}

/// Does what the suite asks for until it is over.
fn serve(system: &mut System, failover: &mut Failover, suite: &mut Suite) -> Result<bool> {
    loop {
        let line = suite.line()?;
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("start", name) => {
                let running = find(system, failover, name)?;
                running.start_again()?;
                format!("pid {}", running.pid())
            }
            ("ended", name) => {
                let ended = find(system, failover, name)?.ended();
                ended.map_or_else(|| "running".to_owned(), |status| status.to_string())
            }
            ("copy", _) => format!("port {}", failover.copy(system)?),
            ("follow", _) => format!("pid {}", failover.follow(system)?),
            ("switch", _) => {
                failover.switch(system)?;
                "ok".to_owned()
            }
            ("over", verdict) => return Ok(verdict == "ok"),
            _ => bail!("the suite said {line:?}"),
        };
        suite.say(&answer)?;
    }
}

fn find<'a>(
    system: &'a mut System,
    failover: &'a mut Failover,
    name: &str,
) -> Result<&'a mut Running> {
    let mut processes = system.processes();
    processes.extend(failover.copying());
    let running = processes.into_iter().find(|running| running.name == name);
    running.with_context(|| format!("there is no {name}"))
}

/// What becomes of the second Postgres.
#[derive(Debug)]
struct Failover {
    /// The port that Postgres does not listen on.
    spare: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    Alone,
    Copying(Standby),
    Following(Server),
}

impl Failover {
    const fn new(spare: u16) -> Self {
        Self {
            spare,
            state: State::Alone,
        }
    }

    fn copying(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            State::Copying(standby) => Some(&mut standby.copying),
            State::Alone | State::Following(_) => None,
        }
    }

    /// Begins to copy Postgres; one that was copied before and not needed ends.
    fn copy(&mut self, system: &System) -> Result<u16> {
        self.state = State::Alone;
        let (program, primary) = (&system.programs.postgres, &system.servers.postgres);
        let standby = Standby::copy(program, &system.run, primary, self.spare)?;
        self.state = State::Copying(standby);
        Ok(self.spare)
    }

    fn follow(&mut self, system: &System) -> Result<u32> {
        let State::Copying(standby) = mem::replace(&mut self.state, State::Alone) else {
            bail!("there is no copy");
        };
        let server = standby.start(&system.servers.postgres)?;
        let pid = server.running.pid();
        self.state = State::Following(server);
        Ok(pid)
    }

    fn switch(&mut self, system: &mut System) -> Result<()> {
        let State::Following(server) = mem::replace(&mut self.state, State::Alone) else {
            bail!("there is no standby");
        };
        let before = mem::replace(&mut system.servers.postgres, server);
        self.spare = links::port(&before.url).context("a server without a port")?;
        Ok(())
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
            ..
        } in &links.all
        {
            command.args(["--link", &format!("{service}/{server}={port}:{target}")]);
        }
        if let Some(clocks) = &links.clocks {
            command.arg("--clocks").arg(&clocks.folder);
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
