//! `cargo xtask test`: every test, on a system of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::Path,
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use crate::{
    chromium,
    cli::Args,
    fetch::Source,
    node, ops,
    places::Places,
    process::{self, Task},
    python,
    run_dir::Keep,
    servers::Durability,
    services::{self, Profile},
    system::{Options, System},
    tally::Tally,
    tied,
};

/// How long output may still come from a runner that has ended, through what it left running.
const LINGER: Duration = Duration::from_secs(1);

/// Runs the tests, prints the counts as the last line, and says whether all passed.
pub(crate) fn command(args: Args, places: &Places) -> bool {
    let tally = run(&args.rest(), places);
    println!("{tally}");
    tally.failed == 0
}

/// Runs the tests and counts them; whatever keeps them from running counts as one that failed.
///
/// With a `filter`, runs the Rust tests alone and hands it to their runner.
pub(crate) fn run(filter: &[String], places: &Places) -> Tally {
    let mut tally = Tally::default();
    if let Err(error) = run_all(filter, places, &mut tally) {
        eprintln!("error: {error:#}");
        tally.failed += 1;
    }
    tally
}

fn run_all(filter: &[String], places: &Places, tally: &mut Tally) -> Result<()> {
    let options = Options {
        // Tests end seven of them, and two stores.
        gateways: 8,
        stores: 3,
        port: None,
        keep: Keep::ThisRun,
        durability: Durability::None,
        profile: Profile::Dev,
        source: Source::Private,
        traces: true,
    };
    let build = build(places)?;
    let checkers = ops::environment(places)?;
    let system = System::start(&options, places, Some(build))?;
    let endpoints = system.run.path.join("endpoints.json");
    system.write_endpoints(&endpoints)?;
    let requirements = places
        .workspace
        .join("tests/clients/python/requirements.txt");
    let python = python::get(&requirements, places)?;
    let prepare = |mut command: Command| {
        command
            .envs(python.iter().map(|python| ("CHAT_PYTHON", python)))
            .env("CHAT_ENDPOINTS", &endpoints)
            .env("DATABASE_URL", &system.servers.postgres.url)
            .env("NATS_URL", &system.servers.nats.url)
            .env("REDIS_URL", &system.servers.redis.url)
            .env("CHAT_NATS_SERVER", &system.programs.nats.path)
            .env("SQLX_OFFLINE", "true")
            .envs(checkers.iter().cloned());
        command
    };

    tally.add(counted("Rust", prepare(rust(places, filter)))?);
    if filter.is_empty() {
        let mut documentation = services::cargo(places);
        documentation.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
        tally.add(counted("documentation", prepare(documentation))?);
        // The clients' suite comes last: it ends with processes killed.
        let mut clients = npm_test("clients", places)?;
        clients.env("CHAT_GATEWAY", places.target.join("debug/realtime-gateway"));
        let mut browser = npm_test("browser", places)?;
        browser.env("CHAT_CHROMIUM", chromium::get(places)?);
        tally.add(counted("browser", prepare(browser))?);
        tally.add(counted("clients", prepare(clients))?);
    }
    Ok(())
}

/// Builds the services and the tests in one go, so that all see the same features of each dependency
/// and nothing is built twice.
///
/// # Errors
///
/// When there is no C compiler, or cargo can't be started.
pub(crate) fn build(places: &Places) -> Result<Task> {
    services::check_compiler()?;
    let mut command = services::cargo(places);
    command.args(["build", "--workspace", "--bins", "--tests", "--examples"]);
    Task::start(command)
}

fn rust(places: &Places, filter: &[String]) -> Command {
    let has_nextest = process::output(Command::new("cargo-nextest").args(["nextest", "--version"]));
    let mut command = services::cargo(places);
    if has_nextest.is_ok() {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args([
            "test",
            "--workspace",
            "--bins",
            "--lib",
            "--tests",
            "--no-fail-fast",
        ]);
    }
    command.args(filter);
    command
}

/// Prepares the suite in JavaScript in `tests/<name>` and returns the command that runs it.
fn npm_test(name: &str, places: &Places) -> Result<Command> {
    let folder = places.workspace.join("tests").join(name);
    let path = node::path(places)?;
    let npm = |arguments: &[&str]| {
        let mut command = tied::command("npm", None);
        command
            .args(arguments)
            .current_dir(&folder)
            .env("PATH", &path);
        command
    };
    if !is_installed(&folder) {
        let status = process::run(npm(&["ci", "--no-audit", "--no-fund"]))?;
        ensure!(
            status.success(),
            "npm could not install what the {name} tests need; see above"
        );
    }
    Ok(npm(&["test"]))
}

/// Says whether what npm installed is what the lock file asks for.
fn is_installed(folder: &Path) -> bool {
    let time = |file: &str| fs::metadata(folder.join(file)).and_then(|file| file.modified());
    match (
        time("package-lock.json"),
        time("node_modules/.package-lock.json"),
    ) {
        (Ok(wanted), Ok(installed)) => installed > wanted,
        _ => false,
    }
}

/// Runs a test runner, shows its output and counts what it says.
fn counted(name: &str, mut command: Command) -> Result<Tally> {
    println!("\n== {name} tests");
    if std::io::stdout().is_terminal() {
        command
            .env("CARGO_TERM_COLOR", "always")
            .env("FORCE_COLOR", "1");
    }
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut runner = Task::start(command)?;

    let (sender, lines) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });

    let mut tally = Tally::default();
    let mut ended: Option<Instant> = None;
    loop {
        match lines.recv_timeout(process::POLL) {
            Ok(line) => {
                std::io::stdout().write_all(&line)?;
                println!();
                tally.read(&String::from_utf8_lossy(&line));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if process::interrupted() => bail!("interrupted"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ended.is_none() && runner.has_ended()? {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|ended| ended.elapsed() > LINGER) {
            break;
        }
    }
    if !runner.wait()?.success() && tally.failed == 0 {
        eprintln!("the {name} tests could not be run");
        tally.failed = 1;
    }
    Ok(tally)
}
