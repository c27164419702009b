//! Our own services: how they are built and started.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    cli::Args,
    http, json,
    links::Links,
    places::Places,
    ports::Ports,
    process::{self, Running, Task},
    run_dir::RunDir,
    tied,
};

/// How long a service may take to start: it waits for its servers and, the store, for migrations.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a service may finish what it has when the system ends; then it is killed. A request that
/// is repeated because nobody answers takes eight seconds.
const DRAIN_SECONDS: &str = "20";

/// What demos and load tests need of one socket; production's defaults are stricter.
const DEVELOPMENT_LIMITS: [(&str, &str); 10] = [
    ("GATEWAY_MESSAGES_PER_SECOND", "500"),
    ("GATEWAY_MESSAGES_BURST", "500"),
    ("GATEWAY_TYPING_PER_SECOND", "200"),
    ("GATEWAY_TYPING_BURST", "200"),
    ("GATEWAY_EVENTS_PER_SECOND", "200"),
    ("GATEWAY_EVENTS_BURST", "200"),
    ("GATEWAY_USER_MESSAGES_PER_SECOND", "2000"),
    ("GATEWAY_USER_MESSAGES_BURST", "2000"),
    ("GATEWAY_USER_CALLS_PER_MINUTE", "2000"),
    ("GATEWAY_HANDSHAKES_PER_MINUTE", "1000"),
];

/// Cargo's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Starts to build both services; their progress goes to the terminal.
///
/// # Errors
///
/// When there is no C compiler, or cargo can't be started.
pub(crate) fn build(places: &Places, profile: Profile) -> Result<Task> {
    let mut command = cargo(places);
    command.args([
        "build",
        "--package",
        "chat-store",
        "--package",
        "realtime-gateway",
    ]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    check_compiler()?;
    Task::start(command)
}

/// Builds and runs the gateway's transport for the official protocol suites.
///
/// # Errors
///
/// When it can't be built, or fails.
pub(crate) fn conformance_server(mut args: Args, places: &Places) -> Result<()> {
    let port: u16 = args.option("--port")?.context("--port is required")?;
    args.finish()?;
    check_compiler()?;
    let mut command = cargo(places);
    command.args([
        "run",
        "--package",
        "realtime-gateway",
        "--example",
        "conformance_server",
    ]);
    command.args(["--", "--port", &port.to_string()]);
    let outcome = process::run(command);
    if process::interrupted() {
        return Ok(()); // The way to end a server.
    }
    ensure!(outcome?.success(), "the server failed; see above");
    Ok(())
}

/// A cargo that works on this workspace and dies with xtask.
pub(crate) fn cargo(places: &Places) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tied::command(cargo, None);
    command.current_dir(&places.workspace);
    command
}

/// The C compiler.
pub(crate) fn compiler() -> OsString {
    std::env::var_os("CC").unwrap_or_else(|| "cc".into())
}

/// Makes sure that there is a C compiler, for linking and for the TLS library.
///
/// # Errors
///
/// Says what to install.
pub(crate) fn check_compiler() -> Result<()> {
    let compiler = compiler();
    let works = Command::new(&compiler)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ensure!(
        works.is_ok_and(|status| status.success()),
        "no C compiler: `{}` does not run. Install one: `apt-get install build-essential` on Debian \
         and Ubuntu, `xcode-select --install` on macOS",
        compiler.display(),
    );
    Ok(())
}

/// What all replicas of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) profile: Profile,
    pub(crate) apps_file: PathBuf,
    /// Turns the demo page on, and is there when the gateways start.
    pub(crate) demo_file: PathBuf,
    /// Where the stores keep files that users attach.
    pub(crate) files_folder: PathBuf,
    /// What clients are told.
    pub(crate) public_url: String,
    pub(crate) service_token: String,
    pub(crate) deployment_key: String,
    pub(crate) database_url: String,
    /// For expiry, holds and erasure.
    pub(crate) custodian_database_url: String,
    pub(crate) nats_url: String,
    pub(crate) nats_seed_of_stores: String,
    pub(crate) nats_seed_of_gateways: String,
    pub(crate) redis_url: String,
    pub(crate) redis_url_of_stores: String,
    /// What stands between a service and the world.
    pub(crate) links: Links,
    pub(crate) stun_urls: String,
    pub(crate) turn_urls: String,
    pub(crate) turn_secret: String,
    /// Takes the traces that tests start.
    pub(crate) collector: Option<String>,
}

/// Brings the schema up to date, as its owner: the stores may not.
///
/// # Errors
///
/// When the program is not built or the database can't be migrated.
pub(crate) fn migrate(places: &Places, profile: Profile, owner_url: &str) -> Result<()> {
    let mut command = tied::command(built("chat-store", places, profile)?, None);
    command.arg("migrate").env("DATABASE_URL", owner_url);
    process::output(&mut command).context("the database could not be migrated")?;
    Ok(())
}

/// A replica of one of our services.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its process.
    pub(crate) running: Running,
    /// Serves clients.
    pub(crate) port: u16,
    /// Serves health and metrics.
    pub(crate) admin_port: u16,
    /// Serves other services; the store's alone.
    pub(crate) internal_port: Option<u16>,
}

impl Service {
    /// Starts replica `name` of the store, without waiting for it.
    ///
    /// # Errors
    ///
    /// When the program is not built or can't be started.
    pub(crate) fn store(
        name: &str,
        places: &Places,
        run: &RunDir,
        ports: &mut Ports,
        shared: &Shared,
    ) -> Result<Self> {
        let (port, admin_port, internal_port) = (ports.take()?, ports.take()?, ports.take()?);
        let mut command = service("chat-store", name, places, shared)?;
        command
            .env("NATS_URL", shared.links.url(name, &shared.nats_url))
            .env("NATS_NKEY_SEED", &shared.nats_seed_of_stores)
            .env("STORE_LISTEN", loopback(port))
            .env("STORE_ADMIN_LISTEN", loopback(admin_port))
            .env("STORE_INTERNAL_LISTEN", loopback(internal_port))
            .env("DATABASE_URL", shared.links.url(name, &shared.database_url))
            .env(
                "STORE_CUSTODIAN_DATABASE_URL",
                shared.links.url(name, &shared.custodian_database_url),
            )
            .env(
                "REDIS_URL",
                shared.links.url(name, &shared.redis_url_of_stores),
            )
            .env("CHAT_SERVICE_TOKEN", &shared.service_token)
            .env("STORE_FILES_FOLDER", &shared.files_folder)
            .env("CHAT_PUBLIC_URL", &shared.public_url)
            .env("STUN_URLS", &shared.stun_urls)
            .env("TURN_URLS", &shared.turn_urls)
            .env("TURN_SECRET", &shared.turn_secret)
            .env("STORE_REQUESTS_PER_SECOND", "2000")
            .env("STORE_REQUESTS_BURST", "2000");
        Ok(Self {
            running: Running::start(name, command, &run.log(name), Signal::TERM)?,
            port,
            admin_port,
            internal_port: Some(internal_port),
        })
    }

    /// Starts replica `name` of the gateway, without waiting for it.
    ///
    /// # Errors
    ///
    /// When the program is not built or can't be started.
    pub(crate) fn gateway(
        name: &str,
        places: &Places,
        run: &RunDir,
        ports: &mut Ports,
        shared: &Shared,
    ) -> Result<Self> {
        let (port, admin_port) = (ports.take()?, ports.take()?);
        let mut command = service("realtime-gateway", name, places, shared)?;
        command
            .env("NATS_URL", shared.links.url(name, &shared.nats_url))
            .env("NATS_NKEY_SEED", &shared.nats_seed_of_gateways)
            .env("GATEWAY_LISTEN", loopback(port))
            .env("GATEWAY_ADMIN_LISTEN", loopback(admin_port))
            .env("GATEWAY_REPLICA", name)
            .env("GATEWAY_DEMO", &shared.demo_file)
            .env("REDIS_URL", &shared.redis_url)
            .env("CHAT_DEPLOYMENT_KEY", &shared.deployment_key)
            .envs(DEVELOPMENT_LIMITS);
        Ok(Self {
            running: Running::start(name, command, &run.log(name), Signal::TERM)?,
            port,
            admin_port,
            internal_port: None,
        })
    }

    /// Waits until it is ready to serve.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time; shows the end of its log.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let port = self.admin_port;
        self.running.wait_until(PATIENCE, || {
            http::request(port, "GET", "/readyz", None, "").is_ok_and(|answer| answer.status == 200)
        })
    }

    /// How clients reach it.
    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Health and metrics.
    pub(crate) fn admin_url(&self) -> String {
        url(self.admin_port)
    }

    /// Its member of the endpoints file.
    pub(crate) fn to_json(&self) -> String {
        let internal = self
            .internal_port
            .map(|port| ("internal_url", json::string(&url(port))));
        json::object(
            [
                ("url", json::string(&self.url())),
                ("admin_url", json::string(&self.admin_url())),
                ("pid", self.running.pid().to_string()),
            ]
            .into_iter()
            .chain(internal),
        )
    }
}

fn service(program: &str, name: &str, places: &Places, shared: &Shared) -> Result<Command> {
    let mut command = tied::command(built(program, places, shared.profile)?, None);
    command
        .env("CHAT_APPS_FILE", &shared.apps_file)
        .env("LOG_FORMAT", "text")
        .env("DRAIN_TIMEOUT_S", DRAIN_SECONDS)
        .env("NO_COLOR", "1")
        .envs(shared.links.clock(name));
    if let Some(collector) = &shared.collector {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
            .env("OTEL_TRACES_SAMPLER_ARG", "0");
    }
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "info");
    }
    Ok(command)
}

fn built(program: &str, places: &Places, profile: Profile) -> Result<PathBuf> {
    let profile = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    let program = places.target.join(profile).join(program);
    ensure!(
        program.exists(),
        "{} is not built; leave out --no-build",
        program.display(),
    );
    Ok(program)
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn url(port: u16) -> String {
    format!("http://{}", loopback(port))
}
